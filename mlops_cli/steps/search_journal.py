"""What a search has done, kept on disk so that a killed one goes on: a directory for each trial, never trusted."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from mlops_cli.errors import Busy
from mlops_cli.steps.search_trials import Trial
from mlops_cli.store import files, lock

_WAIT = 0.2


class Record(msgspec.Struct, frozen=True):
    """The file `trial.json` of a trial: what it came to, how long it took, and the metric of each round by fold."""

    trial: Trial
    seconds: float
    curves: list[list[float]] = []


class Journal:
    """The trials of one search in `folder`; None keeps nothing. A full disk costs the journal, not the search."""

    def __init__(self, folder: Path | None, note: Callable[[str], None]) -> None:
        self._folder, self._note = folder, note
        self.found = 0
        """Trials that were there already."""

    def read(self, index: int, settings: Mapping[str, str]) -> Trial | None:
        """A trial that ended before, by this process or another; None when it must be done."""
        if self._folder is None:
            return None
        path = self._place(index) / "trial.json"
        try:
            line, _, rest = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(line).hexdigest().encode() != rest.strip():
            self._note(f"trial {index + 1} in the journal is damaged: it is done again")
            return None
        try:
            found = msgspec.json.decode(line, type=Record).trial
        except msgspec.MsgspecError:
            found = None
        if found is None or found.settings != settings:
            self._note(f"trial {index + 1} in the journal is of another search: it is done again")
            return None
        self.found += 1
        return found

    def write(self, index: int, record: Record) -> None:
        """Keep a trial, durably: one line of JSON, and its digest."""
        if self._folder is None:
            return
        line = msgspec.json.encode(record)
        with contextlib.suppress(OSError):
            files.make_dirs(self._place(index))
            files.replace(self._place(index) / "trial.json", line + b"\n" + hashlib.sha256(line).hexdigest().encode())

    @contextlib.contextmanager
    def claim(self, index: int, wait: Callable[[], bool] | None) -> Iterator[bool]:
        """Whether a trial is ours to do while this lasts: not when another process is at it.

        With `wait` its end is waited for, as long as `wait()` says so. Without a journal all are ours.
        """
        with contextlib.ExitStack() as held:
            yield self._claimed(index, wait, held)

    def _claimed(self, index: int, wait: Callable[[], bool] | None, held: contextlib.ExitStack) -> bool:
        while self._folder is not None:
            try:
                held.enter_context(lock.held(self._folder / f"{index:05d}.lock", Busy("")))
            except Busy:
                if wait is None:
                    return False
                if wait():
                    time.sleep(_WAIT)
                    continue
            except OSError:
                pass  # whoever ended first has cleared up, or nothing can be written: then it is done here
            return True
        return True

    def _place(self, index: int) -> Path:
        """The directory of a trial."""
        assert self._folder is not None
        return self._folder / f"{index:05d}"
