"""The usual metrics of classifiers, of two classes and of more, each with its interval."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import calibration, confusion, grouped, ranking
from mlops_cli.metrics.base import CLASS, Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, generator, percentiles

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
    groups: Groups | None = None,
) -> list[Metric]:
    """Metrics of the positive class from (rows,) codes, 1 being positive, and the probability of it.

    precision, recall, f1, accuracy, balanced_accuracy, specificity, mcc; with `score` also roc_auc,
    average_precision, lift_at_10, log_loss (natural logarithm), brier and ece. Undefined ones have no value. Intervals
    are of whole `groups` where rows belong together.
    """
    rows = len(actual)
    counts = confusion.matrix(actual, predicted, 2)
    together = confusion.Clustered(actual, predicted, groups) if groups else None
    found = confusion.binary(counts, generator(seed, COUNTED), resamples, together)
    if score is not None:
        truth = np.asarray(actual == 1)
        found += _ranked(score, truth, np.argsort(score), groups, generator(seed, _RANKED), resamples, cells)
        given = np.where(actual == 1, score, 1 - score)
        losses = np.column_stack([_log_loss(given), (1 - given) ** 2])
        found += _averages(("log_loss", "brier"), losses, seed, resamples, groups)
        found.append(calibration.error(score, truth, generator(seed, _CALIBRATED), resamples, groups))
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
    groups: Groups | None = None,
) -> list[Metric]:
    """Macro metrics and those of each class, from (rows,) codes into `levels` and (rows, classes) probabilities.

    precision, recall, f1 (macro), accuracy, balanced_accuracy, mcc; with `proba` also log_loss, brier, ece of the
    confidence in the predicted class, and roc_auc (macro mean of one class against the rest). Each class has
    precision, recall, f1, support and roc_auc. Levels beyond the columns of `proba` are classes that the model does
    not know: their rows count as probability 0.
    """
    rows = len(actual)
    counts = confusion.matrix(actual, predicted, len(levels))
    together = confusion.Clustered(actual, predicted, groups) if groups else None
    macro, each = confusion.multiclass(counts, levels, generator(seed, COUNTED), resamples, together)
    if proba is not None:
        known = actual < proba.shape[1]
        given = np.where(known, proba[np.arange(rows), np.where(known, actual, 0)], 0.0)
        # Half of Brier's (1950) sum over the classes: (1 - p)² of the actual one and p² of the others.
        brier = ((proba**2).sum(axis=1) - 2 * given + 1) / 2
        macro += _averages(("log_loss", "brier"), np.column_stack([_log_loss(given), brier]), seed, resamples, groups)
        confidence = np.minimum(proba[np.arange(rows), predicted], 1.0)
        right = np.asarray(actual == predicted)
        macro.append(calibration.error(confidence, right, generator(seed, _CALIBRATED), resamples, groups))
        area, areas = _areas(actual, proba, levels, groups, seed, resamples, cells)
        macro.append(area)
        each += areas
    return [*macro, Metric("rows", float(rows), None, None, rows), *each]


def _log_loss(given: Floats) -> Floats:
    """Minus the logarithm of the probability that was given to the actual class."""
    return -np.log(np.clip(given, _EPS, 1 - _EPS))


def _averages(names: tuple[str, ...], losses: Floats, seed: int, resamples: int, groups: Groups | None) -> list[Metric]:
    drawn = grouped.means(losses, groups, generator(seed, _AVERAGED), resamples)
    ends = percentiles(drawn, grouped.tails(len(losses), groups))
    values = losses.mean(axis=0)
    found = [metric(*each, len(losses)) for each in zip(names, values, ends, strict=True)]
    return grouped.alone(found, groups)


def _ranked(
    score: Floats,
    truth: NDArray[np.bool_],
    order: Ints,
    groups: Groups | None,
    rng: np.random.Generator,
    resamples: int,
    cells: int,
) -> list[Metric]:
    together = ranking.Clustered(order, truth, groups) if groups else None
    return ranking.metrics(ranking.ranking(score, truth, order), rng, resamples, cells, together)


def _areas(
    actual: Ints,
    proba: Floats,
    levels: list[str],
    groups: Groups | None,
    seed: int,
    resamples: int,
    cells: int,
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
        area = _ranked(proba[:, code], truth, order, groups, generator(seed, 10 + code), resamples, cells)[0]
        each.append(msgspec.structs.replace(area, n=int(truth.sum()), column=CLASS, level=levels[code]))
        if area.value is not None:
            moved = ranking.influence(ranked, order, truth)
            together += moved
            spreads.append(grouped.spread(moved, groups))
    count = groups.count if groups else None
    defined = np.array([(area.value, area.low, area.high) for area in each if area.value is not None], dtype=float)
    if not len(defined):
        return metric("roc_auc", np.nan, None, rows), each
    if not np.isfinite(defined).all():  # a class of one group has no interval
        return grouped.told(metric("roc_auc", defined[:, 0].mean(), (0.0, 1.0), rows), count), each
    value, low, high = defined.mean(axis=0)
    cancelled = grouped.spread(together, groups) / sum(spreads) if sum(spreads) > 0 else 1.0
    half = (high - low) / 2 * cancelled
    return grouped.told(metric("roc_auc", value, (max(0.0, value - half), min(1.0, value + half)), rows), count), each
