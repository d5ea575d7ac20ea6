"""Types of text columns: what is counted of the values, and which type those counts allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mlops_cli.sources.names import exactly

NULLS = ("NA", "N/A", "null", "NULL", "None")
"""Besides the empty field, these mean that there is no value."""

_SPACE = r"^[ \t]*"
_INTEGER = _SPACE + r"[+-]?[0-9]+$"
_CODE = _SPACE + r"[+-]?0[0-9]"
_NUMBER = _SPACE + r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:nan|inf|infinity))$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ZONE = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]" + _CLOCK + _ZONE + "?$"
_BOOLEANS = ("true", "True", "TRUE", "false", "False", "FALSE")
_COUNTS = ("values", "integers", "fitting", "codes", "numbers", "booleans", "dates", "times", "zoned")


@dataclass(frozen=True, slots=True)
class Facts:
    """How many values of a text column there are, and how many look like what.

    `fitting`: integers that fit 64 bits; `codes`: digits with a leading zero; `times`: ISO 8601 date and time, of
    which `zoned` have an offset from UTC.
    """

    values: int = 0
    integers: int = 0
    fitting: int = 0
    codes: int = 0
    numbers: int = 0
    booleans: int = 0
    dates: int = 0
    times: int = 0
    zoned: int = 0

    def __add__(self, other: Facts) -> Facts:
        """The facts of both."""
        return Facts(*(getattr(self, name) + getattr(other, name) for name in _COUNTS))


def fits(column: str, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """Whether each text of a column can be read as that type; null where there is no value."""
    text = exactly(column)
    if kind == pl.Int64:
        number = text.str.strip_chars_start(" \t").cast(pl.Int64, strict=False)
        return number.is_not_null() & text.str.contains(_INTEGER)
    if kind == pl.Float64:
        return text.str.contains(_NUMBER)
    if kind == pl.Boolean:
        return text.is_in(_BOOLEANS)
    calendar = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
    if kind == pl.Date:
        return text.str.contains(_DATE) & calendar
    if isinstance(kind, pl.Datetime):
        zone = text.str.contains(_ZONE + "$")
        right = text.str.contains(_TIME) & (zone if kind.time_zone else ~zone)
        return (right | text.str.contains(_DATE)) & calendar if not kind.time_zone else right & calendar
    return pl.lit(True)


def count(columns: Sequence[str]) -> list[pl.Expr]:
    """Expressions that count the facts of text columns; `read` makes facts of what they give."""
    found: list[pl.Expr] = []
    for column in columns:
        text = exactly(column)
        calendar = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).is_not_null()
        found.append(
            pl.struct(
                values=text.count(),
                integers=text.str.contains(_INTEGER).sum(),
                fitting=fits(column, pl.Int64).sum(),
                codes=text.str.contains(_CODE).sum(),
                numbers=text.str.contains(_NUMBER).sum(),
                booleans=text.is_in(_BOOLEANS).sum(),
                dates=(text.str.contains(_DATE) & calendar).sum(),
                times=(text.str.contains(_TIME) & calendar).sum(),
                zoned=(text.str.contains(_TIME) & calendar & text.str.contains(_ZONE + "$")).sum(),
            ).alias(column)
        )
    return found


def read(counted: Mapping[str, Mapping[str, int | None]]) -> dict[str, Facts]:
    """One row that `count` gave, as facts for each column."""
    return {name: Facts(**{key: number or 0 for key, number in row.items()}) for name, row in counted.items()}


def decide(facts: Facts) -> pl.DataType | None:
    """The narrowest type that holds every value as it is; None when there is no value to judge by.

    A number with a leading zero is a code, and integers beyond 64 bits would lose digits as floats: both stay text.
    Times with an offset become UTC; without one they stay as they are; a mixture stays text.
    """
    n = facts.values
    if n == 0:
        return None
    if facts.booleans == n:
        return pl.Boolean()
    if facts.numbers == n and facts.codes == 0:
        if facts.integers < n:
            return pl.Float64()
        return pl.Int64() if facts.fitting == n else pl.String()
    if facts.dates == n:
        return pl.Date()
    if facts.times == n and facts.zoned == n:
        return pl.Datetime("us", "UTC")
    if facts.times + facts.dates == n and facts.zoned == 0:
        return pl.Datetime("us")
    return pl.String()


def too_long(facts: Facts) -> bool:
    """Whether a column of integers stays text only because some do not fit 64 bits."""
    return facts.integers == facts.values > facts.fitting and facts.codes == 0


def called(kind: pl.DataType) -> str:
    """A type in words, as in `"x" is not an integer`."""
    words = {pl.Int64: "an integer", pl.Float64: "a number", pl.Boolean: "true or false", pl.Date: "a date"}
    return words.get(type(kind), "a time like those before" if isinstance(kind, pl.Datetime) else "text")


def plural(kind: pl.DataType) -> str:
    """A type in words, as in `reading it as text`."""
    words = {pl.Int64: "integers", pl.Float64: "numbers", pl.Boolean: "booleans", pl.Date: "dates"}
    return words.get(type(kind), "times" if isinstance(kind, pl.Datetime) else "text")
