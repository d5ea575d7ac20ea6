"""Files one after another in a stream, each after its length in four bytes, big-endian: what a camera loop writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mlops_cli.runtime.protocols.base import Refused

_LENGTH = struct.Struct(">I")
_LEAST_TEXT = 9
"""No text begins with a byte below that of a tab, every length below 150 MB does."""


def begins(first: bytes) -> bool:
    """Whether a stream that starts so is one of frames and not of text."""
    return first[:1] < bytes([_LEAST_TEXT]) and bool(first)


def split(chunks: Iterator[bytes], most: int) -> Iterator[list[bytes]]:
    """Whole frames with their lengths, as many as have come together; of one larger than `most` its length alone.

    A last one that is cut short comes as it is: `content` refuses it.
    """
    rest, skip = bytearray(), 0
    for chunk in chunks:
        rest += chunk
        found = []
        while True:
            skipped = min(skip, len(rest))
            del rest[:skipped]
            skip -= skipped
            if skip or len(rest) < _LENGTH.size:
                break
            size = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            if size - _LENGTH.size > most:
                found.append(bytes(rest[: _LENGTH.size]))
                skip = size
            elif len(rest) < size:
                break
            else:
                found.append(bytes(rest[:size]))
                del rest[:size]
        if found:
            yield found
    if rest:
        yield [bytes(rest)]


def content(frame: bytes, most: int) -> bytes:
    """What is in a frame; Refused for one that is empty, cut short or larger than `most`."""
    size = _LENGTH.unpack_from(frame)[0] if len(frame) >= _LENGTH.size else -1
    if size > most:
        raise Refused(413, f"a frame of {size} bytes is larger than {most}")
    if size != len(frame) - _LENGTH.size:
        raise Refused(400, "the input ends in the middle of a frame")
    if not size:
        raise Refused(400, "the frame is empty")
    return frame[_LENGTH.size :]
