"""Kill a process between any two of its writes, and see what it leaves behind."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlops_cli.store import files

_CHANGES = ("os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def crashes(action: Callable[[], Any], *, limit: int = 1000) -> Iterator[int]:
    """Run `action` in forked processes of which the n-th is killed before its n-th change to the disk, until one ends
    by itself. Yields n after each kill, and 0 at the end."""
    for point in range(1, limit):
        child = os.fork()
        if child == 0:
            _run(action, point)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.waitstatus_to_exitcode(status) == 0, "the action failed, it was not killed"
            yield 0
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        yield point
    raise AssertionError("the action never ended")


def _run(action: Callable[[], Any], point: int) -> None:
    """In the child: count changes to the disk, and die before one of them."""
    left = [point]

    def change() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            change()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            change()
            return function(*arguments)

        return call

    os.write, os.fsync, files.exchange = counted(os.write), counted(os.fsync), counted(files.exchange)
    sys.addaudithook(hook)
    code = 0
    try:
        action()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def leftovers(folder: Path, *expected: str) -> list[str]:
    """What lies in a directory that should not: anything but what is expected and staging of killed processes."""
    names = [name for name in os.listdir(folder) if not (name.startswith(".") and name.endswith(".tmp"))]
    return sorted(set(names) - set(expected))
