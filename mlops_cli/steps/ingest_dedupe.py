"""One row of each key, in the order of the input: the keys of ten million rows at a time are in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mlops_cli.sources import batches
from mlops_cli.sources.base import File
from mlops_cli.sources.batches import Part
from mlops_cli.sources.names import exactly

AT_ONCE = 10_000_000
"""So many rows' keys are compared at a time; more are divided by the hash of the key."""

_ROW = "row"


def kept(path: Path, rows: int, keys: Sequence[str], keep: str) -> tuple[pl.LazyFrame, int]:
    """The rows of a Parquet file of `rows` rows that are the first or last of their key, and how many are not.

    Nulls are equal to one another, and so are NaNs.
    """
    names = [f"key{number}" for number in range(len(keys))]
    table = pl.scan_parquet(path, glob=False).select(
        exactly(key).alias(name) for key, name in zip(keys, names, strict=True)
    )
    row = pl.col(_ROW).min() if keep == "first" else pl.col(_ROW).max()
    picked = np.zeros(rows, dtype=bool)
    rounds = -(-rows // AT_ONCE)
    for number in range(rounds):
        part = table.with_row_index(_ROW)
        if rounds > 1:
            part = part.filter(pl.struct(names).hash() % rounds == number)
        found = part.group_by(names).agg(row).select(_ROW).collect(engine="streaming")
        picked[found[_ROW].to_numpy()] = True
    return _masked(path, picked), rows - int(picked.sum())


def _masked(path: Path, picked: np.ndarray) -> pl.LazyFrame:
    """The rows of a file that were picked."""

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        start = 0
        with pq.ParquetFile(path, pre_buffer=False) as file:
            size = batches.rows(file.schema_arrow)
            for batch in file.iter_batches(size, columns=list(columns) if columns is not None else None):
                mask = picked[start : start + batch.num_rows]
                start += batch.num_rows
                yield batch.filter(pa.array(mask))

    return batches.table([Part(File(path, path.name), pq.read_schema(path), read)])
