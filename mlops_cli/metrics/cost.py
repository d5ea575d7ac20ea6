"""What answers cost on average, in money, with its interval: overall, of each class, and one model against another."""

from __future__ import annotations

import numpy as np

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import CLASS, Label, Metric, metric, text_of
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import Floats, Ints, expanded, generator, means, percentiles, weighted
from mlops_cli.runtime.costs import Costs

NAME = "cost"
_STREAM, _PAIRED = 50, 110  # of random numbers


def table(costs: Costs, labels: list[Label]) -> Floats:
    """What it costs to answer one of the labels (columns) where one was so (rows), NaN where no cost is stated."""
    known = {text_of(label): place for place, label in enumerate(costs.classes or [])}
    places = np.array([known.get(text_of(label), len(known)) for label in labels])
    stated = np.full((len(known) + 1, len(known) + 1), np.nan)
    stated[:-1, :-1] = np.array(costs.table)
    return np.asarray(stated[np.ix_(places, places)])


def of_values(actual: Floats, predicted: Floats, costs: Costs) -> Floats:
    """What each row of a regression costs, (rows,)."""
    error = predicted - actual
    return np.where(error > 0, error * (costs.over or 0.0), -error * (costs.under or 0.0))


def classes(counts: Ints, price: Floats, levels: list[str], *, seed: int = 0) -> list[Metric]:
    """`cost` and `cost_total` of a (k, k) confusion matrix, then `cost` of each class's rows.

    `price` is (k, k), NaN where a cost is not stated: what has such rows is undefined. The interval is the hull of two
    Bayesian bootstraps of the cells, one of them with half a row more in each class for being right and half a row for
    being wrong: so a dear error that has not occurred yet is not taken to be impossible.
    """
    n = int(counts.sum())
    found = [metric(NAME, *_cells(counts, price, seed), n), metric("cost_total", _total(counts, price), None, n)]
    for code, level in enumerate(levels):
        only = np.zeros_like(counts)
        only[code] = counts[code]
        rows = int(only.sum())
        value, ends = _cells(only, price, seed) if rows else (np.nan, None)
        found.append(metric(NAME, value, ends, rows, CLASS, level))
    return found


def values(spent: Floats, *, seed: int = 0) -> list[Metric]:
    """`cost` and `cost_total` from what each row costs, (rows,): the bootstrap of the mean."""
    ends = percentiles(means(spent[:, None], generator(seed, _STREAM)), expanded(len(spent)))[0]
    total = metric("cost_total", float(spent.sum()), None, len(spent))
    return [metric(NAME, float(spent.mean()), ends, len(spent)), total]


def together(found: list[Metric], spent: Floats, groups: Groups | None, *, seed: int = 0) -> list[Metric]:
    """The same metrics of rows that belong together, from what each row costs, (rows,).

    The interval of `cost` is the hull with the bootstrap of whole groups, which few rows or rows that are not alike do
    not make any narrower.
    """
    if groups is None or found[0].low is None or found[0].high is None:
        return found
    low, high = percentiles(grouped.means(spent[:, None], groups, generator(seed, _STREAM)), grouped.tails(0, groups))[
        0
    ]
    ends = (min(low, found[0].low), max(high, found[0].high))
    first = metric(found[0].name, float(spent.mean()), ends, len(spent), found[0].column, found[0].level)
    return [grouped.told(first, groups.count), *found[1:]]


def paired_classes(actual: Ints, one: Ints, other: Ints, price: Floats, *, seed: int = 0) -> Metric:
    """How much more a row costs with `one` than with `other`, from (rows,) codes on the same rows.

    The Bayesian bootstrap of the rows grouped by what was so and what each said, and the hull with half a row more in
    each class that only `one` has right and half a row that only `other` has, as in `paired.classes`.
    """
    k = len(price)
    codes, rows = np.unique((actual * k + one) * k + other, return_counts=True)
    truth, first, second = codes // k**2, codes // k % k, codes % k
    difference = price[truth, first] - price[truth, second]
    weights = rows.astype(np.float64)
    more, extra = [difference], [weights]
    for code in np.unique(actual):
        wrong = np.delete(price[code], code).mean() - price[code, code]
        more.append(np.array([wrong, -wrong]))
        extra.append(np.full(2, 0.5))
    ends = _hull((weights, difference), (np.concatenate(extra), np.concatenate(more)), seed, _PAIRED)
    return metric(NAME, float(difference @ weights / weights.sum()), ends, len(actual))


def paired_values(one: Floats, other: Floats, *, seed: int = 0) -> Metric:
    """The same from what each row costs with either, (rows,)."""
    difference = (one - other)[:, None]
    ends = percentiles(means(difference, generator(seed, _PAIRED)), expanded(len(one)))[0]
    return metric(NAME, float(difference.mean()), ends, len(one))


def by_threshold(score: Floats, positive: Ints, price: Floats, at: Floats) -> Floats:
    """What a row costs with each threshold of `at`; `positive` is 1 or 0 for each row, `price` (2, 2), 1 last."""
    found = np.zeros(len(at))
    for code in (0, 1):
        ordered = np.sort(score[positive == code])
        below = np.searchsorted(ordered, at, side="left")
        found += below * price[code, 0] + (len(ordered) - below) * price[code, 1]
    return np.asarray(found / len(score))


def _total(counts: Ints, price: Floats) -> float:
    there = counts > 0
    return float((counts[there] * price[there]).sum())


def _cells(counts: Ints, price: Floats, seed: int) -> tuple[float, Floats]:
    """The mean cost of a row, and its interval."""
    there = counts > 0
    plain = counts[there].astype(np.float64), price[there]
    prior = np.zeros(counts.shape)
    rows = np.flatnonzero(counts.sum(axis=1))
    prior[rows] = 0.5 / max(1, len(counts) - 1)
    prior[rows, rows] = 0.5
    more = counts.astype(np.float64) + np.where(np.isnan(price), 0.0, prior)
    ends = _hull(plain, (more[more > 0], price[more > 0]), seed, _STREAM)
    return _total(counts, price) / float(counts.sum()), ends


def _hull(plain: tuple[Floats, Floats], more: tuple[Floats, Floats], seed: int, stream: int) -> Floats:
    """The interval of the mean of weighted values that holds those without and with a prior: shape (2,)."""
    ends = []
    for weights, value in (plain, more):
        drawn = weighted(weights, lambda w, of=value: (w @ of) / w.sum(axis=1), generator(seed, stream))  # type: ignore[misc]
        ends.append(percentiles(drawn))
    return np.array([min(ends[0][0], ends[1][0]), max(ends[0][1], ends[1][1])])
