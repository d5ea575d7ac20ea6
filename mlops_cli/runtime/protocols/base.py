"""What every protocol turns a request into, and how a request is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol, TypeVar

import msgspec

from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn

T = TypeVar("T")
Row = dict[str, Any]
_SHOWN = 300
_KEYS = {str, int, float, type(None)}
_NUMBER = set("0123456789+-.eE")
DEEPEST = "the JSON is nested too deeply"


class Refused(Exception):
    """A request that is not answered: the HTTP status and one line that says why.

    `broken` has the rules that its rows break, with the number of rows, when that is the reason.
    """

    def __init__(self, status: int, message: str, broken: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.broken = broken or {}
        self.message = message if len(message) <= _SHOWN else f"{message[:_SHOWN]}…"


@dataclass(slots=True)
class Head:
    """What comes with a body: its content type, the query string, and how much of it is JSON when not all is."""

    kind: str
    query: bytes = b""
    json_bytes: int | None = None


@dataclass(slots=True)
class Request:
    """The rows of one request, either as `rows` or as `columns` of equal length n, checked in shape only.

    `outputs` are the names asked for, None for all; `id` is the client's own. The column that is the row's
    key has been taken out into `keys`. `alone`: the client sent one row and no list; `files` are names of images.
    """

    n: int
    rows: list[Row] | None = None
    columns: dict[str, list[Any]] | None = None
    id: str | None = None
    outputs: tuple[str, ...] | None = None
    keys: list[Any] | None = None
    alone: bool = False
    files: list[str | None] | None = None

    def as_rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows as {column: value} each, whichever way they came."""
        if self.rows is not None:
            return self.rows
        names = tuple(self.columns or ())
        return [dict(zip(names, values, strict=True)) for values in zip(*(self.columns or {}).values(), strict=True)]

    def take_key(self, name: str, keep: bool) -> None:
        """Copy the column `name`, if it was sent, into `keys`, and out of the inputs unless it is to `keep`."""
        if self.columns is not None:
            self.keys = self.columns.get(name)
            if not keep and self.columns.pop(name, None) is not None and not self.columns:
                # Without columns the number of rows would be lost.
                self.columns, self.rows = None, [{} for _ in range(self.n)]
        elif self.rows is not None:
            rows = [row for row in self.rows if type(row) is dict]
            if any(name in row for row in rows):
                self.keys = [row.get(name) for row in rows]
                for row in rows if not keep else ():
                    row.pop(name, None)
        if self.keys is not None and not set(map(type, self.keys)) <= _KEYS:
            raise Refused(400, f"the key {name!r} must be a string, a number or null")


class Wire(Protocol):
    """One protocol, for one model."""

    name: str

    def read(self, body: bytes, head: Head) -> Request:
        """The request in a body; Refused when it is not one."""

    def write(self, request: Request, answers: list[dict[str, Any]], request_id: str) -> bytes:
        """The body of the answer, one of `answers` for each row."""

    def error(self, refused: Refused) -> bytes:
        """The body that says why a request is refused."""


def decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode JSON that a stranger has sent; Refused (400) for whatever is wrong with it."""
    if not body:
        raise Refused(400, "the body is empty")
    try:
        return decode(body)
    except RecursionError:
        raise Refused(400, DEEPEST) from None
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise Refused(400, f"the JSON is not as it should be: {error}") from None


def refused(error: RequestError) -> Refused:
    """The refusal of rows that do not fit the signature, with the row named."""
    return Refused(400, error.message if error.row is None else f"row {error.row}: {error.message}")


def converter(column: InputColumn | None) -> Callable[[str], Any]:
    """From text to a JSON value; what cannot be converted stays text, which the model's check refuses."""
    if column is None or column.type not in ("int", "float", "bool"):
        return str
    if column.type == "bool":
        return lambda field: {"true": True, "false": False}.get(field.lower(), field)
    number = int if column.type == "int" else float

    def convert(field: str) -> Any:
        # Blanks, "_", nan and inf are Python's liberties, and no JSON number.
        if not set(field) <= _NUMBER:
            return field
        try:
            value = number(field)
        except ValueError:
            return field
        return value if isfinite(value) else field

    return convert
