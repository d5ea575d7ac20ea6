"""The target in the certificate: its shares in each part with intervals, and whether they differ beyond chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch
from mlops_cli.metrics.shares import independence, wilson
from mlops_cli.models.target import MOST_CLASSES
from mlops_cli.steps import split_strata, tables
from mlops_cli.steps.split_strata import Edge, Strata

CHANCE = 0.001
"""Shares that differ more than they would once in a thousand times by chance are told."""


_HINT = "mlops ingest --sql 'select cast(… as …)' gives it the same type"


class Level(msgspec.Struct):
    """How many rows of a part have a value of the target, of those that have one, with Wilson's 95 % interval."""

    value: str
    rows: int
    share: float
    low: float
    high: float


class Shares(msgspec.Struct):
    """The target in one part; `missing` rows have none, and are in no share."""

    rows: int
    missing: int
    levels: list[Level]


class Target(msgspec.Struct):
    """The target in all parts. `p` is that of χ² = `chi_square` with `freedom` degrees, of parts × values.

    `edges` are those of the bins of a target of quantities, learnt from the train part (or given by --stratify).
    """

    column: str
    edges: list[Edge] | None
    parts: dict[str, Shares]
    chi_square: float
    freedom: int
    p: float

    def lines(self) -> list[str]:
        """What differs between parts, for people: told, and no leak."""
        if self.p >= CHANCE:
            return []
        names = list(self.parts)
        apart = [(abs(self._share(name, value) - self._share(names[0], value)), name, value)
                 for value in self._values() for name in names[1:]]  # fmt: skip
        _, name, value = max(apart)
        shares = " and ".join(f"{self._share(one, value):.1%} of {one}" for one in (names[0], name))
        return [f"{self.column}={value} is {shares}: the parts differ more than by chance (p {self.p:.2g})"]

    def _values(self) -> list[str]:
        return list(dict.fromkeys(level.value for part in self.parts.values() for level in part.levels))

    def _share(self, part: str, value: str) -> float:
        return next((level.share for level in self.parts[part].levels if level.value == value), 0.0)


def strata(train: pl.LazyFrame, column: str, bins: int, name: str) -> Strata:
    """The values of the target, of quantities its bins in the train part; InputUnusable for names, lists, images."""
    if train.collect_schema()[column].is_nested() or train.collect_schema()[column] == pl.Binary:
        raise InputUnusable(f"{name}: column {column!r} is no target", "--target takes a column of classes or numbers")
    return split_strata.of(train, column, bins)


def shares(parts: Mapping[str, pl.LazyFrame], of: Strata, name: str) -> Target:
    """Count the target in every part. InputUnusable for a column of names, or of more than MOST_CLASSES;
    SchemaMismatch when it is of another kind in another part."""
    counts: dict[str, dict[Any, int]] = {}
    for part, frame in parts.items():
        dtype = frame.collect_schema()[of.column]
        if _family(dtype) != _family(of.dtype):
            told = " in one part and ".join(tables.described(pl.Schema({"one": of.dtype, "two": dtype})).values())
            raise SchemaMismatch(f"{name}: column {of.column!r} is {told} in {part}", _HINT)
        found = frame.select(of.value).group_by("stratum").len("rows").collect(engine="streaming")
        counts[part] = dict(found.rows())
    values = sorted({value for each in counts.values() for value in each if value is not None})
    rows = sum(sum(each.values()) for each in counts.values())
    split_strata.few(len(values), rows, of.column, name, "target")
    if len(values) > MOST_CLASSES:
        raise InputUnusable(f"{name}: column {of.column!r} has {len(values)} distinct values", "that is no target")
    table = [[each.get(value, 0) for value in values] for each in counts.values()]
    statistic, freedom, p = independence(table)
    made = {part: _shares(each, values, of) for part, each in counts.items()}
    edges = None if of.edges is None else list(of.edges)
    return Target(of.column, edges, made, float(f"{statistic:.12g}"), freedom, float(f"{p:.6g}"))


def _family(dtype: pl.DataType) -> str:
    """The types whose values can be compared with one another: numbers, text, and others with their own kind."""
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.Datetime):
        return "datetime" if dtype.time_zone is None else "datetime with a zone"
    text = dtype in (pl.String, pl.Categorical, pl.Enum)
    return "text" if text else dtype.base_type().__name__


def _shares(counts: Mapping[Any, int], values: list[Any], of: Strata) -> Shares:
    """Shares of one part among the rows with a value."""
    missing = counts.get(None, 0)
    known = sum(counts.values()) - missing
    levels = []
    for value in values if known else []:
        count = counts.get(value, 0)
        low, high = wilson(count, known)
        levels.append(Level(of.shown(value) or "", count, *(float(f"{one:.9g}") for one in (count / known, low, high))))
    return Shares(known, missing, levels)
