"""Arguments of checks as values of the column they are compared with: dates from ISO text, types never mixed."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.steps.rules.types import family_of

# Arguments that are about the check itself, not about a value of the column.
_OWN = {"include_min", "include_max", "pattern", "string", "exact_value"}
_STRING_CHECKS = {"str_matches", "str_contains", "str_startswith", "str_endswith", "str_length"}
_EQUALITY = {"equal_to", "not_equal_to", "isin", "notin"}


def arguments(check: str, given: dict[str, Any], dtype: pl.DataType, where: str) -> dict[str, Any]:
    """The arguments of `check` for a column of type `dtype`, each as a Python value of that type.

    InputUnusable, naming the place `where` in the rules, when the check or a value does not go with the type.
    """
    family = family_of(dtype)
    if family == "null":  # a column of nulls only: a check has nothing to look at, whatever its arguments are
        return given
    _applies(check, family, dtype, where)
    if check in _STRING_CHECKS:
        return {key: _own(key, value, where) for key, value in given.items()}
    out = {}
    for key, value in given.items():
        if key in _OWN:
            out[key] = _own(key, value, f"{where}.{key}")
        elif isinstance(value, list):
            out[key] = [one(item, dtype, where) for item in value if item is not None]
        else:
            out[key] = one(value, dtype, where)
        if check in ("isin", "notin") and not isinstance(value, list):
            raise InputUnusable(f"{where}: {value!r} is not a list of values", "write [a, b, c]")
    return out


def _applies(check: str, family: str, dtype: pl.DataType, where: str) -> None:
    if family in ("nested", "binary", "duration"):
        raise InputUnusable(f"{where}: a column of type {dtype} has no such check", "only nullable and unique")
    if check in _STRING_CHECKS and family != "string":
        raise InputUnusable(f"{where}: the check is for text, the column is {dtype}")
    if family == "boolean" and check not in _EQUALITY:
        raise InputUnusable(f"{where}: true and false have no order; use equal_to or isin")


def _own(key: str, value: Any, where: str) -> Any:
    wanted: type = str if key in ("pattern", "string") else bool if key.startswith("include") else int
    if value is None and wanted is int:
        return None
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise InputUnusable(f"{where}: {value!r} is not {_CALLED[wanted]}")
    return value


_CALLED: dict[type, str] = {str: "text", bool: "true or false", int: "a whole number"}


def one(value: Any, dtype: pl.DataType, where: str) -> Any:
    """One value of the rules as a value of a column of type `dtype`; InputUnusable when it cannot be one."""
    family = family_of(dtype)
    if family not in _CONVERT:  # a column of nulls only, or one whose values cannot be written in YAML
        return value
    convert, called = _CONVERT[family]
    try:
        return convert(value, dtype)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputUnusable(f"{where}: {value!r} is not {called}, the column is {dtype}", _hint(value)) from error


def _hint(value: Any) -> str:
    return "put it in quotes: YAML reads yes, no, on, off as true and false" if isinstance(value, bool) else ""


def _number(value: Any, dtype: pl.DataType) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _decimal(value: Any, dtype: pl.DataType) -> Decimal:
    return Decimal(repr(_number(value, dtype)))


def _string(value: Any, dtype: pl.DataType) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _boolean(value: Any, dtype: pl.DataType) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _date(value: Any, dtype: pl.DataType) -> datetime.date:
    return datetime.date.fromisoformat(value)


def _time(value: Any, dtype: pl.DataType) -> datetime.time:
    return datetime.time.fromisoformat(value)


def _datetime(value: Any, dtype: pl.DataType) -> datetime.datetime:
    return instant(value, getattr(dtype, "time_zone", None))


def instant(text: Any, zone: str | None) -> datetime.datetime:
    """ISO 8601 text as a time that can be compared with a column in `zone` (None: naive, taken as UTC).

    Text without an offset is in the column's own zone. ValueError or TypeError when it is not ISO 8601.
    """
    value = datetime.datetime.fromisoformat(text)
    if zone is None:
        return value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
    return value if value.tzinfo is not None else value.replace(tzinfo=zoneinfo.ZoneInfo(zone))


_CONVERT: dict[str, tuple[Callable[[Any, pl.DataType], Any], str]] = {
    "integer": (_number, "a number"),
    "float": (_number, "a number"),
    "decimal": (_decimal, "a number"),
    "string": (_string, "text"),
    "boolean": (_boolean, "true or false"),
    "date": (_date, "a date (YYYY-MM-DD)"),
    "datetime": (_datetime, "a time (ISO 8601)"),
    "time": (_time, "a time of day (HH:MM:SS)"),
}
