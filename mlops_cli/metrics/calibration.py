"""Whether a probability means what it says: the expected calibration error, with its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import GROUPS, LEVEL, PLAIN, RESAMPLES, Floats, means, percentiles

BINS = 15


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

    Noise alone makes it larger than 0, in the sample as in its resamples: the interval is the reflected one, the value
    less what resampling adds (Davison & Hinkley, "Bootstrap Methods", 1997, section 5.2), widened to hold the value;
    and to hold 0 where perfect probabilities would reach that value by chance in more than 2.5 % of samples. Where
    rows belong together whole `groups` are drawn, and the gaps of a bin vary by chance as theirs do.
    """
    rows = len(confidence)
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = right - confidence
    value = float(_of_bins(np.bincount(place, gap, BINS)[None] / rows)[0])
    spread = np.sqrt(np.bincount(place, confidence * (1 - confidence), BINS)) / rows
    if groups is None:
        drawn = _of_bins(means(_dealt(place, gap, rng), rng, resamples))
    else:
        codes, count = groups.dealt(BINS, rng)
        sums = np.bincount(codes * BINS + place, gap, count * BINS).astype(np.float64).reshape(count, BINS)
        drawn = _of_bins(_of_groups(sums, np.bincount(codes, minlength=count), rng, resamples))
        spread = np.maximum(spread, np.sqrt((sums**2).sum(axis=0)) / rows)
    ends = np.clip(2 * value - percentiles(drawn[:, None], grouped.tails(rows, groups))[0][::-1], 0.0, 1.0)
    if value <= np.quantile(_of_bins(rng.standard_normal((resamples, BINS)) * spread), (1 + LEVEL) / 2):
        ends[0] = 0.0
    return grouped.told(metric("ece", value, ends, rows), groups.count if groups else None)


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
