"""The parts of a time (year, month, …, places in a cycle) by arithmetic, alike for one number and for an array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

PARTS = ("year", "month", "day", "weekday", "hour", "minute", "days")
"""Whole numbers, which format 1 of `features.json` has."""
CYCLES = ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "yearday_sin", "yearday_cos")
"""Where on the circle of a day, a week or a year a time is: midnight lies beside 23:59, December beside January."""
ELAPSED = "elapsed"
"""Days since an origin that is stored, with their fraction."""
ALL = (*PARTS, *CYCLES, ELAPSED)

MICROSECONDS_OF_A_DAY = 86_400_000_000
_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = MICROSECONDS_OF_A_DAY

# int, or an int64 array: every operation below means the same on both.
Micros = TypeVar("Micros", int, Any)


def _circle(steps: int, length: float) -> dict[str, tuple[float, ...]]:
    """Sine and cosine of each step around a circle of `length` steps.

    From a table of six digits, since the last digit of a sine is not the same on every machine and in every library.
    """
    turns = [2 * math.pi * step / length for step in range(steps)]
    return {"sin": tuple(round(math.sin(turn), 6) for turn in turns),
            "cos": tuple(round(math.cos(turn), 6) for turn in turns)}  # fmt: skip


CIRCLES = {"hour": _circle(1440, 1440), "weekday": _circle(7, 7), "yearday": _circle(366, 365.25)}
"""By the minute of the day, the day of the week from Monday, and the day of the year from 0."""
_ARRAYS = {f"{name}_{way}": np.array(table) for name, both in CIRCLES.items() for way, table in both.items()}


def parts(micros: Micros, wanted: Sequence[str], origin: int = 0) -> list[Any]:
    """The `wanted` parts of times given as µs since 1970-01-01 UTC, in the order asked.

    year, month 1-12, day 1-31 of the Gregorian calendar, weekday 0 (Monday) to 6, hour 0-23, minute 0-59, days since
    1970-01-01; sine and cosine of the hour with its minutes, the weekday and the day of the year; elapsed, the days
    since `origin` in µs. An int gives numbers, an int64 array of shape (n,) arrays. KeyError on an unknown part.
    """
    days = micros // _DAY
    needs = {"year", "month", "day", "yearday_sin", "yearday_cos"}
    year, month, day = _calendar(days) if not needs.isdisjoint(wanted) else (days, days, days)
    take: dict[str, Callable[[], Any]] = {
        "year": lambda: year,
        "month": lambda: month,
        "day": lambda: day,
        "weekday": lambda: (days + 3) % 7,
        "hour": lambda: micros % _DAY // _HOUR,
        "minute": lambda: micros % _HOUR // _MINUTE,
        "days": lambda: days,
        ELAPSED: lambda: (micros * 1.0 - origin) / _DAY,
    }
    steps: dict[str, Callable[[], Any]] = {
        "hour": lambda: micros % _DAY // _MINUTE,
        "weekday": lambda: (days + 3) % 7,
        "yearday": lambda: days - _first_of(year),
    }
    found = []
    for part in wanted:
        cycle = part.rpartition("_")[0]
        found.append(_ARRAYS[part][steps[cycle]()] if cycle else take[part]())
    return found


def _first_of(year: Micros) -> Micros:
    """The days from 1970-01-01 to the first of January of a year."""
    before = year - 1
    return 365 * before + before // 4 - before // 100 + before // 400 - 719_162


def _calendar(days: Micros) -> tuple[Micros, Micros, Micros]:
    """Year, month and day of days since 1970: H. Hinnant, "chrono-compatible low-level date algorithms"."""
    shifted = days + 719_468  # days since 0000-03-01: a leap day is then the last of its year
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    day = of_year - (153 * from_march + 2) // 5 + 1
    month = (from_march + 2) % 12 + 1
    year = year_of_era + era * 400 + (month <= 2) * 1
    return year, month, day
