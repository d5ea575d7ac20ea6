"""Rules as data accept the same rows as the same rules as polars expressions, by batch and one JSON row at a time."""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from test_rules_pandera import rules, tables

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.models.kinds import type_of
from mlops_cli.runtime import rules as runtime
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.patterns import Pattern, Unsupported
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import batches
from mlops_cli.steps.rules import compiled, plan, read, resolve

TEXTS = st.text(st.sampled_from("abc1_ \n.é\x1c٣²Ⓐ"), max_size=6)
ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\d", r"\w", r"\s", r"\W", r"\S", "(a|b)", "(?:ab|)", "[a-c1]", r"\."]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?"])


def both(frame: pl.DataFrame, text: str) -> tuple[list[set[str]], list[set[str]], runtime.Rules]:
    """For each row the labels of the rules that it breaks: by polars, and by the compiled rules."""
    made = plan.build(resolve.resolve(read.parse(yaml.safe_load(text), "rules.yaml"), frame.schema, "the table"))
    found = compiled.compile(made, frame.schema, None)
    decoded = runtime.decode(found.encode())
    assert decoded == found, "what is written is what is read"
    there = {rule.label for rule in found.rules}
    fails = frame.select([r.fail.alias(r.label) for r in made.rules if r.fail is not None and r.label in there])
    wanted: list[set[str]] = [set() for _ in range(frame.height)]
    for name in fails.columns:
        marks = fails[name] if len(fails[name]) == frame.height else fails[name].new_from_index(0, frame.height)
        for row in marks.arg_true():
            wanted[row].add(name)
    shown = frame.select([value.alias(name) for name, value in made.outputs.items()])
    columns = [InputColumn(n, kind) for n, kind in ((n, type_of(d)) for n, d in shown.schema.items()) if kind]
    signature = Signature("lightgbm", "regression", "y", columns)
    guard = runtime.Guard(decoded.rules)
    got = [set(labels) for labels in guard.batch(batches.batch(shown, signature))]
    for row, by_batch in zip(shown.iter_rows(named=True), got, strict=True):
        assert set(guard.row({name: sent(value) for name, value in row.items()})) == by_batch, row
    return wanted, got, found


def sent(value: Any) -> Any:
    """A value as JSON has it."""
    return value.isoformat() if isinstance(value, datetime.date) else value


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), rules())
def test_the_same_rows_break_the_same_rules(frame: pl.DataFrame, given_rules: dict[str, Any]) -> None:
    try:
        wanted, got, _ = both(frame, yaml.safe_dump(given_rules, allow_unicode=True))
    except InputUnusable as error:  # rules that no value can keep to
        assert re.search("no value is allowed|nothing lies between|is above max_value", error.message)
        reject()
    assert got == wanted


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(ATOMS, REPEATS), max_size=5), st.booleans(), st.lists(TEXTS, min_size=1, max_size=20))
def test_patterns_are_found_where_polars_finds_them(parts: Any, anchored: bool, texts: list[str]) -> None:
    pattern = "".join(atom + repeat for atom, repeat in parts if not (repeat and atom in "^$"))
    wanted = pl.Series(texts).str.contains(f"^(?:{pattern})" if anchored else pattern).to_list()
    assert [Pattern(pattern, anchored).search(text) for text in texts] == wanted


@pytest.mark.parametrize(
    "pattern", [r"\bx", "(?i)x", "(?P<n>x)", "[a&&b]", "[[a]]", "a**", "a{2", "a{,3}", r"\<x", "(a", "x{9999}", ""]
)
def test_what_is_not_understood_is_refused_and_not_guessed(pattern: str) -> None:
    if not pattern:
        assert Pattern("").search("anything")
        return
    with pytest.raises(Unsupported):
        Pattern(pattern)


def test_no_pattern_takes_more_than_linear_time() -> None:
    # Python's own re would need 2 to the power of 100,000 steps for this one: the test would not end.
    assert not Pattern("(a+)+$", anchored=True).search("a" * 100_000 + "b")
    assert Pattern("(a*)*b").search("a" * 100_000 + "b")


def test_strangers_cannot_fill_the_memory_with_characters() -> None:
    pattern = Pattern(r"\d\d$")
    for code in range(60_000):
        if not 0xD800 <= code < 0xE000:
            pattern.search(f"{chr(code)}x")
    assert pattern._steps <= 50_001 and pattern.search("x42") and not pattern.search("4x2")


def test_defaults_widths_and_conversions() -> None:
    frame = pl.DataFrame(
        {"a": [1, None, 300], "b": ["1", "x", None], "f": pl.Series([0.1, 0.2, math.nan], dtype=pl.Float32)},
    )
    text = """
columns:
  a: {dtype: int8, default: 7, checks: {ge: 5}}
  b: {dtype: int8, coerce: true, nullable: true, checks: {le: 3, ignore_na: true}}
  f: {dtype: float32, checks: {le: 0.1}}
"""
    wanted, got, _ = both(frame, text.replace("checks: {le: 3, ignore_na: true}", "checks: {le: 3}"))
    assert [{x for x in row if "coerce" not in x} for row in wanted] == [
        {x for x in row if "coerce" not in x} for row in got
    ]
    assert got[0] == {"a: greater_than_or_equal_to(5)"}, "0.1 is the number that a column of 32 bits holds"
    assert got[1] == {"f: less_than_or_equal_to(0.1)"}, "a missing value has its default"
    assert got[2] == {"a: dtype(int8)", "f: not_nullable", "f: less_than_or_equal_to(0.1)"}


@pytest.mark.parametrize("check", [{"ge": 0.1}, {"le": 0.1}, {"eq": 0.1}, {"isin": [0.1, 0.7]}, {"notin": [0.3]}])
def test_a_value_of_json_is_rounded_as_the_column_was(check: dict[str, Any]) -> None:
    given = [0.1, 0.7, 0.3, 0.1 + 1e-9, 1e300, -1e300]
    frame = pl.DataFrame({"c": pl.Series(given).cast(pl.Float32)})
    wanted, _, found = both(frame, yaml.safe_dump({"columns": {"c": check}}))
    guard = runtime.Guard(runtime.decode(found.encode()).rules)
    assert [set(guard.row({"c": value})) for value in given] == wanted
    batch = {"c": Column(np.array(given), None, None)}
    assert [set(labels) for labels in guard.batch(batch)] == wanted


def test_what_no_single_row_can_break_is_left_out_and_said() -> None:
    frame = pl.DataFrame({"a": [1], "s": ["x"], "l": [[1]]})
    text = """
columns:
  a: {unique: true, checks: {ge: 0}}
  s: {checks: {str_matches: '\\bx'}}
  l: {nullable: false}
unique: [a, s]
"""
    _, _, found = both(frame, text)
    assert [rule.label for rule in found.rules] == [
        "a: not_nullable", "a: greater_than_or_equal_to(0)", "s: not_nullable"
    ]  # fmt: skip
    told = {one.label: one.reason for one in found.left_out}
    assert told["a: unique"] == "uniqueness is a property of a whole table" == told["unique(a, s)"]
    assert "\\b" in told[r"s: str_matches('\\bx')"] and "List" in told["l: not_nullable"]


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'{"source":null,"rules":[],"format":2}',
        b'{"source":null,"rules":[{"label":"x","column":"x","type":"int","check":"exec"}]}',
        b'{"source":null,"rules":[{"label":"x","column":"x","type":"int","check":"in_range"}]}',
        b'{"source":null,"rules":[{"label":"x","column":"x","type":"int","check":"str_length"}]}',
        b'{"source":null,"rules":[{"label":"x","column":"x","type":"string","check":"str_contains",'
        b'"arguments":{"pattern":"("}}]}',
    ],
)
def test_damaged_rules_are_one_line(data: bytes) -> None:
    with pytest.raises(Corrupt, match=r"rules\.json"):
        runtime.Guard(runtime.decode(data).rules)
