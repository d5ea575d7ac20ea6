"""McNemar's test: whether two classifiers err equally often on the same rows, from the rows that tell them apart."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics.grouped import Groups

EXACT = 25
"""Up to this many rows that only one of the two has right, the binomial distribution is summed."""


class McNemar(msgspec.Struct, frozen=True):
    """Rows that only one of the two has right, the p-value of "neither errs more often", and how it was found.

    `method` is "exact", "corrected" (with Edwards' continuity correction) or "grouped".
    """

    only_this: int
    only_champion: int
    p: float
    method: str


def compare(one: NDArray[np.bool_], other: NDArray[np.bool_], groups: Groups | None = None) -> McNemar:
    """From (rows,) whether each of two models has the row right.

    With b and c rows that only one has right: two-sided binomial of b in b + c at ½ up to EXACT of them, else
    χ² = (|b − c| − 1)² / (b + c) of one degree of freedom (McNemar, "Note on the sampling error of the difference
    between correlated proportions", Psychometrika 12, 1947; Edwards, ibid. 13, 1948). Where rows belong together
    χ² = (Σ dᵍ)² / Σ dᵍ², dᵍ being b − c of group g (Obuchowski, "On the comparison of correlated proportions for
    clustered data", Statistics in Medicine 17, 1998, under the hypothesis).
    """
    b, c = int((one & ~other).sum()), int((other & ~one).sum())
    if groups is not None:
        by_group = np.bincount(groups.codes, one.astype(np.float64) - other)
        square = float((by_group**2).sum())
        return McNemar(b, c, _tail((b - c) ** 2 / square) if square else 1.0, "grouped")
    if b + c <= EXACT:
        below = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
        return McNemar(b, c, min(1.0, 2 * below / 2 ** (b + c)), "exact")
    return McNemar(b, c, _tail(max(0, abs(b - c) - 1) ** 2 / (b + c)), "corrected")


def _tail(square: float) -> float:
    """P(χ² with one degree of freedom > `square`)."""
    return math.erfc(math.sqrt(square / 2))
