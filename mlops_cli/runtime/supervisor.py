"""Several workers: forked before the model is loaded, started again when one dies, ended together."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import msgspec

from mlops_cli.errors import BUG, INTERRUPTED, TERMINATED, MlopsError, Outside, Stopped, classes
from mlops_cli.runtime import server
from mlops_cli.runtime.messages import Reporter, Say
from mlops_cli.runtime.prometheus import Shared
from mlops_cli.runtime.settings import Settings

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0
_STEADY_SECONDS = 10.0  # who has lived that long begins with the first wait again
_MOST_DEATHS = 8  # in a row, of one worker, none of them steady: it is not going to get better
_READY = b"ready"
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
    told: int = -1  # a pipe on which the worker says that it is ready
    said: bytes = b""  # what came on it: that it is ready, or why it cannot start

    @property
    def ready(self) -> bool:
        """Whether it has begun to accept."""
        return self.said == _READY


class Supervisor:
    """Starts, watches and ends the workers. The counters are in shared memory, so a new worker counts on."""

    def __init__(self, settings: Settings, listener: socket.socket, shared: Shared, say: Say) -> None:
        self._settings, self._listener, self._shared, self._say = settings, listener, shared, say
        self._workers = [Worker(number) for number in range(settings.workers)]
        self._wake, self._woken = os.pipe()
        self._caught: list[int] = []
        self._ending = 0  # the signal that ends us
        self._code = 0
        self._reason: MlopsError | None = None

    def run(self, ready: Callable[[], None]) -> int:
        """Until told to end; the exit code. `ready` is called when all workers accept.

        Raises what keeps a worker from starting, in its own words.
        """
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._catch)
        announced = False
        while not (self._ending and not any(worker.pid for worker in self._workers)):
            if not self._ending:
                self._start_due()
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
        worker.started, worker.said = time.monotonic(), b""
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
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us: the supervisor decides
        # Our siblings' pipes must have one owner, or they would not notice when that is gone.
        for other in self._workers:
            for descriptor in (other.control, other.told):
                if descriptor >= 0:
                    os.close(descriptor)
        os.close(self._wake)
        os.close(self._woken)

        def accepts() -> None:
            os.write(ready, _READY)
            os.close(ready)

        try:
            return server.work(self._settings, self._listener, self._shared, worker.number, self._say, accepts, control)
        except MlopsError as error:
            os.write(ready, msgspec.json.encode([error.word, error.message, error.hint]))
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
        """Read what a worker says of its start; the only thing that it ever says."""
        worker.said = os.read(worker.told, 4096)
        os.close(worker.told)
        worker.told = -1

    def _handle_signals(self) -> None:
        while self._caught:
            number = self._caught.pop(0)
            if number == signal.SIGCHLD:
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
                os.write(worker.control, b"i")
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
        if worker.told >= 0:
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
        if worker.said and not worker.ready:  # a model that cannot be used, a log that cannot be written
            self._reason = _error(worker.said)
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


def _error(said: bytes) -> MlopsError:
    """The error that a worker has told of."""
    word, message, hint = msgspec.json.decode(said, type=tuple[str, str, str])
    known = {cls.word: cls for cls in classes() if cls not in (MlopsError, Stopped)}
    return known[word](message, hint)


def run(settings: Settings, listener: socket.socket, shared: Shared, say: Say, ready: Callable[[], None]) -> int:
    """Serve with several workers; the exit code."""
    return Supervisor(settings, listener, shared, say).run(ready)
