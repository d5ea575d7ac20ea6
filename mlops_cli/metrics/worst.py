"""The slices where a loss is surely higher than in the rest: found on one half of the rows, measured on the other.

A slice is a level of a column, or of two. Slice Finder (Chung et al., "Slice Finder: Automated Data Slicing for Model
Validation", ICDE 2019) and SliceLine (Sagadeeva & Boehm, SIGMOD 2021) search so too. Among thousands of slices some are
bad by chance: what is told of a slice comes from rows that had no part in finding it, so nothing needs to be taken off.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import grouped
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import LEVEL, Floats, Ints, student

MOST = 10
"""Slices that are told."""

_LOOKED_AT = 300  # of the best candidates, for those that are no near-duplicates
_ALIKE = 0.8  # share of the smaller one's rows that two slices may have in common
_FEWEST = 10  # rows of a slice in the half that it is found on: a variance needs some

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Coded:
    """A column as (rows,) codes into its `levels`; the code len(levels) is for rows of levels that are too rare."""

    name: str
    codes: Codes
    levels: list[str]


Where = tuple[tuple[int, int], ...]
"""A slice: (column, level) once or twice."""


@dataclass(frozen=True)
class Measured:
    """A slice on the rows that had no part in finding it.

    `value` and `rest` are the mean losses of its rows and of the others, with the 95 % interval of `value`;
    `difference` that of both, its interval holding for all slices told at once (Bonferroni, 1936). `rows` are those of
    the slice in all data, `measured` those that it was measured on, `groups` the number of theirs.
    """

    where: Where
    rows: int
    measured: int
    value: tuple[float, float, float]
    rest: float
    difference: tuple[float, float, float]
    groups: int | None


@dataclass(frozen=True)
class _Candidate:
    where: Where
    surely: float


def search(
    columns: Sequence[Coded], loss: Floats, least: int, groups: Groups | None, rng: np.random.Generator
) -> tuple[list[Measured], int]:
    """Up to MOST slices, and how many were looked at.

    A slice has at least `least` rows and at most half of all; those come first that are most surely worse.
    """
    half = rng.random(len(loss) if groups is None else groups.count) < 0.5
    finding = half if groups is None else half[groups.codes]
    first, second = np.flatnonzero(finding), np.flatnonzero(~finding)
    if not len(first) or not len(second):
        return [], 0
    own = [Coded(each.name, each.codes[first], each.levels) for each in columns]
    part = None if groups is None else groups.part(first)
    effect = 1.0 if part is None else grouped.design_effect(loss[first], part)
    candidates, tried = _candidates(own, loss[first], max(_FEWEST, least // 2), effect)
    chosen = _distinct([each for each in candidates if rows_of(each.where, columns).sum() >= least], own)
    found = [_measure(where, columns, loss, second, groups, len(chosen)) for where in chosen]
    return [one for one in found if one is not None], tried


def rows_of(where: Where, columns: Sequence[Coded], rows: Ints | None = None) -> NDArray[np.bool_]:
    """Which of the rows are in a slice."""
    inside = [(columns[c].codes if rows is None else columns[c].codes[rows]) == level for c, level in where]
    return np.asarray(np.logical_and.reduce(inside))


def _candidates(columns: Sequence[Coded], loss: Floats, least: int, effect: float) -> tuple[list[_Candidate], int]:
    """Slices with a lower bound of the difference above 0, that bound corrected for how many there are.

    A pair counts only where it is more surely worse than each of its two levels alone.
    """
    sums = list(_sums(columns, loss))
    tried = sum(int((rows >= least).sum()) for _, _, rows, _, _ in sums)
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / max(1, tried))
    square, total = float(loss @ loss), float(loss.sum())
    alone: dict[tuple[int, int], float] = {}
    found: list[_Candidate] = []
    for one, other, rows, summed, squared in sums:
        surely = _surely((rows, summed, squared), (len(loss), total, square), z, effect)
        surely[(rows < least) | (rows > len(loss) / 2)] = -np.inf
        width = len(columns[other].levels) + 1 if other >= 0 else 1
        for cell in np.flatnonzero(surely > 0):
            where: Where = ((one, int(cell // width)),)
            if other >= 0:
                where = (*where, (other, int(cell % width)))
                if surely[cell] <= max(alone.get(level, 0.0) for level in where):
                    continue
            else:
                alone[where[0]] = float(surely[cell])
            found.append(_Candidate(where, float(surely[cell])))
    return sorted(found, key=lambda each: (-each.surely, each.where))[:_LOOKED_AT], tried


def _sums(columns: Sequence[Coded], loss: Floats) -> Iterator[tuple[int, int, Floats, Floats, Floats]]:
    """(column, other column or -1, rows, sum of losses, sum of squares) of each level, then of each pair of levels.

    Cells of levels that are too rare have no rows.
    """
    squared = loss**2
    for one, other in [(c, -1) for c in range(len(columns))] + list(itertools.combinations(range(len(columns)), 2)):
        code, height = columns[one].codes.astype(np.int64), len(columns[one].levels) + 1
        width = 1
        if other >= 0:
            width = len(columns[other].levels) + 1
            code = code * width + columns[other].codes
        cells = height * width
        sums = [np.bincount(code, weights, cells).astype(np.float64) for weights in (None, loss, squared)]
        sums[0].reshape(height, width)[-1] = 0
        if other >= 0:
            sums[0].reshape(height, width)[:, -1] = 0
        yield one, other, sums[0], sums[1], sums[2]


def _surely(inside: tuple[Floats, Floats, Floats], every: tuple[int, float, float], z: float, effect: float) -> Floats:
    """The lower bound of the mean in each cell less that of the rest, from (rows, sums, squares) of each and of all."""
    rows, summed, squared = inside
    others = every[0] - rows
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, rest = summed / rows, (every[1] - summed) / others
        spread = np.maximum(0.0, squared / rows - mean**2) / (rows - 1)
        spread += np.maximum(0.0, (every[2] - squared) / others - rest**2) / (others - 1)
        bound = mean - rest - z * np.sqrt(spread * effect)
    return np.asarray(np.nan_to_num(bound, nan=-np.inf, posinf=-np.inf, neginf=-np.inf))


def _distinct(candidates: Sequence[_Candidate], columns: Sequence[Coded]) -> list[Where]:
    """The first candidates, those left out that have most of their rows in common with one before."""
    chosen: list[tuple[Where, NDArray[np.bool_], int]] = []
    for each in candidates:
        inside = rows_of(each.where, columns)
        count = int(inside.sum())
        if all(int((inside & seen).sum()) <= _ALIKE * min(count, size) for _, seen, size in chosen):
            chosen.append((each.where, inside, count))
        if len(chosen) == MOST:
            break
    return [where for where, _, _ in chosen]


def _measure(
    where: Where, columns: Sequence[Coded], loss: Floats, rows: Ints, groups: Groups | None, told: int
) -> Measured | None:
    """A slice on rows that had no part in finding it; None where too few of them, or of their groups, are inside."""
    inside, own = rows_of(where, columns, rows), loss[rows]
    n, count = len(rows), int(inside.sum())
    within = None if groups is None else groups.part(rows[inside])
    units = count if within is None else within.count
    if min(units, n - count) < 2:
        return None
    value, rest = float(own[inside].mean()), float(own[~inside].mean())
    half = student((1 + LEVEL) / 2, units - 1) * grouped.spread(own[inside], within)
    moved = np.where(inside, (own - value) * (n / count), -(own - rest) * (n / (n - count)))
    error = grouped.spread(moved, None if groups is None else groups.part(rows))
    wide = student(1 - (1 - LEVEL) / 2 / told, units - 1) * error
    gap = value - rest
    every = int(rows_of(where, columns).sum())
    ends = (value, max(0.0, value - half), value + half)
    return Measured(where, every, count, ends, rest, (gap, gap - wide, gap + wide), within.count if within else None)
