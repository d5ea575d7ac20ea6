"""From polars frames to the batches that `runtime/` computes with, checked against a model's signature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from mlops_cli.errors import InputUnusable, SchemaMismatch, listed
from mlops_cli.models.kinds import type_of
from mlops_cli.runtime import rows
from mlops_cli.runtime.columns import Batch, Column
from mlops_cli.runtime.predictors import Prediction, Predictor
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn, Signature, Type

ROWS = 65_536
IMAGE_ROWS = 256

# What is taken for what: whole numbers for numbers, dates for times, texts for times (as in JSON and NDJSON).
_TAKEN: dict[Type, tuple[Type, ...]] = {
    "bool": ("bool",),
    "int": ("int",),
    "float": ("float", "int"),
    "string": ("string",),
    "date": ("date", "string"),
    "datetime": ("datetime", "date", "string"),
    "image": ("image",),
}


def check(signature: Signature, schema: pl.Schema, name: str) -> list[str]:
    """The columns of a table that the model does not take; SchemaMismatch for one that it lacks or of another type.

    A column of strings passes in place of any type as long as it is all null (what CSV makes of an empty column);
    `batch` sees to that.
    """
    missing = [column.name for column in signature.columns if column.name not in schema]
    if missing:
        raise SchemaMismatch(
            f"{name} lacks {_listed(missing)}, which the model takes", _near(missing, schema, signature)
        )
    for column in signature.columns:
        dtype = schema[column.name]
        if dtype != pl.Null and type_of(dtype) not in (*_TAKEN[column.type], "string"):
            raise _mismatch(column, dtype, name)
    taken = set(signature.names)
    return [column for column in schema.names() if column not in taken]


def image_column(signature: Signature) -> str | None:
    """The column of images that the model takes; None when it takes none."""
    return next((column.name for column in signature.columns if column.type == "image"), None)


def rows_for(signature: Signature) -> int:
    """Rows of a batch at most: few of images, whose bytes would fill the memory."""
    return ROWS if image_column(signature) is None else IMAGE_ROWS


def batches(
    frame: pl.LazyFrame, signature: Signature, name: str, size: int = ROWS
) -> Iterator[tuple[pl.DataFrame, Batch]]:
    """Frames of at most `size` rows in order, each with its batch; SchemaMismatch where a value does not fit."""
    size = min(size, rows_for(signature))
    for part in sliced(frame.collect_batches(chunk_size=size, maintain_order=True), size):
        yield part, batch(part, signature, name)


def sliced(frames: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """The frames cut to at most `size` rows."""
    for frame in frames:
        for start in range(0, frame.height, size):
            yield frame.slice(start, size)


def batch(frame: pl.DataFrame, signature: Signature, name: str = "the table") -> Batch:
    """The batch of a frame whose schema `check` has passed; SchemaMismatch for a value that does not fit."""
    # Without their names, which the methods of a series may take for patterns (`^x$`).
    return {column.name: _column(column, frame[column.name].alias("value"), name) for column in signature.columns}


def predict(
    predictor: Predictor, batch: Batch, name: str, before: int = 0, places: NDArray[np.int64] | None = None
) -> Prediction:
    """The answers for a batch of the table `name`, `before` rows into it, or of its rows `places`.

    InputUnusable for a row with a bad value.
    """
    try:
        return predictor.predict(batch)
    except RequestError as error:
        place = None if error.row is None else before + error.row if places is None else places[error.row]
        row = "" if place is None else f"row {place}: "
        raise InputUnusable(f"{name}: {row}{error.message}", "mlops validate leaves out what is not sound") from None


def _column(column: InputColumn, series: pl.Series, name: str) -> Column:
    """One column of a batch."""
    if column.type == "image" and type_of(series.dtype) == "image":
        return _images(column, series, name)
    if series.null_count() == len(series):
        return rows.column_of(column, [None] * len(series))
    if series.dtype == pl.Date and column.type in ("date", "datetime"):
        return _values(series.cast(pl.Int64) * 86_400_000_000)
    kind = type_of(series.dtype)
    if kind not in _TAKEN[column.type]:
        raise _mismatch(column, series.dtype, name)
    if kind == "string":
        codes, levels = _encoded(series)
        return Column(codes, None, levels) if column.type == "string" else _times(column, codes, levels, name)
    if kind == "datetime":
        return _values(series.dt.epoch("us"))
    wanted = {"bool": pl.Boolean, "int": pl.Int64, "float": pl.Float64}[column.type]
    try:
        return _values(series.cast(wanted))
    except PolarsError:
        raise SchemaMismatch(f"{name}: column {column.name} has a value beyond a 64-bit {column.type}") from None


def _values(series: pl.Series) -> Column:
    """Numbers, booleans or µs, with their nulls."""
    if not series.null_count():
        return Column(series.to_numpy())
    null = series.is_null().to_numpy()
    filler: bool | int | float = False if series.dtype == pl.Boolean else 0
    return Column(series.fill_null(filler).to_numpy(), null)


def _images(column: InputColumn, series: pl.Series, name: str) -> Column:
    """The bytes of images."""
    data = series if series.dtype == pl.Binary else series.struct.field("bytes")
    if data.null_count():
        raise SchemaMismatch(f"{name}: {data.null_count():,} rows have no {column.name}", "leave those rows out")
    values = np.empty(len(data), dtype=object)
    values[:] = data.to_list()
    return Column(values)


def _encoded(series: pl.Series) -> tuple[np.ndarray, list[str]]:
    """Strings as int32 codes (-1 null) and the levels they are of, in order of appearance."""
    coded = series.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.newest()).dictionary_encode()
    # Not pyarrow's own fill_null: making its scalar imports pandas where that is installed.
    return pl.Series(coded.indices).fill_null(-1).to_numpy(), coded.dictionary.to_pylist()


def _times(column: InputColumn, codes: np.ndarray, levels: list[str], name: str) -> Column:
    """Texts that are times, read as the same texts in a request would be."""
    try:
        micros = rows.column_of(column, levels).values
    except RequestError as error:
        raise SchemaMismatch(f"{name}: {error.message}", "mlops ingest reads columns of times as times") from None
    null = codes < 0
    return Column(np.append(micros, 0)[codes], null if null.any() else None)


def _mismatch(column: InputColumn, dtype: pl.DataType, name: str) -> SchemaMismatch:
    """The error for a column of another type."""
    given = type_of(dtype) or str(dtype).lower()
    return SchemaMismatch(
        f"{name}: column {column.name} is {given}, the model takes {column.type}",
        f"make it {column.type} where the table is made, for instance with mlops ingest --sql",
    )


def _listed(names: list[str]) -> str:
    """A few names in words."""
    return f"{'column' if len(names) == 1 else 'columns'} {listed(names, 8)}"


def _near(missing: list[str], schema: pl.Schema, signature: Signature) -> str:
    """What may have been meant; another table, where it has none of the columns."""
    if len(missing) == len(signature.columns) and len(missing) > 1:
        return f"it has none of the model's {len(missing)} columns, but {listed(schema, 8)}: is it the right table?"
    near = get_close_matches(missing[0], schema.names(), 1)
    return f"is {near[0]} what the model calls {missing[0]}?" if near else f"the table has {_listed(schema.names())}"
