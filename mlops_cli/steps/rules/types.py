"""The names of column types that a rules file may use, and which types of data each of them accepts."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import polars as pl

from mlops_cli.errors import InputUnusable

_INTEGERS: dict[str, type[pl.DataType]] = {
    "int8": pl.Int8, "int16": pl.Int16, "int32": pl.Int32, "int64": pl.Int64,
    "uint8": pl.UInt8, "uint16": pl.UInt16, "uint32": pl.UInt32, "uint64": pl.UInt64,
}  # fmt: skip
_NAMES: dict[str, tuple[str, pl.DataType]] = {
    **{name: ("integer", dtype()) for name, dtype in _INTEGERS.items()},
    "int": ("integer", pl.Int64()),
    "integer": ("integer", pl.Int64()),
    "float": ("float", pl.Float64()),
    "float32": ("float", pl.Float32()),
    "float64": ("float", pl.Float64()),
    "double": ("float", pl.Float64()),
    "str": ("string", pl.String()),
    "string": ("string", pl.String()),
    "utf8": ("string", pl.String()),
    "object": ("string", pl.String()),  # what pandas calls a column of strings
    "category": ("string", pl.Categorical()),
    "categorical": ("string", pl.Categorical()),
    "bool": ("boolean", pl.Boolean()),
    "boolean": ("boolean", pl.Boolean()),
    "date": ("date", pl.Date()),
    "date32": ("date", pl.Date()),
    "datetime": ("datetime", pl.Datetime("us")),
    "datetime64": ("datetime", pl.Datetime("us")),
    "timestamp": ("datetime", pl.Datetime("us")),
    "time": ("time", pl.Time()),
    "duration": ("duration", pl.Duration("us")),
    "timedelta": ("duration", pl.Duration("us")),
    "timedelta64": ("duration", pl.Duration("us")),
    "decimal": ("decimal", pl.Decimal(38, 9)),
    "binary": ("binary", pl.Binary()),
    "bytes": ("binary", pl.Binary()),
}
_ZONE = re.compile(r"""(?:,\s*|time_zone=)['"]?([A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)['"]?\s*[])]""")


@dataclass(frozen=True, slots=True)
class Type:
    """A type as the rules name it: its family decides what data it accepts, `dtype` is what `coerce` makes."""

    name: str
    family: str
    dtype: pl.DataType
    zone: str | None = None

    @property
    def limits(self) -> tuple[int, int] | None:
        """The smallest and the largest integer of this type; None for anything but integers."""
        return bounds(self.dtype) if self.family == "integer" else None


def parse(name: str, where: str) -> Type:
    """The type called `name`: polars' and pandas' names alike, case and units of time ignored.

    InputUnusable, naming the place `where`, when no type is called that.
    """
    text = name.strip()
    word = re.split(r"[\[(]", text, maxsplit=1)[0].strip().lower()
    if word not in _NAMES:
        close = difflib.get_close_matches(word, _NAMES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known types: {', '.join(sorted(_NAMES))}"
        raise InputUnusable(f"{where}: {name!r} is not a type", hint)
    family, dtype = _NAMES[word]
    zone = None
    if family == "datetime" and (found := _ZONE.search(text)) and found[1] != "None":
        zone = found[1]
        dtype = _zoned(zone, where)
    if family == "decimal" and (sizes := re.fullmatch(r"\w+\(\D*(\d+)\D+(\d+)\)", text)):
        dtype = pl.Decimal(int(sizes[1]), int(sizes[2]))
    return Type(text, family, dtype, zone)


def _zoned(zone: str, where: str) -> pl.DataType:
    try:
        pl.Series([0]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)  # asks the zones that polars knows
        return pl.Datetime("us", zone)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise InputUnusable(f"{where}: {zone!r} is not a time zone") from error


def family_of(dtype: pl.DataType) -> str:
    """The family of a column of data: integer, float, string, …, `null` when all of it is null, else `nested`."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "string"
    for family, cls in _PLAIN.items():
        if isinstance(dtype, cls):
            return family
    return "nested"


_PLAIN: dict[str, type[pl.DataType]] = {
    "boolean": pl.Boolean, "date": pl.Date, "datetime": pl.Datetime, "time": pl.Time, "duration": pl.Duration,
    "decimal": pl.Decimal, "binary": pl.Binary, "null": pl.Null,
}  # fmt: skip

# Data of another family that the rules take as it is, because every value of it means the same there.
_WIDER = {"float": {"integer", "decimal"}, "decimal": {"integer"}}


def accepts(wanted: Type, data: pl.DataType) -> bool:
    """Whether data of type `data` may stand where the rules say `wanted`, as far as types can tell."""
    family = family_of(data)
    if family == "null":
        return True
    if family != wanted.family:
        return family in _WIDER.get(wanted.family, set())
    if wanted.zone is not None:
        return isinstance(data, pl.Datetime) and data.time_zone == wanted.zone
    return True


def bounds(dtype: pl.DataType) -> tuple[int, int]:
    """The smallest and the largest value of an integer type."""
    bits = int(re.sub(r"\D", "", str(dtype)))
    return (0, 2**bits - 1) if str(dtype).startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
