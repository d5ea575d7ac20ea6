"""What is scored rather than counted: how well scores put positive rows above negative ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import RESAMPLES, Floats, Ints, expanded, percentiles, weighted

CELLS = 1024
NAMES = ("roc_auc", "average_precision", "lift_at_10")
_TOP = 0.1  # of all rows, those with the highest scores: what lift_at_10 is about


class Ranking(NamedTuple):
    """Positive and negative rows at each distinct score, ascending: two arrays of one length."""

    positive: Floats
    negative: Floats


def ranking(scores: Floats, positive: NDArray[np.bool_], order: Ints | None = None) -> Ranking:
    """The rows counted by distinct score, from (rows,) scores and truths (and the order that sorts the scores)."""
    order = np.argsort(scores) if order is None else order
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    rows = np.diff(np.append(starts, len(ordered))).astype(np.float64)
    found = np.concatenate([[0], np.cumsum(positive[order])])
    positives = np.diff(found[np.append(starts, len(ordered))]).astype(np.float64)
    return Ranking(positives, rows - positives)


class Clustered(NamedTuple):
    """The rows of a ranking that belong together: the order that sorts their scores, which are positive, groups."""

    order: Ints
    positive: NDArray[np.bool_]
    groups: Groups

    def cells(self, of: Ranking, starts: Ints) -> Ints:
        """The cell of each row, from the distinct score at which each cell starts: shape (rows,)."""
        sizes = np.diff(np.append(starts, len(of.positive)))
        place = np.empty(len(self.order), dtype=np.int64)
        rows = (of.positive + of.negative).astype(np.int64)
        place[self.order] = np.repeat(np.repeat(np.arange(len(starts)), sizes), rows)
        return place


def coarse(of: Ranking, most: int = CELLS) -> Ranking:
    """The same with about `most` cells, each holding about an equal share of the positives and of the negatives.

    So a few positives among many negatives keep a cell of their own, and equal scores stay together.
    """
    starts = cell_starts(of, most)
    return Ranking(np.add.reduceat(of.positive, starts), np.add.reduceat(of.negative, starts))


def cell_starts(of: Ranking, most: int = CELLS) -> Ints:
    """The distinct scores, by number, at which the cells of `coarse` start."""
    if len(of.positive) <= most:
        return np.arange(len(of.positive))
    mass = np.cumsum(of.positive / of.positive.sum() + of.negative / of.negative.sum()) / 2
    cell = np.minimum((mass * most).astype(np.int64), most - 1)
    return np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))


def metrics(
    of: Ranking,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    cells: int = CELLS,
    rows: Clustered | None = None,
) -> list[Metric]:
    """The metrics of NAMES with intervals; undefined when only one class is there.

    The values are exact. The intervals are of the Bayesian bootstrap over at most `cells` cells of scores, moved by
    what the cells' own value lacks. Half a positive and half a negative row beyond each end of the scores are a
    prior, so that few rows in perfect order do not pass for certainty. Since it also pulls down what is nearly
    perfect, the interval is the hull of those with and without it. `rows` are the same rows where they belong together:
    then whole groups are drawn.
    """
    n = int(of.positive.sum() + of.negative.sum())
    if of.positive.sum() == 0 or of.negative.sum() == 0:
        return [metric(name, np.nan, None, n) for name in NAMES]
    exact = scored(of.positive, of.negative)
    starts = cell_starts(of, cells)
    few = Ranking(np.add.reduceat(of.positive, starts), np.add.reduceat(of.negative, starts))
    k = len(few.positive) + 2
    counts = np.concatenate([np.pad(few.positive, 1), np.pad(few.negative, 1)])
    ends_of_scores = [0, k - 1, k, 2 * k - 1]
    counts[ends_of_scores] = 0.5

    def of_weights(drawn: Floats) -> Floats:
        with_prior = scored(drawn[:, :k], drawn[:, k:])
        drawn[:, ends_of_scores] = 0.0
        return np.stack([with_prior, scored(drawn[:, :k], drawn[:, k:])], axis=1)

    having = None
    if rows is None:
        drawn = weighted(counts, of_weights, rng, resamples)
    else:
        having = int(rows.groups.having(rows.positive.astype(np.int64), 2).min())
        sums = grouped.table(rows.groups, rows.cells(of, starts) + np.where(rows.positive, 1, k + 1), 2 * k, rng)
        prior = np.zeros(2 * k)
        prior[ends_of_scores] = 0.5
        effect = grouped.design_effect(influence(of, rows.order, rows.positive), rows.groups)
        drawn = grouped.weighted(sums, prior, effect, of_weights, rng, resamples)
    moved = exact - scored(few.positive, few.negative)
    most = [1.0, 1.0, np.inf]
    ends = percentiles(np.clip(drawn + moved, 0.0, most), None if having is None else expanded(having))
    hull = zip(NAMES, exact, ends[..., 0].min(axis=0), ends[..., 1].max(axis=0), strict=True)
    return [grouped.told(metric(name, value, (low, high), n), having) for name, value, low, high in hull]


def auc(positive: Floats, negative: Floats) -> Floats:
    """The area under the ROC curve from (..., k) weights by ascending score: P(positive above negative) + ties / 2."""
    below = np.cumsum(negative, axis=-1) - negative / 2
    return np.asarray((positive * below).sum(axis=-1) / (positive.sum(axis=-1) * negative.sum(axis=-1)))


def average_precision(positive: Floats, negative: Floats) -> Floats:
    """The sum of precision times gain in recall over falling thresholds, from (..., k) weights by ascending score."""
    gained = positive[..., ::-1]
    found = np.cumsum(gained, axis=-1)
    named = found + np.cumsum(negative[..., ::-1], axis=-1)
    precision = np.divide(found, named, out=np.zeros_like(found), where=named > 0)
    return np.asarray((precision * gained).sum(axis=-1) / found[..., -1])


def lift(positive: Floats, negative: Floats, top: float = _TOP) -> Floats:
    """The share of positives among the `top` share of rows with the highest scores over that among all rows.

    From (..., k) weights by ascending score. Rows of the score at which the top ends count in part, as many as fit.
    """
    every = positive + negative
    wanted = top * every.sum(axis=-1, keepdims=True)
    above = np.cumsum(every[..., ::-1], axis=-1) - every[..., ::-1]
    taken = np.clip(
        np.divide(wanted - above, every[..., ::-1], out=np.zeros_like(above), where=every[..., ::-1] > 0), 0, 1
    )
    return np.asarray((taken * positive[..., ::-1]).sum(axis=-1) / positive.sum(axis=-1) / top)


def influence(of: Ranking, order: Ints, positive: NDArray[np.bool_]) -> Floats:
    """How much each row moves the area under the curve, times the number of rows: shape (rows,), mean zero.

    The structural components of DeLong, DeLong & Clarke-Pearson (1988): a positive row counts the share of negatives
    below it, a negative row the share of positives above it. `order` sorts the scores.
    """
    positives, negatives = of.positive.sum(), of.negative.sum()
    below = (np.cumsum(of.negative) - of.negative / 2) / negatives
    above = 1 - (np.cumsum(of.positive) - of.positive / 2) / positives
    area = float(auc(of.positive, of.negative))
    cells = np.repeat(np.arange(len(below)), (of.positive + of.negative).astype(np.int64))
    moved = np.empty(len(order))
    moved[order] = np.where(positive[order], (below[cells] - area) / positives, (above[cells] - area) / negatives)
    return np.asarray(moved * (positives + negatives))


def curve(of: Ranking, most: int = 200) -> tuple[Floats, Floats, Floats]:
    """(false positive rate, true positive rate, precision) at up to `most` falling thresholds, ends included."""
    found = np.concatenate([[0.0], np.cumsum(of.positive[::-1])])
    false = np.concatenate([[0.0], np.cumsum(of.negative[::-1])])
    kept = _spread((found / found[-1] + false / false[-1]) / 2, most)
    named = found + false
    precision = np.divide(found, named, out=np.ones_like(found), where=named > 0)
    return false[kept] / false[-1], found[kept] / found[-1], precision[kept]


def _spread(position: Floats, most: int) -> Ints:
    wanted = np.linspace(0.0, 1.0, most)
    return np.unique(np.append(np.searchsorted(position, wanted).clip(0, len(position) - 1), len(position) - 1))


def scored(positive: Floats, negative: Floats) -> Floats:
    """The metrics of NAMES from (..., k) weights by ascending score, on the last axis."""
    areas = auc(positive, negative), average_precision(positive, negative)
    return np.stack([*areas, lift(positive, negative)], axis=-1)
