"""The HTTP application of one worker, bare ASGI: who may ask, who is answered where, and what is counted."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import quote

from mlops_cli.runtime import pages
from mlops_cli.runtime.bodies import INLINE, Bodies, Receive
from mlops_cli.runtime.log import PredictionLog
from mlops_cli.runtime.pages import JSON, Page, Pages
from mlops_cli.runtime.prometheus import Metrics
from mlops_cli.runtime.protocols.base import Head, Refused, Wire
from mlops_cli.runtime.protocols.mlflow import MLflow
from mlops_cli.runtime.protocols.predict import Predict
from mlops_cli.runtime.protocols.v2 import V2
from mlops_cli.runtime.scoring import Scored, Scorer, request_ids
from mlops_cli.runtime.settings import Settings

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

_THREADS = 2
_LONGEST_ID = 256
_JSON_BYTES = b"inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Serving:
    """One version of the model, ready to answer: a request is answered by the one that it began with."""

    scorer: Scorer
    wires: dict[str, Wire]
    pages: Pages
    inline: int


class App:
    """`draining` is set when the worker is about to end: every answer then closes its connection.

    `report` is told of an exception that is our bug; the client then gets a 500 without details.
    """

    def __init__(
        self,
        scorer: Scorer,
        settings: Settings,
        metrics: Metrics,
        log: PredictionLog | None,
        report: Callable[[Exception], None],
    ) -> None:
        self.draining = False
        self._metrics, self._log, self._report = metrics, log, report
        self._tokens = settings.tokens
        self._bodies = Bodies(settings.max_body)
        self._now = self._serving(scorer, settings)
        self._new_id = request_ids()
        self._pool = ThreadPoolExecutor(_THREADS, "predict")

    def take(self, scorer: Scorer, settings: Settings, about: Mapping[str, str]) -> None:
        """From the next request on, answer with another version; what is in flight ends on the one before."""
        self._metrics.take(about, scorer.signature.classes, scorer.rules)
        self._now = self._serving(scorer, settings)

    def _serving(self, scorer: Scorer, settings: Settings) -> Serving:
        """What answers for a version."""
        signature, key = scorer.signature, settings.key
        v2 = V2(signature, settings.name, settings.version, key)
        wires: dict[str, Wire] = dict.fromkeys(pages.infer_paths(settings), v2)
        wires[pages.INVOCATIONS] = MLflow(signature, key)
        wires[pages.PREDICT] = Predict(signature, key)
        inline = 0 if scorer.has_images else INLINE  # a small file may hold a large image
        return Serving(scorer, wires, Pages(settings, v2, self._metrics, lambda: not self.draining), inline)

    def close(self) -> None:
        """End the threads and write what the log still holds."""
        self._pool.shutdown()
        if self._log is not None:
            self._log.close()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: Headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        request_id = self._new_id() if given is None else self._id(given)
        now = self._now
        wire = now.wires.get(scope["path"])
        if wire is None or not (scope["method"] == "POST" or (scope["method"] == "PUT" and wire.name == "predict")):
            page = now.pages.get(scope["method"], scope["path"], lambda: self._authorised(headers))
            self._metrics.other(page.status)
            await self._send(send, page, request_id)
            return
        started = perf_counter()
        self._metrics.begin()
        try:
            scored = await self._scored(now, wire, scope, headers, receive, request_id, started)
            if scored is None:
                self._metrics.left()
                return
            request_id = self._counted(scored)
            page = Page(200, scored.body)
        except Refused as refused:
            self._metrics.broke(refused.broken, rejected=True)
            page = Page(refused.status, wire.error(refused), JSON, pages.extra(refused.status))
        except Exception as error:
            self._report(error)
            page = Page(500, wire.error(Refused(500, "internal error")))
        self._metrics.end(wire.name, page.status, perf_counter() - started)
        await self._send(send, page, request_id)

    async def _scored(
        self,
        now: Serving,
        wire: Wire,
        scope: dict[str, Any],
        headers: Headers,
        receive: Receive,
        request_id: str,
        started: float,
    ) -> Scored | None:
        """The answer to a request to predict, None when its client has gone; Refused."""
        if not self._authorised(headers):
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN")
        self._bodies.admit(headers)
        head = Head(headers.get(b"content-type", b"").decode("latin-1"), scope.get("query_string", b""))
        if _JSON_BYTES in headers:
            head.json_bytes = _whole_number(headers[_JSON_BYTES])
        body = await self._bodies.read(receive)
        if body is None:
            return None
        if len(body) <= now.inline:
            return now.scorer.score(wire, body, head, request_id, started)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, now.scorer.score, wire, body, head, request_id, started)
        finally:
            self._bodies.release(body)

    def _counted(self, scored: Scored) -> str:
        """Count and log an answer; its request id."""
        for label, rows in scored.counts.items():
            self._metrics.predicted(label, rows)
        self._metrics.broke(scored.broken)
        if scored.lines is not None and self._log is not None:
            self._log.append(scored.lines)
        return scored.request_id

    def _authorised(self, headers: Headers) -> bool:
        """Whether a token is not needed or one of ours is there; compared in constant time, all of them."""
        if not self._tokens:
            return True
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        found = [hmac.compare_digest(token.strip(), ours) for ours in self._tokens]
        return scheme.lower() == b"bearer" and any(found)

    def _id(self, given: bytes) -> str:
        """The client's request id if it is printable and not too long, else one of ours."""
        text = given.decode("latin-1")
        return text if 0 < len(text) <= _LONGEST_ID and text.isascii() and text.isprintable() else self._new_id()

    async def _send(self, send: Send, page: Page, request_id: str) -> None:
        headers = [
            (b"content-type", page.kind),
            (b"content-length", b"%d" % len(page.body)),
            (b"x-request-id", _header(request_id)),
        ]
        if page.headers:
            headers += page.headers
        if self.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": page.status, "headers": headers})
        await send({"type": "http.response.body", "body": page.body})


def _whole_number(text: bytes) -> int:
    """How many bytes of a body are JSON, from a header; Refused (400) when it says no number."""
    if not text.isdigit() or len(text) > 18:
        raise Refused(400, "Inference-Header-Content-Length is not a number")
    return int(text)


def _header(request_id: str) -> bytes:
    """A request id as the value of a header; an id from a V2 body may hold anything, which is then percent-encoded."""
    if request_id.isascii() and request_id.isprintable():
        return request_id.encode()
    return quote(request_id).encode()
