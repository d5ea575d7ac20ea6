"""`/predict`: what is easiest to send, an image file, a form with files, or a row as JSON; answers name the classes."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from mlops_cli.runtime.protocols import multipart
from mlops_cli.runtime.protocols.base import Head, Refused, Request, Row, converter, decoded
from mlops_cli.runtime.signature import Signature

IMAGES = ("image/", "application/octet-stream")
_JSON, _FORM = "application/json", "multipart/form-data"
_MOST_FIELDS = 100
_LONGEST_FIELD = 4_096


class Predict:
    """The protocol for one model."""

    name = "predict"

    def __init__(self, signature: Signature, key: str | None = None) -> None:
        self._known = {column.name: column for column in signature.accepted}
        self._more = {key, *signature.aside}
        self._image = next((column.name for column in signature.columns if column.type == "image"), None)
        self._labels = [_label(label) for label in signature.classes or ()]
        self._decode = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]]).decode
        self._encode = msgspec.json.Encoder().encode

    def read(self, body: bytes, head: Head) -> Request:
        """One row from an image or a JSON object, several from a form or a JSON list; Refused (400, 413, 415).

        The query string's fields are columns of every row.
        """
        content = Message()
        content["content-type"] = head.kind
        media = content.get_content_type() if head.kind else ""
        common = dict(self._query(head.query))
        if media == _JSON:
            found = decoded(self._decode, body)
            rows = found if isinstance(found, list) else [found]
            request = Request(len(rows), rows=[common | row for row in rows], alone=isinstance(found, dict))
        elif self._image is None:
            raise Refused(415, f"the content type must be {_JSON}, not {media or 'empty'}")
        elif media == _FORM:
            request = self._form(body, multipart.parameter(content, "boundary", "content-type") or "", common)
        elif not media or media.startswith(IMAGES):
            if not body:
                raise Refused(400, "the body is empty")
            request = Request(1, rows=[common | {self._image: body}], alone=True)
        else:
            raise Refused(415, f"the content type must be image/…, {_FORM} or {_JSON}, not {media:.100}")
        if not request.n:
            raise Refused(400, "there are no rows")
        return request

    def write(self, request: Request, answers: list[dict[str, Any]], request_id: str) -> bytes:
        """`{"prediction": …, "proba": {class: …}}`, or `{"predictions": [these, …]}` for a form or a list."""
        named = [self._named(answer) for answer in answers]
        if request.alone:
            return self._encode(named[0])
        for answer, file in zip(named, request.files or (), strict=False):
            answer["file"] = file
        return self._encode({"predictions": named})

    def error(self, refused: Refused) -> bytes:
        """`{"error": …}`."""
        return self._encode({"error": refused.message})

    def _named(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer whose probabilities stand under their classes."""
        if "proba" not in answer:
            return {"prediction": answer["prediction"]}
        proba = dict(zip(self._labels, answer["proba"], strict=True))
        return {"prediction": answer["prediction"], "proba": proba}

    def _form(self, body: bytes, boundary: str, common: Row) -> Request:
        """A row for each file of a form; its plain fields are columns of all."""
        files: list[multipart.Part] = []
        for part in multipart.parts(body, boundary):
            if part.file is not None or part.name == self._image:
                files.append(part)
            elif len(part.data) > _LONGEST_FIELD:
                raise Refused(400, f"field {part.name!r:.100} of the form is too long")
            else:
                common[part.name] = self._value(part.name, part.data.decode("utf-8", "replace"))
        image = str(self._image)
        rows = [common | {image: part.data} for part in files]
        return Request(len(rows), rows=rows, files=[part.file for part in files])

    def _query(self, query: bytes) -> Iterator[tuple[str, Any]]:
        """The columns in a query string."""
        try:
            fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise Refused(400, f"the query string has more than {_MOST_FIELDS} fields") from None
        for name, text in fields:
            yield name, self._value(name, text)

    def _value(self, name: str, text: str) -> Any:
        """A column's value from text; Refused (400) for a column that there is not."""
        column = self._known.get(name)
        if name == self._image or (column is None and name not in self._more):
            raise Refused(400, f"unknown column {name!r:.100}")
        return converter(column)(text) if text else None


def _label(label: Any) -> str:
    """A class as a key of JSON."""
    return ("true" if label else "false") if isinstance(label, bool) else str(label)
