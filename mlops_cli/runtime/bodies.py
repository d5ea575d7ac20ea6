"""Reading request bodies within bounds: of one body, and of all that are held in memory at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mlops_cli.runtime.protocols.base import Refused

Receive = Callable[[], Awaitable[dict[str, Any]]]

# A larger body is read, predicted and written in a thread: the loop keeps answering health checks.
INLINE = 16 * 1024
_BODIES_HELD = 8
_LEAST_HELD = 64_000_000


class Bodies:
    """Counts the bytes of the larger bodies in memory; beyond the bound the client is to come back later."""

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._inline = min(INLINE, max_body)
        self._max_held = max(_BODIES_HELD * max_body, _LEAST_HELD)
        self._held = 0

    def admit(self, headers: Mapping[bytes, bytes]) -> None:
        """Refused (413, 503, 415) by what the headers say, before a byte of the body is read."""
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            size = int(length[:18])  # more digits than any body has, fewer than int() refuses
            self._check(size, size)
        if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
            raise Refused(415, "a compressed body is not understood")

    async def read(self, receive: Receive) -> bytes | None:
        """The whole body, None when the client has gone; hand it to `release` afterwards."""
        message = await receive()
        if message["type"] == "http.request" and not message["more_body"] and len(message["body"]) <= self._inline:
            body: bytes = message["body"]
            return body
        whole, done = bytearray(), False
        try:
            while message["type"] == "http.request":
                self._held += len(message["body"])
                whole += message["body"]
                self._check(len(whole), 0)
                if not message["more_body"]:
                    done = True
                    return bytes(whole)
                message = await receive()
            return None
        finally:
            if not done or len(whole) <= INLINE:
                self._held -= len(whole)

    def release(self, body: bytes | None) -> None:
        """The body is no longer needed."""
        if body is not None and len(body) > INLINE:
            self._held -= len(body)

    def _check(self, length: int, coming: int) -> None:
        if length > self._max_body:
            raise Refused(413, f"the body is larger than {self._max_body} bytes")
        if self._held + coming > self._max_held:
            raise Refused(503, "too many large requests at a time, try again")
