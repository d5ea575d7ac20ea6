"""Rules from data: what all rows of one or several tables have in common, as YAML that the same tables pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mlops_cli.errors import EmptyInput
from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules import tolerance, yaml_text
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.rules.types import family_of

LEVELS = 20  # more distinct texts than this are not a closed set
ROWS_PER_LEVEL = 5  # neither is a set whose members have hardly been seen


@dataclass(frozen=True, slots=True)
class Seen:
    """What one column was in one table; `levels` are its texts where they are few."""

    dtype: pl.DataType
    rows: int
    missing: int
    nans: int
    low: int | float | None
    high: int | float | None
    levels: list[str] | None


def infer(tables: Mapping[str, pl.LazyFrame], times: float | None = None) -> str:
    """YAML rules that the tables pass: types, whether values are missing, the range of numbers, small sets of texts.

    `tables` are frames by name; `times` widens ranges (see `tolerance`), by default not at all for one table, and by
    once the spread between several. Of several tables it also gives the number of rows and shares of missing values.
    Two passes a table in constant memory. Neither uniqueness nor a range of times is inferred: the next day's data
    would break them. EmptyInput for a table without a row.
    """
    times = times if times is not None else float(len(tables) > 1)
    seen = [_table(frame, name) for name, frame in tables.items()]
    names = list(dict.fromkeys(name for one in seen for name in one))
    there = {name: [one[name] for one in seen if name in one] for name in names}
    columns = {_spelt(name): _column(found, len(seen), times) for name, found in there.items()}
    rules: dict[str, Any] = {"schema_type": "polars_dataframe", "columns": columns}
    rows = [next(iter(one.values())).rows for one in seen]
    if len(seen) > 1:
        rules["dataset"] = _dataset(there, rows, times)
    return f"# {_said(rows, times)}\n{yaml_text.written(rules)}"


def _said(rows: Sequence[int], times: float) -> str:
    what = "ranges and sets are what was seen"
    if times:
        what = f"sets are what was seen, ranges are wider by {times:g} times the spread"
    of = f"{rows[0]} rows" if len(rows) == 1 else f"{len(rows)} tables of {min(rows)} to {max(rows)} rows"
    return f"Inferred from {of}: {what}. Make them what is meant."


def _table(frame: pl.LazyFrame, name: str) -> dict[str, Seen]:
    """What each column of one table is."""
    schema = {column: dtype for column, dtype in frame.collect_schema().items() if column != ERRORS}
    first = frame.select(_sums(schema)).collect(engine="streaming").row(0, named=True)
    rows = first["rows"]
    if rows == 0:
        raise EmptyInput(f"{name} has no rows", "there is nothing to infer rules from")
    levels = _levels(frame, schema, first)
    return {
        column: Seen(
            dtype,
            rows,
            first[f"nulls {number}"] + (first.get(f"nans {number}") or 0),
            first.get(f"nans {number}") or 0,
            first.get(f"min {number}"),
            first.get(f"max {number}"),
            levels.get(column),
        )
        for number, (column, dtype) in enumerate(schema.items())
    }


def _sums(schema: dict[str, pl.DataType]) -> list[pl.Expr]:
    """What the first pass counts, by the column's number: names of columns may be anything."""
    sums = [pl.len().alias("rows")]
    for number, (name, dtype) in enumerate(schema.items()):
        column = exactly(name)
        sums.append(column.null_count().alias(f"nulls {number}"))
        if dtype.is_float():
            sums.append(column.is_nan().sum().alias(f"nans {number}"))
        if dtype.is_float() or (dtype.is_integer() and not _hashes(dtype, schema)):
            sums += [column.min().alias(f"min {number}"), column.max().alias(f"max {number}")]
        if family_of(dtype) == "string":
            sums.append(column.cast(pl.String).approx_n_unique().alias(f"levels {number}"))
    return sums


def _hashes(dtype: pl.DataType, schema: dict[str, pl.DataType]) -> bool:
    """Whether a column is one of perceptual hashes, which have no range."""
    return dtype == pl.UInt64 and any(other in IMAGES for other in schema.values())


def _levels(frame: pl.LazyFrame, schema: dict[str, pl.DataType], first: dict[str, Any]) -> dict[str, list[str]]:
    """The texts of the columns that have few, sorted."""
    few = [
        name
        for number, (name, dtype) in enumerate(schema.items())
        if family_of(dtype) == "string" and first[f"levels {number}"] <= 2 * LEVELS
    ]
    lazy = [frame.select(exactly(name).cast(pl.String).unique().drop_nulls()) for name in few]
    found = [sorted(values.to_series()) for values in pl.collect_all(lazy, engine="streaming")]
    return dict(zip(few, found, strict=True))


def _column(seen: list[Seen], tables: int, times: float) -> dict[str, Any]:
    """The rules of one column, from what it was in the tables that have it."""
    dtype = _common([one.dtype for one in seen])
    column: dict[str, Any] = {}
    if dtype is not None and (kind := _type_name(dtype)) is not None:
        column["dtype"] = kind
    column["nullable"] = any(one.missing for one in seen)
    if len(seen) < tables:
        column["required"] = False
    if dtype is None:
        return column
    levels = _set(seen)
    if levels:
        column["description"] = _often(levels, seen)
    checks: dict[str, Any] = {}
    lows = [one.low for one in seen if one.low is not None and one.low == one.low]
    highs = [one.high for one in seen if one.high is not None and one.high == one.high]
    if lows:
        low, high = tolerance.limits(lows, highs, times, dtype)
        # NaN passes a lower limit and fails an upper one: it is larger than every number
        nans = any(one.nans for one in seen)
        checks = {"greater_than_or_equal_to": low} if nans else {"in_range": {"min_value": low, "max_value": high}}
    if levels:
        checks["isin"] = levels
    if checks:
        column["checks"] = checks
    return column


def _common(dtypes: list[pl.DataType]) -> pl.DataType | None:
    """The type that all of them fit; None when they are of different kinds."""
    real = [dtype for dtype in dtypes if dtype != pl.Null] or dtypes[:1]
    if len(set(real)) == 1:
        return real[0]
    families = {family_of(dtype) for dtype in real}
    if families == {"integer"}:
        return pl.Int64()
    if families <= {"integer", "float"}:
        return pl.Float64()
    return real[0] if len(families) == 1 and families <= {"string", "date", "time", "duration"} else None


def _set(seen: list[Seen]) -> list[str]:
    """All texts that were seen, sorted, where they are few in every table; else none."""
    if any(one.levels is None and one.dtype != pl.Null for one in seen):
        return []
    values = sorted({level for one in seen for level in one.levels or []})
    rows = sum(one.rows for one in seen)
    return values if len(values) <= LEVELS and len(values) * ROWS_PER_LEVEL <= rows else []


def _often(levels: list[str], seen: list[Seen]) -> str:
    """How many values were seen, and how many of them in every table."""
    rows = sum(one.rows for one in seen)
    said = f"{len(levels)} values seen in {rows} rows"
    if len(seen) == 1:
        return said
    everywhere = set(levels).intersection(*(one.levels or [] for one in seen))
    return f"{said}, {len(everywhere)} of them in each of {len(seen)} tables"


def _dataset(there: dict[str, list[Seen]], rows: list[int], times: float) -> dict[str, Any]:
    """What several tables have in common as wholes: how many rows, and how many values are missing."""
    low, high = tolerance.limits(rows, rows, times, pl.Int64())
    found: dict[str, Any] = {"rows": {"min_value": max(1, low), "max_value": high}}
    shares = {name: [one.missing / one.rows for one in seen] for name, seen in there.items()}
    missing = {name: tolerance.share(values, times) for name, values in shares.items() if 0 < max(values) < 1}
    if missing:
        found["null_share"] = missing
    return found


def _type_name(dtype: pl.DataType) -> str | None:
    """The type as rules name it; None for what they have no name for (structs, lists, all null)."""
    family = family_of(dtype)
    if family in ("nested", "null"):
        return None
    if isinstance(dtype, pl.Decimal) or (isinstance(dtype, pl.Datetime) and dtype.time_zone):
        return str(dtype)  # pandera reads these in polars' own spelling only
    names = {"string": "string", "boolean": "bool", "datetime": "datetime", "duration": "timedelta"}
    return names.get(family, str(dtype).lower())


def _spelt(name: str) -> str:
    """A name that would be read as a pattern, as the pattern of that name alone."""
    return f"^{re.escape(name)}$" if name.startswith("^") and name.endswith("$") else name
