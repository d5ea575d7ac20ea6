"""The usual metrics of regressions, each with its interval."""

from __future__ import annotations

import numpy as np

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, generator, medians, percentiles

NAMES = ("rmse", "mae", "r2", "mape", "bias")


def regression(
    actual: Floats,
    predicted: Floats,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    groups: Groups | None = None,
) -> list[Metric]:
    """rmse, mae, r2, mape, bias and median_absolute_error from (rows,) values.

    In the target's unit, but for r2 (1 is perfect, 0 what the mean would reach) and mape (a share, not per cent;
    undefined as soon as one actual value is 0, since that row's error would be infinite). bias is the mean of
    predicted minus actual. Intervals are of whole `groups` where rows belong together.
    """
    rows = len(actual)
    error = predicted - actual
    nowhere_zero = bool((actual != 0).all())
    of_rows = parts(actual, predicted)
    exact = of_means(of_rows.mean(axis=0)[None, :])[0]
    resampled = of_means(grouped.means(of_rows, groups, generator(seed, 0), resamples))
    tails = grouped.tails(rows, groups)
    ends = percentiles(resampled, tails)
    found = [
        metric(name, value if name != "mape" or nowhere_zero else np.nan, end, rows)
        for name, value, end in zip(NAMES, exact, ends, strict=True)
    ]
    absolute = np.abs(error)
    if groups is None:
        ordered = np.sort(absolute)
        drawn = medians(ordered, generator(seed, 1), resamples)
    else:
        order = np.argsort(absolute)
        ordered = absolute[order]
        drawn = grouped.medians(ordered, order, groups, generator(seed, 1), resamples)
    found.append(metric("median_absolute_error", float(np.median(ordered)), percentiles(drawn, tails), rows))
    return [*grouped.alone(found, groups), Metric("rows", float(rows), None, None, rows)]


def parts(actual: Floats, predicted: Floats) -> Floats:
    """What the metrics of NAMES are made of: shape (rows, 6); the relative errors are 0 where one is infinite."""
    error = predicted - actual
    centred = actual - actual.mean()
    relative = np.abs(error / actual) if bool((actual != 0).all()) else np.zeros(len(actual))
    return np.column_stack([error**2, np.abs(error), centred**2, centred, relative, error])


def of_means(parts: Floats) -> Floats:
    """The metrics of NAMES from (m, 6) means of the parts: shape (m, 5); r2 is NaN where the target is constant."""
    squared, absolute, square, centred, relative, error = parts.T
    spread = square - centred**2
    r2 = 1 - np.divide(squared, spread, out=np.full_like(squared, np.nan), where=spread > 1e-12 * square)
    return np.column_stack([np.sqrt(squared), absolute, r2, relative, error])
