"""How differently a model treats groups: rates of each group, and the largest ratio and difference between groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import LEVEL, RESAMPLES, Floats, Ints, percentiles, weighted

LEAST = 30
"""Rows of a group below which it is measured, but not compared with others."""

SIDE = 10
"""Rows that a rate is a share of (for recall: those that are positive) below which a group's is not compared."""

LUMPED = ("(null)", "(other)")
"""Levels that are no group of their own: rows of whom nothing is known, and the rest of too many levels."""

RATES = ("selection_rate", "recall", "fpr", "precision", "accuracy")
OWN = ("selection_rate", "fpr")
"""Those of RATES that nothing else measures of a level."""

COMPARED = {
    "demographic_parity": ("selection_rate",),
    "equal_opportunity": ("recall",),
    "equalized_odds": ("recall", "fpr"),
    "precision": ("precision",),
    "accuracy": ("accuracy",),
}
"""What each comparison of groups compares, by the first part of its name; the second is `_ratio` or `_difference`."""

ERRORS = ("mean_prediction", "mae")
"""What is compared of a regression."""

_PRIOR = 0.5  # rows in each cell of a group, as for the metrics of a confusion matrix


class Compared(NamedTuple):
    """One rate of the groups that are compared: (k,) values, (resamples, k) bootstrapped values, (k,) rows."""

    values: Floats
    draws: Floats
    rows: Ints


class Clustered(NamedTuple):
    """Rows that belong together: their groups, (rows,) indices into the cells that are counted and into the levels,
    and (rows,) values that say how alike the rows of a group are."""

    groups: Groups
    cells: Ints
    levels: Ints
    values: Floats

    def draw(self, cells: int, statistic: Callable[[Floats], Floats], rng: np.random.Generator) -> Floats:
        """A statistic of the cells where whole groups are drawn: shape (resamples, ...)."""
        effect = grouped.design_effect(self.values, self.groups)
        prior = np.full(cells, _PRIOR)
        return grouped.weighted(grouped.table(self.groups, self.cells, cells, rng), prior, effect, statistic, rng)


def binary(
    counts: Ints, levels: Sequence[str], column: str, rng: np.random.Generator, rows_of: Clustered | None = None
) -> list[Metric]:
    """`selection_rate` and `fpr` of each level, and the comparisons of COMPARED, from (levels, actual, predicted).

    Code 1 is the positive class. Selection rate: share of rows predicted positive; recall (true positive rate): of
    actual positives; fpr: of actual negatives. Definitions of the comparisons as in fairlearn: the smallest rate over
    the largest (ratio), or the largest less the smallest (difference); of equalized odds the worse of recall and fpr.
    `rows_of` are the same rows where they belong together: then whole groups of them are drawn.
    """
    drawn = _drawn(counts, lambda w: _rates(w.reshape(-1, len(levels), 2, 2)), rng, rows_of)
    exact = counts.astype(np.float64)
    values, below = _rates(exact), _below(exact)
    rows = np.asarray(counts.sum(axis=(1, 2)), dtype=np.int64)
    ends, found = percentiles(drawn), []
    for code in map(int, np.flatnonzero(rows)):
        for at in map(RATES.index, OWN):
            found.append(metric(RATES[at], values[code, at], ends[code, at], int(rows[code]), column, levels[code]))
    each = {}
    for at, name in enumerate(RATES):
        kept = comparable(rows, levels) & (below[:, at] >= SIDE)
        each[name] = Compared(values[kept, at], drawn[:, kept, at], rows[kept])
    for name, rates in COMPARED.items():
        found += compare(name, [each[rate] for rate in rates], column)
    return _told(found, levels, rows_of)


def shares(
    name: str,
    hits: Ints,
    rows: Ints,
    levels: Sequence[str],
    column: str,
    rng: np.random.Generator,
    own: str = "",
    rows_of: Clustered | None = None,
) -> list[Metric]:
    """`NAME_ratio` and `NAME_difference` of (levels,) shares of rows; with `own` also the share of each level."""
    cells = np.stack([rows - hits, hits], axis=-1)
    drawn = _drawn(cells, lambda w: _share(w.reshape(-1, len(levels), 2)), rng, rows_of)
    kept = comparable(rows, levels)
    values = _share(cells.astype(np.float64))
    found = []
    if own:
        ends = percentiles(drawn)
        for code in map(int, np.flatnonzero(rows)):
            found.append(metric(own, float(values[code]), ends[code], int(rows[code]), column, levels[code]))
    found += compare(name, [Compared(values[kept], drawn[:, kept], rows[kept])], column)
    return _told(found, levels, rows_of)


def regression(
    actual: Floats,
    predicted: Floats,
    codes: Ints,
    levels: Sequence[str],
    column: str,
    rng: np.random.Generator,
    groups: Groups | None = None,
) -> list[Metric]:
    """`mean_prediction` of each level; `mean_prediction_difference`, `mae_difference`, `mae_ratio` between levels."""
    found, kept = [], comparable(np.bincount(codes, minlength=len(levels)), levels)
    parts: list[tuple[Floats, Floats, int]] = []
    for code, level in enumerate(levels):
        rows = codes == code
        values = np.column_stack([predicted[rows], np.abs(predicted[rows] - actual[rows])])
        if not len(values):
            continue
        part = None if groups is None else groups.part(np.flatnonzero(rows))
        drawn = grouped.means(values, part, rng)
        ends = percentiles(drawn[:, 0], grouped.tails(len(values), part))
        found.append(metric("mean_prediction", values[:, 0].mean(), ends, len(values), column, level))
        if kept[code]:
            parts.append((values.mean(axis=0), drawn, len(values)))
    sizes = np.array([rows for _, _, rows in parts], dtype=np.int64)
    for at, name in enumerate(ERRORS):
        value = np.array([each[at] for each, _, _ in parts], dtype=np.float64)
        draws = np.stack([each[:, at] for _, each, _ in parts], axis=1) if parts else np.empty((RESAMPLES, 0))
        both = compare(name, [Compared(value, draws, sizes)], column)
        found += both if name == "mae" else both[1:]  # the ratio of means depends on where 0 is
    return _told(found, levels, None if groups is None else Clustered(groups, codes, codes, predicted))


def gap(
    score: Floats, actual: Ints, column: str, level: str, rng: np.random.Generator, groups: Groups | None = None
) -> Metric:
    """`calibration_gap`: mean probability of the positive class less its share among (rows,) actual codes."""
    off = score - actual
    ends = percentiles(grouped.means(off[:, None], groups, rng)[:, 0], grouped.tails(len(off), groups))
    found = metric("calibration_gap", float(off.mean()), ends, len(off), column, level)
    return found if groups is None else grouped.told(found, groups.count)


def comparable(rows: Ints, levels: Sequence[str]) -> NDArray[np.bool_]:
    """Which levels are compared at all: groups of at least LEAST rows."""
    return np.asarray((rows >= LEAST) & ~np.isin(np.asarray(levels, dtype=object), LUMPED), dtype=np.bool_)


def compare(name: str, rates: Sequence[Compared], column: str) -> list[Metric]:
    """`NAME_ratio` and `NAME_difference` between the groups, the worst of several rates.

    Undefined with fewer than two groups, a ratio also where the largest rate is 0. `n` are the rows compared.
    """
    rows = max((int(rate.rows.sum()) for rate in rates), default=0)
    if any(len(rate.values) < 2 for rate in rates):
        return [Metric(f"{name}_{kind}", None, None, None, max(1, rows), column) for kind in ("ratio", "difference")]
    difference = max(float(np.ptp(rate.values)) for rate in rates)
    ratios = [rate.values.min() / rate.values.max() if rate.values.max() > 0 else np.nan for rate in rates]
    ratio = float(np.min(ratios))  # undefined where one of them is
    ends = spread(rate.draws for rate in rates)
    with np.errstate(divide="ignore"):
        low, high = spread(np.log(np.maximum(rate.draws, np.finfo(float).tiny)) for rate in rates)
    return [
        metric(f"{name}_ratio", ratio, (np.exp(-high), np.exp(-low)), rows, column),
        metric(f"{name}_difference", difference, ends, rows, column),
    ]


def spread(draws: Iterable[Floats]) -> tuple[float, float]:
    """A 95 % interval of the largest difference between two groups, from (resamples, groups) values of each rate.

    The largest of measured differences is larger than that of the true ones: it is picked for its chance too, and so
    is that of a resample. So the interval is made of the pairs' own. The largest difference is that of some pair, and
    below the 97.5 % end of that pair; no end of a pair is higher than the highest, which is the upper end
    (intersection and union, Berger 1982). It is above every pair's lower end where all hold together: the lower end
    is the highest of simultaneous ones (percentiles by rank, Mandel & Betensky 2008), and never below 0.
    """
    pairs = np.concatenate([_pairs(each) for each in draws], axis=1)
    last = len(pairs) - 1
    order = np.argsort(pairs, axis=0)
    ordered = np.take_along_axis(pairs, order, axis=0)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(last + 1)[:, None], axis=0)
    tail = (1 - LEVEL) / 2
    outer = np.minimum(rank, last - rank).min(axis=1)
    together = int(np.quantile(outer, tail, method="lower"))
    alone = int(tail * last)
    high = max(ordered[last - alone].max(), -ordered[alone].min())
    low = max(0.0, ordered[together].max(), -ordered[last - together].min())
    return float(low), float(high)


def _pairs(values: Floats) -> Floats:
    """The differences of all pairs of columns: shape (resamples, k (k - 1) / 2)."""
    first, second = np.triu_indices(values.shape[1], 1)
    return np.asarray(values[:, first] - values[:, second])


def _rates(cells: Floats) -> Floats:
    """RATES of (..., actual, predicted) cells, on the last axis; NaN where there is nothing to divide by."""
    above = [
        cells[..., 1].sum(-1),
        cells[..., 1, 1],
        cells[..., 0, 1],
        cells[..., 1, 1],
        cells[..., 0, 0] + cells[..., 1, 1],
    ]
    below = _below(cells)
    empty = np.full(below.shape, np.nan)
    return np.asarray(np.divide(np.stack(above, axis=-1), below, out=empty, where=below > 0))


def _drawn(
    counts: Ints, statistic: Callable[[Floats], Floats], rng: np.random.Generator, rows_of: Clustered | None
) -> Floats:
    """A statistic of counted cells, each with its prior, of rows alone or of whole groups: (resamples, ...)."""
    if rows_of is not None:
        return rows_of.draw(counts.size, statistic, rng)
    return weighted(np.asarray(counts.reshape(-1) + _PRIOR, dtype=np.float64), statistic, rng)


def _told(found: list[Metric], levels: Sequence[str], rows_of: Clustered | None) -> list[Metric]:
    """The metrics with how many groups each rests on; a comparison on all, unless a level that it compares has few."""
    if rows_of is None:
        return found
    having = rows_of.groups.having(rows_of.levels, len(levels))
    kept = comparable(np.bincount(rows_of.levels, minlength=len(levels)), levels)
    fewest = int(having[kept].min()) if kept.any() else 0
    whole = fewest if fewest < grouped.FEW else rows_of.groups.count
    by_level = dict(zip(levels, map(int, having), strict=True))
    return [grouped.told(one, whole if one.level is None else by_level[one.level]) for one in found]


def _below(cells: Floats) -> Floats:
    """What each of RATES is a share of, on the last axis."""
    rows, positive = cells.sum((-2, -1)), cells[..., 1, :].sum(-1)
    return np.asarray(np.stack([rows, positive, rows - positive, cells[..., 1].sum(-1), rows], axis=-1))


def _share(cells: Floats) -> Floats:
    """The second of two cells as a share of both, NaN without rows."""
    rows = cells.sum(-1)
    return np.asarray(np.divide(cells[..., 1], rows, out=np.full(rows.shape, np.nan), where=rows > 0))
