"""The table of images: what its columns are, and how it is written in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlops_cli.runtime.images import STATISTICS
from mlops_cli.sources.image_row import Measured, Refused
from mlops_cli.steps import parts, tables

ROWS = 1_024
BYTES = 64 << 20
"""A row group ends at so many rows, or when its images have so many bytes: both follow the content alone."""

_BESIDE = 4_096
"""More than a row takes besides its image, in the file and its footer."""
_MAGIC = b"PAR1"
_TEXTS = ("label", "mode", "format", "camera")
SCHEMA = pa.schema(
    [
        ("image", tables.IMAGE),
        ("label", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("format", pa.string()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
        *((name, pa.float64()) for name in STATISTICS),
        ("time", pa.timestamp("us")),
        ("camera", pa.string()),
    ]
)
_REJECTED = pa.schema([("path", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64()), ("reason", pa.string())])


class Images:
    """Writes images as rows into files of at most `parts.MOST_BYTES`, `extras` being the further columns of each; not
    thread-safe."""

    def __init__(self, directory: Path, extras: pl.DataFrame | None) -> None:
        self._directory = directory
        self._extras = extras if extras is not None and extras.width else None
        further = [] if self._extras is None else list(self._arrow([]).schema)
        self.schema = pa.schema([*SCHEMA, *further], metadata=tables.features(["image"]))
        self._texts = [*_TEXTS, *(field.name for field in further if pa.types.is_large_string(field.type))]
        self._files = 0
        self._open()
        self._rows: list[tuple[Any, ...]] = []
        self._said: list[int] = []
        self._bytes = 0
        self.count = 0

    def _open(self) -> None:
        """Begin a file."""
        plain = [name for name in self.schema.names if name != "image"]
        self._sink = pa.OSFile(str(self._directory / parts.name(self._files)), "wb")
        self._writer = pq.ParquetWriter(
            self._sink, self.schema, compression="zstd", write_statistics=plain, use_dictionary=self._texts
        )
        self._files += 1

    def add(
        self, path: str, label: str | None, time: int | None, camera: str | None, found: Measured, said: int
    ) -> None:
        """One more row; `said` is its row of `extras`."""
        image = {"bytes": found.data, "path": path}
        measured = (found.width, found.height, found.mode, found.format, found.sha256, found.phash, *found.statistics)
        self._rows.append((image, label, *measured, time, camera))
        self._said.append(said)
        self._bytes += len(found.data)
        self.count += 1
        if len(self._rows) == ROWS or self._bytes >= BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write the rows that are there as a row group."""
        if not self._rows:
            return
        written = self._sink.tell()
        if written > len(_MAGIC) and written + self._bytes + len(self._rows) * _BESIDE > parts.MOST_BYTES:
            self._end()
            self._open()
        columns = [
            pa.array(values, field.type) for field, values in zip(SCHEMA, zip(*self._rows, strict=True), strict=True)
        ]
        if self._extras is not None:
            columns.extend(self._arrow(self._said).columns)
        self._writer.write_table(pa.table(columns, schema=self.schema), row_group_size=len(self._rows))
        self._rows, self._said, self._bytes = [], [], 0

    def _arrow(self, rows: Sequence[int]) -> pa.Table:
        """Some rows of the further columns."""
        assert self._extras is not None
        taken = self._extras.select(pl.all().gather(pl.Series(rows, dtype=pl.UInt32)))
        return taken.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()

    def _end(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._sink.close()

    def close(self) -> None:
        """Write what is left and the footer."""
        self._flush()
        self._end()

    def __enter__(self) -> Images:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close() if kind is None else self._end()


class Rejects:
    """Writes the images that are no rows, with the reason."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, _REJECTED, compression="zstd")
        self._rows: list[tuple[Any, ...]] = []
        self.count = 0

    def add(self, path: str, found: Refused) -> None:
        """One more."""
        self._rows.append((path, found.sha256, found.bytes, found.reason))
        self.count += 1
        if len(self._rows) == 65_536:
            self._flush()

    def _flush(self) -> None:
        columns = [[row[number] for row in self._rows] for number in range(len(_REJECTED))]
        self._writer.write_table(pa.table(columns, schema=_REJECTED))
        self._rows = []

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and (self._rows or not self.count):
            self._flush()
        self._writer.close()
