"""Fit the preparation of a table for LightGBM: which columns are used as what, learned from the train rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars import selectors

from mlops_cli.errors import InputUnusable
from mlops_cli.models import prepare_texts, prepare_times
from mlops_cli.models.base import Columns
from mlops_cli.models.prepare_found import LEAST_ROWS, Found, Unused
from mlops_cli.runtime.features import Dropped, FeatureColumn, Features, fitted
from mlops_cli.runtime.signature import InputColumn

SHOWN = 12
_YEARS = (1500, 2200)
"""Whole numbers between these may be years, of which each row can have another."""
_VALUE = pl.col("value")


@dataclass(frozen=True)
class Prepared:
    """The fitted preparation, the model's input columns in order, and lines for people."""

    features: Features
    columns: list[InputColumn]
    notes: list[str]


def prepare(frame: pl.LazyFrame, target: str, asked: Columns | None = None) -> Prepared:
    """The preparation fitted on `frame`; InputUnusable when no column is left to learn from.

    Left out, each with its reason: columns that are all null or constant, identifiers (texts that are different in
    every row, row numbers), types that no matrix holds. What `asked.include` names is left out only where nothing
    could be learnt from it. `asked.left_out` are columns that are not in the frame any more.
    """
    asked = asked or Columns()
    schema = frame.collect_schema()
    names = [name for name in schema if name != target]
    numbers = [name for name in names if schema[name] == pl.Boolean or _is_number(schema[name])]
    rows, counted = _counted(frame, {name: schema[name] for name in numbers})
    used: list[Found] = []
    dropped = [Dropped(name, reason) for name, reason in asked.left_out.items()]
    for name in names:
        if name in counted:
            found = _number(frame, name, schema[name], rows, counted[name])
        else:
            found = _other(frame, name, schema[name], rows, asked)
        if isinstance(found, Unused) and found.could and name in asked.include:
            found = found.could
        if isinstance(found, Unused):
            dropped.append(Dropped(name, found.reason + ("" if name not in asked.include else ", --include or not")))
        else:
            used.append(found)
    if not used:
        raise _nothing(dropped)
    notes = [f"left out {column.name}: {column.reason}" for column in dropped[:SHOWN]]
    if len(dropped) > SHOWN:
        notes.append(f"left out {len(dropped) - SHOWN:,} more columns; features.json says why")
    notes += [column.note for column in used if column.note]
    columns = [InputColumn(column.how.name, column.how.type, column.nullable) for column in used]
    return Prepared(fitted([column.how for column in used], dropped), columns, notes)


def _nothing(dropped: Sequence[Dropped]) -> InputUnusable:
    """The error when no column is left."""
    reasons = "; ".join(f"{column.name}: {column.reason}" for column in dropped[:5])
    more = f"; and {len(dropped) - 5} more" if len(dropped) > 5 else ""
    hint = "bring a column that is known when the model is asked; --include COLUMN takes one back that was left out"
    return InputUnusable(f"no column to learn from ({reasons or 'the target is the only one'}{more})", hint)


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float() or dtype.is_decimal()


def _exactly(frame: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """One column, called as in _VALUE: polars takes a name like `^x$` for a pattern, but not from a selector."""
    return frame.select(selectors.by_name(name).alias("value"))


def _counted(frame: pl.LazyFrame, kinds: dict[str, pl.DataType]) -> tuple[int, dict[str, tuple[Any, ...]]]:
    """The rows, and of each number or boolean in one reading: values that count, values, least, greatest, infinite."""
    asked = [pl.len()]
    for place, (name, dtype) in enumerate(kinds.items()):
        value = selectors.by_name(name).as_expr()
        # What is not finite counts as missing, as it does when features are computed.
        finite = pl.when(value.is_finite()).then(value) if dtype.is_float() else value
        infinite = value.is_infinite().sum() if dtype.is_float() else pl.lit(0)
        each = (finite.count(), value.count(), finite.min(), finite.max(), infinite)
        asked += [one.alias(f"{place} {number}") for number, one in enumerate(each)]
    rows, *row = frame.select(asked).collect(engine="streaming").row(0)
    return rows, {name: tuple(row[5 * place : 5 * place + 5]) for place, name in enumerate(kinds)}


def _number(frame: pl.LazyFrame, name: str, dtype: pl.DataType, rows: int, counted: tuple[Any, ...]) -> Found | Unused:
    there, given, low, high, infinite = counted
    if not there:
        return Unused("no finite value" if given else "all null")
    if low == high and there == rows:
        return Unused(f"always {str(low).lower() if dtype == pl.Boolean else low}")
    note = f"{name}: {infinite:,} infinite values count as missing" if infinite else ""
    if dtype == pl.Boolean:
        return Found(FeatureColumn(name, "bool", "boolean"), there < rows)
    found = Found(FeatureColumn(name, "int" if dtype.is_integer() else "float", "number"), there < rows, note)
    if dtype.is_integer() and there == rows >= LEAST_ROWS and rows <= high - low + 1 <= 2 * rows:
        years = _YEARS[0] <= low and high <= _YEARS[1]
        if not years and _exactly(frame, name).select(_VALUE.n_unique()).collect(engine="streaming").item() == rows:
            return Unused("whole numbers, different in every row: a row number", found)
    return found


def _other(frame: pl.LazyFrame, name: str, dtype: pl.DataType, rows: int, asked: Columns) -> Found | Unused:
    """How a column that is neither number nor boolean is used, or why it is not."""
    one = _exactly(frame, name)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return prepare_texts.fit(one.select(_VALUE.cast(pl.String)), name, rows)
    if dtype == pl.Date:
        micros = one.select(_VALUE.cast(pl.Int64) * prepare_times.DAY)
        return prepare_times.fit(micros, name, "date", rows, ahead=name == asked.time)
    if dtype == pl.Datetime:
        return prepare_times.fit(one.select(_VALUE.dt.epoch("us")), name, "datetime", rows, ahead=name == asked.time)
    return Unused(
        "all null" if dtype == pl.Null else f"of type {str(dtype.base_type()).lower()}, which no matrix holds"
    )
