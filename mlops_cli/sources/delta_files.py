"""The data files of a Delta table: renamed columns, partitions, columns that came later, and rows that were deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlops_cli.errors import Corrupt, Missing, SchemaMismatch
from mlops_cli.sources import batches
from mlops_cli.sources.base import File
from mlops_cli.sources.batches import Part

_NESTED = ("struct", "array", "map")


@dataclass(frozen=True)
class DataFile:
    """A data file: `partition` are its values of partition columns, `keep` says which rows are left, None all."""

    path: str
    size: int
    rows: int | None
    partition: Mapping[str, Any]
    keep: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Snapshot:
    """A version of a table: `names` are the columns as the files call them, `open` opens a file by its path."""

    location: str
    version: int
    schema: pa.Schema
    names: Mapping[str, str]
    files: tuple[DataFile, ...]
    open: Callable[[str], Any] = field(repr=False)

    @property
    def rows(self) -> int | None:
        """The number of rows; None when the log does not say it."""
        counts = [file.rows if file.keep is None else int(file.keep.sum()) for file in self.files]
        return None if None in counts else sum(count or 0 for count in counts)


def physical(location: str, schema: str, *, mapped: bool) -> dict[str, str]:
    """Column → its name in the files. SchemaMismatch for columns in columns that may have other names there."""
    names = {}
    for column in json.loads(schema)["fields"]:
        nested = isinstance(column["type"], dict) and column["type"]["type"] in _NESTED
        if mapped and nested:
            raise SchemaMismatch(f"{location}: the nested column {column['name']} is mapped, which mlops cannot read")
        other = column["metadata"].get("delta.columnMapping.physicalName")
        names[column["name"]] = other if mapped and other else column["name"]
    return names


def listed(location: str, table: deltalake.DeltaTable, names: Mapping[str, str]) -> list[DataFile]:
    """The data files, oldest first, those of one moment by path. SchemaMismatch for one that lies elsewhere."""
    deleted = {}
    if "deletionVectors" in (table.protocol().reader_features or ()):
        for batch in table.deletion_vectors():
            for row in pa.record_batch(batch).to_pylist():
                deleted[unquote(row["filepath"])] = np.array(row["selection_vector"], dtype=bool)
    files = []
    rows = pa.table(table.get_add_actions()).to_pylist()
    for row in sorted(rows, key=lambda row: (row["modification_time"], row["path"])):
        path = unquote(row["path"])
        if "://" in path or path.startswith("/") or ".." in Path(path).parts:
            raise SchemaMismatch(f"{location}: a data file lies elsewhere: {path}", "a shallow clone cannot be read")
        given = row.get("partition") or {}
        partition = {name: given[key] for name, key in names.items() for key in (key, name) if key in given}
        where = next((where for where in deleted if where.endswith("/" + path)), None)
        keep = None if where is None else deleted.pop(where)
        files.append(DataFile(path, row["size_bytes"], row.get("num_records"), partition, keep))
    if deleted:
        raise Corrupt(
            f"{location}: rows are said to be deleted of {next(iter(deleted))}, which is no file of the table"
        )
    return files


def part(snapshot: Snapshot) -> Part:
    """All files as one part."""

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        wanted = list(columns) if columns is not None else snapshot.schema.names
        for file in snapshot.files:
            yield from _rows(snapshot, file, wanted)

    return Part(File(Path(snapshot.location), snapshot.location), snapshot.schema, read)


def _rows(snapshot: Snapshot, file: DataFile, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of one file that are left, with those columns. Missing, Corrupt."""
    name = f"{snapshot.location}/{file.path}"
    with _opened(snapshot, file) as opened:
        schema = opened.schema_arrow
        there = [snapshot.names[column] for column in wanted if column not in file.partition]
        there = [column for column in there if column in schema.names]
        if file.keep is not None and len(file.keep) > opened.metadata.num_rows:
            raise Corrupt(f"{name} has {opened.metadata.num_rows} rows, and more are said to be deleted")
        start = 0
        for batch in opened.iter_batches(batches.rows(schema), columns=there or schema.names[:1]):
            made = _batch(snapshot, file, batch, wanted)
            if file.keep is not None:
                made = made.filter(pa.array(_mask(file.keep, start, batch.num_rows)))
            start += batch.num_rows
            yield made


def _mask(keep: np.ndarray, start: int, rows: int) -> np.ndarray:
    """Which rows of a batch are left: those behind the end of the mask are."""
    mask = np.ones(rows, dtype=bool)
    known = keep[start : start + rows]
    mask[: len(known)] = known
    return mask


def _opened(snapshot: Snapshot, file: DataFile) -> pq.ParquetFile:
    """A data file with its footer read."""
    name = f"{snapshot.location}/{file.path}"
    try:
        stream = snapshot.open(file.path)
        if stream.size() != file.size:
            raise Corrupt(f"{name} has {stream.size():,} bytes, {file.size:,} in the log of the table")
        return pq.ParquetFile(
            stream, page_checksum_verification=True, pre_buffer=False, coerce_int96_timestamp_unit="us"
        )
    except FileNotFoundError:
        hint = "it was vacuumed or deleted; --at a newer version"
        raise Missing(f"{name} of version {snapshot.version} is gone", hint) from None
    except (pa.ArrowException, OSError) as error:
        raise Corrupt(f"{name} is not a whole Parquet file: {str(error).splitlines()[0][:200]}") from None


def _batch(snapshot: Snapshot, file: DataFile, batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
    """Rows of a file as rows of the table."""
    column = partial(_column, snapshot, file, batch)
    fields = [snapshot.schema.field(name) for name in wanted]
    schema = pa.schema([field.with_nullable(True) for field in fields])
    return pa.RecordBatch.from_arrays([column(field) for field in fields], schema=schema)


def _column(snapshot: Snapshot, file: DataFile, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """A column of a file, of the type that it has in the table."""
    if field.name in file.partition:
        return pa.repeat(pa.scalar(file.partition[field.name], field.type), batch.num_rows)
    name = snapshot.names[field.name]
    if name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(name)
    try:
        return column if column.type == field.type else column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        what = f"{snapshot.location}/{file.path}: column {field.name} is {column.type}, in the table {field.type}"
        raise SchemaMismatch(f"{what}: {str(error).splitlines()[0][:100]}") from None
