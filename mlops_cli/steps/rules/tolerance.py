"""How much wider than what was seen inferred rules are: a multiple of the spread between the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import polars as pl

from mlops_cli.steps.rules import types

DIGITS = 6
"""Of a bound that was widened, rounded outwards."""


def limits(
    lows: Sequence[int | float], highs: Sequence[int | float], times: float, dtype: pl.DataType
) -> tuple[int | float, int | float]:
    """The bounds of a column of type `dtype` whose least and largest values in each table were `lows` and `highs`.

    With several tables: min(lows) - times · (max(lows) - min(lows)) and max(highs) + times · (max(highs) -
    min(highs)); with one, whose values say nothing about other tables, its own range takes the place of both spreads.
    What was never negative stays so, an integer stays within its type, what was infinite is not widened.
    """
    low, high = min(lows), max(highs)
    if not times:
        return low, high
    if len(lows) == 1:
        below = above = times * (high - low)
    else:
        below, above = times * (max(lows) - low), times * (high - min(highs))
    least, most = _wider(low, -below), _wider(high, above)
    if low >= 0:
        least = max(least, 0)
    if dtype.is_integer():
        smallest, largest = types.bounds(dtype)
        return max(math.floor(least), smallest), min(math.ceil(most), largest)
    return least, most


def share(shares: Sequence[float], times: float) -> float:
    """The bound of a share from its value in each table, rounded up to the next hundredth of a percent; at most 1."""
    bound = max(shares) + times * (max(shares) - min(shares))
    return min(1.0, math.ceil(bound * 10_000) / 10_000)


def _wider(value: int | float, by: float) -> int | float:
    """`value` + `by` with DIGITS significant digits, rounded away from the value; itself where that is no number."""
    if not by or not math.isfinite(by) or not math.isfinite(value + by):
        return value
    context = Context(prec=DIGITS, rounding=ROUND_CEILING if by > 0 else ROUND_FLOOR)
    found = float(context.create_decimal(Decimal(value) + Decimal(by)))
    return max(found, value) if by > 0 else min(found, value)
