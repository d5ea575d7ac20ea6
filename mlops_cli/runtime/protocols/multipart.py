"""The parts of a `multipart/form-data` body (RFC 7578), within bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from mlops_cli.runtime.protocols.base import Refused

MOST_PARTS = 1_000
_HEAD_BYTES = 4 * 1024
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_headers = HeaderParser().parsestr


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form: its name, the name of its file (None for a plain field), and its bytes."""

    name: str
    file: str | None
    data: bytes


def parts(body: bytes, boundary: str) -> list[Part]:
    """The parts in order; Refused (400) for a body that is not made of them, (413) for too many."""
    if not _BOUNDARY.fullmatch(boundary):
        raise Refused(400, "the content type's boundary is not one")
    mark = b"\r\n--" + boundary.encode()
    # What stands before the first mark and after the last is not looked at.
    whole = b"\r\n" + body
    at = whole.find(mark)
    found: list[Part] = []
    while at >= 0:
        start = at + len(mark)
        if whole.startswith(b"--", start):
            return found
        end = whole.find(mark, start)
        if end < 0:
            break
        if len(found) == MOST_PARTS:
            raise Refused(413, f"the form has more than {MOST_PARTS} parts")
        found.append(_part(whole, start, end))
        at = end
    raise Refused(400, "the form is cut short, or its boundary is not in it")


def _part(whole: bytes, start: int, end: int) -> Part:
    """What lies between two marks: headers, an empty line, bytes."""
    gap = whole.find(b"\r\n\r\n", start, min(end, start + _HEAD_BYTES))
    if gap < 0:
        raise Refused(400, f"a part of the form has no headers, or more than {_HEAD_BYTES} bytes of them")
    head = _headers(whole[start + 2 : gap + 2].decode(errors="replace"))
    name = parameter(head, "name", "content-disposition")
    if name is None or head.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise Refused(400, "a part of the form has no name, or is encoded")
    return Part(name, parameter(head, "filename", "content-disposition"), whole[gap + 4 : end])


def parameter(head: Message, name: str, header: str) -> str | None:
    """A parameter of a header; Refused (400) when it is written so that the standard library gives up."""
    try:
        found = head.get_param(name, header=header)
    except (TypeError, ValueError, LookupError):
        raise Refused(400, f"the header {header} cannot be read") from None
    if isinstance(found, tuple):  # RFC 2231: charset, language, text
        return found[2]
    return found if isinstance(found, str) else None
