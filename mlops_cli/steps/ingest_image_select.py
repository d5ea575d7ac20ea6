"""What is selected of a table of images."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mlops_cli.steps import tables
from mlops_cli.steps.ingest_query import select as selected
from mlops_cli.steps.selection import TABLE, Selection
from mlops_cli.steps.tables import Written


def select(directory: Path, selection: Selection | None, payload: Path) -> Written:
    """What is in a table that was written to a directory, after a selection of it, if any, was written to `payload`."""
    frame = pl.scan_parquet(sorted(directory.glob("*.parquet")), glob=False)
    if selection is not None:
        return tables.write_table(selected({TABLE: frame}, selection), payload)
    rows = frame.select(pl.len()).collect().item()
    return Written(rows, tables.described(tables.schema_of(frame)))
