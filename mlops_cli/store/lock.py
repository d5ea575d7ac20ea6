"""A lock that one process holds at a time, as a file beside what it guards; nothing is left of it afterwards."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops_cli.errors import Busy
from mlops_cli.store import files


@contextmanager
def held(path: Path, busy: Busy) -> Iterator[None]:
    """Hold the lock at `path`; `busy` is raised when another process does. A process that is killed lets go of it."""
    made = files.make_dirs(path.parent)
    descriptor = _locked(path, busy)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # while it is held: who opened it meanwhile sees that it is not the one at the path
        os.close(descriptor)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()


def _locked(path: Path, busy: Busy) -> int:
    """The descriptor of the locked file that lies at the path."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise busy from None
        except FileNotFoundError:
            pass
        os.close(descriptor)  # of a lock that was taken away meanwhile: it excludes nobody
