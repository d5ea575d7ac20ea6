"""Readings of devices from any table, as times and numbers; what is none is counted, and never stops a run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn, listed
from mlops_cli.steps import tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.watch_types import text, typed

TIMES = ("time", "at", "timestamp", "ts", "datetime")
DEVICES = ("device", "camera", "device_id", "camera_id", "sensor")
AHEAD = timedelta(minutes=5)
"""How far a device's clock may be ahead of ours."""
_COLUMNS = 50
_LINES = (".ndjson", ".jsonl")


class Quarter(msgspec.Struct, frozen=True):
    """How the model did while a quantity was in one quarter of its values: from `least` to `greatest`.

    `score` is the accuracy, or the mean absolute error of a regression, on the rows with a label.
    """

    column: str
    level: str
    least: float | None
    greatest: float | None
    rows: int
    labelled_rows: int
    score: float | None
    confidence: float | None


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """Every reading of the table: in the window, before it, or of no use; and what was found in those of the window.

    read = used + earlier + untimed + future + repeated. `unordered` are used readings that came after a later one of
    their device, `bad` values by column that are no finite number, `damaged` lines that are no readings at all.
    `joined` are the predictions that have a reading.
    """

    ref: str
    read: int
    used: int
    earlier: int
    untimed: int
    future: int
    repeated: int
    unordered: int
    damaged: int
    bad: dict[str, int]
    device: str | None
    columns: list[str]
    joined: int = 0
    quarters: list[Quarter] = []

    @property
    def lines(self) -> list[str]:
        """The account for people."""
        found = [
            f"{self.read:,} readings = {self.used:,} in the window + {self.earlier:,} before it"
            f" + {self.repeated:,} repeated + {self.untimed:,} without a time + {self.future:,} in the future"
        ]
        bad = [f"{count:,} of {name}" for name, count in self.bad.items() if count]
        found += [f"readings that are no number: {', '.join(bad)}"] if bad else []
        found += [f"{self.unordered:,} readings came after a later one: put in order"] if self.unordered else []
        return found + ([f"{self.damaged:,} damaged lines in {self.ref}: left out"] if self.damaged else [])


@dataclass(frozen=True)
class Readings:
    """Readings in order of time: columns `device` (text), `at` (datetime, UTC) and one of Float64 for each quantity.

    `earlier` are those before the window. `counts` has the account.
    """

    frame: pl.DataFrame
    earlier: pl.DataFrame
    counts: Telemetry


def read(ctx: Context, ref: str, time: str | None, device: str | None, since: str, until: str) -> Readings:
    """The readings of a table: Parquet, Arrow, CSV, NDJSON or a dataset.

    `time` and `device` name columns, else they are found by name (TIMES, DEVICES); without a device all readings are of
    one. Times are ISO 8601 (no zone: UTC) or seconds, milliseconds or microseconds since 1970. Columns of numbers are
    quantities, and columns of text at least half of whose values are numbers. Errors: those of reading a table;
    UnknownColumn, SchemaMismatch without a quantity, InputUnusable with more than 50.
    """
    raw, damaged = _table(ctx, ref)
    at = _named(raw, time, TIMES, ref, "--telemetry-time")
    if at is None:
        raise UnknownColumn(f"{ref}: no column for the time of a reading", "name it with --telemetry-time")
    who = _named(raw, device, DEVICES, ref, "--telemetry-device")
    columns = [name for name in raw.columns if name not in (at, who) and _quantity(raw[name])]
    if not columns:
        raise SchemaMismatch(f"{ref}: no column of numbers besides {at}", "telemetry is a table of readings")
    if len(columns) > _COLUMNS:
        raise InputUnusable(f"{ref}: {len(columns)} columns of numbers are more than {_COLUMNS}", "select some of them")
    named = pl.lit(None, pl.String) if who is None else text(pl.col(who), raw.schema[who])
    frame = raw.select(named.alias("device"), _time(raw.schema[at], at).alias("at"), *map(_number, columns))
    bad = {name: frame[name].null_count() - raw[name].null_count() for name in columns}
    return _sorted_out(frame, ref, damaged, bad, who, columns, since, until)


def _sorted_out(
    frame: pl.DataFrame,
    ref: str,
    damaged: int,
    bad: dict[str, int],
    device: str | None,
    columns: list[str],
    since: str,
    until: str,
) -> Readings:
    """Readings by what can be done with them; of several of one device at one time the last counts."""
    end = _stamp(until)
    timed = frame.drop_nulls("at")
    known = timed.filter(pl.col("at") <= end + AHEAD)
    unique = known.unique(["device", "at"], keep="last", maintain_order=True)
    late = (pl.col("at") < pl.col("at").cum_max().over("device")).fill_null(False)
    inside = pl.col("at") >= (_stamp(since) if since else datetime.min)
    used = unique.with_columns(late.alias("late")).filter(inside)
    counts = Telemetry(
        ref=ref,
        read=frame.height,
        used=used.height,
        earlier=unique.height - used.height,
        untimed=frame.height - timed.height,
        future=timed.height - known.height,
        repeated=known.height - unique.height,
        unordered=int(used["late"].sum()),
        damaged=damaged,
        bad=bad,
        device=device,
        columns=columns,
    )
    return Readings(used.drop("late").sort("at"), unique.filter(~inside).sort("at"), counts)


def _table(ctx: Context, ref: str) -> tuple[pl.DataFrame, int]:
    """All rows of a table, and how many lines of NDJSON were left out because they are no readings."""
    given = Given(ref)
    path = Path(ref)
    try:
        return _collected(ctx, given), 0
    except InputUnusable:
        if path.suffix.lower() not in _LINES or not path.is_file():
            raise
    kept, damaged = _sound(path.read_bytes())
    if not kept:
        raise InputUnusable(f"{ref}: none of its {damaged:,} lines is a reading", "one JSON object a line")
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        copy = Path(folder) / "readings.ndjson"
        copy.write_bytes(kept)
        try:
            return _collected(ctx, Given(str(copy))), damaged
        except InputUnusable as error:
            raise InputUnusable(error.message.replace(str(copy), ref), error.hint) from None


def _collected(ctx: Context, given: Given) -> pl.DataFrame:
    table = tables.open_table(ctx, given)
    with tables.reading(table.name):
        return table.frame.collect(engine="streaming")


def _sound(data: bytes) -> tuple[bytes, int]:
    """The lines that are JSON objects of plain values, and how many are not.

    One that is being written is none, nor one with a bare NaN, nor one with a list or an object in it.
    """
    kept: list[bytes] = []
    damaged = 0
    for line in data.split(b"\n"):
        try:
            if line.strip():
                msgspec.json.decode(line, type=dict[str, str | int | float | bool | None])
                kept.append(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            damaged += 1
    return b"\n".join([*kept, b""]) if kept else b"", damaged


def _named(frame: pl.DataFrame, given: str | None, usual: Sequence[str], ref: str, flag: str) -> str | None:
    """The column that was named, else the first of the usual names."""
    if given is not None and given not in frame.columns:
        raise UnknownColumn(f"{ref}: no column {given!r}, which {flag} names", f"it has {listed(frame.columns)}")
    lower = {name.lower(): name for name in reversed(frame.columns)}
    return given or next((lower[name] for name in usual if name in lower), None)


def _quantity(values: pl.Series) -> bool:
    """Whether a column holds what a sensor measures."""
    if values.dtype == pl.String:
        there = values.drop_nulls()
        return len(there) > 0 and 2 * there.cast(pl.Float64, strict=False).count() >= len(there)
    return values.dtype.is_numeric()


def _number(name: str) -> pl.Expr:
    """A quantity: a finite number or null."""
    value = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value).alias(name)


def _time(kind: pl.DataType, name: str) -> pl.Expr:
    """A time as datetime in µs, UTC without zone; null where it is none."""
    value = pl.col(name)
    if isinstance(kind, pl.Datetime):
        utc = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if kind.time_zone else value
        return utc.cast(pl.Datetime("us"))
    if kind == pl.Date:
        return value.cast(pl.Datetime("us"))
    number = value.cast(pl.Float64, strict=False)
    size = number.abs()
    scale = pl.when(size < 1e11).then(1e6).when(size < 1e14).then(1e3).otherwise(1.0)
    micros = (number * scale).round()
    epoch = pl.when(micros.abs() < 9e15).then(micros).cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
    return pl.coalesce(typed(value, kind, "datetime"), epoch) if kind == pl.String else epoch


def _stamp(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=None)
