"""From JSON values to a batch, checked against a model's signature, and from predictions to JSON values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.runtime.columns import Batch, Column
from mlops_cli.runtime.predictors import Prediction
from mlops_cli.runtime.signature import InputColumn, Signature

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = 1 << 63
_SHOWN = 60
_EMPTY: dict[str, Any] = {
    "bool": False,
    "int": 0,
    "float": 0.0,
    "string": "",
    "date": "1970-01-01",
    "datetime": "1970-01-01",
    "image": b"P5 1 1 255\n\x80",
}

_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a string",
    "date": "a date as 'YYYY-MM-DD'",
    "datetime": "a time in ISO 8601",
    "image": "the bytes of an image file in base64",
}


class RequestError(Exception):
    """A request that does not fit the signature: what is wrong, in which row (from 0) and column."""

    def __init__(self, message: str, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.row = row
        self.column = column


def blank(signature: Signature) -> dict[str, Any]:
    """A row that any model of the signature answers: zeros, empty texts, and a grey pixel for an image."""
    return {column.name: _EMPTY[column.type] for column in signature.columns}


def batch_from_rows(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> Batch:
    """A batch from rows of JSON values, {column: value} each.

    A nullable column may be left out and is then null; null is taken for any column. RequestError when a
    row is not an object, has a column that the training data had not, lacks one, or has a value of another type.
    """
    names, aside = {column.name for column in signature.accepted}, frozenset(signature.aside)
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RequestError("a row must be an object {column: value}", index)
        if not row.keys() <= names:
            for name in row:
                if name not in names:
                    _set_aside(aside, name, (row[name],), index)
    batch: Batch = {}
    for column in signature.columns:
        name = column.name
        if not column.nullable:
            for index, row in enumerate(rows):
                if name not in row:
                    raise RequestError(f"column {name!r} is missing", index, name)
        batch[name] = column_of(column, [row.get(name) for row in rows])
    for column in signature.context:  # the model never sees it, the log does
        column_of(column, [row.get(column.name) for row in rows])
    return batch


def batch_from_columns(signature: Signature, columns: Mapping[str, Sequence[Any]]) -> Batch:
    """A batch from columns of JSON values, {column: [value, …]}; the rules and errors of `batch_from_rows`."""
    names, aside = {column.name for column in signature.accepted}, frozenset(signature.aside)
    for name in columns:
        if name not in names:
            _set_aside(aside, name, columns[name])
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise RequestError(f"columns differ in length: {', '.join(map(str, sorted(lengths)))}")
    rows = lengths.pop() if lengths else 0
    batch: Batch = {}
    for column in signature.columns:
        values = columns.get(column.name)
        batch[column.name] = absent(column, rows) if values is None else column_of(column, values)
    for column in signature.context:
        column_of(column, columns.get(column.name, ()))
    return batch


def _set_aside(aside: Collection[str], name: str, given: Sequence[Any], first: int | None = None) -> None:
    """Take a column that the model does not use; RequestError when training knew none of that name, or for a list."""
    if name not in aside:
        raise RequestError(f"unknown column {name!r}", first, name)
    for row, item in enumerate(given, first or 0):
        if not isinstance(item, bool | int | float | str | None):
            raise RequestError(f"column {name!r} takes one value, not {item!r:.{_SHOWN}}", row, name)


def absent(column: InputColumn, rows: int) -> Column:
    """The nulls that stand for a column that was left out; RequestError if it may not be."""
    if not column.nullable:
        raise RequestError(f"column {column.name!r} is missing", None, column.name)
    return column_of(column, [None] * rows)


def answers(signature: Signature, prediction: Prediction) -> list[dict[str, Any]]:
    """One JSON-ready answer a row: {"prediction": value or label} and, of a classifier, "proba" by class.

    What was measured of the row, if anything, is in "measured": it is for the log and not for the client.
    """
    plain = _answers(signature, prediction)
    if prediction.measured:
        names = list(prediction.measured)
        columns = [_plain(values) for values in prediction.measured.values()]
        for answer, row in zip(plain, zip(*columns, strict=True), strict=True):
            answer["measured"] = dict(zip(names, row, strict=True))
    return plain


def _plain(values: NDArray[Any]) -> list[Any]:
    """Measurements as JSON values of six digits, NaN as null."""
    if values.dtype.kind != "f":
        whole: list[Any] = values.tolist()
        return whole
    return [None if item != item else float(f"{item:.6g}") for item in values.tolist()]


def _answers(signature: Signature, prediction: Prediction) -> list[dict[str, Any]]:
    """The answers as a client gets them."""
    classes = signature.classes
    if classes is None:
        return [{"prediction": value} for value in prediction.values.tolist()]
    labels = [classes[code] for code in prediction.values.tolist()]
    if prediction.proba is None:
        return [{"prediction": label} for label in labels]
    pairs = zip(labels, prediction.proba.tolist(), strict=True)
    return [{"prediction": label, "proba": proba} for label, proba in pairs]


def micros(text: str, kind: str) -> int:
    """µs since 1970 UTC of a date 'YYYY-MM-DD' or, for `kind` datetime, of an ISO 8601 time (naive means UTC).

    Digits beyond the microsecond are cut off. ValueError for anything else.
    """
    if kind == "date":
        if len(text) != 10:
            raise ValueError(text)
        return (date.fromisoformat(text).toordinal() - _EPOCH.toordinal()) * 86_400_000_000
    time = datetime.fromisoformat(text)
    return ((time.replace(tzinfo=UTC) if time.tzinfo is None else time) - _EPOCH) // _MICROSECOND


def value(column: InputColumn, given: object) -> Any:
    """One JSON value as the column's own: bool, int, float, str, µs for times, or None; RequestError if it is none."""
    if given is None:
        return None
    try:
        return _ONE[column.type](given)
    except (TypeError, ValueError, OverflowError):
        raise _mismatch(column, given) from None


def column_of(column: InputColumn, given: Sequence[Any]) -> Column:
    """A column from JSON values; RequestError for a value of another type, and for an image that is null."""
    if column.type == "image":
        return _images(column, given)
    # Types are looked at as a set first: the usual request needs no loop.
    kinds = set(map(type, given))
    null: NDArray[np.bool_] | None = None
    if type(None) in kinds:
        kinds.discard(type(None))
        null = np.fromiter((item is None for item in given), np.bool_, len(given))
    if column.type == "string":
        return _strings(column, given, kinds, null)
    if not kinds <= _PLAIN[column.type]:
        given = _converted(column, given, kinds)
    if null is not None:
        given = [0 if item is None else item for item in given]
    try:
        return Column(np.array(given, dtype=_DTYPES[column.type]), null)
    except OverflowError:
        row = next(row for row, item in enumerate(given) if not -_INT64 <= item < _INT64)
        raise _mismatch(column, given[row], row) from None


def _strings(column: InputColumn, given: Sequence[Any], kinds: set[type], null: NDArray[np.bool_] | None) -> Column:
    """A column of strings as codes into its own levels, in order of appearance."""
    if not kinds <= {str}:
        for row, item in enumerate(given):
            _located(column, item, row)
    levels: dict[str | None, int] = {None: -1}
    codes = np.fromiter((levels.setdefault(item, len(levels) - 1) for item in given), np.int32, len(given))
    return Column(codes, null, [level for level in levels if level is not None])


def _images(column: InputColumn, given: Sequence[Any]) -> Column:
    """A column of the bytes of images, which may also come as base64."""
    out = np.empty(len(given), dtype=object)
    for row, item in enumerate(given):
        if item is None:
            raise _mismatch(column, None, row)
        out[row] = _located(column, item, row)
    return Column(out)


def _converted(column: InputColumn, given: Sequence[Any], kinds: set[type]) -> list[Any]:
    """The values of a column whose JSON values are not yet its own: texts of times, or numbers of another kind."""
    if kinds <= {str} and column.type in ("date", "datetime"):
        try:
            return [None if item is None else micros(item, column.type) for item in given]
        except (ValueError, OverflowError):
            pass  # one by one, to say which
    return [_located(column, item, row) for row, item in enumerate(given)]


def _located(column: InputColumn, given: object, row: int) -> Any:
    """`value`, with the row in its error."""
    try:
        return value(column, given)
    except RequestError:
        raise _mismatch(column, given, row) from None


def _mismatch(column: InputColumn, given: object, row: int | None = None) -> RequestError:
    """The error for a value of another type."""
    shown = repr(given)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return RequestError(f"column {column.name!r} takes {_EXPECTED[column.type]}, not {shown}", row, column.name)


def _bool(given: object) -> bool:
    if type(given) is not bool:
        raise TypeError
    return given


def _int(given: object) -> int:
    # JSON has one kind of number: 3.0 is a whole number, as in JSON Schema.
    if type(given) is float and given.is_integer():
        given = int(given)
    if type(given) is not int:
        raise TypeError
    if not -_INT64 <= given < _INT64:
        raise OverflowError
    return given


def _float(given: object) -> float:
    if type(given) is not float and type(given) is not int:
        raise TypeError
    return float(given)


def _image(given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    text = _str(given)
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError(text) from None


def _str(given: object) -> str:
    if type(given) is not str:
        raise TypeError
    return given


_ONE: dict[str, Callable[[object], Any]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "string": _str,
    "date": lambda given: micros(_str(given), "date"),
    "datetime": lambda given: micros(_str(given), "datetime"),
    "image": _image,
}
# Types that numpy converts as they are; anything else goes through `value` one by one.
_PLAIN: dict[str, set[type]] = {
    "bool": {bool},
    "int": {int},
    "float": {float, int},
    "date": set(),
    "datetime": set(),
}
_DTYPES: dict[str, type[np.generic]] = {
    "bool": np.bool_,
    "int": np.int64,
    "float": np.float64,
    "date": np.int64,
    "datetime": np.int64,
}
