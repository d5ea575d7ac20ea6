"""What is selected of a table of images."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mlops_cli.steps import ingest_shape, tables
from mlops_cli.steps.ingest_shape import Shaped
from mlops_cli.steps.selection import TABLE, Selection
from mlops_cli.steps.tables import Written


def select(directory: Path, selection: Selection | None, scratch: Path, payload: Path) -> Shaped:
    """What is in a table that was written to a directory, after a selection of it, if any, was written to `payload`."""
    frame = pl.scan_parquet(sorted(directory.glob("*.parquet")), glob=False)
    if selection is not None:
        return ingest_shape.write({TABLE: frame}, selection, scratch, lambda rows: tables.write_table(rows, payload))
    rows = frame.select(pl.len()).collect().item()
    return Shaped(Written(rows, tables.described(tables.schema_of(frame))))
