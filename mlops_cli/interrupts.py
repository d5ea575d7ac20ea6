"""A signal that came is never lost: Python swallows what a handler raises while a generator or an object is closed."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

from mlops_cli import errors


class Terminated(BaseException):
    """SIGTERM came."""


_came: list[type[BaseException]] = []


def install() -> None:
    """From now on SIGINT and SIGTERM raise, and are remembered; a SIGINT that is ignored (as by nohup) stays so."""
    _came.clear()
    signal.signal(signal.SIGTERM, _handle)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _handle)
    sys.unraisablehook = _unraisable


def check() -> None:
    """Raise again what came: asked before a result is sealed, or a stream ended, as complete."""
    if _came:
        raise _came[0]


def code() -> int:
    """The exit code of what came, 0 when nothing did. Whatever else went wrong then, went wrong by it."""
    return (errors.TERMINATED if _came[0] is Terminated else errors.INTERRUPTED) if _came else errors.OK


def _handle(number: int, frame: FrameType | None) -> None:
    """Remember a signal, then end as on an exception, so that nothing half written stays."""
    kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    _came.append(kind)
    raise kind


def _unraisable(what: Any) -> None:
    """Say nothing of a signal that was swallowed: `check` raises it again."""
    if not isinstance(what.exc_value, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(what)
