"""How a table is to be divided: the flags of `split`, checked before anything is read."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import polars as pl

from mlops_cli.errors import UnknownColumn, Usage, listed

_UNITS = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86_400 * 10**6,
    "w": 604_800 * 10**6,
}

MOST = 100
"""Folds, and bins."""


@dataclass(frozen=True)
class Options:
    """`test` and `valid` are shares of the rows (`0.2`, `20%`), or with `time` the time at which the part begins."""

    test: str = "0.2"
    valid: str = "0.1"
    stratify: str | None = None
    group: str | None = None
    time: str | None = None
    embargo: str | None = None
    key: tuple[str, ...] = ()
    seed: int = 0
    near: str | None = None  # COLUMN, COLUMN=DISTANCE or `off`; None: as the table is
    bins: int = 10  # of a column of quantities that --stratify or --target names
    target: str | None = None  # what the certificate looks at; None: the column of --stratify
    folds: int | None = None

    @property
    def method(self) -> str:
        """What decides the part of a row: time (in each group when both are given), group, stratify, key or row."""
        given = [name for name in ("time", "group", "stratify", "key") if getattr(self, name)]
        return given[0] if given else "row"

    def columns(self) -> list[str]:
        """The columns that the flags name."""
        named = (self.time, self.group, self.stratify, self.target, *self.key)
        return [name for name in named if name]


def check(options: Options) -> None:
    """Usage when flags do not go together or a value is none."""
    if options.stratify and (options.time or options.group):
        other = "time" if options.time else "group"
        raise Usage(f"--{other} and --stratify exclude each other", "choose the one that later data will follow")
    if options.key and (options.time or options.group):
        raise Usage(f"--key and --{options.method} exclude each other: rows are placed by one of them")
    if options.embargo and not options.time:
        raise Usage("--embargo is a gap in time", "say which column is the time with --time COLUMN")
    for flag, number in (("bins", options.bins), ("folds", options.folds)):
        if number is not None and not 2 <= number <= MOST:
            raise Usage(f"--{flag} {number} is not between 2 and {MOST}")
    if options.bins != 10 and not (options.stratify or options.target):
        raise Usage("--bins divides the column of --stratify or --target", "--stratify COLUMN --bins 5")
    if not 0 <= options.seed < 2**63:
        raise Usage(f"--seed {options.seed} is not between 0 and 2^63")
    shares = [_checked(flag, getattr(options, flag), options) for flag in ("test", "valid")]
    if sum(one for one in shares if one is not None) >= 1:
        raise Usage(f"--test {options.test} and --valid {options.valid} leave no rows to train on")


def _checked(flag: str, text: str, options: Options) -> Fraction | None:
    value = share(text)
    if value is None and not options.time:
        raise Usage(f"--{flag} {text!r} is not a share of the rows", "0.2 or 20%; a date goes with --time COLUMN")
    if value is not None and value <= 0:
        raise Usage(f"--{flag} {text} is no share: it must be more than 0", "0.2 or 20%")
    return value if value is None or value < 1 or not options.time else None


def share(text: str) -> Fraction | None:
    """`0.2` and `20%` as an exact fraction; None for what is no number."""
    found = re.fullmatch(r"\s*(-?\d*\.?\d+)\s*(%?)\s*", text)
    return Fraction(found[1]) / (100 if found[2] else 1) if found else None


def duration(text: str) -> int:
    """`1h`, `30m`, `2d` in microseconds; Usage for what is no duration."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)\s*", text)
    if not found:
        raise Usage(f"--embargo {text!r} is not a duration", "30m, 1h, 2d, 1w; for a column of numbers a number")
    return int(Fraction(found[1]) * _UNITS[found[2]])


def instant(text: str, flag: str, zone: str | None) -> int:
    """An ISO 8601 date or time as microseconds since 1970 in UTC; without an offset it is in `zone` (none: UTC)."""
    from mlops_cli.steps.rules import values

    try:
        found = values.instant(text.strip(), zone)
    except (ValueError, TypeError):
        raise Usage(
            f"--{flag} {text!r} is neither a share nor a time", "0.2, 20%, 2013-11-01, 2013-11-01T06:00"
        ) from None
    if zone is None and datetime.datetime.fromisoformat(text.strip()).tzinfo:
        hint = "say it without an offset, as the column has none"
        raise Usage(f"--{flag} {text!r} has a time zone, and the column of --time has none", hint)
    aware = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
    return (aware - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)


def known(names: Iterable[str], schema: Mapping[str, pl.DataType], table: str) -> None:
    """UnknownColumn for the first of `names` that the table does not have."""
    for name in names:
        if name not in schema:
            close = difflib.get_close_matches(name, schema, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {listed(schema)}"
            raise UnknownColumn(f"{table} has no column {name!r}", hint)
