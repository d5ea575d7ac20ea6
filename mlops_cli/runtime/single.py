"""One JSON row to one line of the model's matrix, without arrays: what a server does most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from math import isfinite, nan
from typing import Any

from mlops_cli.runtime.features import FeatureColumn, Features, buckets_of
from mlops_cli.runtime.signature import Signature
from mlops_cli.runtime.times import CIRCLES, ELAPSED, MICROSECONDS_OF_A_DAY

_INT64 = 1 << 63
_EPOCH_DAY = date(1970, 1, 1).toordinal()

# The same numbers as times.parts, which is made for arrays and takes three times as long for one time.
_PART: dict[str, Callable[[datetime], float]] = {
    "year": lambda time: float(time.year),
    "month": lambda time: float(time.month),
    "day": lambda time: float(time.day),
    "weekday": lambda time: float(time.weekday()),
    "hour": lambda time: float(time.hour),
    "minute": lambda time: float(time.minute),
    "days": lambda time: float(time.toordinal() - _EPOCH_DAY),
}
_STEP: dict[str, Callable[[datetime], int]] = {
    "hour": lambda time: time.hour * 60 + time.minute,
    "weekday": lambda time: time.weekday(),
    "yearday": lambda time: time.toordinal() - date(time.year, 1, 1).toordinal(),
}


class Encoder:
    """The preparation for single rows: the same numbers as `features.matrix(rows.batch_from_rows([row]))`."""

    def __init__(self, signature: Signature, features: Features) -> None:
        self._names = frozenset(signature.names)
        self._aside = frozenset(signature.aside)
        self._required = frozenset(column.name for column in signature.columns if not column.nullable)
        self._columns = [(column.name, _encoder(column), _width(column)) for column in features.columns]

    def encode(self, row: Mapping[str, Any]) -> list[float] | None:
        """The matrix row, or None for a row that is unusual or wrong: `rows.batch_from_rows` decides on that."""
        if type(row) is not dict:
            return None
        keys = row.keys()
        if not keys >= self._required or not (keys <= self._names or self._sound(row)):
            return None
        out: list[float] = []
        append = out.append
        get = row.get
        for name, encode, width in self._columns:
            given = get(name)
            if width:
                try:
                    out += [nan] * width if given is None else encode(given)
                except (TypeError, ValueError, OverflowError):
                    return None
            elif given is None:
                append(nan)
            else:
                number = encode(given)
                if number is None:
                    return None
                append(number)
        return out

    def _sound(self, row: dict[str, Any]) -> bool:
        """Whether all that the model does not take of a row was in the training data, and is one value."""
        return all(
            name in self._aside and isinstance(row[name], bool | int | float | str | None)
            for name in row.keys() - self._names
        )


def _width(column: FeatureColumn) -> int:
    """How many matrix columns a time or words give, 0 for what gives a single number."""
    return column.width if column.use in ("time", "words") else 0


def _encoder(column: FeatureColumn) -> Callable[[Any], Any]:
    """What encodes one value that is not null; a single number is None when the value is of another type."""
    if column.use == "boolean":
        return _boolean
    if column.use == "number":
        return _whole if column.type == "int" else _number
    if column.use == "category":
        return _category(column)
    return _words(column.width) if column.use == "words" else _time(column)


def _boolean(given: object) -> float | None:
    return float(given) if type(given) is bool else None


def _number(given: object) -> float | None:
    if type(given) is float:
        return given if isfinite(given) else nan
    # Larger whole numbers overflow in one way here and in another in numpy: the batch decides.
    return float(given) if type(given) is int and -_INT64 <= given < _INT64 else None


def _whole(given: object) -> float | None:
    return float(given) if type(given) is int and -_INT64 <= given < _INT64 else None


def _category(column: FeatureColumn) -> Callable[[object], float | None]:
    codes, other = column.codes, column.other

    def code(given: object) -> float | None:
        return codes.get(given, other) if type(given) is str else None

    return code


def _words(buckets: int) -> Callable[[str], list[float]]:
    """How many words of a text fall into each bucket; raises what `Encoder.encode` catches for what is no text."""

    def encode(given: str) -> list[float]:
        if type(given) is not str:
            raise TypeError
        found = [0.0] * buckets
        for bucket in buckets_of(given, buckets):
            found[bucket] += 1.0
        return found

    return encode


def _time(column: FeatureColumn) -> Callable[[str], list[float]]:
    """The wanted parts of a date or of an ISO 8601 time; raises what `Encoder.encode` catches for anything else."""
    kind, take = column.type, [_part(part, column.origin) for part in column.parts or ()]

    def encode(given: str) -> list[float]:
        if kind == "date":
            if len(given) != 10:
                raise ValueError(given)
            time = datetime.combine(date.fromisoformat(given), datetime.min.time())
        else:
            time = datetime.fromisoformat(given)
            if time.tzinfo is not None and time.tzinfo is not UTC:
                time = time.astimezone(UTC)
        return [part(time) for part in take]

    return encode


def _part(name: str, origin: int) -> Callable[[datetime], float]:
    """What takes one part of a time."""
    if name == ELAPSED:
        return lambda time: (_micros(time) * 1.0 - origin) / MICROSECONDS_OF_A_DAY
    cycle, _, way = name.rpartition("_")
    if not cycle:
        return _PART[name]
    step, table = _STEP[cycle], CIRCLES[cycle][way]
    return lambda time: table[step(time)]


def _micros(time: datetime) -> int:
    """µs since 1970 of a time in UTC, or without a zone."""
    seconds = (time.toordinal() - _EPOCH_DAY) * 86_400 + time.hour * 3_600 + time.minute * 60 + time.second
    return seconds * 1_000_000 + time.microsecond
