"""From a batch of columns to the matrix a model was trained on: the fitted preparation, executed."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime.columns import Batch, Column, rows_of
from mlops_cli.runtime.signature import Type
from mlops_cli.runtime.times import PARTS, parts

FORMAT = 1
FILE = "features.json"

_TYPES = {
    "number": {"int", "float"},
    "boolean": {"bool"},
    "category": {"string"},
    "time": {"date", "datetime"},
}


class FeatureColumn(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """How one input column becomes matrix columns: one, or for a time one for each of `parts`."""

    name: str
    type: Type
    use: Literal["number", "boolean", "category", "time"]
    levels: list[str] | None = None
    parts: list[str] | None = None

    @cached_property
    def codes(self) -> dict[str, float]:
        """The index of each fitted level; kept, since a request of a few rows takes less time than making it."""
        return {level: float(index) for index, level in enumerate(self.levels or ())}


class Dropped(msgspec.Struct, frozen=True):
    """A column of the training table that the model does not use, and why."""

    name: str
    reason: str


class Features(msgspec.Struct, frozen=True):
    """The fitted preparation, `features.json`: data only, executed by `matrix`."""

    columns: list[FeatureColumn]
    dropped: list[Dropped] = []
    format: int = FORMAT

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return sum(len(column.parts or ()) if column.use == "time" else 1 for column in self.columns)


def names(features: Features) -> list[str]:
    """What each matrix column is, for people: `carrier`, or `departed.hour` for a part of a time."""
    return [name for column in features.columns for name in _names(column)]


def _names(column: FeatureColumn) -> list[str]:
    return [f"{column.name}.{part}" for part in column.parts or ()] if column.use == "time" else [column.name]


def decode(data: bytes) -> Features:
    """Read `features.json`; `Corrupt` if it is not one that this version understands."""
    hint = "the model directory is damaged; train or fetch it again"
    try:
        features = msgspec.json.decode(data, type=Features)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{FILE}: {error}", hint) from None
    problem = _problem(features)
    if problem:
        raise Corrupt(f"{FILE}: {problem}", hint)
    return features


def encode(features: Features) -> bytes:
    """The bytes of `features.json`, the same for the same preparation."""
    return msgspec.json.format(msgspec.json.encode(features), indent=1) + b"\n"


def matrix(features: Features, batch: Batch) -> NDArray[np.float64]:
    """The matrix of shape (n, features.width), C order, that the model takes for n rows.

    A null, a NaN, an infinity and a level that training has not seen become NaN, which LightGBM treats
    as missing. Numbers are as they are, booleans 0 or 1, a level is its index in the fitted list, a time
    gives its parts in UTC (see `runtime.times`). KeyError when the batch lacks a column.
    """
    out = np.empty((rows_of(batch), features.width), dtype=np.float64)
    at = 0
    for column in features.columns:
        given = batch[column.name]
        if column.use == "time":
            wanted = column.parts or []
            for offset, values in enumerate(parts(given.values, wanted)):
                out[:, at + offset] = values
            if given.null is not None:
                out[given.null, at : at + len(wanted)] = np.nan
            at += len(wanted)
            continue
        out[:, at] = _codes(column.codes, given) if column.use == "category" else _numbers(given)
        at += 1
    return out


def _numbers(given: Column) -> NDArray[np.float64]:
    """Numbers and booleans as float64 with NaN for whatever is not a finite value."""
    values = given.values.astype(np.float64)
    if given.values.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    if given.null is not None:
        values[given.null] = np.nan
    return values


def _codes(fitted: dict[str, float], given: Column) -> NDArray[np.float64]:
    """The index of each row's level among the `fitted`, NaN for null and for a level not among them."""
    there = given.levels or ()
    # The last entry is the answer for null: code -1 takes it.
    lookup = np.fromiter((fitted.get(level, np.nan) for level in there), np.float64, len(there))
    codes = np.append(lookup, np.nan)[given.values]
    if given.null is not None:
        codes[given.null] = np.nan
    return codes


def _problem(features: Features) -> str:
    """What contradicts itself in decoded features, or nothing."""
    if features.format > FORMAT:
        return f"format {features.format} is newer than this mlops ({FORMAT})"
    if len({column.name for column in features.columns}) != len(features.columns):
        return "a column is listed twice"
    for column in features.columns:
        if column.type not in _TYPES[column.use]:
            return f"column {column.name}: a {column.type} cannot be used as {column.use}"
        if column.use == "category" and (column.levels is None or len(set(column.levels)) != len(column.levels)):
            return f"column {column.name}: levels must be a list without repetition"
        if column.use == "time" and (not column.parts or not set(column.parts) <= set(PARTS)):
            return f"column {column.name}: parts must be some of {', '.join(PARTS)}"
    return ""
