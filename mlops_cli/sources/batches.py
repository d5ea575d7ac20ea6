"""Record batches that pyarrow reads, as a lazy frame: every batch is validated before polars sees it.

polars' own readers can panic, or abort the process, on a file that was damaged or made to do so; pyarrow's raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
from polars import selectors
from polars.exceptions import PanicException, PolarsError
from polars.io.plugins import register_io_source

from mlops_cli.errors import Corrupt, EmptyInput, SchemaMismatch
from mlops_cli.sources.base import File

ROWS = 65_536
"""Rows of a batch at most."""

ROWS_OF_BYTES = 256
"""As many where values are bytes, such as images: more of them would fill the memory."""

_NUMERIC_OR_NULL = (*pl.datatypes.group.NUMERIC_DTYPES, pl.Null)


@dataclass(frozen=True)
class Part:
    """One file: its schema, and how to read some of its columns, all of them with None."""

    file: File
    schema: pa.Schema
    read: Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]


def rows(schema: pa.Schema) -> int:
    """Rows of a batch at most, of columns of these types."""
    return ROWS_OF_BYTES if any(_bytes(field.type) for field in schema) else ROWS


def _bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, or hold some."""
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or any(map(_bytes, inner))


def table(parts: Sequence[Part]) -> pl.LazyFrame:
    """The parts one after the other; numbers as wide as the widest. SchemaMismatch when columns differ."""
    schemas = [_schema(part) for part in parts]
    for part, schema in zip(parts, schemas, strict=True):
        _same(parts[0].file, schemas[0], part.file, schema)
    frames = [_lazy(part, schema) for part, schema in zip(parts, schemas, strict=True)]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")


def _schema(part: Part) -> pl.Schema:
    """The schema as polars has it. SchemaMismatch for what has no meaning outside the program that wrote it."""
    try:
        for field in part.schema:
            _demand_text(field)
    except UnicodeDecodeError:
        raise Corrupt(f"{part.file.name} is damaged: the name of a column is not UTF-8") from None
    names = part.schema.names
    if not names:
        raise EmptyInput(f"{part.file.name} has no columns")
    for field in part.schema:
        if names.count(field.name) > 1:
            raise SchemaMismatch(f"{part.file.name}: two columns are called {field.name!r}")
        extension = _extension(field)
        if extension:
            hint = "write the column as plain values, or leave it out with --columns"
            raise SchemaMismatch(f"{part.file.name}: column {field.name} has the extension type {extension}", hint)
    try:
        return pl.DataFrame(pl.from_arrow(part.schema.empty_table())).schema
    except (PolarsError, PanicException, pa.ArrowException, TypeError) as error:
        raise SchemaMismatch(f"{part.file.name} has a column that mlops cannot read: {_line(error)}") from None


def _demand_text(field: pa.Field) -> None:
    """Decode the names and metadata of a field and of the fields in it: polars panics where that fails."""
    field.name.encode()
    for key, value in (field.metadata or {}).items():
        key.decode(), value.decode()
    for number in range(field.type.num_fields):
        _demand_text(field.type.field(number))


def _extension(field: pa.Field) -> str | None:
    """The name of an extension type, in a field or inside it."""
    if isinstance(field.type, pa.BaseExtensionType):
        return str(field.type.extension_name)
    named = (field.metadata or {}).get(b"ARROW:extension:name")
    if named:
        return str(named.decode(errors="replace"))
    inner = [field.type.field(number) for number in range(field.type.num_fields)]
    return next((found for found in map(_extension, inner) if found), None)


def _same(first: File, wanted: pl.Schema, file: File, schema: pl.Schema) -> None:
    """Refuse a file whose columns or types do not go with those of the first one."""
    if wanted.names() != schema.names():
        differ = [name for name in (*wanted, *schema) if name not in wanted or name not in schema]
        what = f"the column {differ[0]!r} is only in one of them" if differ else "their columns are in another order"
        raise SchemaMismatch(f"{file.name} and {first.name} differ: {what}")
    for name, kind in schema.items():
        alike = kind == wanted[name] or (kind in _NUMERIC_OR_NULL and wanted[name] in _NUMERIC_OR_NULL)
        if not alike and pl.Null not in (kind, wanted[name]):
            raise SchemaMismatch(f"{file.name}: column {name} is {kind}, in {first.name} it is {wanted[name]}")


def _lazy(part: Part, schema: pl.Schema) -> pl.LazyFrame:
    """One part as a lazy frame, which can be collected any number of times."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        del batch_size
        left = n_rows
        wanted = schema.names()[:1] if columns == [] else columns  # rows are counted by a column, if none is wanted
        for batch in _validated(part, wanted):
            frame = batch if columns is None else picked(batch, columns)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield frame if predicate is None else frame.filter(predicate)
            if left == 0:
                return

    return register_io_source(read, schema=schema, validate_schema=False)


def picked(batch: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Some columns of a batch, whatever their names look like; with none of them it still has its rows."""
    return batch.select(selectors.by_name(columns)) if columns else pl.DataFrame(height=batch.height)


def _validated(part: Part, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    """The batches of a part as frames. Corrupt when pyarrow finds them damaged."""
    try:
        for batch in part.read(columns):
            batch.validate(full=True)
            yield pl.DataFrame(pl.from_arrow(batch))
    except (pa.ArrowException, OSError, UnicodeDecodeError, PolarsError, PanicException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Corrupt(f"{part.file.name} is damaged: {_line(error)}") from None


def _line(error: BaseException) -> str:
    """The first line of a message."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
