"""Conditions in SQL are about one row, and their answer is the same every time; everything else is refused."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn
from mlops_cli.steps import validate_rows
from mlops_cli.steps.rules import expressions, plan, read, resolve, yaml_text

UTC = datetime.UTC
FRAME = pl.DataFrame(
    {
        "dep": [100, 900, None, 500],
        "arr": [200, 800, 300, None],
        "name": ["AA", "it's", None, "B6"],
        "from": ["x", "y", "x", "y"],
        "at": [datetime.datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)],
        "text": ["1", "2", "x", "4"],
        "box": [{"w": 1}, {"w": 2}, {"w": 3}, {"w": 4}],
        "^odd.*$": [1, 2, 3, 4],
    }
)


def bad(rules: dict[str, Any], frame: pl.DataFrame = FRAME) -> list[int]:
    """The rows that are rejected."""
    bound = resolve.resolve(read.parse(yaml_text.plain(rules), "rules.yaml"), frame.schema, "the table")
    made = plan.build(bound)
    failures = made.failures(made.bad_values(frame.lazy()))
    marked = made.looked(frame.lazy()).select(validate_rows.bad(failures).alias("bad")).collect()["bad"]
    return marked.arg_true().to_list() if marked.len() == frame.height else [-1]


@pytest.mark.parametrize(
    ("expr", "rows"),
    [
        ("arr > dep", [1]),
        ("arr > dep or arr is null", [1]),
        ("coalesce(arr > dep, false)", [1, 2, 3]),
        ("dep between 100 and 500", [1]),
        ("name in ('AA', 'it''s')", [3]),
        ("name like 'A%' or length(name) = 2", [1]),
        ("at < timestamp '2013-01-03 12:00:00'", [3]),
        ("at >= date '2013-01-02'", [0]),
        ("try_cast(text as integer) >= 2", [0]),
        ("\"from\" = 'x'", [1, 3]),
        ("box.w < 3", [2, 3]),
        ('"^odd.*$" <> 2', [1]),
        ("case when name = 'AA' then dep > 500 else true end", [0]),
        ("extract(day from at) <> 2", [1]),
    ],
)
def test_which_rows_a_condition_rejects(expr: str, rows: list[int]) -> None:
    assert bad({"rules": [expr]}) == rows


def test_sums_and_differences_do_not_overflow() -> None:
    frame = pl.DataFrame(
        {"i": [100, -100], "j": [100, -100], "u": [1, 2], "w": [2, 1], "big": [2**63, 1], "more": [2**63, 2]},
        schema={"i": pl.Int8, "j": pl.Int8, "u": pl.UInt32, "w": pl.UInt32, "big": pl.UInt64, "more": pl.UInt64},
    ).with_columns(pl.struct("i", "u").alias("box"))
    assert bad({"rules": ["i + j > 0"]}, frame) == [1]
    assert bad({"rules": ["i * j * i * j = 100000000"]}, frame) == []
    assert bad({"rules": ["u - w < 0"]}, frame) == [1]
    assert bad({"rules": ["big + more > 5"]}, frame) == [1]
    assert bad({"rules": ["big - more < 0"]}, frame) == [0]
    assert bad({"rules": ["box.i + box.i > 0", "box.u - 2 < 0"]}, frame) == [1]


def test_a_null_passes_unless_it_may_not() -> None:
    assert bad({"rules": [{"expr": "arr > dep", "ignore_na": False}]}) == [1, 2, 3]


def test_a_condition_sees_values_as_they_are_converted_and_filled() -> None:
    columns = {"text": {"dtype": "int64", "coerce": True, "nullable": True}, "dep": {"default": 0}}
    assert bad({"columns": columns, "rules": ["text < 4", "dep > 0"]}) == [2, 3]


@pytest.mark.parametrize(
    ("expr", "error", "words", "hint"),
    [
        ("sum(dep) > 3", InputUnusable, "sum() is no function of one row", "about one row"),
        ("dep > (select max(dep) from data)", InputUnusable, "max()", "about one row"),
        ("row_number() over (order by dep) > 1", InputUnusable, "row_number()", "about one row"),
        ("dep > current_date", UnknownColumn, "current_date", "the same every time"),
        ("now() > at", InputUnusable, "now()", "the same every time"),
        ("random() > 0.5", InputUnusable, "random()", "about one row"),
        ("read_csv('x') > 1", InputUnusable, "read_csv()", ""),
        ("columns('.*') > 1", InputUnusable, "columns()", ""),
        ("lenght(name) = 2", InputUnusable, "lenght()", "did you mean length?"),
        ("dpe > 3", UnknownColumn, "'dpe'", "did you mean dep?"),
        ("name > 3", SchemaMismatch, "does not go with the columns' types", ""),
        ("at > '2013-01-01'", SchemaMismatch, "types", "timestamp"),
        ("dep", SchemaMismatch, "Int64, not a condition", ""),
        ("1 > 0", InputUnusable, "names no column", ""),
        ("dep > 1; drop table x", InputUnusable, "more than one condition", ""),
        ("dep > 1 -- '\n or sum(dep) > 1", InputUnusable, "comment", "#"),
        ("dep > 'a", InputUnusable, "quote", ""),
        ("dep >", InputUnusable, "is not a condition", ""),
        ("cast(text as integer) > 1", InputUnusable, "cast()", ""),
        ("text::integer > 1", InputUnusable, "cannot be converted", "try_cast"),
        ("name ~ '('", SchemaMismatch, "unclosed group", ""),
        ("", InputUnusable, "is not a condition", ""),
    ],
)
def test_what_is_no_condition_on_a_row(expr: str, error: type[InputUnusable], words: str, hint: str) -> None:
    with pytest.raises(error) as found:
        bad({"rules": [{"expr": "dep > 0"}, {"expr": expr}]})
    assert "rules.yaml: rules[1].expr" in found.value.message and words in found.value.message
    assert "\n" not in found.value.message.replace(repr(expr), "") and hint in found.value.hint


CONTRADICTIONS = {
    "columns: {a: {ge: 5, lt: 5}}": "columns.a.ge: nothing lies between 5 and 5 of columns.a.lt",
    "columns: {a: {in_range: {min_value: 2, max_value: 1}}}": "nothing lies between 2 and 1",
    "columns: {a: {eq: 3, gt: 4}}": "nothing lies between 4 and 3",
    "columns: {a: {str_length: {min_value: 3, max_value: 2}}}": "min_value 3 is above max_value 2",
    "columns: {a: {isin: []}}": "the list is empty",
    "columns: {a: {isin: [x], notin: [x, y]}}": "forbid every value",
    "columns: {a: {isin: [x], default: y}}": "columns.a.default",
    "{columns: {a: {}}, strict: true, unique: [b]}": "strict: true forbids it",
    "{columns: {a: {}}, strict: true, dataset: {increasing: b}}": "dataset.increasing: column 'b'",
    "dataset: {rows: {min_value: 2, max_value: 1}}": "dataset.rows: min_value 2 is above",
    "columns: {a: {ge: {value: 1, severity: warning, raise_warning: false}}}": "contradicts raise_warning",
    "columns: {a: {ge: {value: 1, severity: fatal}}}": "neither error nor warning",
    "columns: {a: {ge: {value: 1, max_bad: -1}}}": "no share of the rows",
    "dataset: {rows: {}}": "neither min_value nor max_value",
    "dataset: {freshness: {column: a, max_age: soon}}": "dataset.freshness.max_age: 'soon' is no age",
    "dataset: {freshness: {max_age: 1d}}": "column is missing",
    "dataset: {freshness: {column: a, max_age: 99999999999999d}}": "'99999999999999d' is longer than any calendar",
    "dataset: {foreign_key: {column: a}}": "dataset.foreign_key.to",
    "dataset: {foreign_key: {columns: [a, b], to: x, to_columns: [c]}}": "1 columns are no partners for 2",
    "dataset: {null_share: {a: 5}}": "dataset.null_share.a: 5 is no share",
    "dataset: {row: {}}": "dataset.row: unknown key",
    "rules: {a: b}": "rules: ",
    "rules: [{exp: a}]": "rules[0].exp: unknown key",
}


@pytest.mark.parametrize("text", CONTRADICTIONS)
def test_rules_that_contradict_or_make_no_sense(text: str) -> None:
    with pytest.raises(InputUnusable) as error:
        read.parse(yaml_text.plain(yaml.safe_load(text)), "rules.yaml")
    assert CONTRADICTIONS[text] in error.value.message and error.value.message.startswith("rules.yaml: ")


def test_the_documented_functions_are_those_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "validate.md").read_text()
    told = set(page.split("Functions: `")[1].split("`")[0].split())
    assert expressions.FUNCTIONS - told == {"ceiling", "character_length"}  # other names of two that are told
    assert told <= expressions.FUNCTIONS


def test_digests_without_the_new_words_are_what_they_were() -> None:
    rules = read.parse({"columns": {"a": {"dtype": "int64", "gt": 0}}}, "rules.yaml")
    assert rules.digest() == "sha256:ce3e20b97d3c55176d09ff06e7cf1c9ede3a3e416417e9ffa8b793c9072ea716"
