"""The same rows break the same rules as in eager pandera, for generated tables and generated rules."""

from __future__ import annotations

import datetime
import warnings
from typing import Any
from unittest import mock

import pandera.errors
import polars as pl
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_cli.steps.rules import contradictions, labels, plan, read, resolve, schema

ROWS = 40
NOW = datetime.datetime(2013, 1, 1)

COLUMNS: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "i": (pl.Int64(), st.integers(-5, 5)),
    "w": (pl.Int16(), st.integers(-300, 300)),
    "f": (pl.Float64(), st.sampled_from([0.0, -0.0, 1.5, -2.0, 7.25, float("nan"), float("inf"), float("-inf")])),
    "s": (pl.String(), st.sampled_from(["", "a", "ab", "abc", "b", "É", "a\nb"])),
    "b": (pl.Boolean(), st.booleans()),
    "d": (pl.Date(), st.dates(datetime.date(2013, 1, 1), datetime.date(2013, 1, 9))),
    "t": (pl.Datetime("us"), st.datetimes(NOW, NOW + datetime.timedelta(days=3))),
}
NUMBER = {"i": st.integers(-6, 6), "w": st.integers(-400, 400), "f": st.sampled_from([-2.0, 0.0, 1.5, 5.0])}
VALUE = NUMBER | {
    "s": st.sampled_from(["", "a", "ab", "zz"]),
    "d": st.sampled_from(["2013-01-02", "2013-01-05"]),
    "t": st.sampled_from(["2013-01-01T00:00:00", "2013-01-02T12:00:00"]),
}
COMPARE = ("greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to", "equal_to", "not_equal_to")


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, ROWS))
    data = {}
    for name, (dtype, values) in COLUMNS.items():
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        data[name] = pl.Series(name, column, dtype=dtype)
    return pl.DataFrame(data)


@st.composite
def checks(draw: st.DrawFn, name: str) -> dict[str, Any]:
    options = draw(st.sampled_from([{}, {"ignore_na": False}, {"ignore_na": True}]))
    found: dict[str, Any] = {}
    if name in VALUE:
        for check in draw(st.sets(st.sampled_from(COMPARE), max_size=2)):
            found[check] = {"value": draw(VALUE[name]), "options": options}
        if draw(st.booleans()):
            low, high = sorted([draw(VALUE[name]), draw(VALUE[name])])
            if low != high:
                closed = {"include_min": draw(st.booleans()), "include_max": draw(st.booleans())}
                found["in_range"] = {"min_value": low, "max_value": high, **closed, "options": options}
        member = draw(st.sampled_from([None, "isin", "notin"]))
        if member:
            found[member] = draw(st.lists(VALUE[name], max_size=4))
    if name == "b" and draw(st.booleans()):
        found["equal_to"] = draw(st.booleans())
    if name == "s":
        for check in draw(st.sets(st.sampled_from(["str_matches", "str_contains", "str_startswith", "str_endswith"]))):
            found[check] = draw(st.sampled_from(["a", "b$" if "match" in check or "cont" in check else "b", "ab"]))
        if draw(st.booleans()):
            found["str_length"] = {"min_value": draw(st.integers(0, 2)), "max_value": draw(st.integers(2, 3))}
    return found


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    columns = {}
    for name, (dtype, _) in COLUMNS.items():
        columns[name] = {
            "dtype": draw(st.sampled_from([None, str(dtype)])),
            "nullable": draw(st.booleans()),
            "unique": draw(st.sampled_from([False, False, True])),
            "checks": draw(checks(name)),
        }
    unique = draw(st.none() | st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True))
    return {"schema_type": "dataframe", "columns": columns, "unique": unique}


def ours(frame: pl.DataFrame, bound: resolve.Resolved) -> set[tuple[str, str, int]]:
    """(column, check, row) of all failures, by expressions over a lazy frame."""
    made = plan.build(bound)
    found = made.failures(made.bad_values(frame.lazy()))
    marks = frame.lazy().select([fail.alias(str(number)) for number, (_, fail) in enumerate(found)]).collect()
    broken = set()
    for number, (rule, _) in enumerate(found):
        rows = marks[str(number)]
        rows = rows if rows.len() == frame.height else rows.extend_constant(rows[0], frame.height - rows.len())
        broken |= {(rule.column or "", rule.label.split(": ")[-1], row) for row in rows.arg_true()}
    return broken


def theirs(frame: pl.DataFrame, bound: resolve.Resolved) -> set[tuple[str, str, int]]:
    """The same by pandera on an eager frame."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema.build(bound).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as found:
        broken = set()
        for error in found.schema_errors:
            assert error.check_output is not None, error
            column = error.schema.name if error.schema.__class__.__name__ == "Column" else ""
            label = CALLED.get(str(error.check)) or labels.called(error.check)
            if label == "unique" and not column:
                label = f"unique({', '.join(bound.rules.unique[0])})"
            failed = error.check_output.lazy().select(pl.last().not_()).collect().to_series()
            broken |= {(column, label, row) for row in failed.arg_true()}
        return broken
    return set()


CALLED = {"not_nullable": "not_nullable", "field_uniqueness": "unique", "multiple_fields_uniqueness": "unique"}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), rules())
def test_same_rows_as_eager_pandera(frame: pl.DataFrame, given_rules: dict[str, Any]) -> None:
    text = yaml.safe_dump(given_rules, allow_unicode=True)
    with mock.patch.object(contradictions, "check"):  # rules that no row can keep are refused, but executed they agree
        read_rules = read.parse(yaml.safe_load(text), "rules.yaml")
    bound = resolve.resolve(read_rules, frame.schema, "the table")
    assert ours(frame, bound) == theirs(frame, bound)
