"""Strata: the values of a column, or of a column of quantities the bins between its quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.models.target import MOST_LEVELS
from mlops_cli.sources.names import exactly

Edge = int | float


@dataclass(frozen=True)
class Strata:
    """The strata of `column`; with `edges` a row is in bin i when i of the edges are at most its value."""

    column: str
    dtype: pl.DataType
    edges: tuple[Edge, ...] | None = None

    @property
    def value(self) -> pl.Expr:
        """The stratum of a row, called `stratum`: its value, or the number of its bin; null where it has none."""
        column = _known(self.column, self.dtype)
        if self.edges is None:
            return column.alias("stratum")
        steps = [(column >= pl.lit(edge)).cast(pl.UInt8) for edge in self.edges]
        return reduce(add, steps, pl.lit(0, pl.UInt8)).alias("stratum")

    def shown(self, stratum: object) -> str | None:
        """A stratum as text: its value, or the bin as `[low, high)`."""
        if stratum is None or self.edges is None:
            return None if stratum is None else str(stratum)
        ends = ["-inf", *map(str, self.edges), "inf"]
        number = int(str(stratum))
        return f"{'[' if number else '('}{ends[number]}, {ends[number + 1]})"


def of(frame: pl.LazyFrame, column: str, bins: int) -> Strata:
    """The strata of a column: bins of numbers with more than MOST_LEVELS different values, values otherwise.

    Edge k of 1 … `bins` - 1 is the value at position ⌊k·n / `bins`⌋ of the n values sorted; edges that are equal are
    one, so rows of one value are in one bin. NaN is missing. Memory: 8 bytes a row, of numbers only.
    """
    dtype = frame.collect_schema()[column]
    if not dtype.is_numeric():
        return Strata(column, dtype)
    wide = _known(column, dtype) if dtype.is_integer() else _known(column, dtype).cast(pl.Float64)
    found = frame.select(wide.alias("value")).drop_nulls().collect(engine="streaming").to_series().sort()
    if found.n_unique() <= MOST_LEVELS:
        return Strata(column, dtype)
    edges = found.gather([number * len(found) // bins for number in range(1, bins)]).unique().sort()
    return Strata(column, dtype, tuple(edges.to_list()))


def few(levels: int, rows: int, column: str, table: str, flag: str) -> None:
    """InputUnusable for more than 20 levels that are more than a tenth of the rows: no classes, but names."""
    if levels > max(20, rows // 10):
        message = f"{table}: column {column!r} has {levels} distinct values in {rows} rows"
        raise InputUnusable(message, f"--{flag} takes a column of classes, or of numbers")


def _known(column: str, dtype: pl.DataType) -> pl.Expr:
    return exactly(column).fill_nan(None) if dtype.is_float() else exactly(column)
