"""Some rows of a table, chosen by the hash of their number, since a table may go up and down with its rows."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

_ROW = "\0row"


def sampled(frame: pl.LazyFrame, rows: int, most: int) -> pl.LazyFrame:
    """About `most` of a frame's `rows` rows in their order, the same ones each time; all where they are no more."""
    if rows <= most:
        return frame
    return frame.with_row_index(_ROW).filter(pl.col(_ROW).hash(seed=0) % rows < most).drop(_ROW)


def numbered(frame: pl.LazyFrame, rows: int, numbers: NDArray[np.int64]) -> pl.LazyFrame:
    """Those of a frame's `rows` rows that have these numbers, in their order."""
    wanted = np.zeros(rows, dtype=np.bool_)
    wanted[numbers] = True
    both = pl.concat([frame, pl.DataFrame({_ROW: wanted}).lazy()], how="horizontal")
    return both.filter(pl.col(_ROW)).drop(_ROW)
