"""Everything that is answered without predicting: health, metadata, metrics, and what is not found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from mlops_cli import __version__
from mlops_cli.runtime import prometheus
from mlops_cli.runtime.prometheus import Metrics
from mlops_cli.runtime.protocols import v2_binary
from mlops_cli.runtime.protocols.v2 import V2
from mlops_cli.runtime.settings import Settings

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
INVOCATIONS = "/invocations"
PREDICT = "/predict"
Header = tuple[bytes, bytes]

_EXTRA: dict[int, list[Header]] = {
    401: [(b"www-authenticate", b"Bearer")],
    503: [(b"retry-after", b"1")],
}
_encode = msgspec.json.encode


@dataclass(slots=True)
class Page:
    """One answer: HTTP status, body, content type, further headers."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: list[Header] | None = None

    @classmethod
    def error(cls, status: int, message: str, headers: list[Header] | None = None) -> Page:
        """`{"error": message}`."""
        return cls(status, _encode({"error": message}), JSON, headers or _EXTRA.get(status))


def extra(status: int) -> list[Header] | None:
    """The headers that a status asks for."""
    return _EXTRA.get(status)


def model_paths(settings: Settings) -> list[str]:
    """Where V2 has the model: with its version too if it has one."""
    base = f"/v2/models/{settings.name}"
    return [base] if settings.version is None else [base, f"{base}/versions/{settings.version}"]


def infer_paths(settings: Settings) -> list[str]:
    """Where V2 takes requests to predict."""
    return [f"{path}/infer" for path in model_paths(settings)]


class Pages:
    """The pages of one model's server."""

    def __init__(self, settings: Settings, v2: V2, metrics: Metrics, ready: Callable[[], bool]) -> None:
        self._ready = ready
        self._name = settings.name
        models = model_paths(settings)
        self._open: dict[str, Callable[[], Page]] = {
            "/v2/health/live": lambda: Page(200, _encode({"live": True})),
            "/v2/health/ready": self._health,
            "/ping": self._ping,
            "/health": self._ping,
            **{f"{path}/ready": self._model_ready for path in models},
        }
        server = _encode({"name": "mlops", "version": __version__, "extensions": [v2_binary.EXTENSION]})
        metadata = v2.metadata()
        self._guarded: dict[str, Callable[[], Page]] = {
            "/": lambda: Page(200, self._index),
            "/v2": lambda: Page(200, server),
            "/version": lambda: Page(200, __version__.encode(), TEXT),
            "/metrics": lambda: Page(200, metrics.text(), prometheus.CONTENT_TYPE),
            **{path: lambda: Page(200, metadata) for path in models},
        }
        self._posts = {INVOCATIONS, PREDICT, *infer_paths(settings)}
        self._index = _index(settings, [*self._open, *self._guarded], sorted(self._posts))

    def get(self, method: str, path: str, authorised: Callable[[], bool]) -> Page:
        """The page for a request that is none to predict; 401, 404 and 405 are pages too."""
        path = path.rstrip("/") or "/"
        page = self._open.get(path)
        if page is None:
            if not authorised():
                return Page.error(401, "a token is needed: Authorization: Bearer TOKEN")
            page = self._guarded.get(path)
        if page is not None:
            if method in ("GET", "HEAD"):
                return page()
            return Page.error(405, f"{path} takes GET, not {method:.20}", [(b"allow", b"GET, HEAD")])
        if path in self._posts:
            takes = "POST or PUT" if path == PREDICT else "POST"
            allow = takes.replace(" or", ",").encode()
            return Page.error(405, f"{path} takes {takes}, not {method:.20}", [(b"allow", allow)])
        return self._unknown(path)

    def _unknown(self, path: str) -> Page:
        """404, naming the part that is unknown."""
        parts = path.split("/")
        if path.startswith("/v2/models/") and len(parts) > 3:
            if parts[3] != self._name:
                return Page.error(404, f"there is no model {parts[3]:.100}, only {self._name}")
            if len(parts) > 5 and parts[4] == "versions":
                return Page.error(404, f"model {self._name} has no version {parts[5]:.100} here")
        return Page.error(404, f"there is nothing at {path:.100}, see /")

    def _health(self) -> Page:
        # The specification's schema of this answer says `live`, its text `ready`: clients find either.
        ready = self._ready()
        return Page(200 if ready else 503, _encode({"live": True, "ready": ready}))

    def _model_ready(self) -> Page:
        ready = self._ready()
        return Page(200 if ready else 503, _encode({"name": self._name, "ready": ready}))

    def _ping(self) -> Page:
        # MLflow answers with a line break and nothing else.
        return Page(200 if self._ready() else 503, b"\n", TEXT)


def _index(settings: Settings, gets: list[str], posts: list[str]) -> bytes:
    """What is where."""
    about = {"server": f"mlops {__version__}", "model": settings.name, "version": settings.version}
    return _encode({**about, "get": sorted(gets), "post": posts})
