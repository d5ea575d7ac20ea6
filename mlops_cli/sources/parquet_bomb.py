"""Parquet files that are small and unfold to more than a memory holds: found from footers and dictionaries."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops_cli.errors import InputUnusable
from mlops_cli.sources import batches
from mlops_cli.sources.base import File

MOST_BYTES = 1 << 30
"""The rows that are in memory at a time may take so many bytes, or `RATIO` times those of the file."""
RATIO = 100


def refuse(file: File, footer: pq.ParquetFile) -> None:
    """Refuse a file whose texts repeat a long value so often that a batch of rows would fill the memory."""
    meta, size = footer.metadata, file.path.stat().st_size
    rows = min(batches.rows(footer.schema_arrow), meta.num_rows)
    allowed = max(MOST_BYTES, RATIO * size)
    texts = [n for n in range(meta.num_columns) if meta.schema.column(n).physical_type == "BYTE_ARRAY"]
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        taken = 0.0
        for chunk in (group.column(n) for n in texts):
            unfolded = chunk.total_uncompressed_size
            if chunk.has_dictionary_page and unfolded * group.num_rows > MOST_BYTES:
                unfolded = max(unfolded, _unfolded(file, number, chunk.path_in_schema, group.num_rows))
            taken += unfolded / max(1, group.num_rows)
        if taken * rows > allowed:
            what = f"{file.name} is a bomb: {size:,} bytes unfold to {taken * rows / 2**30:.1f} GiB in {rows:,} rows"
            raise InputUnusable(what, "look what wrote it, or write it again in smaller values")


def _unfolded(file: File, group: int, column: str, rows: int) -> int:
    """The bytes of all values of a column in a row group, counted without unfolding them; 0 when it is damaged."""
    try:
        with pq.ParquetFile(file.path, read_dictionary=[column], pre_buffer=False) as opened:
            if _most(next(opened.iter_batches(1, row_groups=[group], columns=[column]), None)) * rows <= MOST_BYTES:
                return 0
            read = opened.iter_batches(batches.ROWS, row_groups=[group], columns=[column])
            return sum(_bytes(batch.column(0)) for batch in read if pa.types.is_dictionary(batch.column(0).type))
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError):
        return 0  # whoever reads it says what is wrong


def _most(batch: pa.RecordBatch | None) -> int:
    """The bytes of the longest value in the dictionary of a batch's column."""
    if batch is None or not pa.types.is_dictionary(batch.column(0).type):
        return 0
    return int(pc.max(pc.binary_length(batch.column(0).dictionary)).as_py() or 0)


def _bytes(values: pa.DictionaryArray) -> int:
    """The bytes of values."""
    return int(pc.sum(pc.take(pc.cast(pc.binary_length(values.dictionary), pa.int64()), values.indices)).as_py() or 0)
