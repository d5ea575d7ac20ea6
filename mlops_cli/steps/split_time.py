"""Parts by time: where the cuts lie, whole timestamps kept together, and the gap before each cut."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fractions import Fraction

import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch, Usage
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_options, tables
from mlops_cli.steps.split_options import Options

_EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Axis:
    """A column of times as numbers: microseconds since 1970 (UTC) for dates and times, the numbers themselves else."""

    value: pl.Expr
    dtype: pl.DataType

    @property
    def temporal(self) -> bool:
        """Whether the numbers are times."""
        return self.dtype.is_temporal()

    @property
    def zone(self) -> str | None:
        """The time zone of the column."""
        return self.dtype.time_zone if isinstance(self.dtype, pl.Datetime) else None

    def shown(self, value: float) -> str | float:
        """A number of this axis as it is written in the certificate: ISO 8601, UTC."""
        if not self.temporal:
            return value
        time = _EPOCH + datetime.timedelta(microseconds=int(value))
        if isinstance(self.dtype, pl.Date) and time.time() == datetime.time():
            return time.date().isoformat()
        return time.isoformat() + ("Z" if self.zone else "")


@dataclass(frozen=True, slots=True)
class Cuts:
    """`valid` and `test` begin at these numbers of the axis; rows within `embargo` before either belong nowhere."""

    valid: float
    test: float
    embargo: float


def axis(name: str, dtype: pl.DataType, table: str) -> Axis:
    """The axis of a column; SchemaMismatch when it holds neither times nor numbers.

    A time that 64 bits of microseconds do not reach is missing.
    """
    value = exactly(name)
    if isinstance(dtype, pl.Date | pl.Datetime):
        times = value.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)), strict=False)
        return Axis(times.to_physical(), dtype)
    if dtype.is_integer() or dtype.is_float():
        return Axis(value, dtype)
    hint = "coerce: true with dtype: datetime in the rules of mlops validate makes times of it"
    raise SchemaMismatch(f"{table}: --time {name} is a column of {dtype}, not of times", hint)


def cuts(frame: pl.LazyFrame, axis: Axis, options: Options, table: str) -> Cuts:
    """Where the parts begin. A share is met as nearly as whole timestamps allow.

    Memory grows with the number of distinct times. InputUnusable when there are too few of them.
    """
    counted = frame.select(axis.value.alias("time")).group_by("time").len("rows")
    times = counted.sort("time").collect(engine="streaming")
    _reached(times, options, table)
    if times.height < 3:
        message = f"{table}: {times.height} distinct values in {options.time!r} cannot make three parts"
        raise InputUnusable(message, "split by --group or --key, or bring more data")
    test = _cut(axis, options.test, "test", times, Fraction(0), None)
    valid = _cut(axis, options.valid, "valid", times, _after(times, test), test)
    if valid >= test:
        raise Usage(f"--valid {options.valid} does not begin before --test {options.test}")
    return Cuts(valid, test, embargo(axis, options.embargo))


def group_cuts(frame: pl.LazyFrame, axis: Axis, options: Options, table: str) -> pl.DataFrame:
    """Where the parts begin in each group: columns `group`, `valid`, `test`, null for a group with too few times.

    Every group is cut as if it were alone. Memory grows with the number of distinct times of all groups.
    """
    assert options.group is not None
    group = exactly(options.group).alias("group")
    counted = frame.select(group, axis.value.alias("time")).group_by("group", "time").len("rows")
    times = counted.sort("group", "time").collect(engine="streaming")
    _reached(times, options, table)
    found = [_of_group(one, axis, options) for one in times.partition_by("group", maintain_order=True)]
    made = times.select(pl.col("group").unique(maintain_order=True))
    return made.with_columns(
        pl.Series(name, [cut[number] for cut in found], dtype=times.schema["time"], strict=False)
        for number, name in enumerate(("valid", "test"))
    )


def _reached(times: pl.DataFrame, options: Options, table: str) -> None:
    """InputUnusable for times that are missing on the axis; that none is missing in the column is known."""
    if times["time"].null_count():
        message = f"{table}: column {options.time!r} has times that microseconds since 1970 do not reach"
        raise InputUnusable(message, tables.FAR_HINT)


def _of_group(times: pl.DataFrame, axis: Axis, options: Options) -> tuple[float | None, float | None]:
    """Where valid and test begin in one group; its valid part may be empty, and nothing begins with too few times."""
    try:
        test = _cut(axis, options.test, "test", times, Fraction(0), None)
    except InputUnusable:
        return None, None
    try:
        return min(test, _cut(axis, options.valid, "valid", times, _after(times, test), test)), test
    except InputUnusable:
        return test, test


def _after(times: pl.DataFrame, cut: float) -> Fraction:
    """The rows from a cut on."""
    return Fraction(times.filter(pl.col("time") >= cut)["rows"].sum())


def _cut(axis: Axis, text: str, flag: str, times: pl.DataFrame, after: Fraction, before: float | None) -> float:
    """Where a part begins; `after` rows come after it and `before` is where they begin."""
    wanted = split_options.share(text)
    if wanted is None or wanted >= 1:
        if axis.temporal:
            return split_options.instant(text, flag, axis.zone)
        if wanted is None:
            raise Usage(f"--{flag} {text!r} is no number, as the column of --time is", "0.2 is a share, 11 a cut")
        return float(wanted) if axis.dtype.is_float() else int(wanted)
    inside = times if before is None else times.filter(pl.col("time") < before)
    rows = int(times["rows"].sum())
    goal = after + wanted * rows
    starts = inside.slice(2 if before is None else 1)  # each part before needs a timestamp of its own
    if starts.is_empty():
        raise InputUnusable(f"there are too few distinct times for --{flag} {text}", "choose a smaller --test")
    tail = starts.select("time", pl.col("rows").cast(pl.Int64).cum_sum(reverse=True) + int(after))
    nearest = tail.with_columns((pl.col("rows") - float(goal)).abs().alias("off")).sort("off", -pl.col("rows"))
    cut: float = nearest.row(0)[0]
    return cut


def embargo(axis: Axis, text: str | None) -> float:
    """The gap that --embargo names, in the numbers of the axis; Usage for text that is none."""
    if not text:
        return 0
    if axis.temporal:
        return split_options.duration(text)
    gap = split_options.share(text)
    if gap is None or gap < 0:
        raise Usage(f"--embargo {text!r} is no number, as the column of --time is")
    return float(gap) if axis.dtype.is_float() or gap.denominator != 1 else int(gap)
