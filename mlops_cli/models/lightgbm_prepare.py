"""Fit the preparation of a table for LightGBM: which columns are used as what, learned from the train rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from polars import selectors

from mlops_cli.errors import InputUnusable
from mlops_cli.runtime.features import Dropped, FeatureColumn, Features
from mlops_cli.runtime.signature import InputColumn
from mlops_cli.runtime.times import PARTS, parts

MOST_LEVELS = 1_000
"""A column of strings keeps this many of its commonest levels; the others count as unseen."""
SHOWN = 12
LEAST_ROWS = 20
"""Below this many rows, strings that are all different may be so by chance."""

_VALUE = pl.col("value")
_MICROSECONDS_OF_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Prepared:
    """The fitted preparation, the model's input columns in order, and lines for people."""

    features: Features
    columns: list[InputColumn]
    notes: list[str]


@dataclass(frozen=True)
class _Used:
    """A column that is used: how, and whether it may be left out of a request."""

    how: FeatureColumn
    nullable: bool
    note: str = ""


def prepare(frame: pl.LazyFrame, target: str) -> Prepared:
    """The preparation fitted on `frame`; InputUnusable when no column is left to learn from.

    Left out, each with its reason: columns that are all null or constant, strings that are different in every row,
    types that no matrix holds.
    """
    schema = frame.collect_schema()
    rows: int = frame.select(pl.len()).collect().item()
    used: list[_Used] = []
    dropped: list[Dropped] = []
    for name, dtype in schema.items():
        if name == target:
            continue
        found = _column(frame, name, dtype, rows)
        if isinstance(found, str):
            dropped.append(Dropped(name, found))
        else:
            used.append(found)
    if not used:
        reasons = "; ".join(f"{column.name}: {column.reason}" for column in dropped[:5])
        raise InputUnusable(f"no column to learn from ({reasons or 'the target is the only one'})")
    notes = [f"left out {column.name}: {column.reason}" for column in dropped[:SHOWN]]
    if len(dropped) > SHOWN:
        notes.append(f"left out {len(dropped) - SHOWN:,} more columns; features.json says why")
    notes += [column.note for column in used if column.note]
    columns = [InputColumn(column.how.name, column.how.type, column.nullable) for column in used]
    return Prepared(Features([column.how for column in used], dropped), columns, notes)


def _column(frame: pl.LazyFrame, name: str, dtype: pl.DataType, rows: int) -> _Used | str:
    """How a column is used, or why it is not."""
    # By selector: polars takes a name like `^x$` for a pattern. From here on the column is called as in _VALUE.
    frame = frame.select(selectors.by_name(name).alias("value"))
    if dtype == pl.Boolean:
        return _boolean(frame, name, rows)
    if dtype.is_integer() or dtype.is_float() or dtype.is_decimal():
        return _number(frame, name, dtype, rows)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return _category(frame.select(_VALUE.cast(pl.String)), name, rows)
    if dtype == pl.Date:
        return _time(frame.select(_VALUE.cast(pl.Int64) * _MICROSECONDS_OF_A_DAY), name, "date", rows)
    if dtype == pl.Datetime:
        return _time(frame.select(_VALUE.dt.epoch("us")), name, "datetime", rows)
    return "all null" if dtype == pl.Null else f"of type {str(dtype.base_type()).lower()}, which no matrix holds"


def _boolean(frame: pl.LazyFrame, name: str, rows: int) -> _Used | str:
    there, true = frame.select(_VALUE.count(), _VALUE.sum().alias("true")).collect(engine="streaming").row(0)
    if not there:
        return "all null"
    if there == rows and true in (0, rows):
        return f"always {'true' if true else 'false'}"
    return _Used(FeatureColumn(name, "bool", "boolean"), there < rows)


def _number(frame: pl.LazyFrame, name: str, dtype: pl.DataType, rows: int) -> _Used | str:
    # What is not finite counts as missing, as it does when features are computed.
    finite = pl.when(_VALUE.is_finite()).then(_VALUE) if dtype.is_float() else _VALUE
    asked = [finite.count().alias("there"), finite.min().alias("min"), finite.max().alias("max"), _VALUE.count()]
    there, low, high, given = frame.select(asked).collect(engine="streaming").row(0)
    if not there:
        return "no finite value" if given else "all null"
    if low == high and there == rows:
        return f"always {low}"
    return _Used(FeatureColumn(name, "int" if dtype.is_integer() else "float", "number"), there < rows)


def _category(frame: pl.LazyFrame, name: str, rows: int) -> _Used | str:
    counted = frame.drop_nulls().group_by("value").len("rows").collect(engine="streaming")
    there = int(counted["rows"].sum())
    if not there:
        return "all null"
    if counted.height == 1 and there == rows:
        return f"always {counted['value'][0][:40]!r}"
    if counted.height == there and there >= LEAST_ROWS:
        return "different in every row, an identifier"
    note = ""
    if counted.height > MOST_LEVELS:
        most = counted.sort(["rows", "value"], descending=[True, False]).head(MOST_LEVELS)
        rest = there - int(most["rows"].sum())
        note = (
            f"{name}: {counted.height:,} levels; the {MOST_LEVELS:,} commonest are used, "
            f"{rest:,} rows have another and count as unseen"
        )
        counted = most
    levels = sorted(counted["value"].to_list())
    return _Used(FeatureColumn(name, "string", "category", levels=levels), there < rows, note)


def _time(frame: pl.LazyFrame, name: str, kind: Literal["date", "datetime"], rows: int) -> _Used | str:
    """The parts of a time, given as µs, that are not constant."""
    micros = frame.drop_nulls().collect(engine="streaming").to_series().to_numpy()
    if not len(micros):
        return "all null"
    wanted = [part for part, values in zip(PARTS, parts(micros, PARTS), strict=True) if _varies(values)]
    if not wanted:
        return "always the same time" if len(micros) == rows else "one time or null"
    return _Used(FeatureColumn(name, kind, "time", parts=wanted), len(micros) < rows)


def _varies(values: np.ndarray) -> bool:
    return bool(values.min() != values.max())
