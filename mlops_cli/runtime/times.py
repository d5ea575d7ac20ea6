"""The parts of a time (year, month, …) by integer arithmetic, alike for one number and for an array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

PARTS = ("year", "month", "day", "weekday", "hour", "minute", "days")

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

# int, or an int64 array: every operation below means the same on both.
Micros = TypeVar("Micros", int, Any)


def parts(micros: Micros, wanted: Sequence[str]) -> list[Micros]:
    """The `wanted` parts of times given as µs since 1970-01-01 UTC, in the order asked.

    year, month 1-12, day 1-31 of the Gregorian calendar, weekday 0 (Monday) to 6, hour 0-23, minute 0-59,
    days since 1970-01-01. An int gives ints, an int64 array of shape (n,) arrays. KeyError on an unknown part.
    """
    days = micros // _DAY
    calendar = _calendar(days) if not {"year", "month", "day"}.isdisjoint(wanted) else (days, days, days)
    take: dict[str, Callable[[], Micros]] = {
        "year": lambda: calendar[0],
        "month": lambda: calendar[1],
        "day": lambda: calendar[2],
        "weekday": lambda: (days + 3) % 7,
        "hour": lambda: micros % _DAY // _HOUR,
        "minute": lambda: micros % _HOUR // _MINUTE,
        "days": lambda: days,
    }
    return [take[part]() for part in wanted]


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
