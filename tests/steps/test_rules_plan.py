"""What rules do to a table beyond single checks: types, conversion, absence, order, whole-table rules."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import yaml

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn
from mlops_cli.steps import validate_rows
from mlops_cli.steps.rules import plan, read, resolve, rule, yaml_text
from mlops_cli.steps.rules.rule import Plan

UTC = datetime.UTC


def made(text: str, frame: pl.DataFrame) -> Plan:
    rules = read.parse(yaml_text.plain(yaml.safe_load(text)), "rules.yaml")
    return plan.build(resolve.resolve(rules, frame.schema, "flights.csv"))


def check(text: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, list[str]]]:
    """The rows that pass, and the reasons of each of the others."""
    found = made(text, frame)
    failures = found.failures(found.bad_values(frame.lazy()))
    passes, columns = validate_rows.accepted(found, failures)
    good = frame.lazy().filter(passes).select(columns).collect()
    marked = frame.with_row_index("#row").with_columns(validate_rows.reasons(failures))
    return good, {row: reasons for row, reasons in marked.select("#row", "_errors").rows() if reasons}


def column(values: list[Any], dtype: pl.DataType | None = None) -> pl.DataFrame:
    return pl.DataFrame({"a": pl.Series(values, dtype=dtype)})


@pytest.mark.parametrize(
    ("dtype", "data", "fits"),
    [
        ("int64", pl.Int8(), True),
        ("int8", pl.Int64(), True),
        ("uint8", pl.Int64(), True),
        ("float64", pl.Float32(), True),
        ("float64", pl.Int64(), True),
        ("int64", pl.Float64(), False),
        ("str", pl.Int64(), False),
        ("int64", pl.String(), False),
        ("str", pl.Categorical(), True),
        ("category", pl.String(), True),
        ("datetime", pl.Datetime("ms", "UTC"), True),
        ("datetime64[ns, UTC]", pl.Datetime("us", "UTC"), True),
        ("datetime64[ns, UTC]", pl.Datetime("us"), False),
        ("date", pl.Datetime("us"), False),
        ("datetime", pl.Date(), False),
        ("bool", pl.Boolean(), True),
        ("bool", pl.Int64(), False),
        ("int64", pl.Null(), True),
        ("decimal(5, 1)", pl.Decimal(10, 2), True),
        ("float", pl.Decimal(10, 2), True),
    ],
)
def test_which_data_fits_which_type(dtype: str, data: pl.DataType, fits: bool) -> None:
    text, frame = f"columns: {{a: {{dtype: '{dtype}', nullable: true}}}}", column([None, None], data)
    if fits:
        assert check(text, frame)[1] == {}
        return
    with pytest.raises(SchemaMismatch, match=r"flights.csv .*a is .*, not ") as error:
        check(text, frame)
    assert "coerce" in error.value.hint


def test_an_integer_that_does_not_fit_the_width_is_a_bad_row() -> None:
    good, bad = check("columns: {a: {dtype: int8, nullable: true}}", column([1, 128, -129, None, 127]))
    assert good["a"].to_list() == [1, None, 127]
    assert bad == {1: ["a: dtype(int8)"], 2: ["a: dtype(int8)"]}


@pytest.mark.parametrize(
    ("dtype", "given", "kept", "lost"),
    [
        ("int64", ["1", " 2 ", "x", None, "3.5"], [1, 2, None], [2, 4]),
        ("float64", ["1.5", "-2", "", None], [1.5, -2.0, None], [2]),
        ("bool", ["true", "FALSE", "1", "0", "yes"], [True, False, True, False], [4]),
        ("date", ["2013-01-02", "2013-13-01", "02/01/2013"], [datetime.date(2013, 1, 2)], [1, 2]),
        (
            "datetime",
            ["2013-01-02T03:04:05", "2013-01-02 03:04:05", "nope"],
            [datetime.datetime(2013, 1, 2, 3, 4, 5)] * 2,
            [2],
        ),
        ("str", [1, 2, None], ["1", "2", None], []),
        ("int64", [1.0, 2.5, float("nan"), None, 1e300], [1, None], [1, 2, 4]),
        ("int8", [1, 300, -1], [1, -1], [1]),
        ("time", ["06:30:00", "25:00:00"], [datetime.time(6, 30)], [1]),
        ("decimal(6, 2)", ["1.25", "x"], [Decimal("1.25")], [1]),
    ],
)
def test_conversion_keeps_what_can_be_and_rejects_the_rest(
    dtype: str, given: list[Any], kept: list[Any], lost: list[int]
) -> None:
    good, bad = check(f"columns: {{a: {{dtype: '{dtype}', coerce: true, nullable: true}}}}", column(given))
    assert good["a"].to_list() == kept
    assert sorted(bad) == lost
    assert all(reasons[0].startswith("a: coerce(") for reasons in bad.values())


def test_what_cannot_be_converted_breaks_that_rule_only() -> None:
    checks = "checks: {gt: {value: 0, ignore_na: false}}"
    _, bad = check(f"columns: {{a: {{dtype: int64, coerce: true, {checks}}}}}", column(["1", "x", None, "-1"]))
    assert bad == {
        1: ["a: coerce(Int64)"],
        2: ["a: not_nullable", "a: greater_than(0)"],
        3: ["a: greater_than(0)"],
    }


@pytest.mark.parametrize(("more", "kept"), [("", None), (", nullable: true", None), (", default: 7", 7)])
def test_what_cannot_be_converted_is_missing_where_that_is_a_warning(more: str, kept: int | None) -> None:
    text = f"columns: {{a: {{dtype: int64, coerce: true, severity: warning{more}}}}}"
    good, bad = check(text, column(["1", "x"]))
    assert good["a"].to_list() == [1, kept] and bad == {}
    found = made(text, column(["1", "x"]))
    counts = {rule.check: column(["1", "x"]).select(fail.sum()).item() for rule, fail in found.failures({})}
    assert counts == {"coerce": 1} | ({} if "nullable" in more else {"not_nullable": 0})


def test_conversion_between_time_zones() -> None:
    text = "columns: {a: {dtype: 'datetime64[us, Europe/Paris]', coerce: true}}"
    good, _ = check(text, column([datetime.datetime(2013, 1, 1, 12)]))
    assert good["a"][0] == datetime.datetime(2013, 1, 1, 12, tzinfo=UTC)
    good, _ = check("columns: {a: {dtype: datetime, coerce: true}}", good)
    assert good["a"][0] == datetime.datetime(2013, 1, 1, 12)


def test_default_fills_what_is_missing() -> None:
    good, bad = check(
        "columns: {a: {dtype: float, default: 1.5, checks: {gt: 0}}}", column([None, float("nan"), 2.0, -1.0])
    )
    assert good["a"].to_list() == [1.5, 1.5, 2.0]
    assert bad == {3: ["a: greater_than(0)"]}
    good, _ = check("columns: {a: {dtype: datetime, default: 2013-01-01}}", column([None], pl.Datetime("us")))
    assert good["a"].to_list() == [datetime.datetime(2013, 1, 1)]
    with pytest.raises(InputUnusable, match=r"columns.a.default: 'x' is not a number"):
        check("columns: {a: {dtype: int64, default: x}}", column([1]))


def test_absent_columns() -> None:
    frame = column([1])
    with pytest.raises(UnknownColumn, match=r"rules.yaml: columns.aa: flights.csv has no column 'aa'") as error:
        check("columns: {aa: {dtype: int64}}", frame)
    assert error.value.hint == "did you mean a?"
    assert check("columns: {aa: {dtype: int64, required: false}}", frame)[1] == {}
    with pytest.raises(UnknownColumn, match="'b'"):
        check("unique: [a, b]", frame)
    good, _ = check(
        "{add_missing_columns: true, columns: {b: {dtype: str, default: x}, c: {dtype: date, nullable: true}}}", frame
    )
    assert good.rows() == [(1, "x", None)] and good.schema["c"] == pl.Date
    with pytest.raises(SchemaMismatch, match="has no default"):
        check("{add_missing_columns: true, columns: {b: {dtype: str}}}", frame)


def test_patterns_of_columns() -> None:
    frame = pl.DataFrame({"x1": [1, -1], "x2": [-1, 1], "y": [0, 0], "x_all": [0, 0]})
    _, bad = check("columns: {'^x[0-9]$': {dtype: int64, checks: {gt: 0}}, x_all: {dtype: int64}}", frame)
    assert bad == {0: ["x2: greater_than(0)"], 1: ["x1: greater_than(0)"]}
    with pytest.raises(UnknownColumn, match=r"no column of flights.csv matches"):
        check("columns: {'z.*': {regex: true}}", frame)
    assert check("columns: {'z.*': {regex: true, required: false}}", frame)[1] == {}
    with pytest.raises(InputUnusable, match="not a regular expression"):
        check("columns: {'(': {regex: true}}", frame)


def test_a_column_called_like_a_pattern_is_that_column() -> None:
    frame = pl.DataFrame({"^a$": [1, None, 2], "a": [None, 1, 2]})
    good, bad = check(r"columns: {'^\^a\$$': {dtype: int64}}", frame)
    assert bad == {1: ["^a$: not_nullable"]}
    assert good.rows() == [(1, None), (2, 2)]


def test_strict_ordered_and_filter() -> None:
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    with pytest.raises(SchemaMismatch, match="does not name: b, c"):
        check("{strict: true, columns: {a: {}}}", frame)
    good, _ = check("{strict: filter, columns: {c: {}, a: {}}}", frame)
    assert good.columns == ["a", "c"]
    with pytest.raises(SchemaMismatch, match="'a' stands where"):
        check("{ordered: true, columns: {c: {}, a: {}}}", frame)
    assert check("{ordered: true, columns: {a: {}, c: {}}}", frame)[1] == {}


def test_unique_over_the_whole_table_counts_missing_values_as_equal() -> None:
    frame = pl.DataFrame({"a": [1, 1, None, None, 2], "b": ["x", "x", "x", "y", None]})
    _, bad = check("columns: {a: {dtype: int64, nullable: true, unique: true}}", frame)
    assert sorted(bad) == [0, 1, 2, 3]
    _, bad = check("unique: [a, b]", frame)
    assert bad == {0: ["unique(a, b)"], 1: ["unique(a, b)"]}
    _, bad = check("unique: [[a], [b]]", frame)
    assert bad[0] == ["unique(a)", "unique(b)"]


def test_unique_in_several_shares_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "AT_ONCE", 7)
    values = [0.0, -0.0, float("nan"), -float("nan"), None, None, *map(float, range(1, 40)), 17.0]
    frame = pl.DataFrame({"a": values, "b": [str(value) if value else None for value in values]})
    _, bad = check("columns: {a: {dtype: float, nullable: true, unique: true}}", frame)
    assert sorted(bad) == [0, 1, 2, 3, 4, 5, 22, 45]
    _, bad = check("unique: [a, b]", frame)
    assert sorted(bad) == [0, 1, 2, 3, 4, 5, 22, 45]


@pytest.mark.parametrize(
    ("child", "of", "parent", "to", "unknown"),
    [
        (["1.6", "1.5"], pl.Decimal(4, 1), ["1.55", "1.50"], pl.Decimal(4, 2), [0]),
        (["1.60", "1.65"], pl.Decimal(4, 2), ["1.6"], pl.Decimal(4, 1), [1]),
        ([0, 1], pl.Datetime("ms"), [1, 1000], pl.Datetime("us"), [0]),
        ([0, 1000, 1001], pl.Datetime("us"), [0, 1], pl.Datetime("ms"), [2]),
        ([1, -1], pl.Int8, [257, 255, 1], pl.UInt16, [1]),
        ([0.1, 0.5], pl.Float32, [0.1, 0.5], pl.Float64, [0]),
        (["a", "b"], pl.Categorical, ["a", "c"], pl.String, [1]),
        (["a", "b"], pl.String, ["a", "c"], pl.Enum(["a", "c"]), [1]),
        (["a", "b"], pl.Enum(["a", "b"]), ["a", "c"], pl.Categorical, [1]),
    ],
)
def test_keys_of_two_types_are_equal_when_their_values_are(
    child: list[Any], of: pl.DataType, parent: list[Any], to: pl.DataType, unknown: list[int]
) -> None:
    name = "^k.*$"  # it is not a pattern
    frame = pl.DataFrame({"a": pl.Series(child).cast(of)})
    other = pl.DataFrame({name: pl.Series(parent).cast(to), "kk": [None] * len(parent)}).lazy()
    rules = read.parse({"dataset": {"foreign_key": {"column": "a", "to": "t", "to_column": name}}}, "rules.yaml")
    found = plan.build(resolve.resolve(rules, frame.schema, "flights.csv"), {"t": other})
    failures = found.failures(found.bad_values(frame.lazy()))
    assert frame.select(validate_rows.bad(failures).alias("bad"))["bad"].arg_true().to_list() == unknown


def test_a_check_of_the_whole_table_is_about_every_column() -> None:
    frame = pl.DataFrame({"a": [1, -1, 1], "b": [1.0, 1.0, -0.5]})
    assert sorted(check("checks: {gt: 0}", frame)[1]) == [1, 2]
    with pytest.raises(InputUnusable, match=r"rules.yaml: checks.gt: 0 is not text"):
        check("checks: {gt: 0}", frame.with_columns(pl.lit("x").alias("s")))


def test_a_warning_is_counted_and_the_row_stays() -> None:
    found = made("columns: {a: {checks: {gt: {value: 0, raise_warning: true}, lt: 5}}}", column([-1, 9]))
    failures = found.failures({})
    counts = column([-1, 9]).select(validate_rows.counts(failures)).row(0)
    assert [rule.warning for rule, _ in failures] == [False, True, False]
    assert counts == (2, 0, 1, 1)
    assert not validate_rows.any_broken(failures, [0, 1, 0]) and validate_rows.any_broken(failures, counts[1:])


def test_reasons_use_the_words_of_the_rules() -> None:
    hour = "in_range: {min_value: 0, max_value: 9, error: no such hour}"
    text = f"columns: {{a: {{checks: {{{hour}, isin: [1, 2, 3, 4, 5, 6]}}}}}}"
    _, bad = check(text, column([12]))
    assert bad == {0: ["a: no such hour", "a: isin(1, 2, 3, 4, 5, … 6 values)"]}


def test_dtype_and_coerce_of_the_whole_table() -> None:
    frame = pl.DataFrame({"a": ["1", "x"], "b": ["2", "3"]})
    good, bad = check("{dtype: int64, coerce: true, columns: {a: {}, b: {}}}", frame)
    assert good.rows() == [(1, 2)] and sorted(bad) == [1]


ARGUMENTS = {
    "columns: {a: {checks: {gt: x}}}": (column([1]), "columns.a.checks.gt: 'x' is not a number"),
    "columns: {a: {checks: {isin: [SE, NO]}}}": (column(["SE"]), "False is not text"),
    "columns: {a: {checks: {isin: abc}}}": (column(["a"]), "is not a list"),
    "columns: {a: {checks: {str_matches: '('}}}": (column(["a"]), "str_matches"),
    "columns: {a: {checks: {str_matches: '(?=x)'}}}": (column(["a"]), "not one that polars knows"),
    "columns: {a: {checks: {str_contains: x}}}": (column([1]), "the check is for text, the column is Int64"),
    "columns: {a: {checks: {ge: 2013-01-01}}}": (column([datetime.date(2013, 1, 1)]), None),
    "columns: {a: {checks: {gt: 5}}}": (column([datetime.date(2013, 1, 1)]), "5 is not a date"),
    "columns: {a: {checks: {ge: '2013-01-01T00:00'}}}": (column([datetime.datetime(2013, 1, 1)]), None),
    "columns: {a: {checks: {ge: yesterday}}}": (column([datetime.datetime(2013, 1, 1)]), "is not a time"),
    "columns: {a: {checks: {gt: true}}}": (column([1]), "True is not a number"),
    "columns: {a: {checks: {gt: 1}}}": (column([True]), "no order"),
    "columns: {a: {checks: {eq: true}}}": (column([True]), None),
    "columns: {a: {checks: {isin: ['06:00:00']}}}": (column([datetime.time(6)]), None),
    "columns: {a: {checks: {in_range: {min_value: 5, max_value: 1}}}}": (column([1]), "nothing lies between 5 and 1"),
    "columns: {a: {checks: {str_length: {}}}}": (column(["a"]), "str_length"),
    "columns: {a: {checks: {str_length: 1}}}": (column(["a"]), None),
    "columns: {a: {checks: {str_length: {min_value: x}}}}": (column(["a"]), "not a whole number"),
    "columns: {a: {checks: {gt: null}}}": (column([1]), "None is not a number"),
    "columns: {a: {checks: {isin: [1.5, 1.0, 1000, .inf, .nan, null]}}}": (column([1], pl.Int8()), None),
    "columns: {a: {checks: {gt: 99999999999999999999}}}": (column([-1]), "a: greater_than(99999999999999999999)"),
    "columns: {a: {checks: {isin: [1.5]}}}": (column([Decimal("1.5")]), None),
    "columns: {a: {checks: {eq: 1}}}": (column([[1]]), "no such check"),
    "columns: {a: {nullable: true, checks: {eq: 1, isin: [x]}}}": (column([None]), None),
    "columns: {a: {nullable: true, checks: {eq: {value: 1, ignore_na: false}}}}": (column([None]), "a: equal_to(1)"),
}


@pytest.mark.parametrize("text", ARGUMENTS)
def test_arguments_are_values_of_their_column(text: str) -> None:
    frame, problem = ARGUMENTS[text]
    if problem is None:
        assert check(text, frame)[1] == {}
    elif problem.startswith("a: "):
        assert check(text, frame)[1] == {0: [problem]}
    else:
        with pytest.raises(InputUnusable) as error:
            check(text, frame)
        assert problem in error.value.message and "rules.yaml" in error.value.message
