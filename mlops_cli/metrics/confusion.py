"""What is counted rather than scored: metrics of a confusion matrix, of one class and of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import CLASS, Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, percentiles, weighted

BINARY = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "specificity", "mcc")
MACRO = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc")


class Tally(NamedTuple):
    """Right answers, actual rows and predicted rows by class: each of shape (..., k), weights or counts."""

    right: Floats
    actual: Floats
    predicted: Floats


class Kept(NamedTuple):
    """Which classes occur at all, which were predicted, which are among the actual rows: each of shape (k,)."""

    either: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    actual: NDArray[np.bool_]


class Clustered(NamedTuple):
    """What is so and what was predicted, (rows,) codes of the classes that occur, and which rows belong together."""

    actual: Ints
    predicted: Ints
    groups: Groups

    def having(self, k: int) -> tuple[Ints, Ints, Ints]:
        """In how many groups each of k classes was predicted, is among the actual rows, and occurs at all."""
        actual, predicted = (self.groups.having(codes, k) for codes in (self.actual, self.predicted))
        return predicted, actual, np.maximum(actual, predicted)


def matrix(actual: Ints, predicted: Ints, classes: int) -> Ints:
    """The confusion matrix (classes, classes) of two arrays of class codes: rows actual, columns predicted."""
    return np.bincount(actual * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def binary(
    counts: Ints, rng: np.random.Generator, resamples: int = RESAMPLES, rows: Clustered | None = None
) -> list[Metric]:
    """The metrics of BINARY for class 1 of a (2, 2) matrix; undefined where nothing was predicted or is there.

    `rows` are the same rows where they belong together: then whole groups are drawn.
    """
    values = of_positive(tally(counts))
    samples = _resampled(counts, of_positive, rng, resamples, clustered=rows)
    n = int(counts.sum())
    if rows is None:
        return [metric(*each, n) for each in zip(BINARY, values, percentiles(samples), strict=True)]
    named, there, either = rows.having(2)
    both = int(there.min())
    having = np.array([named[1], there[1], either[1], rows.groups.count, both, there[0], both])
    found = zip(BINARY, values, grouped.ends(samples, having), strict=True)
    return [grouped.told(metric(*each, n), int(count)) for each, count in zip(found, having, strict=True)]


def multiclass(
    counts: Ints,
    levels: list[str],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    rows: Clustered | None = None,
) -> tuple[list[Metric], list[Metric]]:
    """The metrics of MACRO of a (k, k) matrix; and precision, recall, f1 and support of each class.

    A class that occurs neither among the actual nor among the predicted rows is left out of the macro means;
    one that occurs counts 0 where it has no precision or recall, as in scikit-learn. `rows` are the same rows where
    they belong together: then whole groups are drawn.
    """
    chosen = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    if len(chosen) == 1 and len(counts) > 1:  # the interval needs another class that it could have been
        chosen = np.sort(np.append(chosen, (chosen[0] + 1) % len(counts)))
    inner = counts[np.ix_(chosen, chosen)]
    exact = tally(inner)
    kept = Kept(exact.predicted + exact.actual > 0, exact.predicted > 0, exact.actual > 0)
    values = of_classes(exact, kept)
    k, n = len(inner), int(counts.sum())
    if rows is not None:
        inside = np.searchsorted(chosen, rows.actual), np.searchsorted(chosen, rows.predicted)
        rows = Clustered(*inside, rows.groups)
    ends, having = _ends(inner, kept, rng, resamples, rows)
    overall = zip(MACRO, values[3 * k :], ends[3 * k :], having[3 * k :], strict=True)
    macro = [grouped.told(metric(name, value, end, n), count) for name, value, end, count in overall]
    support = counts.sum(axis=1)
    each_class: list[Metric] = []
    for code, level in enumerate(levels):
        own = int(support[code])
        each_class.append(Metric("support", float(own), None, None, own, CLASS, level))
        at = int(np.searchsorted(chosen, code))
        there = at < k and chosen[at] == code
        for place, name in enumerate(("precision", "recall", "f1")):
            defined = there and (kept.predicted, kept.actual, kept.either)[place][at]
            value, end = (values[place * k + at], ends[place * k + at]) if defined else (np.nan, None)
            one = metric(name, value, end, own, CLASS, level)
            each_class.append(grouped.told(one, having[place * k + at]) if defined else one)
    return macro, each_class


def tally(counts: Ints) -> Tally:
    exact = counts.astype(np.float64)
    return Tally(np.diagonal(exact).copy(), exact.sum(axis=1), exact.sum(axis=0))


def of_positive(of: Tally) -> Floats:
    """The metrics of BINARY on the last axis."""
    true, actual, predicted = of.right[..., 1], of.actual[..., 1], of.predicted[..., 1]
    recall, specificity = _ratio(true, actual), _ratio(of.right[..., 0], of.actual[..., 0])
    precision, f1 = _ratio(true, predicted), _ratio(2 * true, actual + predicted)
    accuracy = _ratio(of.right.sum(axis=-1), of.actual.sum(axis=-1))
    both = [precision, recall, f1, accuracy, (recall + specificity) / 2, specificity, _mcc(of)]
    return np.stack(both, axis=-1)


def of_classes(of: Tally, kept: Kept) -> Floats:
    """Precision, recall and f1 of each of k classes, then the metrics of MACRO: 3 k + 6 on the last axis."""
    precision = np.where(kept.predicted, _ratio(of.right, of.predicted), 0.0)
    recall = np.where(kept.actual, _ratio(of.right, of.actual), 0.0)
    f1 = np.where(kept.either, _ratio(2 * of.right, of.actual + of.predicted), 0.0)
    macro = [each.sum(axis=-1) / kept.either.sum() for each in (precision, recall, f1)]
    accuracy = _ratio(of.right.sum(axis=-1), of.actual.sum(axis=-1))
    overall = np.stack([*macro, accuracy, recall.sum(axis=-1) / kept.actual.sum(), _mcc(of)], axis=-1)
    return np.concatenate([precision, recall, f1, overall], axis=-1)


def _mcc(of: Tally) -> Floats:
    """Matthews' correlation for k classes (Gorodkin 2004): 0 for constant predictions, NaN for one actual class."""
    total, right = of.actual.sum(axis=-1), of.right.sum(axis=-1)
    agreement = right * total - (of.actual * of.predicted).sum(axis=-1)
    spread_predicted = np.maximum(0.0, total**2 - (of.predicted**2).sum(axis=-1))
    spread_actual = np.maximum(0.0, total**2 - (of.actual**2).sum(axis=-1))
    correlation = np.where(spread_predicted > 0, _ratio(agreement, np.sqrt(spread_predicted * spread_actual)), 0.0)
    return np.where(spread_actual > 0, correlation, np.nan)


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotient, NaN where there is nothing to divide by."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0))


def _ends(
    counts: Ints, kept: Kept, rng: np.random.Generator, resamples: int, rows: Clustered | None
) -> tuple[Floats, list[int | None]]:
    """The intervals of `of_classes`, shape (3 k + 6, 2), and on how many groups each rests.

    The priors of k classes add up, and would pull the macro means down: their interval is the hull of those
    with and without prior.
    """

    def statistic(of: Tally) -> Floats:
        return of_classes(of, kept)

    having = None
    if rows is not None:
        every = np.full(len(MACRO), rows.groups.count)
        having = np.concatenate([*rows.having(len(counts)), every])

    def drawn(prior: float) -> Floats:
        samples = _resampled(counts, statistic, rng, resamples, prior, rows)
        return percentiles(samples) if having is None else grouped.ends(samples, having)

    ends, without = drawn(0.5), drawn(0.0)
    macro = slice(3 * len(counts), None)
    ends[macro, 0] = np.fmin(ends[macro, 0], without[macro, 0])
    ends[macro, 1] = np.fmax(ends[macro, 1], without[macro, 1])
    return ends, [None] * len(ends) if having is None else having.tolist()


def _resampled(
    counts: Ints,
    statistic: Callable[[Tally], Floats],
    rng: np.random.Generator,
    resamples: int,
    prior: float = 0.5,
    clustered: Clustered | None = None,
) -> Floats:
    """A statistic of the tally under the Bayesian bootstrap, of rows or of their groups: shape (resamples, m).

    Drawn are the cells that hold rows, the diagonal, and an error for every class that has none, with `prior` rows
    for being right and as many for being wrong. Half a row, for two classes, is Jeffreys' prior.
    """
    k = len(counts)
    rows, columns = np.nonzero(_possible(counts))
    wrong = rows != columns
    share = np.where(wrong, 1 / np.maximum(1, np.bincount(rows, wrong, k))[rows], 1.0)
    weights = np.asarray(counts[rows, columns] + prior * share, dtype=np.float64)
    row_starts = np.searchsorted(rows, np.arange(k))
    by_column = np.argsort(columns, kind="stable")
    column_starts = np.searchsorted(columns[by_column], np.arange(k))
    diagonal = np.flatnonzero(~wrong)

    def of_weights(drawn: Floats) -> Floats:
        actual = np.add.reduceat(drawn, row_starts, axis=1)
        predicted = np.add.reduceat(drawn[:, by_column], column_starts, axis=1)
        return statistic(Tally(drawn[:, diagonal], actual, predicted))

    if clustered is None:
        return weighted(weights, of_weights, rng, resamples)
    cells = np.searchsorted(rows * k + columns, clustered.actual * k + clustered.predicted)
    sums = grouped.table(clustered.groups, cells, len(rows), rng)
    right = (clustered.actual == clustered.predicted).astype(np.float64)
    effect = grouped.design_effect(right, clustered.groups)
    return grouped.weighted(sums, prior * share, effect, of_weights, rng, resamples)


def _possible(counts: Ints) -> NDArray[np.bool_]:
    """The cells to draw: those with rows, the diagonal, and one error in every row and column that has none."""
    k = len(counts)
    cells = counts > 0
    cells[np.arange(k), np.arange(k)] = False
    for code in np.flatnonzero(~cells.any(axis=1)):
        cells[code, (code + 1) % k] = True
    for code in np.flatnonzero(~cells.any(axis=0)):
        cells[(code - 1) % k, code] = True
    cells[np.arange(k), np.arange(k)] = True
    return cells
