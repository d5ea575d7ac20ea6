"""The prediction log on disk: where its files are, which are finished, what a line holds, what is too old."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

SUFFIX = ".ndjson"
_OURS = (SUFFIX, ".parquet")
_CHUNK = 1 << 16


class Entry(msgspec.Struct, gc=False, omit_defaults=True):
    """One line: one row that was answered.

    `at` is UTC in ISO 8601 with µs, `row` the index in its request, `inputs` the JSON values as they were
    sent (a column left out is absent), `ms` how long the request took until its answer was computed. `broken` are the
    rules that the row breaks; absent where none were looked at.
    """

    at: str
    request_id: str
    row: int
    key: Any
    model: str
    version: str | None
    inputs: dict[str, Any]
    prediction: Any
    proba: list[float] | None
    ms: float
    broken: list[str] | None = None


def files(directory: Path, since: date | None = None, until: date | None = None) -> list[Path]:
    """The log's files of the days from `since` to `until` (both included, UTC), oldest day first."""
    found: list[Path] = []
    for day, path in _days(directory):
        if (since is None or day >= since) and (until is None or day <= until):
            found += sorted(entry for entry in path.iterdir() if entry.suffix == SUFFIX)
    return found


def is_closed(path: Path) -> bool:
    """Whether nobody writes to the file any more: its writer holds a lock on it for as long as it does."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def whole(path: Path) -> int:
    """How many bytes of the file are whole lines: an unfinished last line stands behind them."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _CHUNK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def read(path: Path) -> Iterator[Entry]:
    """The entries of one file, without an unfinished last line; msgspec.DecodeError for a damaged line."""
    decode = msgspec.json.Decoder(Entry).decode
    left = whole(path)
    with path.open("rb") as file:
        for line in file:
            left -= len(line)
            if left < 0:
                return
            yield decode(line)


def remove_older(directory: Path, oldest: date) -> int:
    """Remove the files of days before `oldest` that nobody writes to; the number of files removed.

    Only what the log or `watch` has put there goes: a directory with anything else in it stays.
    """
    removed = 0
    for day, path in _days(directory):
        if day >= oldest:
            continue
        # Several workers may clean up at once: whoever comes second finds nothing.
        with suppress(OSError):
            for entry in list(path.iterdir()):
                if entry.suffix in _OURS and is_closed(entry):
                    entry.unlink(missing_ok=True)
                    removed += 1
            path.rmdir()
    return removed


def _days(directory: Path) -> list[tuple[date, Path]]:
    """The directories that are named like a day, in order of days."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        with suppress(ValueError):
            if len(path.name) == 10 and path.is_dir():
                found.append((date.fromisoformat(path.name), path))
    return sorted(found)
