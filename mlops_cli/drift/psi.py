"""The population stability index between the counts of a reference and of live data, with its sampling interval."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from mlops_cli.drift.base import ColumnProfile, Drift, paired, settled, unknown

THRESHOLD = 0.2
_SMOOTHING = 0.5


def applies(reference: ColumnProfile) -> bool:
    """Every column: numbers and times by their bins, text and booleans by their levels."""
    return True


def compare(
    reference: ColumnProfile, live: ColumnProfile, threshold: float | None = None, error: float = 0.05
) -> Drift:
    """PSI = Σ (aᵢ − eᵢ) · ln(aᵢ / eᵢ) over the cells of the reference: bins or levels, other levels, missing values.

    eᵢ and aᵢ are shares of the reference and of the live rows, smoothed so that an empty cell has a finite weight:
    (count + ½) / (rows + ½·cells), the Krichevsky–Trofimov estimate; cells empty on both sides are left out. It is
    symmetric, ≥ 0, and has no upper end. By convention < 0.1 is no change, 0.1–0.2 some, > 0.2 (THRESHOLD) a shift
    (Siddiqi, *Credit Risk Scorecards*, 2006).

    Two samples of one distribution have PSI ≈ (1/n + 1/m)·χ² with cells − 1 degrees of freedom (Yurdakul,
    *Statistical Properties of Population Stability Index*, 2018): few rows and many cells make it large without any
    drift. So the p-value is of that χ² (Wilson–Hilferty approximation), and the interval is taken about
    PSI − (1/n + 1/m)·(cells − 1), with the variance of the delta method plus that of the χ², and cut at 0. With fewer
    than two rows a cell on either side the smoothing hides what is there, and the interval has no upper end.
    """
    limit = THRESHOLD if threshold is None else threshold
    expected, actual = paired(reference, live)
    n, m = expected.sum(), actual.sum()
    if not n or not m:
        return unknown(limit)
    e, a = _shares(expected), _shares(actual)
    statistic = float(((a - e) * np.log(a / e)).sum())
    freedom, scale = len(e) - 1, float(1 / n + 1 / m)
    slope_a, slope_e = np.log(a / e) + 1 - e / a, np.log(e / a) + 1 - a / e
    variance = _variance(a, slope_a) / m + _variance(e, slope_e) / n + 2 * freedom * scale**2
    centre, half = statistic - freedom * scale, NormalDist().inv_cdf(1 - error / 2) * math.sqrt(variance)
    sparse = min(n, m) < 2 * len(e)
    interval = (max(0.0, centre - half), math.inf if sparse else max(0.0, centre + half))
    return settled(statistic, interval, _upper_tail(statistic / scale, freedom), limit)


def _shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts + _SMOOTHING
    return np.asarray(smoothed / smoothed.sum())


def _variance(shares: np.ndarray, slope: np.ndarray) -> float:
    """Of one row's slope, the row drawn by `shares`."""
    return float((shares * slope**2).sum() - (shares * slope).sum() ** 2)


def _upper_tail(chi2: float, freedom: int) -> float:
    """P(χ² with `freedom` degrees > `chi2`), Wilson–Hilferty: the cube root is nearly normal; off by < 0.005."""
    if freedom == 0:
        return 1.0
    spread = 2 / (9 * freedom)
    return 0.5 * math.erfc(((chi2 / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread))
