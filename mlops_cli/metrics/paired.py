"""How much better one model is than another on the same rows: differences of metrics, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlops_cli.metrics import confusion, grouped, paired_ranks, regression
from mlops_cli.metrics.base import CLASS, Metric, metric
from mlops_cli.metrics.confusion import Kept, Tally
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, generator, percentiles, weighted

_EPS = float(np.finfo(np.float64).eps)
_COUNTED, _AVERAGED, _REGRESSION, _RANKED, _MEDIANS, _OWN = range(100, 106)  # streams of random numbers
_NAMES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Answers:
    """What one model said of (rows,) rows: codes of classes, and probabilities (rows, classes) where it gave them."""

    predicted: Ints
    proba: Floats | None


def classes(
    actual: Ints,
    one: Answers,
    other: Answers,
    levels: list[str],
    positive: int | None,
    *,
    seed: int = 0,
    groups: Groups | None = None,
) -> list[Metric]:
    """The differences, `one` less `other`, of all metrics of a classification that can be paired, from (rows,) codes.

    Counted metrics: the Bayesian bootstrap (Rubin 1981) of the rows, grouped by what was so and what each model said;
    a resample weighs both models' answers alike, so what they have in common cancels out. Where few rows tell the
    models apart a resample would be too sure: to each class half a row is added that only `one` has right and half a
    row that only `other` has (Agresti & Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24, 2005). roc_auc: DeLong, DeLong & Clarke-Pearson (1988). log_loss and brier: the bootstrap
    of the mean of each row's difference. `positive` is the code of the positive class of a binary task. Where rows
    belong together whole `groups` are drawn.
    """
    found = _counted(actual, one.predicted, other.predicted, levels, positive, seed, groups)
    if one.proba is None or other.proba is None:
        return found
    if positive is not None:
        truth = np.asarray(actual == positive)
        scores = [np.ascontiguousarray(each[:, positive]) for each in (one.proba, other.proba)]
        found += paired_ranks.areas([truth], [scores], groups)
        found += paired_ranks.precisions(truth, scores[0], scores[1], groups, generator(seed, _RANKED))
    else:
        known = np.flatnonzero(one.proba.any(axis=0) | other.proba.any(axis=0))
        both = [[each[:, code] for each in (one.proba, other.proba)] for code in known]
        found += paired_ranks.areas([np.asarray(actual == code) for code in known], both, groups)
    differences = _losses(actual, one.proba) - _losses(actual, other.proba)
    drawn = grouped.means(differences, groups, generator(seed, _AVERAGED))
    ends = percentiles(drawn, grouped.tails(len(actual), groups))
    averaged = zip(("log_loss", "brier"), differences.mean(axis=0), ends, strict=True)
    return [*found, *grouped.alone([metric(*each, len(actual)) for each in averaged], groups)]


def _losses(actual: Ints, proba: Floats) -> Floats:
    """The log loss and the Brier score (half the sum over the classes) of each row: shape (rows, 2)."""
    given = proba[np.arange(len(actual)), actual]
    return np.column_stack([_log_loss(given), ((proba**2).sum(axis=1) - 2 * given + 1) / 2])


def values(
    actual: Floats,
    one: Floats,
    other: Floats,
    *,
    seed: int = 0,
    groups: Groups | None = None,
    loss: str | None = None,
    alpha: float | None = None,
) -> list[Metric]:
    """The differences of a regression's metrics: the bootstrap of the rows, or of whole `groups`, both models alike.

    Both models are measured by what `one` has learnt to make small too, its `loss`, and of a quantile its `alpha`.
    """
    parts = [regression.parts(actual, predicted) for predicted in (one, other)]
    width = parts[0].shape[1]
    both = np.column_stack(parts)
    exact = _difference(both.mean(axis=0)[None, :], width)[0]
    drawn = _difference(grouped.means(both, groups, generator(seed, _REGRESSION)), width)
    ends = percentiles(drawn, grouped.tails(len(actual), groups))
    found = [
        metric(name, value, end, len(actual))
        for name, value, end in zip(regression.NAMES, exact, ends, strict=True)
        if name != "mape" or bool((actual != 0).all())
    ]
    absolute = np.abs(one - actual), np.abs(other - actual)
    found.append(paired_ranks.medians(*absolute, groups, generator(seed, _MEDIANS)))
    name = regression.own(loss, alpha)
    if name is not None:
        more = regression.losses(name, actual, one, alpha) - regression.losses(name, actual, other, alpha)
        if np.isfinite(more).all():
            drawn = grouped.means(more[:, None], groups, generator(seed, _OWN))
            end = percentiles(drawn, grouped.tails(len(actual), groups))[0]
            found.append(metric(name, float(more.mean()), end, len(actual)))
    return grouped.alone(found, groups)


def _difference(parts: Floats, width: int) -> Floats:
    return regression.of_means(parts[:, :width]) - regression.of_means(parts[:, width:])


def _counted(
    actual: Ints, one: Ints, other: Ints, levels: list[str], positive: int | None, seed: int, groups: Groups | None
) -> list[Metric]:
    """The differences of counted metrics: overall, and of each class."""
    k, n = len(levels), len(actual)
    codes, place, counts = np.unique((actual * k + one) * k + other, return_inverse=True, return_counts=True)
    cells = np.stack([codes // k**2, codes // k % k, codes % k], axis=1)
    weights = counts.astype(np.float64)
    names = list(confusion.MACRO if positive is None else confusion.BINARY)
    statistic = _statistic(cells, weights, k, positive)
    exact = statistic(weights[None, :])[0]
    more, extra = _prior(cells, weights, k)
    seen = np.concatenate([weights, np.zeros(len(more) - len(cells))])
    with_prior = _statistic(more, seen, k, positive)
    if groups is None:
        ends = percentiles(weighted(extra, with_prior, generator(seed, _COUNTED), RESAMPLES))
    else:
        sums = grouped.table(groups, place, len(more), generator(seed, _COUNTED))
        effect = grouped.design_effect((one == actual).astype(np.float64) - (other == actual), groups)
        samples = grouped.weighted(sums, extra - seen, effect, with_prior, generator(seed, _COUNTED))
        ends = percentiles(samples, grouped.tails(n, groups))
    if k > 2:  # the priors of many classes add up: the hull of the intervals with and without them
        if groups is None:
            samples = weighted(weights, statistic, generator(seed, _COUNTED), RESAMPLES)
        else:
            samples = grouped.weighted(sums, np.zeros(len(more)), 0.0, with_prior, generator(seed, _COUNTED))
        without = percentiles(samples, None if groups is None else grouped.tails(n, groups))
        ends[:, 0], ends[:, 1] = np.fmin(ends[:, 0], without[:, 0]), np.fmax(ends[:, 1], without[:, 1])
    start = len(names)
    found = [metric(name, value, end, n) for name, value, end in zip(names, exact, ends, strict=False)]
    support = np.bincount(actual, minlength=k)
    for place, name in enumerate(_NAMES):
        for code, level in enumerate(levels):
            at = start + place * k + code
            found.append(metric(name, exact[at], ends[at], int(support[code]), CLASS, level))
    return grouped.alone(found, groups)


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


def _indicator(codes: Ints, k: int) -> Floats:
    return np.asarray(np.eye(k)[codes])


def _log_loss(given: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(given, _EPS, 1 - _EPS)))
