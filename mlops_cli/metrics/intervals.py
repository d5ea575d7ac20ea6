"""95 % bootstrap intervals: seeded, vectorised, and bounded in memory whatever the number of rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.95
RESAMPLES = 1000
PLAIN = 10_000
"""Up to this many rows are resampled one by one; more are dealt at random into GROUPS groups first."""
GROUPS = 2_000

_AT_ONCE = 1_000_000  # drawn numbers held in memory at a time, of eight bytes
_CACHED = 32_768  # those counted at a time: what is counted into then stays near the processor


def generator(seed: int, stream: int) -> np.random.Generator:
    """The random numbers of one use (`stream`), independent of those of the others under the same seed."""
    return np.random.default_rng([seed, stream])


def percentiles(samples: Floats, tails: tuple[float, float] | None = None) -> Floats:
    """The ends of the interval of each column of (resamples, ...) values: shape (..., 2); NaN resamples left out."""
    low, high = tails or ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    empty = np.isnan(samples).all(axis=0)
    ends = np.nanquantile(np.where(empty, 0.0, samples), (low, high), axis=0)
    return np.moveaxis(np.where(empty, np.nan, ends), 0, -1)


def expanded(rows: int) -> tuple[float, float]:
    """The two percentiles to read so that the interval of a mean of few rows is not too narrow.

    Hesterberg, "What Teachers Should Know About the Bootstrap" (2015), section 4.3, expanded percentile interval:
    the nominal tail is replaced by Phi(-sqrt(n / (n - 1)) * t), with Student's t of n - 1 degrees of freedom.
    """
    if rows < 2:
        return 0.0, 1.0
    tail = NormalDist().cdf(-math.sqrt(rows / (rows - 1)) * student((1 + LEVEL) / 2, rows - 1))
    return tail, 1 - tail


def means(values: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Bootstrapped means of the columns of (rows, m) values: shape (resamples, m).

    The plain bootstrap up to PLAIN rows. More are dealt into GROUPS random groups of equal size which are resampled
    whole: the variance of a mean keeps its expectation, its relative error is sqrt(2 / GROUPS), 3.2 %, and that of
    the width of an interval half of it: less than the 2.2 % that 1,000 resamples bring.
    """
    rows, columns = values.shape
    sums = np.column_stack([values, np.ones(rows)])
    if rows > PLAIN:
        order = rng.permutation(rows)
        starts = np.linspace(0, rows, GROUPS, endpoint=False).astype(np.int64)
        sums = np.add.reduceat(sums[order], starts, axis=0)
    drawn = np.empty((resamples, columns + 1))
    for start, stop in chunks(resamples, len(sums)):
        drawn[start:stop] = counts(rng, stop - start, len(sums)) @ sums
    return np.asarray(drawn[:, :-1] / drawn[:, -1:], dtype=np.float64)


def medians(ordered: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Bootstrapped medians of ascending values, drawn from their exact distribution: shape (resamples,).

    The k-th smallest of n draws with replacement is the value at rank ceil(n U), U being the k-th smallest of n
    uniform numbers: Beta(k, n + 1 - k). For an even n the next one follows from U by the Markov property.
    """
    n = len(ordered)
    middle = (n + 1) // 2
    first = rng.beta(middle, n + 1 - middle, resamples)
    if n % 2:
        return ordered[_rank(first, n)]
    second = first + (1 - first) * rng.beta(1, n - middle, resamples)
    return np.asarray((ordered[_rank(first, n)] + ordered[_rank(second, n)]) / 2, dtype=np.float64)


def weighted(
    counts: Floats,
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Floats:
    """A statistic of counted cells under the Bayesian bootstrap (Rubin 1981): shape (resamples, ...).

    Each row weighs Exp(1), so a cell of c rows weighs Gamma(c): exact, however many rows there are. A fraction of a
    row in `counts` is a prior: with half a row in each of the two cells of a proportion its interval is Jeffreys',
    which stays honest for 3 right out of 3, where resampling whole rows would say "surely 100 %". `statistic` takes
    (chunk, cells) weights and returns (chunk, ...).
    """
    parts = [
        statistic(rng.standard_gamma(counts, size=(stop - start, len(counts))))
        for start, stop in chunks(resamples, len(counts))
    ]
    return np.concatenate(parts)


def counts(rng: np.random.Generator, resamples: int, cells: int) -> Floats:
    """How often each of `cells` equally likely cells is drawn in `cells` draws: shape (resamples, cells)."""
    counted = np.empty((resamples, cells))
    step = max(1, _CACHED // max(1, cells))
    for start in range(0, resamples, step):
        some = counted[start : start + step]
        drawn = rng.integers(0, cells, size=some.shape)
        drawn += np.arange(len(some))[:, None] * cells
        some[:] = np.bincount(drawn.ravel(), minlength=some.size).reshape(some.shape)
    return counted


def chunks(resamples: int, cells: int) -> list[tuple[int, int]]:
    """The resamples in parts, from one to another, so that the numbers drawn for a part fit into memory."""
    step = max(1, _AT_ONCE // max(1, cells))
    return [(start, min(start + step, resamples)) for start in range(0, resamples, step)]


def _rank(uniform: Floats, n: int) -> Ints:
    return np.clip(np.ceil(uniform * n).astype(np.int64) - 1, 0, n - 1)


def student(probability: float, freedom: int) -> float:
    """A quantile of Student's t: exact for 1 and 2 degrees of freedom, else Abramowitz & Stegun 26.7.5."""
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        return (2 * probability - 1) * math.sqrt(2 / (4 * probability * (1 - probability)))
    z, v = NormalDist().inv_cdf(probability), float(freedom)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )
