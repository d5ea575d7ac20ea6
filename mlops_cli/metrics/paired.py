"""How much better one model is than another on the same rows: differences of metrics, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import confusion, ranking, regression
from mlops_cli.metrics.base import CLASS, Metric, metric
from mlops_cli.metrics.confusion import Kept, Tally
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, expanded, generator, means, percentiles, weighted

_EPS = float(np.finfo(np.float64).eps)
_COUNTED, _AVERAGED, _REGRESSION = range(100, 103)  # streams of random numbers
_NAMES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Answers:
    """What one model said of (rows,) rows: codes of classes, and probabilities (rows, classes) where it gave them."""

    predicted: Ints
    proba: Floats | None


def classes(
    actual: Ints, one: Answers, other: Answers, levels: list[str], positive: int | None, *, seed: int = 0
) -> list[Metric]:
    """The differences, `one` less `other`, of all metrics of a classification that can be paired, from (rows,) codes.

    Counted metrics: the Bayesian bootstrap (Rubin 1981) of the rows, grouped by what was so and what each model said;
    a resample weighs both models' answers alike, so what they have in common cancels out. Where few rows tell the
    models apart a resample would be too sure: to each class half a row is added that only `one` has right and half a
    row that only `other` has (Agresti & Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24, 2005). roc_auc: DeLong, DeLong & Clarke-Pearson (1988). log_loss and brier: the bootstrap
    of the mean of each row's difference. `positive` is the code of the positive class of a binary task.
    """
    found = _counted(actual, one.predicted, other.predicted, levels, positive, seed)
    if one.proba is None or other.proba is None:
        return found
    rows = np.arange(len(actual))
    losses = [np.column_stack([_log_loss(each.proba[rows, actual])]) for each in (one, other) if each.proba is not None]
    names = ["log_loss"]
    if positive is not None:
        truth = actual == positive
        scores = [each[:, positive] for each in (one.proba, other.proba)]
        losses = [np.column_stack([loss, (score - truth) ** 2]) for loss, score in zip(losses, scores, strict=True)]
        names.append("brier")
        found += _area(truth, *scores)
    differences = losses[0] - losses[1]
    ends = percentiles(means(differences, generator(seed, _AVERAGED)), expanded(len(actual)))
    values = differences.mean(axis=0)
    return [
        *found,
        *(metric(name, value, end, len(actual)) for name, value, end in zip(names, values, ends, strict=True)),
    ]


def values(actual: Floats, one: Floats, other: Floats, *, seed: int = 0) -> list[Metric]:
    """The differences of rmse, mae, r2, mape and bias of a regression: the bootstrap of the rows, both models alike."""
    parts = [regression.parts(actual, predicted) for predicted in (one, other)]
    width = parts[0].shape[1]
    both = np.column_stack(parts)
    exact = _difference(both.mean(axis=0)[None, :], width)[0]
    drawn = _difference(means(both, generator(seed, _REGRESSION)), width)
    ends = percentiles(drawn, expanded(len(actual)))
    return [
        metric(name, value, end, len(actual))
        for name, value, end in zip(regression.NAMES, exact, ends, strict=True)
        if name != "mape" or bool((actual != 0).all())
    ]


def _difference(parts: Floats, width: int) -> Floats:
    return regression.of_means(parts[:, :width]) - regression.of_means(parts[:, width:])


def _counted(actual: Ints, one: Ints, other: Ints, levels: list[str], positive: int | None, seed: int) -> list[Metric]:
    """The differences of counted metrics: overall, and of each class."""
    k, n = len(levels), len(actual)
    codes, counts = np.unique((actual * k + one) * k + other, return_counts=True)
    cells = np.stack([codes // k**2, codes // k % k, codes % k], axis=1)
    weights = counts.astype(np.float64)
    names = list(confusion.MACRO if positive is None else confusion.BINARY)
    statistic = _statistic(cells, weights, k, positive)
    exact = statistic(weights[None, :])[0]
    more, extra = _prior(cells, weights, k)
    seen = np.concatenate([weights, np.zeros(len(more) - len(cells))])
    drawn = weighted(extra, _statistic(more, seen, k, positive), generator(seed, _COUNTED), RESAMPLES)
    ends = percentiles(drawn)
    if k > 2:  # the priors of many classes add up: the hull of the intervals with and without them
        without = percentiles(weighted(weights, statistic, generator(seed, _COUNTED), RESAMPLES))
        ends[:, 0], ends[:, 1] = np.fmin(ends[:, 0], without[:, 0]), np.fmax(ends[:, 1], without[:, 1])
    start = len(names)
    found = [metric(name, value, end, n) for name, value, end in zip(names, exact, ends, strict=False)]
    support = np.bincount(actual, minlength=k)
    for place, name in enumerate(_NAMES):
        for code, level in enumerate(levels):
            at = start + place * k + code
            found.append(metric(name, exact[at], ends[at], int(support[code]), CLASS, level))
    return found


def _statistic(cells: Ints, seen: Floats, k: int, positive: int | None) -> Callable[[Floats], Floats]:
    """The differences from (m, cells) weights: those overall, then precision, recall and f1 of each of k classes."""
    actual = _indicator(cells[:, 0], k)
    of_one, of_other = (_tallies(cells, place, actual, k) for place in (1, 2))
    kept_one, kept_other = (_kept(of, seen) for of in (of_one, of_other))

    def statistic(drawn: Floats) -> Floats:
        return _overall(of_one(drawn), kept_one, k, positive) - _overall(of_other(drawn), kept_other, k, positive)

    return statistic


def _tallies(cells: Ints, place: int, actual: Floats, k: int) -> Callable[[Floats], Tally]:
    """A model's tally from (m, cells) weights."""
    predicted = _indicator(cells[:, place], k)
    right = actual * predicted
    return lambda drawn: Tally(drawn @ right, drawn @ actual, drawn @ predicted)


def _kept(of: Callable[[Floats], Tally], seen: Floats) -> Kept:
    exact = of(seen[None, :])
    there, named = exact.actual[0] > 0, exact.predicted[0] > 0
    return Kept(there | named, named, there)


def _overall(of: Tally, kept: Kept, k: int, positive: int | None) -> Floats:
    """The metrics overall, then those of each class; precision is undefined of a class that was never predicted."""
    every = confusion.of_classes(of, kept)
    each = np.where(np.concatenate([kept.predicted, kept.actual, kept.either]), every[..., : 3 * k], np.nan)
    if positive is None:
        return np.concatenate([every[..., 3 * k :], each], axis=-1)
    order = [1 - positive, positive]
    ordered = Tally(*(part[..., order] for part in of))
    return np.concatenate([confusion.of_positive(ordered), each], axis=-1)


def _prior(cells: Ints, weights: Floats, k: int) -> tuple[Ints, Floats]:
    """The cells with half a row more, for each class that is there, where one model alone is right, either way."""
    extra = weights.copy()
    added: list[tuple[int, int, int]] = []
    right_one, right_other = (cells[:, place] == cells[:, 0] for place in (1, 2))
    for code in np.unique(cells[:, 0]):
        for first, second, new in (
            (right_one, right_other, (code, code, (code + 1) % k)),
            (right_other, right_one, (code, (code + 1) % k, code)),
        ):
            there = np.flatnonzero((cells[:, 0] == code) & first & ~second)
            if len(there):
                extra[there] += 0.5 / len(there)
            else:
                added.append(new)
    if not added:
        return cells, extra
    return np.concatenate([cells, np.array(added)]), np.concatenate([extra, np.full(len(added), 0.5)])


def _area(truth: NDArray[np.bool_], one: Floats, other: Floats) -> list[Metric]:
    """The difference of two areas under the curve: the mean of the rows' influences is nearly normal."""
    rows = len(truth)
    if not 0 < truth.sum() < rows:
        return []
    moved, areas = [], []
    for score in (one, other):
        order = np.argsort(score)
        ranked = ranking.ranking(score, truth, order)
        moved.append(ranking.influence(ranked, order, truth))
        areas.append(float(ranking.auc(ranked.positive, ranked.negative)))
    half = 1.959963984540054 * float((moved[0] - moved[1]).std(ddof=1)) / np.sqrt(rows)
    value = areas[0] - areas[1]
    return [metric("roc_auc", value, (value - half, value + half), rows)]


def _indicator(codes: Ints, k: int) -> Floats:
    return np.asarray(np.eye(k)[codes])


def _log_loss(given: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(given, _EPS, 1 - _EPS)))
