"""Rules from data: what every row of a table has in common, as YAML that the same table passes."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from mlops_cli.errors import EmptyInput
from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules import yaml_text
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.rules.types import family_of

LEVELS = 20  # more distinct texts than this are not a closed set
ROWS_PER_LEVEL = 5  # neither is a set whose members have hardly been seen


def infer(frame: pl.LazyFrame, name: str) -> str:
    """YAML rules that the table passes: types, whether values are missing, the range of numbers, small sets of texts.

    Two passes in constant memory. Neither uniqueness nor a range of times is inferred: the next day's data would break
    them. EmptyInput without a row.
    """
    schema = {column: dtype for column, dtype in frame.collect_schema().items() if column != ERRORS}
    first = frame.select(_sums(schema)).collect(engine="streaming").row(0, named=True)
    rows = first["rows"]
    if rows == 0:
        raise EmptyInput(f"{name} has no rows", "there is nothing to infer rules from")
    levels = _levels(frame, schema, first, rows)
    columns = {
        _spelt(column): _column(number, column, dtype, first, levels)
        for number, (column, dtype) in enumerate(schema.items())
    }
    rules = {"schema_type": "polars_dataframe", "columns": columns}
    text = yaml_text.written(rules)
    return f"# Inferred from {rows} rows: ranges and sets are what was seen. Make them what is meant.\n{text}"


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


def _levels(
    frame: pl.LazyFrame, schema: dict[str, pl.DataType], first: dict[str, Any], rows: int
) -> dict[str, list[str]]:
    """The texts of the columns that have few, sorted."""
    few = [
        name
        for number, (name, dtype) in enumerate(schema.items())
        if family_of(dtype) == "string" and first[f"levels {number}"] <= 2 * LEVELS
    ]
    lazy = [frame.select(exactly(name).cast(pl.String).unique().drop_nulls()) for name in few]
    found = [sorted(values.to_series()) for values in pl.collect_all(lazy, engine="streaming")]
    return {
        name: values
        for name, values in zip(few, found, strict=True)
        if 0 < len(values) <= LEVELS and len(values) * ROWS_PER_LEVEL <= rows
    }


def _column(
    number: int, name: str, dtype: pl.DataType, first: dict[str, Any], levels: dict[str, list[str]]
) -> dict[str, Any]:
    nans = first.get(f"nans {number}", 0)
    column: dict[str, Any] = {}
    if (kind := _type_name(dtype)) is not None:
        column["dtype"] = kind
    column["nullable"] = bool(first[f"nulls {number}"] or nans)
    checks: dict[str, Any] = {}
    low, high = first.get(f"min {number}"), first.get(f"max {number}")
    if low is not None and low == low:
        # NaN passes a lower limit and fails an upper one: it is larger than every number
        checks = {"greater_than_or_equal_to": low} if nans else {"in_range": {"min_value": low, "max_value": high}}
    if name in levels:
        checks["isin"] = levels[name]
    if checks:
        column["checks"] = checks
    return column


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
