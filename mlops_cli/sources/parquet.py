"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from mlops_cli.errors import Corrupt, EmptyInput
from mlops_cli.sources import batches, parquet_bomb
from mlops_cli.sources.base import File, Options, Scanned
from mlops_cli.sources.batches import Part

_MAGIC = b"PAR1"


def matches(name: str, head: bytes) -> bool:
    """Files that begin as Parquet does."""
    return head.startswith(_MAGIC)


def scan(files: Sequence[File], options: Options) -> Scanned:
    """Parquet files as one table."""
    del options
    footers = [_footer(file) for file in files]
    rows = sum(footer.metadata.num_rows for footer in footers)
    if rows == 0:
        raise EmptyInput(f"{files[0].name} has columns and no rows")
    for file, footer in zip(files, footers, strict=True):
        parquet_bomb.refuse(file, footer)
    parts = [_part(file, footer.schema_arrow) for file, footer in zip(files, footers, strict=True)]
    return Scanned(batches.table(parts), check=lambda give_up: rows)


def _footer(file: File) -> pq.ParquetFile:
    """A file with its footer read; nothing else of it is."""
    try:
        return pq.ParquetFile(file.path, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if not file.path.stat().st_size:
            raise EmptyInput(f"{file.name} is empty") from None
        raise Corrupt(f"{file.name} is not a whole Parquet file: {str(error).splitlines()[0][:200]}") from None


def _part(file: File, schema: pa.Schema) -> Part:
    """A file that is opened anew each time it is read."""

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        # Buffered ahead, the memory would grow with the file.
        size = batches.rows(schema)
        with pq.ParquetFile(file.path, page_checksum_verification=True, pre_buffer=False) as opened:
            yield from opened.iter_batches(size, columns=list(columns) if columns is not None else None)

    return Part(file, schema, read)
