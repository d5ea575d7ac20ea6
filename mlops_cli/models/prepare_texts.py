"""Fit the preparation of strings: categories, short texts as hashed words, identifiers."""

from __future__ import annotations

import polars as pl

from mlops_cli.models.prepare_found import LEAST_ROWS, Found, Unused
from mlops_cli.runtime.features import FeatureColumn

MOST_LEVELS, MOST_OF_MANY = 100, 1_000
"""So many of its commonest levels a column keeps, beyond 100,000 rows one for each thousand rows; the others count as
rare. More of them are learnt by heart: docs/preparation.md has the figures."""
FEWEST = 10
"""A level with fewer train rows is rare; below 10,000 rows one with less than a thousandth of them, or a single row."""
NAMED = 1_000
"""As many rare levels are named in the preparation, so that drift can tell them from new ones."""
BUCKETS = 128
WORDS = 2.5
"""With so many words to a value on average, a column whose values hardly repeat is text."""
_SAMPLE = 2_000
_UUID = r"^(?i)\{?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}\}?$"


def fit(frame: pl.LazyFrame, name: str, rows: int) -> Found | Unused:
    """How the strings in the column `value` are used."""
    counted = frame.drop_nulls().group_by("value").len("rows").collect(engine="streaming")
    there = int(counted["rows"].sum())
    if not there:
        return Unused("all null")
    if counted.height == 1 and there == rows:
        return Unused(f"always {counted['value'][0][:40]!r}")
    few = min(FEWEST, max(2, rows // 1_000))
    most = min(MOST_OF_MANY, max(MOST_LEVELS, rows // 1_000))
    kept = counted.filter(pl.col("rows") >= few).sort(["rows", "value"], descending=[True, False]).head(most)
    usual = int(kept["rows"].sum())
    if counted.height >= LEAST_ROWS and 2 * usual < there:
        if 2 * counted.height > there and _uuids(counted):
            return Unused("UUIDs that hardly repeat, an identifier", _category(name, counted, kept, there < rows))
        if _words(counted) >= WORDS:
            note = f"{name}: {counted.height:,} different texts; used as their words, in {BUCKETS} buckets"
            return Found(FeatureColumn(name, "string", "words", buckets=BUCKETS), there < rows, note)
        if counted.height == there:
            return Unused("different in every row, an identifier", _category(name, counted, kept, there < rows))
    if kept.is_empty() and counted.height >= LEAST_ROWS:
        why = f"{counted.height:,} levels in {there:,} rows, none in {few} or more of them: nearly an identifier"
        return Unused(why, _category(name, counted, kept, there < rows))
    kept = counted if kept.is_empty() else kept
    return _category(name, counted, kept, there < rows)


def _category(name: str, counted: pl.DataFrame, kept: pl.DataFrame, nullable: bool) -> Found:
    """A category of the levels that are `kept`; the others are rare."""
    if counted.height == kept.height:
        return Found(FeatureColumn(name, "string", "category", levels=sorted(kept["value"])), nullable)
    rest = counted.join(kept, on="value", how="anti").sort(["rows", "value"], descending=[True, False])
    note = (
        f"{name}: {counted.height:,} levels; {kept.height:,} are used, "
        f"{int(rest['rows'].sum()):,} rows have a rarer one and share a code"
    )
    how = FeatureColumn(
        name, "string", "category", levels=sorted(kept["value"]), rare=sorted(rest["value"].head(NAMED))
    )
    return Found(how, nullable, note)


def _words(counted: pl.DataFrame) -> float:
    """The words of a value on average, of a sample of the values: what has a letter and stands between blanks."""
    value = counted["value"].gather(counted["value"].hash(seed=0).arg_sort()[:_SAMPLE])
    return int(value.str.count_matches(r"\S*\p{L}\S*").sum()) / len(value)


def _uuids(counted: pl.DataFrame) -> bool:
    return bool(counted["value"].str.contains(_UUID).all())
