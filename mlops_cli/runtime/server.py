"""One worker: loads the model, answers until it is told to end, then drains without failing a request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from mlops_cli.errors import INTERRUPTED, TERMINATED, MlopsError, Outside
from mlops_cli.runtime import connection, predictors, rows, rules
from mlops_cli.runtime.app import App
from mlops_cli.runtime.follow import Follow, Follower, Version, taken
from mlops_cli.runtime.log import Lines, PredictionLog
from mlops_cli.runtime.messages import Reporter, Say
from mlops_cli.runtime.prometheus import Metrics, Shared
from mlops_cli.runtime.scoring import Scorer
from mlops_cli.runtime.settings import Settings
from mlops_cli.runtime.takeover import Takeover, Told
from mlops_cli.store.artefact import open_artefact

INTERRUPT = b"interrupt"
_BACKLOG = 2048
_FINISH_SECONDS = 25  # for what is in flight after the grace; Kubernetes kills after 30 in all
_SWEEP_TICKS = 50  # uvicorn ticks ten times a second


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, port 0 meaning any free one; Outside when the address cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise Outside(f"cannot listen on {host}: {error.strerror}", "give another --host") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Outside(f"port {port} is in use", "give another --port, or 0 for any free one") from None
        if error.errno == errno.EACCES:
            raise Outside(f"port {port} needs more rights than this user has", "give a --port above 1023") from None
        raise Outside(f"cannot listen on {host} port {port}: {error.strerror}", "give another --host") from None
    listener.setblocking(False)
    return listener


def load(settings: Settings) -> tuple[Scorer, dict[str, str]]:
    """A version loaded and warm, and its labels in the metrics; the errors of a model that cannot be used."""
    model = open_artefact(settings.directory, ("model",))
    predictor = predictors.load(settings.directory, settings.threads)
    settings.fit(predictor.signature)
    # One row and two take different ways: a model that cannot answer is found out now, not by the first client.
    blank = rows.blank(predictor.signature)
    for given in ([blank], [blank, blank]):
        predictor.answer(given)
    about = {"model": settings.name, "version": settings.version or "", "digest": model.id}
    lines = None if settings.log is None else Lines(settings.log, settings.name, settings.version)
    guard = rules.guard(settings.directory, predictor.signature, settings.rules)
    return Scorer(predictor, lines, settings.key, settings.max_rows, guard), about


def build(settings: Settings, shared: Shared, worker: int, say: Say) -> App:
    """The application of one worker, with its model loaded; the errors of a model that cannot be used."""
    scorer, about = load(settings)
    metrics = Metrics(shared, worker, about, scorer.signature.classes, scorer.rules)
    log = None if settings.log is None else PredictionLog(settings.log, metrics.log_lost, say)
    return App(scorer, settings, metrics, log, Reporter(say))


class Server(uvicorn.Server):
    """uvicorn's server whose end is ours to decide."""

    def __init__(self, app: App, drain_seconds: float, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=connection.Connection,
                loop="uvloop",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level=100,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=connection.KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_FINISH_SECONDS,
            )
        )
        self._app = app
        self._drain_seconds = drain_seconds
        self._ready = ready
        self._patience = connection.Patience()
        self.code = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own handling would stop accepting at the first signal; see `drain`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and say so."""
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _SWEEP_TICKS == 0:
            self._patience.sweep(self.server_state.connections, time.monotonic())  # type: ignore[arg-type]
        return await super().on_tick(counter)

    def drain(self) -> None:
        """SIGTERM: not ready, every answer closes its connection, still accepting for the grace; then finish and end.

        Balancers see the readiness go before the door shuts, so no request is lost. A second one ends at once.
        """
        if self._app.draining:
            os._exit(TERMINATED)
        self._app.draining = True
        asyncio.get_running_loop().call_later(self._drain_seconds, self._end)

    def interrupt(self) -> None:
        """SIGINT: finish what is in flight and end; a second one ends at once."""
        if self.should_exit:
            os._exit(INTERRUPTED)
        self._app.draining = True
        self.code = INTERRUPTED
        self._end()

    def _end(self) -> None:
        self.should_exit = True


def work(
    settings: Settings,
    listener: socket.socket,
    shared: Shared,
    worker: int,
    say: Say,
    ready: Callable[[], None],
    told: Told,
    control: int | None = None,
    follow: Follow | None = None,
) -> int:
    """Be a worker until told to end; the exit code. `ready` is called once it accepts, `told` of versions taken.

    `control` is a pipe from the supervisor: its end means that the supervisor is gone, a line an interrupt or a
    version to take. Without a supervisor `follow` says what to take.
    """
    # Before the loop has its own handlers: the first process of a container ignores what it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    app = build(settings, shared, worker, say)
    # What is loaded now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    server = Server(app, settings.drain_seconds, ready)
    takeover = Takeover(app, settings, load, told)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(server, listener, takeover, control, follow, say))
    finally:
        app.close()
    return server.code


async def _serve(
    server: Server, listener: socket.socket, takeover: Takeover, control: int | None, follow: Follow | None, say: Say
) -> None:
    """Run the server under our handling of signals."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.drain)
    if control is None:
        loop.add_signal_handler(signal.SIGINT, server.interrupt)
    else:
        loop.add_reader(control, _hear, server, takeover, control, bytearray())
    if follow is not None:

        def moved(version: Version) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(takeover.want, version)

        follower = Follower(follow, moved, say)
        loop.add_signal_handler(signal.SIGHUP, follower.hurry)
        follower.start()
    await server.serve(sockets=[listener])


def _hear(server: Server, takeover: Takeover, control: int, rest: bytearray) -> None:
    """The supervisor has sent an interrupt or a version to take, or is gone."""
    said = os.read(control, 65_536)
    if not said:
        asyncio.get_running_loop().remove_reader(control)
        server.drain()
        return
    rest += said
    *lines, left = rest.split(b"\n")
    rest[:] = left
    for line in lines:
        if line == INTERRUPT:
            server.interrupt()
        else:
            takeover.want(Version.read(bytes(line)))


def run(settings: Settings, say: Say, ready: Callable[[str], None] | None = None, follow: Follow | None = None) -> int:
    """Serve until told to end; the exit code. `ready` is told the URL once it accepts; `follow`: what to take then."""
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    version = f" {settings.version}" if settings.version else ""
    workers = f", {settings.workers} workers" if settings.workers > 1 else ""

    def announce() -> None:
        say(f"{settings.name}{version} on {url}{workers}")
        if ready is not None:
            ready(url)

    shared = Shared(settings.workers)
    if settings.workers > 1:
        from mlops_cli.runtime import supervisor

        return supervisor.run(settings, listener, shared, say, announce, follow)

    def told(version: Version, error: MlopsError | None) -> None:
        say(taken(settings.name, version, error))

    return work(settings, listener, shared, 0, say, announce, told, follow=follow)
