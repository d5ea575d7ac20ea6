"""The command of `--exec`: one at a time, even when it outlives its run, and not again while it is to cool down."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.logs import redact
from mlops_cli.steps.watch_series import Ran

LOCK = ".exec.lock"
"""In the series: locked while the command or any process that it has left behind lives; its content is when the last
one began. It is written before the command is started, so that a run that is killed forgets neither."""


@dataclass(frozen=True)
class Waiting:
    """Why the command was not started."""

    reason: str


def start(
    command: str, alert: dict[str, Any], environment: dict[str, str], series: Path, cooldown: timedelta, now: str
) -> Ran | Waiting:
    """Run the command unless one is still running, or one was started (whatever became of it) within `cooldown`."""
    descriptor = os.open(series / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Waiting("the command of --exec that was started earlier is still running")
        until = _began(descriptor) + cooldown
        if cooldown and datetime.fromisoformat(now) < until:
            return Waiting(f"the command of --exec cools down until {until.isoformat(timespec='seconds')}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, now.encode(), 0)
        os.fsync(descriptor)
        return run(command, alert, environment, descriptor)
    finally:
        os.close(descriptor)


def run(command: str, alert: dict[str, Any], environment: dict[str, str], *inherited: int) -> Ran:
    """Run a command through the shell: the alert as JSON in its environment, its output to our stderr.

    It inherits the lock, so that the lock is held for as long as it or a child of it runs.
    """
    told = {**os.environ, **environment, "MLOPS_ALERT": msgspec.json.encode(alert).decode()}
    began = time.monotonic()
    # Descriptor 2 and not sys.stderr, which may be anything; standard input is nobody's to answer on.
    ended = subprocess.run(
        command, shell=True, env=told, stdin=subprocess.DEVNULL, stdout=2, check=False, pass_fds=inherited
    )
    return Ran(redact(command), ended.returncode, round(time.monotonic() - began, 3))


def _began(descriptor: int) -> datetime:
    """When the last command was started; long ago when there was none."""
    try:
        return datetime.fromisoformat(os.pread(descriptor, 64, 0).decode())
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")
