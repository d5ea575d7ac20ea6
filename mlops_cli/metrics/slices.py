"""Metrics of parts of the rows: one set for each level of a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.intervals import Ints


def by_level(codes: Ints, levels: Sequence[str], column: str, measure: Callable[[Ints], list[Metric]]) -> list[Metric]:
    """What `measure` finds for the rows (their indices) of each level, filed under `column` and the level.

    `codes` are (rows,) indices into `levels`. Metrics that have a column of their own are left out.
    """
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(levels) + 1))
    found: list[Metric] = []
    for level, start, end in zip(levels, ends, ends[1:], strict=False):
        if start < end:
            each = measure(np.sort(order[start:end]))
            found += [msgspec.structs.replace(m, column=column, level=level) for m in each if m.column is None]
    return found
