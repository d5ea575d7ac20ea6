"""Rows that are equal: copies, which must stay together, or different cases that look alike by nature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MANY = 0.1
"""From this share of rows on that have a twin with another target, equal rows are cases that look alike."""
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio, odd: its multiples are spread evenly (Weyl)


def by_nature(inputs: NDArray[Any], targets: NDArray[Any]) -> bool:
    """Whether rows of the same `inputs` (n,), hashes or codes, often have different `targets` (n,).

    Copies have the same target. Cases that look alike have not: kept together by all of their values, those of one
    target would be on one side of a cut and those of another one on the other, and each side contradict the other.
    """
    _, first, group = np.unique(inputs, return_index=True, return_inverse=True)
    mixed = np.zeros(len(first), dtype=bool)
    mixed[group[targets != targets[first[group]]]] = True
    return len(inputs) > 0 and float(mixed[group].mean()) >= MANY


def numbered(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hashes (n,) with another one for each further row of the same hash; the first one's stays.

    They go around the circle in steps of the golden ratio, so that any share of it gets that share of many equal rows.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    number = np.empty(len(hashes), dtype=np.uint64)
    number[order] = np.arange(len(hashes)) - np.repeat(starts, np.diff(np.r_[starts, len(hashes)]))
    return hashes + number * _STEP
