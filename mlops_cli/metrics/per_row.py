"""The main metric of a task as the mean of one number a row, so that differences on the same rows have intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import ranking
from mlops_cli.metrics.intervals import RESAMPLES, Floats, expanded, generator, means, percentiles

HIGHER = frozenset({"roc_auc", "accuracy"})
_EPS = float(np.finfo(np.float64).eps)


def main_metric(task: str, actual: NDArray[np.generic], proba: Floats | None) -> str:
    """What answers are judged by: roc_auc of two classes (log_loss where only one is among the rows), log_loss of more,
    accuracy of a model without probabilities, rmse of a regression."""
    if task == "regression":
        return "rmse"
    if proba is None:
        return "accuracy"
    return "roc_auc" if task == "binary" and len(np.unique(actual)) == 2 else "log_loss"


def numbers(
    name: str, actual: NDArray[np.generic], predicted: NDArray[np.generic], proba: Floats | None, positive: int = 1
) -> Floats:
    """(rows,) numbers whose mean is the metric: the metric plus each row's influence on it.

    Of means these are the rows' own losses; of rmse they are linearised, (e² − mse) / (2 rmse); of roc_auc they are the
    structural components of DeLong, DeLong & Clarke-Pearson (1988). `actual` and `predicted` are values, or codes of
    classes where `proba` has (rows, classes); a class that the model does not know has the probability 0.
    """
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


def worsening(name: str, before: Floats, after: Floats, seed: int, stream: int) -> tuple[float, tuple[float, float]]:
    """How much worse a metric becomes, with its 95 % interval: from (rows,) numbers before, (repeats, rows) after.

    The bootstrap draws rows and, of several repeats, repeats: the interval has the chance in both.
    """
    moved = before - after if name in HIGHER else after - before
    rng = generator(seed, stream)
    drawn = means(np.ascontiguousarray(moved.T), rng)
    chosen = rng.integers(0, len(moved), size=(RESAMPLES, len(moved)))
    drawn = np.take_along_axis(drawn, chosen, axis=1).mean(axis=1)
    low, high = percentiles(drawn, expanded(moved.shape[1]))
    return float(moved.mean()), (float(low), float(high))
