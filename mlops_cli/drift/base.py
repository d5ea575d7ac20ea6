"""What a drift test compares, what it answers, and the Protocol its module meets."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec
import numpy as np


class ColumnProfile(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How the values of one column were distributed: counts between edges, or counts of levels.

    `nulls` counts what a model sees as missing: null, NaN and the infinities. A column of numbers or times (int64 µs
    since the epoch, UTC) has `edges` e[0] < … < e[k-1] and k+1 `counts`: values below e[0], from e[i-1] up to but
    without e[i], and from e[k-1] on; min, max, mean and std are of the finite values and absent when there are none.
    A column of strings or booleans has `levels`, their `counts`, and in `other` the values of all further levels.
    """

    name: str
    type: str
    nulls: int
    counts: list[int]
    edges: list[int | float] | None = None
    min: int | float | None = None
    max: int | float | None = None
    mean: float | None = None
    std: float | None = None
    levels: list[str] | None = None
    other: int | None = None


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The columns of a table, and of a model's own predictions when `prediction` is there (rows: n)."""

    format: int
    rows: int
    columns: list[ColumnProfile]
    prediction: ColumnProfile | None = None

    def column(self, name: str) -> ColumnProfile | None:
        """The profile of the column `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)


class Drift(msgspec.Struct, frozen=True):
    """What a drift test found: the statistic, its 95 % sampling interval, and whether it surely is past the threshold.

    `drifted` is true when the whole interval lies above the threshold, so that few rows never look like drift.
    """

    statistic: float
    low: float
    high: float
    p_value: float | None
    threshold: float
    drifted: bool


class DriftTest(Protocol):
    """A drift test: a module whose name in the table of tests is also the name of its metric, `psi[column]`."""

    THRESHOLD: float  # the statistic above which it is called drift where the user names no other

    def applies(self, reference: ColumnProfile) -> bool:
        """Can this kind of column be tested at all? (Levels, for one, have no order.)"""

    def compare(
        self, reference: ColumnProfile, live: ColumnProfile, threshold: float | None = None, error: float = 0.05
    ) -> Drift:
        """The distance of `live`, which was counted in the edges or levels of `reference`, from it.

        `error` is the chance that the interval is allowed to miss: 0.05 of a 95 % interval.
        Without rows on either side the statistic is 0 and the interval has no upper end: nothing is known.
        """


def cells(column: ColumnProfile) -> np.ndarray:
    """All counts of a column as float64: its bins or levels, then other levels (if it has levels), then the missing."""
    tail = [column.nulls] if column.levels is None else [column.other or 0, column.nulls]
    return np.asarray([*column.counts, *tail], dtype=np.float64)


def paired(reference: ColumnProfile, live: ColumnProfile) -> tuple[np.ndarray, np.ndarray]:
    """The cells of both, without those that are empty on both sides; they must have the same edges or levels."""
    if (reference.edges, reference.levels) != (live.edges, live.levels):
        raise ValueError(f"column {reference.name}: not counted in the reference's edges or levels")
    expected, actual = cells(reference), cells(live)
    seen = (expected + actual) > 0
    return expected[seen], actual[seen]


def settled(statistic: float, interval: tuple[float, float], p_value: float | None, threshold: float) -> Drift:
    """A Drift from its numbers, the interval made to hold the statistic and rounded to what is meaningful."""
    low, high = min(interval[0], statistic), max(interval[1], statistic)
    return Drift(
        statistic=rounded(statistic),
        low=rounded(low),
        high=rounded(high),
        p_value=None if p_value is None else rounded(p_value),
        threshold=threshold,
        drifted=low > threshold,
    )


def unknown(threshold: float) -> Drift:
    """The answer where one side has no rows: no distance seen, any distance possible."""
    return Drift(statistic=0.0, low=0.0, high=float("inf"), p_value=None, threshold=threshold, drifted=False)


def rounded(value: float, digits: int = 10) -> float:
    """`value` to ten significant digits, so that bytes do not depend on the order of a sum; whole where that is ∞."""
    found = float(f"{value:.{digits}g}")
    return found if math.isfinite(found) else value
