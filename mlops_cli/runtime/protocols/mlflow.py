"""MLflow's scoring protocol: `/invocations` with JSON in four forms, or CSV (mlflow.pyfunc.scoring_server)."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from mlops_cli.runtime.protocols.base import Head, Refused, Request, Row, converter, decoded
from mlops_cli.runtime.signature import Signature

_JSON = "application/json"
_CSV = "text/csv"
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Split(msgspec.Struct, gc=False):
    """A data frame as names and a list of rows; `index` is not looked at."""

    data: list[list[Any]]
    columns: list[str] | None = None
    index: list[Any] | None = None


class Body(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The JSON body: exactly one of the four forms, and `params`, which no model of ours takes."""

    dataframe_split: Split | None = None
    dataframe_records: list[Row] | None = None
    instances: list[Any] | None = None
    inputs: dict[str, list[Any]] | list[Any] | None = None
    params: dict[str, Any] | None = None


class MLflow:
    """The protocol for one model."""

    name = "mlflow"

    def __init__(self, signature: Signature, key: str | None = None) -> None:
        self._names = signature.names
        self._known = {column.name: column for column in signature.accepted}
        self._key = key
        self._decode = msgspec.json.Decoder(Body).decode
        self._encode = msgspec.json.Encoder().encode

    def read(self, body: bytes, head: Head) -> Request:
        """The request in a body: Refused with 415 for a content type other than JSON or CSV in UTF-8, else 400."""
        media = _media(head.kind)
        request = self._table(body) if media == _CSV else self._frame(decoded(self._decode, body))
        if not request.n:
            raise Refused(400, "there are no rows")
        return request

    def write(self, request: Request, answers: list[dict[str, Any]], request_id: str) -> bytes:
        """`{"predictions": [{"prediction": …, "proba": […]}, …]}`."""
        return b'{"predictions":%b}' % self._encode(answers)

    def error(self, refused: Refused) -> bytes:
        """`{"error_code": …, "message": …}`."""
        code = {400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 404: "ENDPOINT_NOT_FOUND", 503: "TEMPORARILY_UNAVAILABLE"}
        default = "INTERNAL_ERROR" if refused.status >= 500 else "BAD_REQUEST"
        return self._encode({"error_code": code.get(refused.status, default), "message": refused.message})

    def _frame(self, body: Body) -> Request:
        """The rows of a JSON body."""
        given = [form for form in _FORMS if getattr(body, form) is not None]
        if len(given) != 1:
            have = " and ".join(given) if given else "none"
            raise Refused(400, f"the body must have exactly one of {', '.join(_FORMS)}; it has {have}")
        if body.dataframe_records is not None:
            return Request(len(body.dataframe_records), rows=body.dataframe_records)
        if body.dataframe_split is not None:
            return self._lists(body.dataframe_split.columns, body.dataframe_split.data)
        if isinstance(body.inputs, dict):
            return _columns(body.inputs)
        rows = body.instances if body.instances is not None else body.inputs
        return self._instances(rows or [])

    def _instances(self, rows: list[Any]) -> Request:
        """Rows as objects, or as lists in the order of the signature."""
        if all(type(row) is dict for row in rows):
            return Request(len(rows), rows=rows)
        if not all(type(row) is list for row in rows):
            raise Refused(400, "rows must be objects {column: value}, or lists in the order of the model's columns")
        return self._lists(None, rows)

    def _lists(self, columns: list[str] | None, rows: list[list[Any]]) -> Request:
        """Rows as lists under the given names, by default the signature's."""
        names = self._names if columns is None else columns
        if len(set(names)) != len(names):
            raise Refused(400, f"column {next(n for n in names if names.count(n) > 1)!r} is given twice")
        for index, row in enumerate(rows):
            if len(row) != len(names):
                raise Refused(400, f"row {index} has {len(row)} values for {len(names)} columns")
        if len(rows) < 2:
            return Request(len(rows), rows=[dict(zip(names, row, strict=True)) for row in rows])
        return Request(len(rows), columns=dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def _table(self, body: bytes) -> Request:
        """The rows of a CSV with a header line; an empty field is null."""
        try:
            lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
        except UnicodeDecodeError:
            raise Refused(400, "the body is not UTF-8") from None
        except csv.Error as error:
            raise Refused(400, f"the CSV cannot be read: {error}") from None
        lines = [line for line in lines if line]
        if not lines:
            raise Refused(400, "the body is empty")
        names = lines[0]
        convert = [converter(self._known.get(name)) for name in names]
        rows = [
            [to(field) if field else None for to, field in zip(convert, line, strict=False)]
            if len(line) == len(names)
            else line  # refused below, with its number
            for line in lines[1:]
        ]
        return self._lists(names, rows)


def _media(kind: str) -> str:
    """The media type of a content type; Refused (415) unless JSON or CSV, in UTF-8."""
    media, *parameters = [part.strip() for part in kind.split(";")]
    media = media.lower()
    if media not in (_JSON, _CSV):
        raise Refused(415, f"the content type must be {_JSON} or {_CSV}, not {media or 'empty'}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset" or value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise Refused(415, f"the only parameter a content type may have is charset=utf-8, not {parameter}")
    return media


def _columns(columns: dict[str, list[Any]]) -> Request:
    """Columns under their names."""
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise Refused(400, f"columns differ in length: {', '.join(map(str, sorted(lengths)))}")
    return Request(lengths.pop() if lengths else 0, columns=columns)
