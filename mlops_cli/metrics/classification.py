"""The usual metrics of classifiers, of two classes and of more, each with its interval."""

from __future__ import annotations

import numpy as np

from mlops_cli.metrics import calibration, confusion, ranking
from mlops_cli.metrics.base import CLASS, Metric, metric
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, expanded, generator, means, percentiles

_EPS = float(np.finfo(np.float64).eps)  # what a probability of 0 counts as in log_loss, as in scikit-learn
COUNTED, _RANKED, _AVERAGED, _CALIBRATED = range(4)  # streams of random numbers


def binary(
    actual: Ints,
    predicted: Ints,
    score: Floats | None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    cells: int = ranking.CELLS,
) -> list[Metric]:
    """Metrics of the positive class from (rows,) codes, 1 being positive, and the probability of it.

    precision, recall, f1, accuracy, balanced_accuracy, specificity, mcc; with `score` also roc_auc,
    average_precision, log_loss (natural logarithm), brier and ece. Undefined ones have no value.
    """
    rows = len(actual)
    counts = confusion.matrix(actual, predicted, 2)
    found = confusion.binary(counts, generator(seed, COUNTED), resamples)
    if score is not None:
        ranked = ranking.ranking(score, actual == 1)
        found += ranking.metrics(ranked, generator(seed, _RANKED), resamples, cells)
        given = np.where(actual == 1, score, 1 - score)
        losses = np.column_stack([_log_loss(given), (1 - given) ** 2])
        found += _averages(("log_loss", "brier"), losses, seed, resamples)
        found.append(calibration.error(score, actual == 1, generator(seed, _CALIBRATED), resamples))
    return [*found, Metric("rows", float(rows), None, None, rows)]


def multiclass(
    actual: Ints,
    predicted: Ints,
    proba: Floats | None,
    levels: list[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    cells: int = ranking.CELLS // 4,
) -> list[Metric]:
    """Macro metrics and those of each class, from (rows,) codes into `levels` and (rows, classes) probabilities.

    precision, recall, f1 (macro), accuracy, balanced_accuracy, mcc; with `proba` also log_loss, brier, ece of the
    confidence in the predicted class, and roc_auc (macro mean of one class against the rest). Each class has
    precision, recall, f1, support and roc_auc. Levels beyond the columns of `proba` are classes that the model does
    not know: their rows count as probability 0.
    """
    rows = len(actual)
    counts = confusion.matrix(actual, predicted, len(levels))
    macro, each = confusion.multiclass(counts, levels, generator(seed, COUNTED), resamples)
    if proba is not None:
        known = actual < proba.shape[1]
        given = np.where(known, proba[np.arange(rows), np.where(known, actual, 0)], 0.0)
        # Half of Brier's (1950) sum over the classes: (1 - p)² of the actual one and p² of the others.
        brier = ((proba**2).sum(axis=1) - 2 * given + 1) / 2
        macro += _averages(("log_loss", "brier"), np.column_stack([_log_loss(given), brier]), seed, resamples)
        confidence = np.minimum(proba.max(axis=1), 1.0)
        macro.append(calibration.error(confidence, actual == predicted, generator(seed, _CALIBRATED), resamples))
        area, areas = _areas(actual, proba, levels, seed, resamples, cells)
        macro.append(area)
        each += areas
    return [*macro, Metric("rows", float(rows), None, None, rows), *each]


def _log_loss(given: Floats) -> Floats:
    """Minus the logarithm of the probability that was given to the actual class."""
    return -np.log(np.clip(given, _EPS, 1 - _EPS))


def _averages(names: tuple[str, ...], losses: Floats, seed: int, resamples: int) -> list[Metric]:
    ends = percentiles(means(losses, generator(seed, _AVERAGED), resamples), expanded(len(losses)))
    values = losses.mean(axis=0)
    return [metric(name, value, end, len(losses)) for name, value, end in zip(names, values, ends, strict=True)]


def _areas(
    actual: Ints, proba: Floats, levels: list[str], seed: int, resamples: int, cells: int
) -> tuple[Metric, list[Metric]]:
    """roc_auc of each class against the rest, and their mean over the classes that have one.

    The mean's interval is as wide as the classes' on average, shrunk by how far their errors cancel out: the
    spread of the mean of their influence functions over the mean of their spreads.
    """
    rows = len(actual)
    each: list[Metric] = []
    together, spreads = np.zeros(rows), []
    cells = min(cells, max(32, 8192 // proba.shape[1]))  # with very many classes each is measured more coarsely
    for code in range(proba.shape[1]):
        truth = actual == code
        order = np.argsort(proba[:, code])
        ranked = ranking.ranking(proba[:, code], truth, order)
        area = ranking.metrics(ranked, generator(seed, 10 + code), resamples, cells)[0]
        each.append(Metric("roc_auc", area.value, area.low, area.high, int(truth.sum()), CLASS, levels[code]))
        if area.value is not None:
            moved = ranking.influence(ranked, order, truth)
            together += moved
            spreads.append(float(moved.std()))
    defined = np.array([(area.value, area.low, area.high) for area in each if area.value is not None], dtype=float)
    if not len(defined):
        return metric("roc_auc", np.nan, None, rows), each
    value, low, high = defined.mean(axis=0)
    cancelled = float(together.std()) / sum(spreads) if sum(spreads) > 0 else 1.0
    half = (high - low) / 2 * cancelled
    return metric("roc_auc", value, (max(0.0, value - half), min(1.0, value + half)), rows), each
