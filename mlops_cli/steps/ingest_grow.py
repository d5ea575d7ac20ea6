"""Rows that are new: by a column, and where that is as large as ever before, by all their values."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn
from mlops_cli.sources.names import exactly
from mlops_cli.steps import parts, tables
from mlops_cli.steps.ingest_since import Growth, NothingNew, State
from mlops_cli.steps.tables import Written
from mlops_cli.store.artefact import Artefact

_ANEW = "--force starts anew, from all rows of the source"


def decoded(before: Artefact, state: State) -> int | float | str | date | datetime | Decimal:
    """The watermark as a value of the column's type. InputUnusable when it is none of it."""
    kind = tables.schema_of(pl.scan_parquet(before.tables(), glob=False)).get(state.column)
    value = state.watermark
    try:
        if isinstance(kind, pl.Datetime):
            time = datetime.fromisoformat(str(value))
            return time.astimezone(UTC) if kind.time_zone else time
        if isinstance(kind, pl.Date):
            return date.fromisoformat(str(value))
        if isinstance(kind, pl.Decimal):
            return Decimal(str(value))
    except (ValueError, ArithmeticError):
        kind = None
    plain = {int: kind is not None and kind.is_integer(), float: kind is not None and kind.is_float()}
    if not (plain.get(type(value), isinstance(value, str) and kind == pl.String)):
        raise InputUnusable(f"{before.path}: {value!r} is no value of its column {state.column}", _ANEW)
    return value


def _encoded(value: object, kind: pl.DataType) -> int | float | str:
    """A watermark as JSON has it, no larger than the value: ties are compared anyway."""
    if isinstance(value, datetime) and isinstance(kind, pl.Datetime) and kind.time_unit == "ns":
        value -= timedelta(microseconds=1)
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int | float | str) else str(value)


def wanted(frame: pl.LazyFrame, growth: Growth) -> pl.LazyFrame:
    """The rows that may be new; those without a value too, which are refused. UnknownColumn, SchemaMismatch."""
    schema = tables.schema_of(frame)
    kind = schema.get(growth.column)
    if kind is None:
        raise UnknownColumn(
            f"--since: there is no column {growth.column!r}", "there are: " + ", ".join(list(schema)[:30])
        )
    if not (kind.is_numeric() or isinstance(kind, pl.Date | pl.Datetime | pl.String)):
        raise SchemaMismatch(
            f"--since: column {growth.column} is {kind}", "a number, a date, a time or a text can be taken"
        )
    if growth.before is None or growth.since is None:
        return frame
    _demand_same(schema, growth.before)
    column = exactly(growth.column)
    return frame.filter((column >= _literal(growth.since.value, kind)) | column.is_null())


def _literal(value: object, kind: pl.DataType) -> pl.Expr:
    """A watermark as a value of the column's type, in its zone."""
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        return pl.lit(value, dtype=pl.Datetime(kind.time_unit, "UTC")).dt.convert_time_zone(kind.time_zone)
    return pl.lit(value, dtype=kind)


def _demand_same(schema: pl.Schema, before: Artefact) -> None:
    """Refuse other columns or types than before."""
    now, then = tables.described(schema), before.manifest.schema
    if list(now.items()) == list(then.items()):
        return
    differ = next((name for name in {**then, **now} if now.get(name) != then.get(name)), None)
    what = (
        "the columns are in another order"
        if differ is None
        else (f"column {differ} is {now.get(differ, 'no more there')}, it was {then.get(differ, 'not there')}")
    )
    raise SchemaMismatch(f"{before.path}: {what}", _ANEW)


def part(growth: Growth) -> str | None:
    """The name of the part that is added; None for a table that begins, which is as many files as it needs."""
    return parts.name(len(growth.before.tables())) if growth.before else None


def add(growth: Growth, directory: Path, written: Written) -> Written:
    """Leave out of the part that was written what is there already, and put the old parts beside it, as they are.

    NothingNew when no row stays, InputUnusable when the column has no value in some row.
    """
    column = exactly(growth.column)
    new = _scan(directory)
    kind = new.collect_schema()[growth.column]
    nan = (column.is_nan() | (column == math.inf)).sum() if kind.is_float() else pl.lit(0)
    nulls, nans = new.select(column.null_count(), nan.alias("nan")).collect(engine="streaming").row(0)
    if nulls or nans:
        what = "null" if nulls else "NaN or infinite"
        hint = "they can never be told from those that were taken: leave them out with a condition in --sql or --query"
        raise InputUnusable(f"--since {growth.column}: it is {what} in {nulls or nans:,} of the rows", hint)
    rows = written.rows
    if growth.before and rows:
        rows = _without_known(growth, growth.before, directory / parts.name(len(growth.before.tables())), written)
    if growth.before and not rows:
        raise NothingNew
    if not rows:
        return written
    growth.reached, growth.new = _largest(_scan(directory), growth.column, kind), rows
    for old in growth.before.tables() if growth.before else []:
        _link(old, directory / old.name)
        rows += pq.read_metadata(old).num_rows
    return Written(rows, written.schema)


def _largest(rows: pl.LazyFrame, column: str, kind: pl.DataType) -> int | float | str:
    """The largest value of a column. InputUnusable for a time that no calendar here has."""
    found = rows.select(exactly(column).max()).collect(engine="streaming")
    try:
        return _encoded(found.item(), kind)
    except (ValueError, OverflowError):
        hint = "leave such rows out with a condition in --sql or --query"
        raise InputUnusable(f"--since {column}: there is a time outside the years 1 to 9999", hint) from None


def _scan(directory: Path) -> pl.LazyFrame:
    """What was written."""
    return pl.scan_parquet(sorted(directory.glob("*.parquet")), glob=False)


def _without_known(growth: Growth, before: Artefact, path: Path, written: Written) -> int:
    """Write the part again without the rows that are there already; how many stay.

    A row that is there n times already is left out n times: one more of it is new.
    """
    assert growth.since is not None
    column, names = exactly(growth.column), list(written.schema)
    index, nth = _free("row", names), _free("nth", names)
    nth_of = pl.int_range(pl.len()).over([exactly(name) for name in names]).alias(nth)
    there = pl.scan_parquet(before.tables(), glob=False)
    old = there.filter(column >= _literal(growth.since.value, there.collect_schema()[growth.column])).collect()
    if not old.height:
        return written.rows
    numbered = pl.scan_parquet(path, glob=False).with_row_index(index)
    ties = numbered.filter(column <= old.lazy().select(column.max()).collect().item()).collect()
    keys = [*(exactly(name) for name in names), pl.col(nth)]
    known = ties.with_columns(nth_of).join(old.with_columns(nth_of), on=keys, how="semi", nulls_equal=True)[index]
    if not len(known):
        return written.rows
    whole = path.with_name("whole.parquet")
    path.rename(whole)
    rest = pl.scan_parquet(whole, glob=False).with_row_index(index).filter(~pl.col(index).is_in(known.implode()))
    left = tables.write_table(rest.drop(index), path.parent, path.name)
    whole.unlink()
    return left.rows


def _free(name: str, names: list[str]) -> str:
    """A name that no column has."""
    while name in names:
        name += "_"
    return name


def _link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system cannot."""
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
