"""Each check of the vocabulary as one polars expression that says which rows pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable


def failing(check: str, statistics: dict[str, Any], column: pl.Expr, dtype: pl.DataType, *, ignore_na: bool) -> pl.Expr:
    """True for the rows of `column` (type `dtype`) that the check rejects; never null.

    As in pandera a check leaves null alone unless ignore_na is false; NaN is a value, larger than all numbers.
    """
    if isinstance(dtype, pl.Null):
        return pl.lit(False) if ignore_na else column.is_null()
    passing = _PASSING[check](_comparable(column, dtype, check), statistics, dtype)
    return passing.fill_null(ignore_na).not_()


def _comparable(column: pl.Expr, dtype: pl.DataType, check: str) -> pl.Expr:
    text = isinstance(dtype, pl.Categorical | pl.Enum)
    return column.cast(pl.String) if text else column


def _in_range(column: pl.Expr, to: dict[str, Any], dtype: pl.DataType) -> pl.Expr:
    low, high = to["min_value"], to["max_value"]
    above: pl.Expr = column >= low if to.get("include_min", True) else column > low
    below: pl.Expr = column <= high if to.get("include_max", True) else column < high
    return above & below


def _isin(column: pl.Expr, values: Sequence[Any], dtype: pl.DataType) -> pl.Expr:
    return column.is_in(pl.lit(_list(values, dtype)).implode())


def _list(values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """The values as a series of the column's type: polars compares no list of another type."""
    if isinstance(dtype, pl.Categorical | pl.Enum):
        dtype = pl.String()
    elif dtype.is_integer():  # what an integer column cannot hold is in none of its rows
        values = [int(v) for v in values if v == v and abs(v) != float("inf") and v == int(v)]
        values = [v for v in values if _holds(dtype, v)]
    return pl.Series(values, dtype=dtype, strict=False)


def _holds(dtype: pl.DataType, value: int) -> bool:
    from mlops_cli.steps.rules.types import bounds

    low, high = bounds(dtype)
    return low <= value <= high


def _pattern(pattern: str, anchored: bool) -> str:
    """The pattern as polars (Rust) takes it; `anchored` puts it at the start of the value, all alternatives of it."""
    text = f"^(?:{pattern})" if anchored else pattern
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.Series([""]).str.contains(text)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        why = str(error).split("error:")[-1].split("\n")[0].strip()
        raise InputUnusable(f"the regular expression {pattern!r} is not one that polars knows: {why}") from error
    return text


def _length(column: pl.Expr, to: dict[str, Any], dtype: pl.DataType) -> pl.Expr:
    length = column.str.len_chars()
    if to.get("exact_value") is not None:
        return length.eq(to["exact_value"])
    low, high = to.get("min_value"), to.get("max_value")
    if low is None:
        return length.le(high)
    return length.ge(low) if high is None else length.is_between(low, high)


_PASSING: dict[str, Callable[[pl.Expr, dict[str, Any], pl.DataType], pl.Expr]] = {
    "equal_to": lambda column, to, _: column == to["value"],
    "not_equal_to": lambda column, to, _: column != to["value"],
    "greater_than": lambda column, to, _: column > to["min_value"],
    "greater_than_or_equal_to": lambda column, to, _: column >= to["min_value"],
    "less_than": lambda column, to, _: column < to["max_value"],
    "less_than_or_equal_to": lambda column, to, _: column <= to["max_value"],
    "in_range": _in_range,
    "isin": lambda column, to, dtype: _isin(column, to["allowed_values"], dtype),
    "notin": lambda column, to, dtype: _isin(column, to["forbidden_values"], dtype).not_(),
    "str_matches": lambda column, to, _: column.str.contains(_pattern(to["pattern"], True)),
    "str_contains": lambda column, to, _: column.str.contains(_pattern(to["pattern"], False)),
    "str_startswith": lambda column, to, _: column.str.starts_with(to["string"]),
    "str_endswith": lambda column, to, _: column.str.ends_with(to["string"]),
    "str_length": _length,
}
