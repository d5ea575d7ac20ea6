"""The usual metrics of regressions, each with its interval."""

from __future__ import annotations

import numpy as np

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, generator, medians, percentiles

NAMES = ("rmse", "mae", "r2", "mape", "bias")
COUNTING = ("poisson", "tweedie", "gamma")
"""Losses of targets that are at least 0, whose models have a poisson_deviance."""
_LOSS = 2  # a stream of random numbers, beside those of NAMES and of the median


def regression(
    actual: Floats,
    predicted: Floats,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    groups: Groups | None = None,
    loss: str | None = None,
    alpha: float | None = None,
) -> list[Metric]:
    """rmse, mae, r2, mape, bias and median_absolute_error from (rows,) values, and that of the model's own `loss`.

    In the target's unit, but for r2 (1 is perfect, 0 what the mean would reach) and mape (a share, not per cent;
    undefined as soon as one actual value is 0, since that row's error would be infinite). bias is the mean of
    predicted minus actual. A model of a quantile has pinball_loss, one of the COUNTING losses poisson_deviance.
    Intervals are of whole `groups` where rows belong together.
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
    name = own(loss, alpha)
    if name is not None:
        found.append(_mean(name, losses(name, actual, predicted, alpha), groups, seed, resamples))
    return [*grouped.alone(found, groups), Metric("rows", float(rows), None, None, rows)]


def own(loss: str | None, alpha: float | None) -> str | None:
    """The metric that a model of this loss has beside the usual ones: pinball_loss, poisson_deviance or none."""
    if loss == "quantile" and alpha is not None:
        return "pinball_loss"
    return "poisson_deviance" if loss in COUNTING else None


def losses(name: str, actual: Floats, predicted: Floats, alpha: float | None) -> Floats:
    """What each row adds to a metric of `own`, (rows,)."""
    if name == "pinball_loss":
        return pinball(actual, predicted, 0.5 if alpha is None else alpha)
    return deviance(actual, predicted)


def _mean(name: str, losses: Floats, groups: Groups | None, seed: int, resamples: int) -> Metric:
    """The mean of what each row adds to a loss; undefined where one of them is."""
    if not np.isfinite(losses).all():
        return Metric(name, None, None, None, len(losses))
    drawn = grouped.means(losses[:, None], groups, generator(seed, _LOSS), resamples)
    return metric(name, losses.mean(), percentiles(drawn, grouped.tails(len(losses), groups))[0], len(losses))


def pinball(actual: Floats, predicted: Floats, alpha: float) -> Floats:
    """The loss of each row whose least mean is the `alpha` quantile, in the target's unit: shape (rows,).

    alpha (y - q) where the answer q is too low, (1 - alpha) (q - y) where it is too high: Koenker & Bassett,
    "Regression Quantiles", Econometrica 46 (1978).
    """
    short = actual - predicted
    return np.asarray(np.maximum(alpha * short, (alpha - 1) * short))


def deviance(actual: Floats, predicted: Floats) -> Floats:
    """The Poisson deviance of each row, 2 (y ln(y / m) - y + m): shape (rows,).

    McCullagh & Nelder, Generalized Linear Models (1989), section 2.3. NaN where y is negative or the answer m is not
    above 0.
    """
    usable = (actual >= 0) & (predicted > 0)
    mean = np.where(usable, predicted, 1.0)
    count = np.where(usable, actual, 0.0)
    logs = np.log(np.where(count > 0, count, mean) / mean)
    return np.where(usable, 2 * (count * logs - count + mean), np.nan)


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
