"""The files that a user names: paths, globs, and standard input spooled to a file."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from mlops_cli import extensions
from mlops_cli.errors import EmptyInput, Missing, Usage, WrongKind
from mlops_cli.steps.references import check_stop
from mlops_cli.store import artefact

STDIN = "standard input"
ALIASES = {"tsv": "csv", "json": "ndjson", "jsonl": "ndjson", "feather": "arrow", "ipc": "arrow"}
"""Other names that `--format` takes."""

_STOP_LINE = re.compile(rb"mlops:stop:\d{1,3}:[a-z]+\n?\Z")


def check_format(name: str | None) -> None:
    """Refuse a format that nobody reads, before anything is read."""
    if name is not None and ALIASES.get(name, name) not in extensions.SOURCES:
        try:
            extensions.load("sources", name)
        except Usage as error:
            raise Usage(f"--format: {error.message}", error.hint) from None


def local(name: str) -> str:
    """The path that a name means, which may be a `file://` URL."""
    if not name.startswith("file://"):
        return name
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(name).path)


def expand(names: Sequence[str]) -> list[Path]:
    """The files that are named, globs in sorted order. Errors: Missing, WrongKind for a directory."""
    paths: list[Path] = []
    for name in map(local, names):
        path = Path(name)
        if path.is_dir():
            raise _not_a_file(path, name)
        if path.exists() or not glob.has_magic(name):
            if not path.exists():
                raise Missing(f"{name}: no such file")
            paths.append(path)
            continue
        found = sorted(Path(match) for match in glob.glob(name, recursive=True))  # noqa: PTH207
        found = [match for match in found if match.is_file()]
        if not found:
            raise Missing(f"{name}: no file matches")
        paths.extend(found)
    for path in paths:
        if not os.access(path, os.R_OK):
            raise Missing(f"{path}: permission denied", f"ls -l {path}")
    return paths


def _not_a_file(path: Path, name: str) -> WrongKind:
    """A directory, which may be an artefact."""
    if artefact.is_artefact(path):
        return WrongKind(f"{name} is an artefact, not a data file", "it can be given to the next command as it is")
    return WrongKind(f"{name} is a directory", f"mlops ingest '{name.rstrip('/')}/*.csv'")


def receive(stdin: BinaryIO, scratch: Path) -> Path:
    """Standard input as a file in `scratch`, in constant memory. Errors: EmptyInput, Stopped as its writer was."""
    path = scratch / "stdin"
    with path.open("wb") as sink:
        shutil.copyfileobj(stdin, sink, 1 << 20)
    size = path.stat().st_size
    if size == 0:
        raise EmptyInput(f"{STDIN} is empty", "the command before it printed nothing, or nothing was piped in")
    with path.open("rb") as stream:
        stream.seek(max(0, size - 64))
        stop = _STOP_LINE.search(stream.read())
    if stop:
        check_stop(stop[0].decode())
    return path


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory below `$TMPDIR`, removed after."""
    path = Path(tempfile.mkdtemp(prefix="mlops-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
