"""From a batch of columns to the matrix a model was trained on: the fitted preparation, executed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime.columns import Batch, Column, rows_of
from mlops_cli.runtime.signature import Type
from mlops_cli.runtime.times import ALL, PARTS, parts

FORMAT = 2
"""The newest that is read. What needs no more than 1 is written as 1 (see `fitted`)."""
FILE = "features.json"
Use = Literal["number", "boolean", "category", "time", "words"]

_TYPES = {
    "number": {"int", "float"},
    "boolean": {"bool"},
    "category": {"string"},
    "words": {"string"},
    "time": {"date", "datetime"},
}
_WORD = re.compile(r"\w+")
_MOST_BUCKETS = 65_536


class FeatureColumn(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """How one input column becomes matrix columns: one, or for a time one for each of `parts`, for words one a bucket.

    `rare` are levels that training had too few rows of: they share the code after the last of `levels`, which any
    level unseen in training gets too. None: training had no such rows, and an unseen level is missing. At most a
    thousand are named. `origin` is where "elapsed" counts from, in µs since 1970 UTC.
    """

    name: str
    type: Type
    use: Use
    levels: list[str] | None = None
    parts: list[str] | None = None
    rare: list[str] | None = None
    origin: int = 0
    buckets: int | None = None

    @cached_property
    def codes(self) -> dict[str, float]:
        """The index of each fitted level; kept, since a request of a few rows takes less time than making it."""
        return {level: float(index) for index, level in enumerate(self.levels or ())}

    @property
    def other(self) -> float:
        """The code of a level that is not among `levels`."""
        return np.nan if self.rare is None else float(len(self.levels or ()))

    @property
    def width(self) -> int:
        """How many matrix columns it becomes."""
        if self.use == "time":
            return len(self.parts or ())
        return self.buckets or 1 if self.use == "words" else 1

    @property
    def names(self) -> list[str]:
        """What each matrix column is, for people: `carrier`, `departed.hour` for a part of a time, `note.7`."""
        if self.use == "time":
            return [f"{self.name}.{part}" for part in self.parts or ()]
        return [f"{self.name}.{bucket}" for bucket in range(self.width)] if self.use == "words" else [self.name]

    @property
    def format(self) -> int:
        """The format that it needs."""
        new = self.use == "words" or self.rare is not None
        return 2 if new or not set(self.parts or ()) <= set(PARTS) else 1


class Dropped(msgspec.Struct, frozen=True):
    """A column of the training table that the model does not use, and why."""

    name: str
    reason: str


class Features(msgspec.Struct, frozen=True):
    """The fitted preparation, `features.json`: data only, executed by `matrix`."""

    columns: list[FeatureColumn]
    dropped: list[Dropped] = []
    format: int = 1

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return sum(column.width for column in self.columns)


def fitted(columns: list[FeatureColumn], dropped: list[Dropped]) -> Features:
    """The preparation, in the lowest format that holds it, so that older programs read what they can execute."""
    return Features(columns, dropped, max((column.format for column in columns), default=1))


def names(features: Features) -> list[str]:
    """What each matrix column is, for people: `carrier`, or `departed.hour` for a part of a time."""
    return [name for column in features.columns for name in column.names]


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

    A null, a NaN and an infinity become NaN, which LightGBM treats as missing. Numbers are as they are, booleans 0 or
    1. A level is its index in the fitted list; one that is not in it has the code of the rare ones, or NaN where there
    are none. A time gives its parts in UTC (see `runtime.times`), a text how many of its words fall into each bucket
    (see `buckets_of`). KeyError when the batch lacks a column.
    """
    out = np.empty((rows_of(batch), features.width), dtype=np.float64)
    at = 0
    for column in features.columns:
        _FILL[column.use](column, batch[column.name], out[:, at : at + column.width])
        at += column.width
    return out


def buckets_of(text: str, buckets: int) -> list[int]:
    """The bucket of each word of a text, lower-cased: CRC-32 of its UTF-8 bytes modulo `buckets`.

    A word is a run of letters, digits and underscores, as `\\w+` finds it.
    """
    words = _WORD.findall(text.lower())
    return [zlib.crc32(word.encode("utf-8", "surrogatepass")) % buckets for word in words]


def _number(_: FeatureColumn, given: Column, out: NDArray[np.float64]) -> None:
    out[:, 0] = _numbers(given)


def _time(column: FeatureColumn, given: Column, out: NDArray[np.float64]) -> None:
    for place, values in enumerate(parts(given.values, column.parts or (), column.origin)):
        out[:, place] = values
    if given.null is not None:
        out[given.null] = np.nan


def _category(column: FeatureColumn, given: Column, out: NDArray[np.float64]) -> None:
    codes, other = column.codes, column.other
    there = given.levels or ()
    found = np.fromiter((codes.get(level, other) for level in there), np.float64, len(there))
    out[:, 0] = _looked_up(given, found[:, None])[:, 0]


def _words(column: FeatureColumn, given: Column, out: NDArray[np.float64]) -> None:
    there, buckets = given.levels or (), column.width
    found = [buckets_of(text, buckets) for text in there]
    rows = np.repeat(np.arange(len(found)), [len(words) for words in found])
    flat = rows * buckets + np.array([bucket for words in found for bucket in words], dtype=np.int64)
    counts = np.bincount(flat, minlength=len(found) * buckets).astype(np.float64)
    out[:] = _looked_up(given, counts.reshape(-1, buckets))


def _looked_up(given: Column, of_levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The row of `of_levels` that belongs to each value's level, NaN for null."""
    # The last entry is the answer for null: code -1 takes it.
    missing = np.full((1, of_levels.shape[1]), np.nan)
    values = np.concatenate([of_levels, missing])[given.values]
    if given.null is not None:
        values[given.null] = np.nan
    return values


_FILL: dict[Use, Callable[[FeatureColumn, Column, NDArray[np.float64]], None]] = {
    "number": _number,
    "boolean": _number,
    "category": _category,
    "time": _time,
    "words": _words,
}


def _numbers(given: Column) -> NDArray[np.float64]:
    """Numbers and booleans as float64 with NaN for whatever is not a finite value."""
    values = given.values.astype(np.float64)
    if given.values.dtype.kind == "f":
        values[~np.isfinite(values)] = np.nan
    if given.null is not None:
        values[given.null] = np.nan
    return values


def _problem(features: Features) -> str:
    """What contradicts itself in decoded features, or nothing."""
    if features.format > FORMAT:
        return f"format {features.format} is newer than this mlops ({FORMAT})"
    if len({column.name for column in features.columns}) != len(features.columns):
        return "a column is listed twice"
    for column in features.columns:
        wrong = _wrong(column)
        if wrong:
            return f"column {column.name}: {wrong}"
    return ""


def _wrong(column: FeatureColumn) -> str:
    """What contradicts itself in one column, or nothing."""
    if column.type not in _TYPES[column.use]:
        return f"a {column.type} cannot be used as {column.use}"
    if column.use == "category" and (column.levels is None or _repeats([*column.levels, *(column.rare or ())])):
        return "levels must be a list without repetition"
    if column.use == "time" and (not column.parts or not set(column.parts) <= set(ALL)):
        return f"parts must be some of {', '.join(ALL)}"
    if column.use == "words" and not 1 <= (column.buckets or 0) <= _MOST_BUCKETS:
        return f"words need 1 to {_MOST_BUCKETS:,} buckets"
    return ""


def _repeats(levels: Sequence[str]) -> bool:
    return len(set(levels)) != len(levels)
