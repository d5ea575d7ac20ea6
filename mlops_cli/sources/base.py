"""What a source is: a module that reads one kind of file, or tables that lie somewhere by a name of their own."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from mlops_cli.sources.asked import Asked
from mlops_cli.store.manifest import Input

HEAD = 1 << 16
"""So many first bytes of a file are looked at to tell what it is."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to read, and what its user calls it: they differ when it was unpacked, or came on standard input."""

    path: Path
    name: str

    @property
    def quoted(self) -> str:
        """The file as an argument in a hint."""
        return shlex.quote(self.name) if str(self.path) == self.name else "FILE"

    def head(self) -> bytes:
        """The first bytes."""
        with self.path.open("rb") as stream:
            return stream.read(HEAD)


@dataclass(frozen=True, slots=True)
class Options:
    """How to read. `scratch` is a directory for temporary copies that outlives the reading; `narrowed` says that not
    every row and column will be looked at, so that a source must not rely on the parser to notice bad ones."""

    scratch: Path
    narrowed: bool = False


@dataclass(frozen=True)
class Scanned:
    """Files as one table of n rows × k columns.

    `notes` are lines for people. `check`, if any, runs in a thread beside the conversion: it reads the files for what
    the parser lets pass, asks its argument now and then whether to give up, and returns the number of rows that the
    files hold; it raises InputUnusable. `widen`, if any, is called with the message of a parser that failed: the same
    table with types that fit, or None when it was not the types.
    """

    frame: pl.LazyFrame
    notes: tuple[str, ...] = ()
    check: Callable[[Callable[[], bool]], int] | None = None
    widen: Callable[[str], Scanned | None] | None = field(default=None, repr=False)


class Source(Protocol):
    """What every module of this folder and every entry point `mlops.sources` offers.

    Both functions take the files' bytes for hostile: what is damaged, cut short or something else is refused with an
    InputUnusable of one line (Corrupt, EmptyInput, SchemaMismatch), at the latest while the frame is collected.
    """

    def matches(self, name: str, head: bytes) -> bool:
        """Whether a file of that name with those first bytes (at most `HEAD`) is of this kind."""

    def scan(self, files: Sequence[File], options: Options) -> Scanned:
        """All files as one table: the same columns in every file, types as wide as the widest, files in that order."""


@dataclass(frozen=True)
class Found:
    """A table that was looked at and not read.

    `inputs` say in the manifest what it is, as far as that is known before its rows have been read; `key` is its share
    of a memo key: everything that decides what the rows are, None when nobody can know (a database). `scan` reads it.
    `settled`, if any, is asked after the last row: the inputs as they turned out, such as the digest of an answer.
    """

    inputs: list[Input]
    key: object | None
    scan: Callable[[Options], Scanned] = field(repr=False)
    settled: Callable[[], list[Input]] | None = field(default=None, repr=False)


class Place(Protocol):
    """What every module in the table `PLACES` of extensions offers; none is in it yet.

    What is outside and fails is Outside, what is not there Missing, a wrong query Usage or InputUnusable; one line,
    and no secret in it: credentials come from the environment, from files, or in the driver's own ways.
    """

    def find(self, name: str, asked: Asked) -> Found:
        """The table that a URL or a path means."""
