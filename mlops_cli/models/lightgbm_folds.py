"""The parts of a small table that are left out in turn to tell the rounds of a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.models import alike


def places(
    values: NDArray[np.float64], labels: NDArray[np.float32], count: int, seed: int, *, classes: bool
) -> NDArray[np.int64]:
    """The part (n,), from 0 to `count` - 1, of each row of `values` (n, width): of classes each has about as many rows.

    Copies stay in one part: a fit that has seen a row knows its copy, and would never stop. Not so where equal rows are
    cases that look alike, or where hardly any are different.
    """
    together = _copies(values)
    firsts = np.unique(together)
    if 2 * count <= len(firsts) < len(labels) and not alike.by_nature(together, labels):
        of_firsts = np.empty(len(labels), dtype=np.int64)
        of_firsts[firsts] = _spread(labels[firsts], count, seed, classes=classes)
        return of_firsts[together]
    return _spread(labels, count, seed, classes=classes)


def _copies(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row the first one that is equal to it."""
    rows = np.ascontiguousarray(values).view(np.dtype((np.void, values.dtype.itemsize * values.shape[1]))).ravel()
    _, first, group = np.unique(rows, return_index=True, return_inverse=True)
    return first[group]


def _spread(labels: NDArray[np.float32], count: int, seed: int, *, classes: bool) -> NDArray[np.int64]:
    """A part of each row by chance, of classes alike."""
    order = np.random.default_rng(seed).permutation(len(labels))
    if classes:
        order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % count
    return fold
