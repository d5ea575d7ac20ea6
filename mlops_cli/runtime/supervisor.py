"""Several workers: forked before the model is loaded, started again when one dies, ended together."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import msgspec

from mlops_cli.errors import BUG, INTERRUPTED, TERMINATED, MlopsError, Outside, Stopped, classes
from mlops_cli.runtime import server
from mlops_cli.runtime.follow import Follow, Follower, Version, taken
from mlops_cli.runtime.messages import Reporter, Say
from mlops_cli.runtime.prometheus import Shared
from mlops_cli.runtime.settings import Settings

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0
_STEADY_SECONDS = 10.0  # who has lived that long begins with the first wait again
_MOST_DEATHS = 8  # in a row, of one worker, none of them steady: it is not going to get better
_READY, _PROBLEM, _TAKEN = "ready", "problem", "taken"
_LONGEST = 1_000  # of what a worker says, so that a line goes through a pipe as one
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


@dataclass
class Worker:
    """One worker's process: `pid` 0 while it is not running; `due` is when to start it again."""

    number: int
    pid: int = 0
    started: float = 0.0
    deaths: int = 0
    due: float = 0.0
    control: int = -1  # our end of a pipe: the worker notices when we are gone
    told: int = -1  # a pipe on which the worker says, in lines, that it is ready and which versions it has taken
    said: bytes = b""  # what came on it and is not a whole line yet
    ready: bool = False  # it has begun to accept
    problem: tuple[str, str, str] | None = None  # why it cannot start
    version: Version | None = None  # what it began with, or was last told to take


class Supervisor:
    """Starts, watches and ends the workers. The counters are in shared memory, so a new worker counts on."""

    def __init__(
        self, settings: Settings, listener: socket.socket, shared: Shared, say: Say, follow: Follow | None = None
    ) -> None:
        self._settings, self._listener, self._shared, self._say = settings, listener, shared, say
        self._workers = [Worker(number) for number in range(settings.workers)]
        self._wake, self._woken = os.pipe()
        self._caught: list[int] = []
        self._ending = 0  # the signal that ends us
        self._code = 0
        self._reason: MlopsError | None = None
        self._follower = Follower(follow, self._moved, say) if follow else None
        self._signals = (*_SIGNALS, signal.SIGHUP) if follow else _SIGNALS
        self._newest = self._handed = Version(settings.directory, settings.version)
        self._said: set[bool] = set()  # what people know of the version that was handed on: taken, or refused

    def run(self, ready: Callable[[], None]) -> int:
        """Until told to end; the exit code. `ready` is called when all workers accept.

        Raises what keeps a worker from starting, in its own words.
        """
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for caught in self._signals:
            signal.signal(caught, self._catch)
        if self._follower is not None:
            self._follower.start()
        announced = False
        while not (self._ending and not any(worker.pid for worker in self._workers)):
            if not self._ending:
                self._start_due()
                self._hand_on()
            self._wait()
            if not announced and all(worker.ready for worker in self._workers):
                announced = True
                ready()
            self._handle_signals()
            self._reap()
        if self._reason is not None:
            raise self._reason
        return self._code

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught.append(number)

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if not worker.pid and worker.due <= now:
                self._start(worker)

    def _start(self, worker: Worker) -> None:
        theirs, worker.control = os.pipe()
        worker.told, ready = os.pipe()
        worker.started, worker.said, worker.ready, worker.problem = time.monotonic(), b"", False, None
        worker.version = Version(self._settings.directory, self._settings.version)
        with self._follower.quiet if self._follower else contextlib.nullcontext():
            worker.pid = os.fork()
        if worker.pid:
            os.close(theirs)
            os.close(ready)
            return
        code = BUG
        try:
            code = self._be(worker, theirs, ready)
        finally:
            os._exit(code)

    def _be(self, worker: Worker, control: int, ready: int) -> int:
        """What a forked worker does; the exit code."""
        signal.set_wakeup_fd(-1)
        for caught in self._signals:
            signal.signal(caught, signal.SIG_DFL if caught != signal.SIGHUP else signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us: the supervisor decides
        # Our siblings' pipes must have one owner, or they would not notice when that is gone.
        for other in self._workers:
            for descriptor in (other.control, other.told):
                if descriptor >= 0:
                    os.close(descriptor)
        os.close(self._wake)
        os.close(self._woken)

        def tell(*words: Any) -> None:
            os.write(ready, msgspec.json.encode(words) + b"\n")

        def taken(version: Version, error: MlopsError | None) -> None:
            tell(_TAKEN, version.line().decode(), _parts(error))

        def accepts() -> None:
            tell(_READY, "", None)

        number, settings = worker.number, self._settings
        try:
            return server.work(settings, self._listener, self._shared, number, self._say, accepts, taken, control)
        except MlopsError as error:
            tell(_PROBLEM, "", _parts(error))
            return error.exit
        except Exception as error:
            Reporter(self._say)(error)
            return BUG

    def _wait(self) -> None:
        """Until a signal comes, a worker is ready, or one is due to be started."""
        pipes = [worker.told for worker in self._workers if worker.told >= 0]
        dues = [worker.due for worker in self._workers if not worker.pid and not self._ending]
        timeout = max(0.0, min(dues) - time.monotonic()) if dues else None
        readable, _, _ = select.select([self._wake, *pipes], [], [], timeout)
        if self._wake in readable:
            os.read(self._wake, 4096)
        for worker in self._workers:
            if worker.told in readable:
                self._listen(worker)

    def _listen(self, worker: Worker) -> None:
        """Read what a worker says: that it is ready, why it cannot start, or of a version."""
        said = os.read(worker.told, 65_536)
        if not said:
            os.close(worker.told)
            worker.told = -1
            return
        *lines, worker.said = (worker.said + said).split(b"\n")
        for line in lines:
            what, version, parts = msgspec.json.decode(line, type=tuple[str, str, tuple[str, str, str] | None])
            if what == _READY:
                worker.ready = True
            elif what == _PROBLEM:
                worker.problem = parts
            else:
                self._tell_taken(Version.read(version.encode()), None if parts is None else _error(parts))

    def _tell_taken(self, version: Version, error: MlopsError | None) -> None:
        """Say once that a version has been taken, or that it could not be, however many workers there are.

        A worker that is started again begins with one that could be taken.
        """
        if version != self._handed:
            return
        if error is None:
            self._settings = replace(self._settings, directory=version.directory, version=version.version)
        if (error is None) not in self._said:
            self._said.add(error is None)
            self._say(taken(self._settings.name, version, error))

    def _moved(self, version: Version) -> None:
        """Called in the follower's thread: another version is to be served."""
        self._newest = version
        with contextlib.suppress(BlockingIOError):  # there is enough in it to wake us
            os.write(self._woken, b"v")

    def _hand_on(self) -> None:
        """Have every worker that has begun take the version that is to be served."""
        newest = self._newest
        if newest != self._handed:
            self._handed = newest
            self._said.clear()
        for worker in self._workers:
            if worker.pid and worker.ready and worker.version != newest:
                worker.version = newest
                os.write(worker.control, newest.line() + b"\n")

    def _handle_signals(self) -> None:
        while self._caught:
            number = self._caught.pop(0)
            if number == signal.SIGHUP and self._follower is not None:
                self._follower.hurry()
            if number in (signal.SIGCHLD, signal.SIGHUP):
                continue
            if self._ending:
                self._kill()
                self._code = INTERRUPTED if number == signal.SIGINT else TERMINATED
                continue
            self._code = INTERRUPTED if number == signal.SIGINT else 0
            self._end(number)

    def _end(self, number: int) -> None:
        """Have all workers drain (SIGTERM) or finish at once (SIGINT)."""
        self._ending = number
        for worker in self._workers:
            if worker.pid and number == signal.SIGINT:
                os.write(worker.control, server.INTERRUPT + b"\n")
            elif worker.pid:
                os.kill(worker.pid, signal.SIGTERM)

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, signal.SIGKILL)

    def _reap(self) -> None:
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._died(worker, os.waitstatus_to_exitcode(status))

    def _died(self, worker: Worker, code: int) -> None:
        """Start it again after a while, or give up when it never gets anywhere."""
        pid, worker.pid = worker.pid, 0
        while worker.told >= 0:
            self._listen(worker)
        os.close(worker.control)
        worker.control = -1
        lived = time.monotonic() - worker.started
        self._shared.gone(worker.number)
        if self._ending:
            # One that was still loading ends by the signal itself, and had nothing to drain.
            if code not in (0, INTERRUPTED) and worker.ready and not self._code:
                self._code = TERMINATED if code < 0 else code
            return
        if worker.problem:  # a model that cannot be used, a log that cannot be written
            self._reason = _error(worker.problem)
            self._end(signal.SIGTERM)
            return
        worker.deaths = 1 if lived >= _STEADY_SECONDS else worker.deaths + 1
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        if worker.deaths >= _MOST_DEATHS:
            text = f"worker {worker.number} {how}, {worker.deaths} times in a row"
            self._reason = Outside(text, "the lines above may say why; is there enough memory?")
            self._end(signal.SIGTERM)
            return
        wait = min(_FIRST_WAIT * 2 ** (worker.deaths - 1), _LONGEST_WAIT)
        worker.due = time.monotonic() + wait
        self._say(f"worker {worker.number} (process {pid}) {how}; it is started again in {wait:.1f} s")


def _parts(error: MlopsError | None) -> tuple[str, str, str] | None:
    """An error for a pipe."""
    return None if error is None else (error.word, error.message[:_LONGEST], error.hint[:_LONGEST])


def _error(parts: tuple[str, str, str]) -> MlopsError:
    """The error that a worker has told of."""
    word, message, hint = parts
    known = {cls.word: cls for cls in classes() if cls not in (MlopsError, Stopped)}
    return known[word](message, hint)


def run(
    settings: Settings,
    listener: socket.socket,
    shared: Shared,
    say: Say,
    ready: Callable[[], None],
    follow: Follow | None = None,
) -> int:
    """Serve with several workers; the exit code."""
    return Supervisor(settings, listener, shared, say, follow).run(ready)
