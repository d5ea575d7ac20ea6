"""The series of a watch: numbered entries, only ever added, the newest of which is the state; one run at a time."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Busy, Corrupt, Outside
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Judgement
from mlops_cli.steps.watch_join import Counts
from mlops_cli.steps.watch_notify import Sent
from mlops_cli.steps.watch_readings import Telemetry
from mlops_cli.store import files, manifest

FORMAT = 1
_LOCK = ".lock"
_STAGING = ".staging"
_ENTRY = re.compile(r"\d{6,}\.json")


class Alert(msgspec.Struct, frozen=True):
    """One alert at one run: its judgement, whether it is firing and since when, and when it was last told.

    An inconclusive answer neither starts nor ends a firing. `done` are the ways (`mailto`, `exec`) in which it has been
    told already while others failed or wait. `told` of one that does not fire: its end is still to be told.
    """

    judgement: Judgement
    firing: bool
    since: str | None = None
    told: str | None = None
    done: list[str] = []


class Ran(msgspec.Struct, frozen=True):
    """How the command of `--exec` ended: its exit code, or minus the signal that ended it."""

    command: str
    exit: int
    seconds: float


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what was looked at, what was measured, how the alerts stand. `previous` is the last entry's digest.

    `aside` are alerts that fire and that this run was not asked about: the state of another command line. `waiting`
    says why the command of `--exec` was due and not started; `cleared` are the alerts whose end was told.
    """

    format: int = FORMAT
    at: str
    model: str
    alias: str | None
    version: int | None
    id: str
    window: dict[str, str]
    reference: str | None
    rows: int
    other_rows: int
    damaged_lines: int
    unlogged: list[str]
    joined_by: str | None
    labels: Counts | None
    metrics: list[Metric]
    alerts: list[Alert]
    aside: list[Alert]
    exec: Ran | None
    exit: int
    previous: str | None
    waiting: str | None = None
    notified: list[Sent] = []
    cleared: list[str] = []
    by: list[str] = []
    telemetry: Telemetry | None = None


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a series: Busy when another run does. What a killed run left half written is removed.

    A series that has no entry in the end is not one: nothing of it stays.
    """
    try:
        descriptor = _locked(directory)
    except OSError as error:
        raise Outside(f"cannot write in {directory}: {error.strerror}", "choose another place with -o") from None
    staging = directory / _STAGING
    try:
        staging.mkdir(exist_ok=True)
        for left in staging.iterdir():
            with suppress(OSError):
                left.unlink()
        yield
    finally:
        if not any(_ENTRY.fullmatch(path.name) for path in directory.iterdir()):
            with suppress(OSError):
                staging.rmdir()
                (directory / _LOCK).unlink()
                directory.rmdir()
        os.close(descriptor)


def _locked(directory: Path) -> int:
    """The descriptor of the series' lock, which is held; Busy when another run holds it."""
    path = directory / _LOCK
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue  # another run found nothing to keep, and took the directory away
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(f"{directory}: another watch is running", "it runs once at a time; try again later") from None
        except FileNotFoundError:
            pass
        os.close(descriptor)  # of a lock that was taken away meanwhile: it excludes nobody


def newest(directory: Path) -> tuple[int, Entry | None, str | None]:
    """Number, content and digest of the newest entry; (0, None, None) of a new series. Corrupt when it is none."""
    numbers = [int(path.stem) for path in directory.iterdir() if _ENTRY.fullmatch(path.name)]
    if not numbers:
        return 0, None, None
    path = place(directory, max(numbers))
    data = path.read_bytes()
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Corrupt(f"{path}: {error}", "move it away; the entry before it is then the state") from None
    if entry.format > FORMAT:
        raise Corrupt(f"{path}: format {entry.format} is newer than this mlops reads ({FORMAT})", "upgrade mlops-cli")
    return max(numbers), entry, manifest.sha256(data)


def append(directory: Path, number: int, entry: Entry) -> Path:
    """Write the entry of that number, whole or not at all; Busy when it is there already."""
    path = place(directory, number)
    if not files.create(path, encode(entry), directory / _STAGING):
        raise Busy(f"{path} was written meanwhile", "run it again")
    return path


def encode(entry: Entry) -> bytes:
    """The file of an entry: JSON indented for people."""
    return msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n"


def place(directory: Path, number: int) -> Path:
    """Where the entry of a number lies."""
    return directory / f"{number:06d}.json"


def described(entry: Entry) -> dict[str, Any]:
    """An entry for `--json`."""
    fields: dict[str, Any] = msgspec.to_builtins(entry)
    del fields["exit"]
    return fields
