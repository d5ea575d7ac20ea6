"""Whether a probability means what it says: the expected calibration error, with its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import GROUPS, LEVEL, PLAIN, RESAMPLES, Floats, means

BINS = 15
_STEPS = 16  # halvings of the range that an end is looked for in


def error(
    confidence: Floats,
    right: NDArray[np.bool_],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    groups: Groups | None = None,
) -> Metric:
    """`ece`, the expected calibration error of (rows,) probabilities and whether each came true.

    The sum over 15 equally wide bins of |share that came true − mean probability| · share of the rows (Naeini,
    Cooper & Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015; with the confidence
    in the predicted class, as for several classes: Guo et al., "On Calibration of Modern Neural Networks", 2017).

    Noise alone makes it larger than 0, in the sample and again in its resamples: see `_inverted` for the interval. It
    is widened to hold the value, and to hold 0 where perfect probabilities would reach that value by chance in more
    than 2.5 % of samples. Where rows belong together whole `groups` are drawn, and the gaps of a bin vary as theirs do.
    """
    rows = len(confidence)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = right - confidence
    exact = np.bincount(place, gap, BINS) / rows
    value = float(_of_bins(exact))
    spread = np.sqrt(np.bincount(place, confidence * (1 - confidence), BINS)) / rows
    if groups is None:
        drawn = means(_dealt(place, gap, rng), rng, resamples)
    else:
        codes, count = groups.dealt(BINS, rng)
        sums = np.bincount(codes * BINS + place, gap, count * BINS).astype(np.float64).reshape(count, BINS)
        drawn = _of_groups(sums, np.bincount(codes, minlength=count), rng, resamples)
        spread = np.maximum(spread, np.sqrt((sums**2).sum(axis=0)) / rows)
    perfect = rng.standard_normal((resamples, BINS)) * spread
    ends = _inverted(exact, _noise(drawn - exact, perfect, spread), grouped.tails(rows, groups))
    if value <= np.quantile(_of_bins(perfect), (1 + LEVEL) / 2):
        ends = 0.0, ends[1]
    return grouped.told(metric("ece", value, ends, rows), groups.count if groups else None)


def _noise(resampled: Floats, perfect: Floats, spread: Floats) -> Floats:
    """How the (resamples, BINS) gaps vary by chance: as they do in resamples, and no less than perfect ones would,
    since the few rows of a bin may be all alike."""
    found = resampled.std(axis=0)
    there = found > 1e-9
    return np.where(there, resampled * np.maximum(1.0, spread / np.where(there, found, 1.0)), perfect)


def _inverted(gaps: Floats, noise: Floats, tails: tuple[float, float]) -> tuple[float, float]:
    """The errors that could have given the measured (BINS,) gaps by chance: the test inverted in a bootstrap.

    For the gaps t times as large as measured, t ≥ 0, chance adds the (resamples, BINS) noise. Those t are kept with
    which the measured error is neither among the smallest nor the largest that come about (Carpenter, "Test inversion
    bootstrap confidence intervals", JRSS B 61, 1999; DiCiccio & Romano, "Nonparametric confidence limits by resampling
    methods and least favorable families", International Statistical Review 58, 1990). What noise adds to a gap depends
    on how large the gap is, which a reflected interval does not see.
    """
    value = float(_of_bins(gaps))
    if value == 0:
        return 0.0, float(np.quantile(_of_bins(noise), tails[1]))

    def end(tail: float) -> float:
        """The error at which the measured one is at this percentile."""
        low, high = 0.0, 1.0 / value
        if np.quantile(_of_bins(noise), tail) >= value:
            return 0.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            above = np.quantile(_of_bins(middle * gaps + noise), tail) >= value
            low, high = (low, middle) if above else (middle, high)
        return low * value

    return end(tails[1]), end(tails[0])


def _of_groups(sums: Floats, sizes: NDArray[np.int64], rng: np.random.Generator, resamples: int) -> Floats:
    """Means of the bins' gaps, (resamples, BINS), of groups drawn with replacement, from their sums and sizes."""
    drawn = means(np.column_stack([sums, sizes]), rng, resamples)
    return np.asarray(drawn[:, :-1] / drawn[:, -1:])


def _dealt(place: NDArray[np.int64], gap: Floats, rng: np.random.Generator) -> Floats:
    """Each row's gap in the column of its bin, (rows, BINS); of many rows the same for random groups of them."""
    rows = len(place)
    groups = rows if rows <= PLAIN else GROUPS
    group = np.arange(rows) if rows == groups else rng.permutation(rows) % groups
    sums = np.bincount(group * BINS + place, gap, groups * BINS).reshape(groups, BINS)
    return np.asarray(sums * (groups / rows))


def _of_bins(gaps: Floats) -> Floats:
    """The error from (..., BINS) sums of gaps over the number of all rows."""
    return np.asarray(np.abs(gaps).sum(axis=-1))
