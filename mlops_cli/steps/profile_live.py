"""Count live data in the edges and levels of a stored profile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli import errors
from mlops_cli.drift.base import ColumnProfile, Profile, rounded
from mlops_cli.sources.names import exactly
from mlops_cli.steps.profile import FORMAT, WIDE, dtype_of, kind_of, physical, read_schema


def against(frame: pl.LazyFrame, reference: Sequence[ColumnProfile]) -> Profile:
    """The columns of `frame` named in `reference`, counted in its edges and levels: one streaming pass, no std.

    Raises UnknownColumn, SchemaMismatch (text where the reference has numbers) and InputUnusable.
    """
    schema = read_schema(frame)
    numbers = [column for column in reference if column.levels is None]
    levelled = [column for column in reference if column.levels is not None]
    # Prepared in a step of its own: polars would work out the same value again for each edge.
    prepared = frame.select(_finite(column, dtype_of(schema, column.name)) for column in numbers)
    queries = [prepared.select(e for column in numbers for e in _counting(column))]
    queries.append(frame.select(pl.len()))
    for column in levelled:
        _same_levels(column, dtype_of(schema, column.name))
        level = exactly(column.name).cast(pl.String).alias("level")
        # Levels are picked before grouping, so that a column of identifiers costs no memory.
        known = pl.when(level.is_in(column.levels or [])).then(level)
        counted = frame.select(known.alias("level"), level.is_null().alias("null"))
        queries.append(counted.group_by("level", "null").len())
    counted_numbers, length, *groups = _collect_all(queries)
    row = {"len": length.item(), **(counted_numbers.row(0, named=True) if numbers else {})}
    found = {column.name: _counted(column, row) for column in numbers}
    found |= {column.name: _grouped(column, group) for column, group in zip(levelled, groups, strict=True)}
    return Profile(format=FORMAT, rows=row["len"], columns=[found[column.name] for column in reference])


def _collect_all(frames: list[pl.LazyFrame]) -> list[pl.DataFrame]:
    try:
        return pl.collect_all(frames, engine="streaming")
    except (PolarsError, OSError, PanicException) as error:
        raise errors.InputUnusable(f"the table cannot be read: {error}") from error


def _finite(column: ColumnProfile, dtype: pl.DataType) -> pl.Expr:
    """The column of numbers or times as what its reference counted: an Int64 or a finite Float64, else null."""
    kind, times = kind_of(column.name, dtype), ("date", "datetime")
    if (kind == "string" and dtype != pl.Null) or (kind in times) != (column.type in times):
        raise errors.SchemaMismatch(f"column {column.name} is {kind} here and {column.type} in the reference")
    values = physical(column.name, dtype)
    if column.type in ("int", *times) and kind in ("int", *times) and dtype not in WIDE:
        return values.cast(pl.Int64).alias(column.name)
    values = values.cast(pl.Float64)
    return pl.when(values.is_finite()).then(values).alias(column.name)


def _same_levels(column: ColumnProfile, dtype: pl.DataType) -> None:
    kind = kind_of(column.name, dtype)
    if kind != column.type and dtype != pl.Null:
        raise errors.SchemaMismatch(f"column {column.name} is {kind} here and {column.type} in the reference")


def _counting(column: ColumnProfile) -> list[pl.Expr]:
    """Aggregates of a prepared column: how many values lie below each edge, how many there are, their extremes."""
    name, values = column.name, exactly(column.name)
    below = [(values < edge).sum().alias(f"{i} below {name}") for i, edge in enumerate(column.edges or [])]
    measured = {"finite": values.count(), "min": values.min(), "max": values.max(), "mean": values.mean()}
    return below + [expression.alias(f"{what} {name}") for what, expression in measured.items()]


def _counted(column: ColumnProfile, row: dict[str, Any]) -> ColumnProfile:
    name = column.name
    finite, mean = row[f"finite {name}"], row[f"mean {name}"]
    below = [0, *[row[f"{i} below {name}"] for i in range(len(column.edges or []))], finite]
    return ColumnProfile(
        name=name,
        type=column.type,
        nulls=row["len"] - finite,
        counts=[after - before for before, after in pairwise(below)],
        edges=column.edges,
        min=row[f"min {name}"],
        max=row[f"max {name}"],
        mean=None if mean is None or not np.isfinite(mean) else rounded(mean),
    )


def _grouped(column: ColumnProfile, group: pl.DataFrame) -> ColumnProfile:
    nulls = int(group.filter("null")["len"].sum())
    known = dict(group.filter(pl.col("level").is_not_null()).select("level", "len").iter_rows())
    levels = column.levels or []
    return ColumnProfile(
        name=column.name,
        type=column.type,
        nulls=nulls,
        counts=[known.get(level, 0) for level in levels],
        levels=levels,
        other=int(group["len"].sum()) - nulls - sum(known.values()),
    )
