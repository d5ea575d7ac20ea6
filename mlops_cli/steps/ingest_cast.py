"""Values as another type: what does not fit is an error, never null and never another value in silence."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch, Usage
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules import types
from mlops_cli.steps.rules.types import Type

FLAG = "--cast"
_REACHES = {
    "integer": ("float", "decimal", "boolean", "string"),
    "float": ("integer", "decimal", "string"),
    "decimal": ("integer", "float", "string"),
    "boolean": ("integer", "string"),
    "date": ("string",),
    "datetime": ("date", "string"),
    "time": ("string",),
}
"""What a column of a family can become besides what text can."""
_EXACT = {
    ("integer", "float"), ("integer", "boolean"), ("float", "integer"), ("float", "decimal"),
    ("decimal", "integer"), ("decimal", "decimal"),
}  # fmt: skip
"""What must be the same value when it is cast back."""
_ISO = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_OFFSET = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
_ROW = "\0row"


@dataclass(frozen=True)
class Cast:
    """One column and the type that it is to have; `flag` is who asked for it."""

    name: str
    type: Type
    flag: str = FLAG

    @property
    def where(self) -> str:
        """The place in messages."""
        return f"{self.flag} {self.name}={self.type.name}"


def parse(name: str, text: str, flag: str = FLAG) -> Cast:
    """The cast of a column to a type by its name in rules files; Usage when there is none of that name."""
    try:
        found = types.parse(text, f"{flag} {name}")
    except InputUnusable as error:
        raise Usage(error.message, error.hint) from None
    if found.family == "string":  # categories are text with a dictionary, which Parquet makes by itself
        found = Type(found.name, "string", pl.String())
    return Cast(name, found, flag)


def strict(cast: Cast, data: pl.DataType) -> pl.Expr:
    """The column of type `data` as the type that was asked for; InputUnusable is raised while a value is read that does
    not fit. SchemaMismatch when no value of that type could."""
    if data == cast.type.dtype:
        return exactly(cast.name)
    value = _value(cast, data)

    def checked(both: pl.Series) -> pl.Series:
        bad = both.struct.field("bad")
        if bad.any():
            raise InputUnusable(f"{cast.where}: a value does not fit")
        return both.struct.field("value")

    both = pl.struct(value=value, bad=_bad(cast, data, value))
    made = both.map_batches(checked, return_dtype=cast.type.dtype, is_elementwise=True)
    return made.alias(cast.name)


def misfit(frame: pl.LazyFrame, cast: Cast, data: pl.DataType) -> InputUnusable | None:
    """The first value of a column that does not fit, with its row, counted from 1."""
    if data == cast.type.dtype:
        return None
    column, bad = exactly(cast.name), _bad(cast, data, _value(cast, data))
    text = column.dt.to_string("%Y-%m-%dT%H:%M:%S") if isinstance(data, pl.Datetime) else pl.lit(None)
    columns = (column.alias("value"), bad.alias("bad"), text.alias("text"))
    rows = frame.select(columns).with_row_index(_ROW, offset=1)
    first = rows.filter("bad").head(1).collect(engine="streaming")
    if not first.height:
        return None
    try:
        row, value, _, text = first.row(0)
    except (ValueError, OverflowError):  # a time outside the years 1 to 9999
        row, value, text = first[_ROW].item(), None, first["text"].item()
    shown = text or repr(value)[:60]
    return InputUnusable(f"{cast.where}: row {row:,}: {shown} {_why(cast, data, value)}", _hint(cast, data, value))


def _value(cast: Cast, data: pl.DataType) -> pl.Expr:
    """The values as the wanted type, null where that cannot be. SchemaMismatch when it never can."""
    column, to = exactly(cast.name), cast.type.dtype
    source, target = types.family_of(data), cast.type.family
    if source == "string":
        return _of_text(column.cast(pl.String), cast.type)
    if target == "datetime" and source in ("date", "datetime"):
        return _instant(cast, column, data)
    if source in ("null", target) or target in _REACHES.get(source, ()):
        return column.cast(to, strict=False)
    hint = "to_timestamp in --sql says in which unit" if source == "integer" else "--sql can say what it means"
    raise SchemaMismatch(f"{cast.where}: a column of type {str(data).lower()} cannot be that", hint)


def _of_text(text: pl.Expr, wanted: Type) -> pl.Expr:
    """Text as a value, written as CSV files have it: ISO 8601, a decimal point, true and false."""
    if wanted.family != "string":
        text = text.str.strip_chars()
    if wanted.family == "boolean":
        low = text.str.to_lowercase()
        return pl.when(low == "true").then(True).when(low == "false").then(False)
    if wanted.family == "date":
        right = text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
        return pl.when(right).then(text.str.to_date("%Y-%m-%d", strict=False))
    if wanted.family == "datetime":
        return _moment(text, wanted.zone)
    if wanted.family == "time":
        long, short = (text.str.to_time(form, strict=False) for form in ("%H:%M:%S%.f", "%H:%M"))
        return pl.coalesce(long, short)
    return text.cast(wanted.dtype, strict=False)


def _moment(text: pl.Expr, zone: str | None) -> pl.Expr:
    """ISO 8601 text as a time: with an offset only for a column with a zone, without one as a clock in that zone."""
    plain = text.str.replace("^(.{10}) ", "${1}T")
    naive = pl.coalesce(plain.str.to_datetime(form, time_unit="us", strict=False) for form in _ISO)
    if zone is None:
        return naive
    whole = plain.str.replace(r"T([0-9]{2}:[0-9]{2})(Z|[+-])", "T${1}:00${2}")
    offset = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)
    return pl.when(text.str.contains(_OFFSET)).then(offset.dt.convert_time_zone(zone)).otherwise(_local(naive, zone))


def _local(naive: pl.Expr, zone: str) -> pl.Expr:
    """A clock's time in a zone; null for one that comes twice, or never."""
    return naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")


def _instant(cast: Cast, column: pl.Expr, data: pl.DataType) -> pl.Expr:
    """Dates and times as times, the clock of those without a zone being that of the zone."""
    zone, from_zone = cast.type.zone, getattr(data, "time_zone", None)
    if from_zone and zone is None:
        hint = f"--cast '{cast.name}=datetime[us,{from_zone}]', or the clock without a zone by --sql"
        raise SchemaMismatch(f"{cast.where}: the times are in {from_zone}, which would be lost", hint)
    times = column.cast(pl.Datetime("us", from_zone))
    if zone is None or zone == from_zone:
        return times
    return times.dt.convert_time_zone(zone) if from_zone else _local(times, zone)


def _bad(cast: Cast, data: pl.DataType, value: pl.Expr) -> pl.Expr:
    """Whether a value was lost on the way, or changed."""
    column, source, target = exactly(cast.name), types.family_of(data), cast.type.family
    changed = pl.lit(False)
    if (source, target) in _EXACT:
        changed = value.cast(data, strict=False).ne_missing(column)
    elif (source, target) == ("string", "decimal"):
        most = pl.Decimal(38, 18)
        changed = value.cast(most, strict=False) != column.cast(pl.String).str.strip_chars().cast(most, strict=False)
    elif (source, target) == ("string", "float"):
        text = column.cast(pl.String)
        large = value.is_infinite() & ~text.str.contains("(?i)inf")
        changed = large | ((value == 0) & text.str.contains(r"^[^eE]*[1-9]"))
    elif source == "string" and target in ("datetime", "time"):
        changed = column.cast(pl.String).str.contains(r"\.[0-9]{6}[0-9]*[1-9]")
    elif (source, target) == ("datetime", "date"):
        changed = column.dt.time() != pl.lit(datetime.time())
    elif source in ("datetime", "duration") and getattr(data, "time_unit", "") == "ns" and source == target:
        changed = column.to_physical() % 1000 != 0
    elif cast.type.dtype == pl.Float32:
        changed = value.is_infinite() & column.cast(pl.Float64, strict=False).is_finite()
    return column.is_not_null() & (value.is_null() | changed.fill_null(False))


def _why(cast: Cast, data: pl.DataType, value: object) -> str:
    """What is wrong with a value."""
    clock = _clock(cast, data, value)
    if clock is None:
        return f"is not {cast.type.name}" if types.family_of(data) == "string" else f"does not fit {cast.type.name}"
    zone = cast.type.zone
    once = pl.select(pl.lit(clock).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")).item()
    return f"does not exist in {zone}" if once is None else f"comes twice in {zone}"


def _clock(cast: Cast, data: pl.DataType, value: object) -> datetime.datetime | None:
    """The clock's time that has no meaning, or two of them, in the zone of the column; None when that is not it."""
    if not cast.type.zone or getattr(data, "time_zone", None):
        return None
    if types.family_of(data) == "string":
        found = pl.select(_moment(pl.lit(value).str.strip_chars(), None)).item()
    else:
        found = pl.select(pl.lit(value).cast(pl.Datetime("us"))).item()
    assert found is None or isinstance(found, datetime.datetime)
    return found


def _hint(cast: Cast, data: pl.DataType, value: object) -> str:
    """What to do about it."""
    source, target, name = types.family_of(data), cast.type.family, cast.name
    if isinstance(value, str) and "," in value and target in ("integer", "float", "decimal"):
        return f"a decimal comma? --sql \"select replace({name}, ',', '.') as {name}, … from data\""
    if _clock(cast, data, value) is not None:
        return "the clocks were changed then: times with an offset from UTC (…+02:00) say which is meant"
    if (source, target) == ("datetime", "date"):
        return f"--sql 'select date({name}) as {name}, … from data' cuts the time off"
    if (source, target) == ("float", "integer"):
        return f"--sql 'select round({name}) as {name}, … from data' rounds"
    return "mend the source, or leave such rows out with --sql"
