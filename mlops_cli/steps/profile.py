"""Sketch the distribution of every column of a table in a few hundred counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli import errors
from mlops_cli.drift.base import ColumnProfile, Profile, rounded
from mlops_cli.runtime.signature import InputColumn
from mlops_cli.sources.names import exactly as named

FORMAT = 1
BINS = 20
LEVELS = 100
WIDE = (pl.UInt64, pl.Int128, pl.UInt128)  # their values may be beyond an Int64, so they are counted as floats
_TOP = np.iinfo(np.int64).max


def build(frame: pl.LazyFrame, columns: Sequence[str]) -> Profile:
    """The profile of `columns` of `frame`: n rows → counts in at most 20 equal shares or of the 100 commonest levels.

    Memory is that of one column (8 bytes a row) or of its distinct levels. The bytes depend neither on the order of
    the rows nor on the number of threads. Raises UnknownColumn, SchemaMismatch (a type that cannot be profiled) and
    InputUnusable (the table cannot be read).
    """
    schema = read_schema(frame)
    for name in columns:
        kind_of(name, dtype_of(schema, name))
    rows = int(_collect(frame.select(pl.len())).item())
    return Profile(format=FORMAT, rows=rows, columns=[_built(frame, name, schema[name]) for name in columns])


def prediction(values: np.ndarray, levels: Sequence[str] | None = None) -> ColumnProfile:
    """The profile of a model's own answers, for `Profile.prediction` (kept in profile.json beside its inputs).

    `values`: float64 (n,), the prediction of a regression or the probability of the positive class; or, with
    `levels` (the classes as text, in the signature's order), int codes (n,) into them.
    """
    if levels is None:
        return _numeric("prediction", "float", np.array(values, dtype=np.float64), len(values))
    counts = np.bincount(np.asarray(values, dtype=np.int64), minlength=len(levels)).tolist()
    return ColumnProfile(name="prediction", type="string", nulls=0, counts=counts, levels=list(levels), other=0)


def measured(column: InputColumn, values: np.ndarray) -> ColumnProfile:
    """The profile of what a model measured of its rows: `values` of shape (n,), int64 or float64, NaN for none."""
    return _numeric(column.name, column.type, values.copy(), len(values))


def kind_of(name: str, dtype: pl.DataType) -> str:
    """The column type in the words of a signature: bool, int, float, string, date or datetime; else SchemaMismatch."""
    if dtype.is_integer():
        return "int"
    if dtype.is_numeric():
        return "float"
    if dtype in (pl.Boolean, pl.Date, pl.Datetime):
        return {"Boolean": "bool", "Date": "date"}.get(str(dtype), "datetime")
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return "string"
    raise errors.SchemaMismatch(f"column {name} is of type {dtype}, which has no profile", "leave it out")


def physical(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column as what is counted: Int64 (times: µs since the epoch, UTC), Float64, or String for levels."""
    kind, column = kind_of(name, dtype), named(name)
    if kind == "datetime":
        return column.dt.epoch("us")
    if kind == "date":
        return column.cast(pl.Int64) * 86_400_000_000
    if kind == "int":
        return column.cast(pl.Float64 if dtype in WIDE else pl.Int64)
    return column.cast(pl.Float64 if kind == "float" else pl.String)


def read_schema(frame: pl.LazyFrame) -> pl.Schema:
    try:
        return frame.collect_schema()
    except (PolarsError, OSError, PanicException) as error:
        raise errors.InputUnusable(f"the table cannot be read: {error}") from error


def dtype_of(schema: pl.Schema, name: str) -> pl.DataType:
    if name not in schema:
        raise errors.UnknownColumn(f"no column {name}", f"the table has {', '.join(schema.names())}")
    return schema[name]


def _collect(frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except (PolarsError, OSError, PanicException) as error:
        raise errors.InputUnusable(f"the table cannot be read: {error}") from error


def _built(frame: pl.LazyFrame, name: str, dtype: pl.DataType) -> ColumnProfile:
    kind = kind_of(name, dtype)
    if kind in ("string", "bool"):
        return _levelled(frame, name, kind)
    column = _collect(frame.select(physical(name, dtype).alias("value"))).to_series()
    rows, values = len(column), column.drop_nulls().to_numpy(writable=True)
    del column
    return _numeric(name, kind, values, rows)


def _levelled(frame: pl.LazyFrame, name: str, kind: str) -> ColumnProfile:
    level = named(name).cast(pl.String).alias("level")
    counted = _collect(frame.select(level).group_by("level").len().sort(["len", "level"], descending=[True, False]))
    nulls = int(counted.filter(pl.col("level").is_null())["len"].sum())
    counted = counted.filter(pl.col("level").is_not_null())
    if kind == "bool":
        found = dict(zip(counted["level"], counted["len"], strict=True))
        levels, counts, other = ["false", "true"], [found.get("false", 0), found.get("true", 0)], 0
    else:
        levels, counts = counted["level"].head(LEVELS).to_list(), counted["len"].head(LEVELS).to_list()
        other = int(counted["len"].slice(LEVELS).sum())
    return ColumnProfile(name=name, type=kind, nulls=nulls, counts=counts, levels=levels, other=other)


def _numeric(name: str, kind: str, values: np.ndarray, rows: int) -> ColumnProfile:
    """The profile of numbers, which are sorted where they are."""
    if values.dtype == np.float64 and not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    # Everything below is computed from the sorted values, so the order of the rows cannot show in any digit.
    values.sort()
    if not len(values):
        return ColumnProfile(name=name, type=kind, nulls=rows, counts=[0], edges=[])
    edges = _edges(values)
    below = np.searchsorted(values, np.asarray(edges, dtype=values.dtype), side="left")
    with np.errstate(over="ignore"):
        mean, std = float(np.mean(values)), float(np.std(values))
    return ColumnProfile(
        name=name,
        type=kind,
        nulls=rows - len(values),
        counts=np.diff(below, prepend=0, append=len(values)).tolist(),
        edges=edges,
        min=values[0].item(),
        max=values[-1].item(),
        mean=rounded(mean) if np.isfinite(mean) else None,
        std=rounded(std) if np.isfinite(std) else None,
    )


def _edges(values: np.ndarray) -> list[int | float]:
    """Quantiles of sorted finite `values` (n > 0) as edges; a value that fills more than a share gets a bin of its own.

    A constant column gets three bins: below, the value, above, so that any other value shows.
    """
    if values[0] == values[-1]:
        return _unique([values[0], _next(values[0])])
    cuts = [values[len(values) * i // BINS] for i in range(BINS)]
    edges = []
    for i, cut in enumerate(cuts):
        if cut > values[0]:
            edges.append(cut)
        if i + 1 < BINS and cuts[i + 1] == cut:
            edges.append(_next(cut))
    return _unique([edge for edge in edges if edge is not None and edge <= values[-1]])


def _next(value: Any) -> Any:
    """The least number above `value` in its own type; None at the top."""
    if isinstance(value, np.integer):
        return None if value == _TOP else value + 1
    above = np.nextafter(value, np.inf)
    return above if np.isfinite(above) else None


def _unique(edges: list[Any]) -> list[int | float]:
    return sorted({edge.item() for edge in edges if edge is not None})
