"""Columns that deserve a second look: identifiers, constants, copies, leaks, sentinels, text that is no text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from mlops_cli.steps.describe_table import Column, Description
from mlops_cli.steps.describe_target import LEAK, Association

_DISTINCT, _ABOUT = 0.98, 0.8
_ENOUGH = 100
_SAME = 0.999
_LINEAR = 0.9999
_MOST = 60
_SHARE = 0.95
_SENTINELS = (-9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999)
_RARE = 0.0005
_DATE = r"^\s*(\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4})([T ]\d{1,2}:\d{2}.*)?\s*$"


@dataclass(frozen=True)
class Suspect:
    """One column, what it may be, and what was seen."""

    column: str
    what: str
    why: str


def suspects(found: Description, associations: Sequence[Association]) -> list[Suspect]:
    """All suspicions, leaks first, then by column."""
    made = [
        Suspect(
            one.column,
            "leak?",
            f"alone it takes away {one.alone:.1%} of the error of guessing the target (held-out λ or R²; told from "
            f"{LEAK:.0%} on): was it known before the target was?",
        )
        for one in associations
        if one.alone is not None and one.alone >= LEAK
    ]
    for column in found.columns:
        made += _own(found, column)
    return [*made, *_copies(found)]


def _own(found: Description, column: Column) -> Iterator[Suspect]:
    """What a column shows by itself."""
    there = found.rows - column.missing
    if there == 0:
        yield Suspect(column.name, "empty", "every value is missing")
        return
    if column.distinct == 1:
        yield Suspect(column.name, "constant", f"the one value is {_first(found, column)}")
        return
    if column.kind in ("image", "other"):
        return
    whole = column.dtype.is_integer() or column.kind == "text"
    if whole and there >= _ENOUGH and _all_different(found, column, there):
        yield Suspect(column.name, "identifier", f"{column.distinct:,} different values in {there:,} rows")
    elif column.kind == "text":
        yield from _spellings(found, column)
    if column.kind == "text":
        yield from _disguised(found, column)
    if column.kind == "number":
        yield from _sentinels(found, column)


def _all_different(found: Description, column: Column, there: int) -> bool:
    """Whether nearly no value comes twice: in the sample surely, in all rows as far as the estimate can tell."""
    values = found.values(column.name)
    estimated = column.distinct is not None and column.distinct >= (_DISTINCT if found.whole else _ABOUT) * there
    return estimated and values.n_unique() >= _DISTINCT * len(values)


def _first(found: Description, column: Column) -> str:
    there = column.name in found.sample
    values = found.sample[column.name].alias("value").drop_nulls() if there else pl.Series([])
    return repr(values[0])[:60] if len(values) else "(not in the sample)"


def _spellings(found: Description, column: Column) -> Iterator[Suspect]:
    """Categories that differ in case or in blanks around them only."""
    levels = found.values(column.name).unique()
    folded = pl.DataFrame({"level": levels, "same": levels.str.strip_chars().str.to_lowercase()})
    twice = folded.group_by("same").agg(pl.col("level").sort()).filter(pl.col("level").list.len() > 1).sort("same")
    if len(twice):
        shown = ", ".join(" = ".join(map(repr, one)) for one in twice["level"].head(3).to_list())
        yield Suspect(column.name, "mixed spelling", f"{len(twice):,} categories are written in several ways: {shown}")


def _disguised(found: Description, column: Column) -> Iterator[Suspect]:
    """Text that is dates or numbers."""
    values = found.values(column.name)
    if not len(values):
        return
    dates = values.str.contains(_DATE).mean()
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False).is_not_null().mean()
    if isinstance(dates, float) and dates >= _SHARE:
        yield Suspect(
            column.name, "dates as text", f"{dates:.1%} of its values look like dates, such as {values[0]!r:.40}"
        )
    elif isinstance(numbers, float) and numbers >= _SHARE:
        kept = " (with leading zeros: a code)" if values.str.contains(r"^0\d").any() else ""
        yield Suspect(
            column.name, "numbers as text", f"{numbers:.1%} of its values are numbers{kept}, such as {values[0]!r:.40}"
        )


def _sentinels(found: Description, column: Column) -> Iterator[Suspect]:
    """A value such as -999 that stands apart at one end and comes more than once."""
    values = np.sort(found.values(column.name).to_numpy())
    for value in (values[0], values[-1]) if len(values) else ():
        if value not in _SENTINELS:
            continue
        rest = values[values != value]
        times = len(values) - len(rest)
        if times < max(2, _RARE * len(values)) or len(rest) < 2:
            continue
        gap = rest[0] - value if value < rest[0] else value - rest[-1]
        spread = np.quantile(rest, 0.99) - np.quantile(rest, 0.01)
        if gap > spread / 2:
            share = times / len(values)
            yield Suspect(
                column.name,
                "sentinel",
                f"{value:g} is {share:.1%} of the values, apart from all others: does it mean missing?",
            )


def _copies(found: Description) -> Iterator[Suspect]:
    """Columns that say what another one says: equal, or a number that is a straight line of another."""
    kept = [c for c in found.columns if c.kind not in ("image", "other") and (c.distinct or 2) > 1][:_MOST]
    values = {column.name: found.physical(column.name) for column in kept}
    copied: set[str] = set()
    for one, other in combinations(kept, 2):
        if one.kind != other.kind or found.sample.height < 2 or {one.name, other.name} & copied:
            continue
        same = (values[one.name].eq_missing(values[other.name])).mean()
        if isinstance(same, float) and same >= _SAME:
            copied.add(other.name)
            yield Suspect(other.name, "copy", f"is {one.name} in {same:.2%} of the rows")
        elif one.kind in ("number", "time"):
            pair = pl.DataFrame({"x": values[one.name], "y": values[other.name]}).drop_nulls()
            r = pair.select(pl.corr("x", "y")).item() if pair.height > _ENOUGH else None
            if r is not None and abs(r) >= _LINEAR:
                copied.add(other.name)
                yield Suspect(other.name, "copy", f"follows {one.name} on a straight line (Pearson's r = {r:.5f})")
