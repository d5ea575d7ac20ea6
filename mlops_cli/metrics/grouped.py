"""The bootstrap of rows that belong together: whole groups are drawn, with whatever they hold.

Rows of one patient, camera or customer resemble one another, so that a thousand of them may say as little as ten. What
varies between samples is which groups are in them (Davison & Hinkley, "Bootstrap Methods", 1997, section 3.8; Field &
Welsh, "Bootstrapping clustered data", JRSS B 69, 2007). Everything here works on tables of sums by group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from mlops_cli.metrics import intervals
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.intervals import PLAIN, RESAMPLES, Floats, Ints, chunks, counts, expanded, percentiles

FEW = 30
"""Below this many groups an interval is wide for want of groups, and is told so."""

_ENTRIES = 1_000_000  # of a table of sums by group, of eight bytes
_LEAST = 1000  # groups that are always kept apart: the variance has a relative error of 4.5 % then
_MARKED = 100_000_000  # cells of groups that are marked one by one, of one byte


@dataclass(frozen=True)
class Groups:
    """Which rows belong together: (rows,) codes from 0 to `count` - 1, each of which occurs."""

    codes: Ints
    count: int

    @classmethod
    def of(cls, codes: Ints) -> Groups | None:
        """The groups of (rows,) codes from 0 up, some of which may not occur; None where every row is alone."""
        there = np.bincount(codes) > 0
        count = int(there.sum())
        return None if count == len(codes) else cls((np.cumsum(there) - 1)[codes], count)

    def part(self, rows: Ints) -> Groups | None:
        """The groups of some of the rows."""
        return Groups.of(self.codes[rows])

    def having(self, place: Ints, cells: int) -> Ints:
        """In how many groups each of so many cells occurs, from the (rows,) cell of every row: shape (cells,)."""
        both = self.codes * cells + place
        if self.count * cells > _MARKED:
            return np.bincount(np.unique(both) % cells, minlength=cells)
        there = np.zeros(self.count * cells, dtype=np.bool_)
        there[both] = True
        return np.asarray(there.reshape(self.count, cells).sum(axis=0))

    def dealt(self, cells: int, rng: np.random.Generator) -> tuple[Ints, int]:
        """(rows,) codes of fewer groups, and how many: many groups are dealt at random into some that hold several.

        The variance of a sum keeps its expectation; `cells` are the columns of the table that is to fit into memory.
        """
        most = min(PLAIN, max(_LEAST, _ENTRIES // cells))
        if self.count <= most:
            return self.codes, self.count
        return (rng.permutation(self.count) % most)[self.codes], most


def table(groups: Groups, place: Ints, cells: int, rng: np.random.Generator) -> Floats:
    """How many rows of each group are in each cell: shape (groups, cells), of many groups as `Groups.dealt`."""
    codes, count = groups.dealt(cells, rng)
    return np.bincount(codes * cells + place, minlength=count * cells).reshape(count, cells).astype(np.float64)


def weighted(
    sums: Floats,
    prior: Floats,
    effect: float,
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Floats:
    """A statistic of counted cells under the Bayesian bootstrap of groups: shape (resamples, ...).

    Each group weighs Exp(1), as each row does in `intervals.weighted`. `prior` are fractions of a row for each cell;
    a row counts here as `effect` rows, since that many rows of one group say as much as one that is alone.
    """
    parts = []
    for start, stop in chunks(resamples, max(len(sums), sums.shape[1])):
        drawn = rng.standard_exponential((stop - start, len(sums))) @ sums
        drawn += effect * rng.standard_gamma(prior, (stop - start, len(prior)))
        parts.append(statistic(drawn))
    return np.concatenate(parts)


def means(values: Floats, groups: Groups | None, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Bootstrapped means of the columns of (rows, m) values: shape (resamples, m); of rows alone or of whole groups."""
    if groups is None:
        return intervals.means(values, rng, resamples)
    codes, count = groups.dealt(values.shape[1] + 1, rng)
    columns = [np.bincount(codes, column, count) for column in values.T]
    sums = np.column_stack([*columns, np.bincount(codes, minlength=count)])
    parts = [counts(rng, stop - start, count) @ sums for start, stop in chunks(resamples, count)]
    drawn = np.concatenate(parts)
    return np.asarray(drawn[:, :-1] / drawn[:, -1:])


def medians(ordered: Floats, order: Ints, groups: Groups, rng: np.random.Generator, resamples: int) -> Floats:
    """Bootstrapped medians of whole groups: shape (resamples,), from ascending values and the order that sorts rows.

    The share of each resample that lies below the sample's median says which of the sample's quantiles is in its
    middle (Woodruff, "Confidence Intervals for Medians", JASA 47, 1952).
    """
    below = np.zeros((len(ordered), 1))
    below[order[: (len(ordered) + 1) // 2]] = 1.0
    moved = below.mean() - means(below, groups, rng, resamples)[:, 0]
    return np.asarray(np.quantile(ordered, np.clip(0.5 + moved, 0.0, 1.0)))


def design_effect(values: Floats, groups: Groups) -> float:
    """How many rows of a group say as much about the mean of (rows,) values as one row alone would.

    The variance of the mean with groups over that without (Kish, "Survey Sampling", 1965), between 1 and the mean size
    of a row's group, which it is where all values are the same: then nothing is known of how alike groups are.
    """
    sizes = np.bincount(groups.codes).astype(np.float64)
    whole = float((sizes**2).sum() / sizes.sum())
    centred = values - values.mean()
    alone = float((centred**2).sum())
    if groups.count < 2 or alone <= 1e-12 * max(1.0, float((values**2).sum())):
        return whole
    together = float((np.bincount(groups.codes, centred) ** 2).sum()) * groups.count / (groups.count - 1)
    return min(max(1.0, together / alone), max(1.0, whole))


def tails(rows: int, groups: Groups | None) -> tuple[float, float]:
    """The percentiles to read for so many rows, or for their groups where these are fewer."""
    return expanded(rows if groups is None else groups.count)


def ends(samples: Floats, having: Ints) -> Floats:
    """The intervals of (resamples, m) values, each by how many groups its metric rests on: shape (m, 2)."""
    found = np.empty((samples.shape[1], 2))
    for count in np.unique(having):
        chosen = having == count
        found[chosen] = percentiles(samples[:, chosen], expanded(int(count)))
    return found


def spread(values: Floats, groups: Groups | None) -> float:
    """The standard error of the mean of (rows,) values, of rows alone or of whole groups; NaN of a single one."""
    count = len(values) if groups is None else groups.count
    if count < 2:
        return float("nan")
    centred = values - values.mean()
    sums = centred if groups is None else np.bincount(groups.codes, centred)
    return float(np.sqrt((sums**2).sum() * count / (count - 1))) / len(values)


def told(metric: Metric, count: int | None) -> Metric:
    """The metric with the number of groups that it rests on; without an interval when that is one."""
    if count is None or metric.low is None:
        return metric
    if count < 2:
        return msgspec.structs.replace(metric, low=None, high=None, groups=count)
    return msgspec.structs.replace(metric, groups=count)


def alone(metrics: list[Metric], groups: Groups | None) -> list[Metric]:
    """The metrics, each told on how many groups it rests: all of them."""
    return metrics if groups is None else [told(one, groups.count) for one in metrics]
