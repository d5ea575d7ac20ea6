"""Which columns a model may learn from: what --exclude and --include say, the groups of a split, perfect predictors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from mlops_cli.errors import Usage
from mlops_cli.models.base import Columns
from mlops_cli.models.target import Target
from mlops_cli.sources.names import exactly
from mlops_cli.steps import column_names, train_dates, train_leaks
from mlops_cli.steps.train_data import Counted, Source
from mlops_cli.steps.train_leaks import Leaks


@dataclass(frozen=True)
class Chosen:
    """The rows without what is left out, dates in text as dates; what a family is told; what `leaks.json` says."""

    rows: Counted
    columns: Columns
    leaks: Leaks
    notes: list[str] = field(default_factory=list)


def choose(
    rows: Counted, target: Target, source: Source, exclude: Sequence[str], include: Sequence[str], own: Collection[str]
) -> Chosen:
    """Decide on the columns of `rows`; `own` are those that are no input anyway, the target among them.

    Excluding the column of weights says what is so anyway. Errors: UnknownColumn, Usage for a column that is excluded
    and included, is the target, or is included and has the weights; InputUnusable for dates in two formats.
    """
    names = list(rows.train.collect_schema())
    excluded, included = (named(f"--{flag}", texts, names) for flag, texts in
                          (("exclude", exclude), ("include", include)))  # fmt: skip
    _check(excluded, included, target, own)
    left_out = dict.fromkeys((name for name in excluded if name not in own), "as --exclude says")
    group = source.group
    if group in names and group not in (*left_out, *included, *own):
        left_out[group] = "the groups of the split, of which later rows have others; --include if not"
    rest = [name for name in names if name not in left_out and name not in own]
    parts = [part for part in (rows.train, rows.valid) if part is not None]
    dates = train_dates.find(parts, rest)
    rows = _without(rows, left_out, dates)
    leaks = train_leaks.find(rows, target, rest, source, included)
    left_out |= leaks.left_out
    columns = Columns(left_out, frozenset(included), source.time)
    return Chosen(_without(rows, leaks.left_out), columns, leaks.found, dates.notes)


def named(flag: str, texts: Sequence[str], there: Collection[str]) -> list[str]:
    """The columns that texts `a,b` name; a name with a comma may stand alone. UnknownColumn."""
    found: list[str] = []
    for text in texts:
        found += [text] if text in there else [part.strip() for part in text.split(",") if part.strip()]
    for name in found:
        if name not in there:
            raise column_names.unknown(flag, name, there)
    return list(dict.fromkeys(found))


def _check(excluded: list[str], included: list[str], target: Target, own: Collection[str]) -> None:
    """Usage for what cannot be meant."""
    for name in excluded:
        if name in included:
            raise Usage(f"{name} is named by --exclude and by --include")
    for flag, names in (("exclude", excluded), ("include", included)):
        if target.name in names:
            raise Usage(f"--{flag} {target.name}: it is the target, which no model learns from")
    for name in included:
        if name in own:
            raise Usage(f"--include {name}: it is the column of --weight, which no model learns from")


def _without(rows: Counted, left_out: Iterable[str], dates: train_dates.Dates | None = None) -> Counted:
    """The rows without some columns, their dates read."""
    gone = set(left_out)

    def made(frame: pl.LazyFrame) -> pl.LazyFrame:
        if gone:
            frame = frame.select([exactly(name) for name in frame.collect_schema() if name not in gone])
        return frame if dates is None else dates.read(frame)

    return replace(rows, train=made(rows.train), valid=None if rows.valid is None else made(rows.valid))
