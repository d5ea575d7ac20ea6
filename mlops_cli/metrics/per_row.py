"""The main metric of a task as the mean of one number a row, so that differences on the same rows have intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped, ranking, regression
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, generator, percentiles, student
from mlops_cli.metrics.shares import wilson

HIGHER = frozenset({"roc_auc", "accuracy"})
OF_LOSS = {"quantile": "pinball_loss", "regression_l1": "mae"}
"""What a regression is judged by that has learnt another loss than the squared error: rmse is least for the mean, and
would have a quantile or a median lose."""
_EPS = float(np.finfo(np.float64).eps)


def main_metric(
    task: str, actual: NDArray[np.generic], predicted: NDArray[np.generic], proba: Floats | None, loss: str | None
) -> str:
    """What answers are judged by: roc_auc of two classes (log_loss where only one is among the rows), log_loss of more,
    accuracy of a model without probabilities; of a regression what it has learnt to make small: OF_LOSS, with `poisson`
    poisson_deviance where that is defined, else rmse."""
    if task == "regression":
        values = actual.astype(np.float64), predicted.astype(np.float64)
        if loss == "poisson" and bool(np.isfinite(regression.deviance(*values)).all()):
            return "poisson_deviance"
        return OF_LOSS.get(loss or "", "rmse")
    if proba is None:
        return "accuracy"
    return "roc_auc" if task == "binary" and len(np.unique(actual)) == 2 else "log_loss"


def numbers(
    name: str,
    actual: NDArray[np.generic],
    predicted: NDArray[np.generic],
    proba: Floats | None,
    positive: int = 1,
    alpha: float | None = None,
) -> Floats:
    """(rows,) numbers whose mean is the metric: the metric plus each row's influence on it.

    Of means these are the rows' own losses; of rmse they are linearised, (e² − mse) / (2 rmse); of roc_auc they are the
    structural components of DeLong, DeLong & Clarke-Pearson (1988). `actual` and `predicted` are values, or codes of
    classes where `proba` has (rows, classes); a class that the model does not know has the probability 0. `alpha` is
    the quantile of pinball_loss.
    """
    if name in ("mae", "pinball_loss", "poisson_deviance"):
        values = actual.astype(np.float64), predicted.astype(np.float64)
        return np.abs(values[1] - values[0]) if name == "mae" else regression.losses(name, *values, alpha)
    if name == "rmse":
        squared = (predicted.astype(np.float64) - actual.astype(np.float64)) ** 2
        root = float(np.sqrt(squared.mean()))
        return np.asarray(root + (squared - root**2) / (2 * root) if root else squared)
    if name == "accuracy" or proba is None:
        return np.asarray(actual == predicted, dtype=np.float64)
    if name == "log_loss":
        return np.asarray(-np.log(np.maximum(given(actual, proba), _EPS)))
    score, truth = proba[:, positive], np.asarray(actual == positive)
    order = np.argsort(score, kind="stable")
    ranked = ranking.ranking(score, truth, order)
    return ranking.influence(ranked, order, truth) + float(ranking.auc(ranked.positive, ranked.negative))


def given(actual: NDArray[np.generic], proba: Floats) -> Floats:
    """The probability that each row's actual class was given, (rows,)."""
    codes = actual.astype(np.int64)
    known = codes < proba.shape[1]
    return np.where(known, proba[np.arange(len(codes)), np.where(known, codes, 0)], 0.0)


def worsening(
    name: str, before: Floats, after: Floats, seed: int, stream: int, groups: Groups | None = None
) -> tuple[float, tuple[float, float]]:
    """How much worse a metric becomes, with its 95 % interval: from (rows,) numbers before, (repeats, rows) after.

    The bootstrap draws rows, or whole `groups` where rows belong together, and of several repeats, repeats: the
    interval has the chance in both.
    """
    moved = before - after if name in HIGHER else after - before
    rng = generator(seed, stream)
    drawn = grouped.means(np.ascontiguousarray(moved.T), groups, rng)
    chosen = rng.integers(0, len(moved), size=(RESAMPLES, len(moved)))
    drawn = np.take_along_axis(drawn, chosen, axis=1).mean(axis=1)
    low, high = percentiles(drawn, grouped.tails(moved.shape[1], groups))
    return float(moved.mean()), (float(low), float(high))


def share(chosen: NDArray[np.bool_], groups: Groups | None) -> tuple[float, tuple[float, float]]:
    """The share of (rows,) rows that are chosen, with Wilson's 95 % interval.

    Where rows belong together it is that of as many rows as say as much (rows over the design effect), with Student's
    t of the groups in the place of the normal distribution's (Korn & Graubard, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998).
    """
    rows, count = len(chosen), float(chosen.sum())
    less = 1.0
    if groups is not None and groups.count > 1:
        tails = [student(0.975, freedom) for freedom in (rows - 1, groups.count - 1)]
        less = (tails[0] / tails[1]) ** 2 / grouped.design_effect(chosen.astype(np.float64), groups)
    return count / rows, wilson(count * less, rows * less)
