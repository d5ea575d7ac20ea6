"""Fit the preparation of dates and times: the parts that vary, their places in the day, the week and the year."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from mlops_cli.models.prepare_found import Found, Unused
from mlops_cli.runtime.features import FeatureColumn
from mlops_cli.runtime.times import ELAPSED, MICROSECONDS_OF_A_DAY, PARTS, parts

DAY = MICROSECONDS_OF_A_DAY
_CYCLE_OF = {"hour": "hour", "weekday": "weekday", "month": "yearday"}
_AHEAD = ("year", ELAPSED)
"""What later rows always have beyond all that training saw: a tree gives them what the last of its rows had."""
_SEASON = ("month", "yearday_sin", "yearday_cos")
_AT_ONCE = 65_536
_TWO_YEARS = 730 * DAY
"""From rows of less than this a season cannot be told from a trend; see docs/preparation.md."""


def fit(
    micros: pl.LazyFrame, name: str, kind: Literal["date", "datetime"], rows: int, *, ahead: bool
) -> Found | Unused:
    """How a column of times is used, given as µs; `ahead` when the rows to come are all later than these."""
    values = micros.drop_nulls().collect(engine="streaming").to_series().to_numpy()
    if not len(values):
        return Unused("all null")
    wanted = _varying(values)
    for part, cycle in _CYCLE_OF.items():
        if part in wanted:
            wanted += [f"{cycle}_sin", f"{cycle}_cos"]
    origin = int(values.min()) // DAY * DAY
    if _varies(values):
        wanted.append(ELAPSED)
    if not wanted:
        return Unused("always the same time" if len(values) == rows else "one time or null")
    if ahead:
        gone = _AHEAD if int(values.max()) - int(values.min()) >= _TWO_YEARS else (*_AHEAD, *_SEASON)
        wanted = [part for part in wanted if part not in gone] or wanted
    origin = origin if ELAPSED in wanted else 0
    return Found(FeatureColumn(name, kind, "time", parts=wanted, origin=origin), len(values) < rows)


def _varying(values: np.ndarray) -> list[str]:
    """The calendar parts that are not the same in all times, looked at some times after the other."""
    found: set[str] = set()
    calendar = [part for part in PARTS if part != "days"]
    first = dict(zip(calendar, parts(values[:1], calendar), strict=True))
    for start in range(0, len(values), _AT_ONCE):
        asked = [part for part in calendar if part not in found]
        if not asked:
            break
        some = zip(asked, parts(values[start : start + _AT_ONCE], asked), strict=True)
        found |= {part for part, there in some if (there != first[part]).any()}
    return [part for part in calendar if part in found]


def _varies(values: np.ndarray) -> bool:
    return bool(values.min() != values.max())
