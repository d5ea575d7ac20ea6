"""The prediction log's writer: lines are gathered in memory and written by a thread of its own."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Outside
from mlops_cli.runtime import log_files
from mlops_cli.runtime.log_files import SUFFIX, Entry

REDACTED = "***"
_FLUSH_BYTES = 256 * 1024
_FILE_BYTES = 64 * 1024 * 1024
_MOST_WAITING = 64 * 1024 * 1024
_DAY = 86_400


@dataclass(frozen=True)
class Options:
    """Where the log is and what of the inputs it keeps: `columns` None keeps all, `redacted` ones become ***."""

    directory: Path
    columns: tuple[str, ...] | None = None
    redacted: tuple[str, ...] = ()
    retain_days: int | None = None
    flush_seconds: float = 1.0
    file_bytes: int = _FILE_BYTES


class Lines:
    """Makes the log's lines; holds nothing that changes, so any thread may use it."""

    def __init__(self, options: Options, model: str, version: str | None) -> None:
        self._model, self._version = model, version
        self._columns = None if options.columns is None else frozenset(options.columns)
        self._redacted = frozenset(options.redacted)
        self._plain = self._columns is None and not self._redacted
        self._encoder = msgspec.json.Encoder()

    def encode(
        self,
        request_id: str,
        rows: Sequence[Mapping[str, Any]],
        keys: Sequence[Any] | None,
        answers: Sequence[Mapping[str, Any]],
        ms: float,
        broken: Sequence[list[str]] | None = None,
    ) -> bytearray:
        """One line for each row and its answer, and the rules that the row breaks where they were looked at."""
        out = bytearray()
        at = _now()
        for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            inputs = row if self._plain else self._kept(row)
            key = keys[index] if keys is not None else None
            entry = Entry(
                at, request_id, index, key, self._model, self._version, inputs,  # type: ignore[arg-type]
                answer["prediction"], answer.get("proba"), ms, None if broken is None else broken[index],
            )  # fmt: skip
            self._encoder.encode_into(entry, out, -1)
            out += b"\n"
        return out

    def _kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs that may be logged."""
        columns, redacted = self._columns, self._redacted
        return {
            name: REDACTED if name in redacted and value is not None else value
            for name, value in row.items()
            if columns is None or name in columns
        }


class PredictionLog:
    """Takes lines from the event loop and never makes it wait; a disk that fails costs lines, not requests.

    `lost` is told how many lines could not be written, `say` is told why, once for each trouble.
    """

    def __init__(self, options: Options, lost: Callable[[int], None], say: Callable[[str], None]) -> None:
        """Create the directory; Outside when it cannot be written to."""
        self._options = options
        self._lost, self._say = lost, say
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._troubled = False
        self._file: _File | None = None
        self._cleaned = date.min
        try:
            options.directory.mkdir(parents=True, exist_ok=True)
            self._file = _File.open_new(options.directory, _today())
        except OSError as error:
            text = f"the log directory {options.directory} cannot be written to: {error.strerror}"
            raise Outside(text, "give another --log") from None
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def append(self, lines: bytes | bytearray) -> None:
        """Take whole lines; they are on disk within the flush time."""
        with self._lock:
            waiting = len(self._buffer)
            if waiting + len(lines) <= _MOST_WAITING:
                self._buffer += lines
                lines = b""
        if lines:  # the disk does not keep up: rather lose lines than memory
            self._failed(lines, "the disk does not keep up")
        elif waiting >= _FLUSH_BYTES:
            self._wake.set()

    def close(self) -> None:
        """Write what is left and end the thread."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._options.flush_seconds)
            self._wake.clear()
            stopping = self._stopping
            with self._lock:
                lines, self._buffer = self._buffer, bytearray()
            if lines:
                self._write(lines)
            if stopping:
                break
            self._clean()
        if self._file is not None:
            self._file.close()

    def _write(self, lines: bytearray) -> None:
        """Append to the current file, or begin a new one for a new day, when it is full, or after a failure."""
        try:
            file = self._current()
        except OSError as error:
            self._failed(lines, str(error.strerror))
            return
        kept, trouble = file.write(lines)
        if trouble is None:
            self._troubled = False
            return
        if not file.sound:
            file.close()
            self._file = None
        self._failed(lines[kept:], str(trouble.strerror))

    def _current(self) -> _File:
        """The file to write to now."""
        today = _today()
        if self._file is not None and (self._file.day != today or self._file.size >= self._options.file_bytes):
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = _File.open_new(self._options.directory, today)
        return self._file

    def _failed(self, lines: bytes | bytearray, why: str) -> None:
        self._lost(lines.count(b"\n"))
        if not self._troubled:
            self._troubled = True
            self._say(f"the prediction log loses lines: {why}; requests are answered all the same")

    def _clean(self) -> None:
        """Once a day, remove what is older than --retain."""
        today = _today()
        if self._options.retain_days is None or self._cleaned == today:
            return
        self._cleaned = today
        with suppress(OSError):
            log_files.remove_older(self._options.directory, today - timedelta(days=self._options.retain_days))


class _File:
    """One file of the log, locked for as long as it is written to."""

    def __init__(self, descriptor: int, day: date) -> None:
        self._descriptor = descriptor
        self.day = day
        self.size = 0
        self.sound = True

    @classmethod
    def open_new(cls, directory: Path, day: date) -> _File:
        """A file that did not exist: a container's processes have the same id after every start."""
        folder = directory / day.isoformat()
        folder.mkdir(exist_ok=True)
        host = re.sub(r"[^A-Za-z0-9._]", "_", socket.gethostname()) or "host"
        number = 0
        while True:
            path = folder / f"{host}-{os.getpid()}-{number}{SUFFIX}"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                number += 1
                continue
            # A file system without locks: readers then take the file for closed, and the last line may be unfinished.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(descriptor, day)

    def write(self, lines: bytearray) -> tuple[int, OSError | None]:
        """Write what the disk takes; how many bytes of whole lines stay, and what went wrong if not all do."""
        done, trouble = 0, None
        try:
            with memoryview(lines) as view:
                while done < len(lines):
                    done += os.write(self._descriptor, view[done:])
        except OSError as error:
            trouble = error
            done = lines.rfind(b"\n", 0, done) + 1
            try:
                os.ftruncate(self._descriptor, self.size + done)
            except OSError:
                self.sound = False  # half a line stays: it must remain the last of its file
        self.size += done
        return done, trouble

    def close(self) -> None:
        os.close(self._descriptor)


def _today() -> date:
    return datetime.now(UTC).date()


_second: tuple[int, str] = (-1, "")


def _now() -> str:
    """The time in UTC as ISO 8601 with µs; the part up to the second is kept from call to call."""
    global _second  # one tuple, replaced as a whole: threads see the old one or the new one
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    known, text = _second
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _second = (seconds, text)
    return f"{text}.{nanos // 1000:06d}Z"
