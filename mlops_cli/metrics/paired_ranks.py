"""How much better one model ranks the same rows than another: areas, average precision, and medians of errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped, ranking
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import LEVEL, RESAMPLES, Floats, Ints, chunks, percentiles, student

_CELLS = 512
_DEALT = 2000  # rows that are alone are dealt into so many groups, which are weighed as wholes


def areas(
    truths: Sequence[NDArray[np.bool_]], scores: Sequence[Sequence[Floats]], groups: Groups | None
) -> list[Metric]:
    """The difference of two areas under the ROC curve, `roc_auc`; of several classes that of their means.

    For each class its (rows,) truth and the scores of both models. The mean of the rows' influences is nearly normal
    (DeLong, DeLong & Clarke-Pearson, 1988); where rows belong together the sums of whole groups are what varies
    (Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997). Classes without rows, or
    without others beside them, are left out.
    """
    used = [(truth, pair) for truth, pair in zip(truths, scores, strict=True) if 0 < truth.sum() < len(truth)]
    if not used:
        return []
    rows = len(used[0][0])
    moved, value = np.zeros(rows), 0.0
    for truth, pair in used:
        for sign, score in zip((1, -1), pair, strict=True):
            order = np.argsort(score)
            ranked = ranking.ranking(score, truth, order)
            moved += sign * ranking.influence(ranked, order, truth) / len(used)
            value += sign * float(ranking.auc(ranked.positive, ranked.negative)) / len(used)
    count = rows if groups is None else groups.count
    half = student((1 + LEVEL) / 2, max(1, count - 1)) * grouped.spread(moved, groups)
    return [
        grouped.told(metric("roc_auc", value, (value - half, value + half), rows), groups.count if groups else None)
    ]


def precisions(
    truth: NDArray[np.bool_], one: Floats, other: Floats, groups: Groups | None, rng: np.random.Generator
) -> list[Metric]:
    """The differences of average_precision and lift_at_10: the Bayesian bootstrap of groups that both models share."""
    rows = len(truth)
    if not 0 < truth.sum() < rows:
        return []
    together = _together(rows, groups, rng)
    exact, sums, moved = np.zeros(2), [], np.zeros(2)
    codes, count = together.dealt(4 * _CELLS, rng)
    for sign, score in ((1, one), (-1, other)):
        order = np.argsort(score)
        ranked = ranking.ranking(score, truth, order)
        starts = ranking.cell_starts(ranked, _CELLS)
        place = ranking.Clustered(order, truth, together).cells(ranked, starts) + np.where(truth, 0, len(starts))
        sums.append(_counted(codes, count, place, 2 * len(starts)))
        exact += sign * ranking.scored(ranked.positive, ranked.negative)[1:]
        moved += sign * _scored(sums[-1].sum(axis=0))[1:]

    def statistic(drawn: Floats) -> Floats:
        return (_scored(drawn[:, : sums[0].shape[1]]) - _scored(drawn[:, sums[0].shape[1] :]))[:, 1:] + exact - moved

    both = np.column_stack(sums)
    drawn = grouped.weighted(both, np.zeros(both.shape[1]), 0.0, statistic, rng)
    ends = percentiles(drawn, grouped.tails(rows, groups))
    return grouped.alone([metric(*each, rows) for each in zip(ranking.NAMES[1:], exact, ends, strict=True)], groups)


def medians(one: Floats, other: Floats, groups: Groups | None, rng: np.random.Generator) -> Metric:
    """The difference of two medians of (rows,) absolute errors, `median_absolute_error`, both of the same resamples."""
    rows = len(one)
    codes, count = _together(rows, groups, rng).dealt(2 * _CELLS, rng)
    edges, sums, moved = [], [], 0.0
    for values in (one, other):
        edge = np.unique(np.quantile(values, np.linspace(0, 1, _CELLS + 1)))
        place = np.clip(np.searchsorted(edge, values, side="left") - 1, 0, max(0, len(edge) - 2))
        edges.append(edge)
        sums.append(_counted(codes, count, place, max(1, len(edge) - 1)))
    exact = float(np.median(one) - np.median(other))
    moved = float(
        np.diff([_median(edge, each.sum(axis=0)[None])[0] for edge, each in zip(edges, sums, strict=True)])[0]
    )
    drawn = np.empty(RESAMPLES)
    for start, stop in chunks(RESAMPLES, max(count, 2 * _CELLS)):
        weights = rng.standard_exponential((stop - start, count))
        first, second = (_median(edge, weights @ each) for edge, each in zip(edges, sums, strict=True))
        drawn[start:stop] = first - second
    ends = percentiles(drawn + exact + moved, grouped.tails(rows, groups))
    return metric("median_absolute_error", exact, ends, rows)


def _together(rows: int, groups: Groups | None, rng: np.random.Generator) -> Groups:
    """The groups; of rows that are alone random ones, each row its own where they are few."""
    if groups is not None:
        return groups
    codes: Ints = np.arange(rows) if rows <= _DEALT else rng.permutation(rows) % _DEALT
    return Groups(codes, min(rows, _DEALT))


def _counted(codes: Ints, count: int, place: Ints, cells: int) -> Floats:
    return np.bincount(codes * cells + place, minlength=count * cells).reshape(count, cells).astype(np.float64)


def _scored(drawn: Floats) -> Floats:
    """`ranking.scored` of weights of positive cells and then of negative ones."""
    half = drawn.shape[-1] // 2
    return ranking.scored(drawn[..., :half], drawn[..., half:])


def _median(edges: Floats, weights: Floats) -> Floats:
    """The medians of (m, cells) weights between `edges`, as if they lay evenly in each cell: shape (m,)."""
    if len(edges) < 2:
        return np.full(len(weights), edges[0])
    reached = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    cell = np.argmax(reached >= 0.5, axis=1)
    row = np.arange(len(weights))
    before = np.where(cell > 0, reached[row, cell - 1], 0.0)
    inside = (0.5 - before) / np.maximum(reached[row, cell] - before, 1e-300)
    return np.asarray(edges[cell] + inside * (edges[cell + 1] - edges[cell]))
