"""Values of a log as a model's signature types them, and keys and labels as text that compares alike."""

from __future__ import annotations

import polars as pl

from mlops_cli.runtime.signature import Type

TYPES: dict[Type, pl.DataType] = {
    "bool": pl.Boolean(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "string": pl.String(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}
"""How a type of a signature is read; datetimes are UTC."""

_ISO = "%Y-%m-%dT%H:%M:%S%.f"


def typed(values: pl.Expr, dtype: pl.DataType, want: Type) -> pl.Expr:
    """Logged values of a polars type as `want`; null where they are none (`***` in a column of numbers)."""
    if dtype == pl.Null:
        return values.cast(TYPES[want])
    if dtype == pl.String:
        return _from_text(values, want)
    if want == "string":
        return text(values, dtype)
    if (dtype == pl.Boolean) != (want == "bool"):
        return pl.lit(None, TYPES[want])
    return values.cast(TYPES[want], strict=False)


def text(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Keys and labels as text that is the same wherever it comes from: 17 for 17.0, true, ISO 8601 UTC for times."""
    if isinstance(dtype, pl.Datetime):
        utc = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else values
        return utc.dt.to_string(_ISO)
    plain = values.cast(pl.String)
    if dtype.is_float() or dtype == pl.String:
        plain = plain.str.replace(r"^(-?\d+)\.0$", "$1")
    if dtype == pl.String:
        plain = plain.str.replace(r"^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00:00)?$", "${1}T$2")
    return plain


def _from_text(values: pl.Expr, want: Type) -> pl.Expr:
    """JSON values that were read as text."""
    if want == "string":
        return values
    if want == "bool":
        return pl.when(values == "true").then(True).when(values == "false").then(False)
    if want == "float":
        return values.cast(pl.Float64, strict=False)
    if want == "int":
        number = values.cast(pl.Float64, strict=False)  # a whole number may have been sent as 3.0
        return pl.coalesce(values.cast(pl.Int64, strict=False), number.cast(pl.Int64, strict=False))
    if want == "date":
        return values.str.to_date("%Y-%m-%d", strict=False)
    return _time(values)


def _time(values: pl.Expr) -> pl.Expr:
    """Times in the common forms of ISO 8601, with or without a zone (none means UTC), seconds, or a time at all."""
    full = (
        values.str.replace(" ", "T", literal=True)
        .str.replace(r"^(\d{4}-\d\d-\d\d)$", "${1}T00:00:00")
        .str.replace(r"T(\d\d:\d\d)([Zz+-]|$)", "T${1}:00${2}")
    )
    zoned = pl.when(full.str.contains(r"T.*([Zz]|[+-]\d\d:?(\d\d)?)$")).then(full).otherwise(full + "Z")
    return zoned.str.to_datetime(f"{_ISO}%#z", time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)
