"""uvicorn's HTTP connection with the two bounds it lacks: how long a head may be, and how long a client may dawdle."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KEEP_ALIVE_SECONDS = 65  # longer than the 60 s after which common load balancers drop an idle connection
HEAD_SECONDS = 15
STALLED_SECONDS = 60
_HEAD_BYTES = 64 * 1024


class Connection(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what has come; a request line and headers beyond the bound end the connection."""
        super().data_received(data)
        if self.cycle is not None and self.cycle.scope is self.scope:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.transport.close()


class Patience:
    """Ends connections whose client makes nothing of them; asked every few seconds.

    uvicorn starts its keep-alive clock anew with every byte and has none for a first request or for a body,
    so that a client that sends a byte now and then could hold a connection for ever.
    """

    def __init__(self) -> None:
        self._since: dict[Connection, tuple[Any, float]] = {}

    def sweep(self, connections: set[Connection], now: float) -> int:
        """Close what has stood still for too long at time `now` in seconds; how many were closed."""
        known, self._since = self._since, {}
        closed = 0
        for connection in connections:
            state = _state(connection)
            before, since = known.get(connection, ((None, False), now))
            since = since if before == state else now
            self._since[connection] = state, since
            if now - since > _allowed(connection):
                connection.transport.abort()
                closed += 1
        return closed


def _state(connection: Connection) -> tuple[Any, bool]:
    """What changes when a connection gets on: which request it is at, and whether that is answered."""
    cycle = connection.cycle
    return cycle, cycle is not None and cycle.response_complete


def _allowed(connection: Connection) -> float:
    """How many seconds a connection may stay as it is."""
    cycle = connection.cycle
    if cycle is None:
        return HEAD_SECONDS
    if cycle.response_complete:
        return KEEP_ALIVE_SECONDS + HEAD_SECONDS
    # Waiting for the client to send its body or to take its answer; while we compute there is no limit.
    return STALLED_SECONDS if cycle.more_body or cycle.response_started else float("inf")
