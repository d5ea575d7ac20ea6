"""Follows a model that moves: asks now and then which version it is, in a thread, and tells when it is another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlops_cli.errors import MlopsError
from mlops_cli.runtime.messages import Say


class Version(msgspec.Struct, frozen=True):
    """One version of the model that is served: where its directory is, and its number."""

    directory: Path
    version: str | None

    @classmethod
    def read(cls, line: bytes) -> Version:
        """What `line` has written."""
        directory, version = msgspec.json.decode(line, type=tuple[str, str | None])
        return cls(Path(directory), version)

    def line(self) -> bytes:
        """The version in one line, for a pipe."""
        return msgspec.json.encode([str(self.directory), self.version])


def taken(name: str, version: Version, error: MlopsError | None) -> str:
    """What people are told of a version that was taken, or was not."""
    told = f"{name} {version.version}"
    if error is None:
        return f"{told} answers from now on"
    return f"{told} cannot be served, the one before goes on: {error.word}: {error.message}"


@dataclass(frozen=True)
class Follow:
    """How often to ask, in seconds; what is served at first; whom: `newest` raises MlopsError when it cannot tell."""

    seconds: float
    now: Version
    newest: Callable[[], Version]


class Follower:
    """Asks until the process ends; `tell` is called, in its thread, with every version that is another than before.

    `quiet` is held while it works: who forks takes it first, so that no lock is left locked in the child.
    """

    def __init__(self, follow: Follow, tell: Callable[[Version], object], say: Say) -> None:
        self._follow, self._known, self._tell, self._say = follow, follow.now, tell, say
        self._hurry = threading.Event()
        self._trouble = ""
        self.quiet = threading.Lock()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="follow", daemon=True).start()

    def hurry(self) -> None:
        """Ask at once."""
        self._hurry.set()

    def _run(self) -> None:
        while True:
            self._hurry.wait(self._follow.seconds)
            self._hurry.clear()
            with self.quiet:
                self._ask()

    def _ask(self) -> None:
        """Ask once; what keeps it from an answer is said once."""
        try:
            found = self._follow.newest()
        except MlopsError as error:
            trouble = f"{error.word}: {error.message}"
            if trouble != self._trouble:
                self._say(f"which version to serve cannot be told, the one before goes on: {trouble}")
            self._trouble = trouble
            return
        self._trouble = ""
        if found != self._known:
            self._known = found
            self._tell(found)
