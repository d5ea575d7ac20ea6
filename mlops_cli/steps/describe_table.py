"""A table in numbers for people: counts and extremes of all rows in one pass, shapes from a sample of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from mlops_cli.models.kinds import IMAGES
from mlops_cli.models.sampled import sampled
from mlops_cli.sources.names import exactly

SAMPLE = 100_000
"""Rows that shapes, correlations and suspicions are taken from: about so many of a longer table, else all."""


@dataclass(frozen=True)
class Column:
    """One column. `kind` is number, time, text, bool, image or other.

    `missing` counts null and NaN; `distinct` is exact for a table that fits the sample, else HyperLogLog's estimate;
    it and `least` … `mean` are None where the type has none. Times are µs since 1970 UTC: Python has no year 10000.
    """

    name: str
    dtype: pl.DataType
    kind: str
    missing: int
    distinct: int | None = None
    least: Any = None
    greatest: Any = None
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Description:
    """A table: its rows and columns, and a sample; `values(name)` are a column's values in it, without null and NaN."""

    name: str
    rows: int
    columns: list[Column]
    sample: pl.DataFrame

    @property
    def whole(self) -> bool:
        """Whether the sample is all rows."""
        return self.sample.height == self.rows

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def values(self, name: str) -> pl.Series:
        """The values of a column in the sample that are there."""
        return self.physical(name).drop_nulls()

    def physical(self, name: str) -> pl.Series:
        """A column of the sample as numbers (times too) with NaN as null, or as text."""
        column = self.column(name)
        value = self.sample[name].alias("value")
        if column.kind == "number":
            return value.cast(pl.Float64).fill_nan(None)
        if column.kind == "time":
            return pl.DataFrame(value).select(_micros(pl.col("value"), column.dtype)).to_series()
        return value.cast(pl.String)


def _micros(times: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Times as µs since 1970 UTC, in Float64."""
    if dtype == pl.Date:
        return times.cast(pl.Int64).cast(pl.Float64) * 86_400e6
    return times.dt.epoch("us").cast(pl.Float64)


def describe(frame: pl.LazyFrame, name: str) -> Description:
    """All rows of a table in one streaming pass, and a sample in another; memory does not grow with the rows.

    The sample is chosen by a hash of the row's number, so the same table gives the same one.
    """
    schema = frame.collect_schema()
    kinds = {column: kind_of(dtype) for column, dtype in schema.items()}
    if "image" in kinds.values():  # the hashes of images are neither numbers nor names
        kinds |= {column: "other" for column, dtype in schema.items() if dtype == pl.UInt64 or column == "sha256"}
    found = frame.select(_aggregates(schema, kinds)).collect(engine="streaming").row(0, named=True)
    rows = found["rows"]
    shown = [exactly(column) for column, kind in kinds.items() if kind not in ("image", "other")]
    sample = sampled(frame, rows, SAMPLE).select(shown).collect(engine="streaming") if shown else pl.DataFrame()
    columns = [
        _column(number, column, dtype, kinds[column], found, sample if rows <= SAMPLE else None)
        for number, (column, dtype) in enumerate(schema.items())
    ]
    return Description(name, rows, columns, sample)


def kind_of(dtype: pl.DataType) -> str:
    """What people call a type."""
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.Date, pl.Datetime):
        return "time"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if dtype == pl.Boolean:
        return "bool"
    return "image" if dtype in IMAGES else "other"


def _aggregates(schema: pl.Schema, kinds: dict[str, str]) -> list[pl.Expr]:
    """What is asked of all rows, by the column's number: names of columns may be anything."""
    wanted = [pl.len().alias("rows")]
    for number, (name, dtype) in enumerate(schema.items()):
        column, kind = exactly(name), kinds[name]
        missing = column.null_count()
        if dtype.is_float():
            missing = missing + column.is_nan().sum()
            column = column.fill_nan(None)
        asked = {"missing": missing}
        if kind == "number":
            asked |= {"mean": column.cast(pl.Float64).mean(), "deviation": column.cast(pl.Float64).std()}
        if kind in ("number", "time"):
            least, greatest = column.min(), column.max()
            if kind == "time":
                least, greatest = _micros(least, dtype), _micros(greatest, dtype)
            asked |= {"least": least, "greatest": greatest}
        if kind in ("number", "time", "text"):
            text = column.cast(pl.String) if kind == "text" else column
            asked["distinct"] = (text if not dtype.is_decimal() else column.cast(pl.Float64)).approx_n_unique()
        wanted += [value.alias(f"{what} {number}") for what, value in asked.items()]
    return wanted


def _column(
    number: int, name: str, dtype: pl.DataType, kind: str, found: dict[str, Any], whole: pl.DataFrame | None
) -> Column:
    numbers: dict[str, Any] = {
        what: found.get(f"{what} {number}") for what in ("missing", "least", "greatest", "mean", "deviation")
    }
    distinct = found.get(f"distinct {number}")
    if kind == "bool" or (distinct is not None and whole is not None and name in whole):
        values = None if whole is None else whole[name].alias("value").drop_nulls()
        if values is not None:
            distinct = (values.drop_nans() if dtype.is_float() else values).n_unique()
    elif distinct is not None:
        distinct = max(0, min(distinct - bool(numbers["missing"]), found["rows"] - numbers["missing"]))
    missing, least, greatest, mean, deviation = numbers.values()
    return Column(name, dtype, kind, missing or 0, distinct, least, greatest, mean, deviation)
