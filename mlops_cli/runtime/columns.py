"""What a batch of rows is at run time: named numpy columns with null masks, strings as codes into levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Any dtype of: float64, int64 (also times: µs since 1970 UTC), bool, int32 (codes), object (bytes of images).
Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of n rows.

    `values` is float64, int64 or bool of shape (n,), times are int64 µs since the epoch in UTC; for strings int32
    codes into `levels`, -1 meaning null; for images object, the bytes of their files. `null` is a bool mask of shape
    (n,), True where the value is missing, or None when none is; what stands under a null is never read.
    """

    values: Values
    null: NDArray[np.bool_] | None = None
    levels: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.values)


Batch = dict[str, Column]


def rows_of(batch: Batch) -> int:
    """The number of rows, which all columns of a batch share; 0 for a batch without columns."""
    return len(next(iter(batch.values()))) if batch else 0
