"""The files of a prediction log: which there are, and the closed ones compacted to Parquet without losing a row."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import Missing
from mlops_cli.runtime import log_files
from mlops_cli.store import files

LOCK = ".lock"
QUIET_SECONDS = 300.0
_NUMBERED = re.compile(r"(.+)-(\d+)")

ENVELOPE: dict[str, pl.DataType] = {
    "at": pl.String(),
    "request_id": pl.String(),
    "row": pl.Int64(),
    "key": pl.String(),
    "model": pl.String(),
    "version": pl.String(),
    "prediction": pl.String(),
    "proba": pl.List(pl.Float64),
    "ms": pl.Float64(),
    "broken": pl.List(pl.String),
}
"""The columns of a log line besides `inputs`, and the types they are read as."""


@dataclass(frozen=True)
class Part:
    """One file of the log: Parquet, or NDJSON whose first `size` bytes are whole lines."""

    path: Path
    size: int

    @property
    def compacted(self) -> bool:
        """Whether it is Parquet."""
        return self.path.suffix == ".parquet"


@contextmanager
def held(directory: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Compact what is closed, then hold the log so that no other `watch` replaces its files meanwhile.

    Who finds the log held reads it without compacting; a log that cannot be locked (a read-only copy) is read as it
    is. Missing when there is no such directory.
    """
    if not directory.is_dir():
        raise Missing(f"{directory}: no such directory", "name the directory that mlops serve --log writes to")
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield
        return
    try:
        if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            try:
                compact(directory, note)
            except OSError as error:
                note(f"the log was not compacted: {error.filename or directory}: {error.strerror}")
        _lock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Whether the lock was taken: not when another holds it, or the file system has none."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def parts(directory: Path, since: date) -> list[Part]:
    """The files of the days from `since` on, by day and name; what a killed `watch` left is not there twice."""
    found = []
    for day in _days(directory):
        if date.fromisoformat(day.name) < since:
            continue
        for path in sorted(day.iterdir()):
            if path.suffix == ".parquet":
                found.append(Part(path, path.stat().st_size))
            elif path.suffix == log_files.SUFFIX and not _twin(path):
                found.append(Part(path, log_files.whole(path)))
    return found


def compact(directory: Path, note: Callable[[str], None], quiet_seconds: float = QUIET_SECONDS) -> int:
    """Replace closed NDJSON files by Parquet with the same rows; how many were.

    The Parquet file is complete and durable before its NDJSON file goes, and its name holds the digest of the lines
    it was made from: so a run killed between the two is known by its twin, and a server that takes the freed name
    again is not mistaken for one. A file with a damaged line stays as it is.
    """
    done = 0
    for day in _days(directory):
        for path in sorted(day.glob(f"*{log_files.SUFFIX}")):
            if not _finished(path, quiet_seconds):
                continue
            if _twin(path) or _compacted(path, note):
                path.unlink()
                done += 1
                files.fsync_dir(day)
    return done


def _days(directory: Path) -> list[Path]:
    """The log's directories, one a day."""
    found = []
    for path in sorted(directory.iterdir()):
        with suppress(ValueError):
            if date.fromisoformat(path.name).isoformat() == path.name and path.is_dir():
                found.append(path)
    return found


def _finished(path: Path, quiet_seconds: float) -> bool:
    """Whether nobody will write to a file again.

    Its day is over or its writer has begun another, it has been quiet for a while, and it is not locked. The first
    two would do; locks do not work on every file system, and one that was only just made may not be locked yet.
    """
    numbered = _NUMBERED.fullmatch(path.stem)
    followed = numbered and path.with_name(f"{numbered[1]}-{int(numbered[2]) + 1}{path.suffix}").exists()
    over = path.parent.name < datetime.now(UTC).date().isoformat()
    if not (followed or over) or time.time() - path.stat().st_mtime < quiet_seconds:
        return False
    return log_files.is_closed(path)


def _digest(path: Path) -> str:
    """Of the whole lines of a file: the part of its Parquet twin's name that tells they hold the same rows."""
    whole, sha = log_files.whole(path), hashlib.sha256()
    with path.open("rb") as file:
        while whole > 0:
            data = file.read(min(whole, 1 << 20))
            sha.update(data)
            whole -= len(data)
    return sha.hexdigest()[:16]


def _twin(path: Path) -> bool:
    """Whether these very lines have been compacted already."""
    near = list(path.parent.glob(f"{path.stem}.*.parquet"))
    return bool(near) and path.with_name(f"{path.stem}.{_digest(path)}.parquet") in near


def _compacted(path: Path, note: Callable[[str], None]) -> bool:
    """Write the Parquet twin of an NDJSON file; False when it cannot hold the same rows."""
    target = path.with_name(f"{path.stem}.{_digest(path)}.parquet")
    temporary = path.with_name(f".{path.stem}.{files.token()}.tmp")
    try:
        lines = _lines(path)
        if lines:
            _sunk(path, temporary)
            if pl.scan_parquet(temporary, glob=False).select(pl.len()).collect().item() != lines:
                note(f"{path}: not every line is a row; it is left as it is")
                return False
            files.fsync_file(temporary)
            temporary.replace(target)
            files.fsync_dir(path.parent)
    except (PolarsError, PanicException):
        note(f"{path}: a line is damaged; the file is left as it is")
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _lines(path: Path) -> int:
    """The whole lines of a file that are not blank."""
    left, lines = log_files.whole(path), 0
    with path.open("rb") as file:
        for line in file:
            left -= len(line)
            if left < 0:
                break
            lines += not line.isspace()
    return lines


def _sunk(path: Path, target: Path) -> None:
    """The whole lines of an NDJSON file as Parquet, typed by all of them; a type that nothing tells is text, and so are
    all inputs when one has booleans beside numbers."""
    with path.open("rb") as file:
        data = file.read(log_files.whole(path))
    known = pl.scan_ndjson(data, infer_schema_length=None).collect_schema()
    try:
        _write(pl.scan_ndjson(data, schema=_schema(known, text=False)), target)
    except PolarsError:
        _write(pl.scan_ndjson(data, schema=_schema(known, text=True)), target)


def _write(rows: pl.LazyFrame, target: Path) -> None:
    rows.sink_parquet(target, compression="zstd", compression_level=3)


def _schema(known: pl.Schema, *, text: bool) -> dict[str, pl.DataType]:
    """The types that rows are written with, the inputs as text if it is asked for."""
    schema: dict[str, pl.DataType] = {}
    for name, kind in known.items():
        if name in ENVELOPE and name != "prediction":  # keys as text: numbers of two types would be made alike
            schema[name] = ENVELOPE[name]
        elif isinstance(kind, pl.Struct) and kind.fields:
            plain = text and name == "inputs"
            schema[name] = pl.Struct({f.name: pl.String() if plain else _told(f.dtype) for f in kind.fields})
        else:
            schema[name] = _told(kind)
    return schema


def _told(kind: object) -> pl.DataType:
    """A type that Parquet can hold."""
    if not isinstance(kind, pl.DataType) or kind == pl.Null or (isinstance(kind, pl.Struct) and not kind.fields):
        return pl.String()
    return kind
