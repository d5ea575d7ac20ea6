"""From files to lazy frames: compressed ones unpacked, formats told by their first bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_cli import extensions
from mlops_cli.errors import Corrupt, EmptyInput, WrongKind
from mlops_cli.sources import packed
from mlops_cli.sources.base import File, Options, Scanned, Source
from mlops_cli.steps.ingest_files import ALIASES

_KNOWN = {
    b"SQLite format 3\0": "a SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"Obj\x01": "an Avro file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x80": "a pickle, which is never read",
    b"\x93NUMPY": "a NumPy array",
}


@dataclass(frozen=True)
class Prepared:
    """Files of one format, unpacked, with the module that reads them."""

    files: tuple[File, ...]
    format: str
    source: Source

    def scan(self, scratch: Path, *, narrowed: bool, texts: tuple[str, ...] = ()) -> Scanned:
        """The files as one table."""
        return self.source.scan(self.files, Options(scratch, narrowed, texts))


def prepare(files: Sequence[File], format: str | None, scratch: Path) -> Prepared:
    """Unpack what is compressed and find out what it is. Errors: Usage, Corrupt, EmptyInput, WrongKind."""
    ready = tuple(_unpacked(file, number, scratch) for number, file in enumerate(files))
    names = {_format(file, format) for file in ready}
    if len(names) > 1:
        raise WrongKind(f"files of several formats: {', '.join(sorted(names))}", "ingest each format by itself")
    name = names.pop()
    return Prepared(ready, name, extensions.load("sources", name))


def _unpacked(file: File, number: int, scratch: Path) -> File:
    """The file, or what was compressed in it."""
    head = file.head()
    if not head:
        raise EmptyInput(f"{file.name} is empty")
    packed.refuse(file.name, file.quoted, head)
    if not packed.packing(head):
        return file
    target = scratch / f"unpacked-{number}"
    packed.unpack(file.path, file.name, head, target)
    unpacked = replace(file, path=target)
    if not unpacked.head():
        raise EmptyInput(f"{file.name} is empty")
    return unpacked


_PAGE = re.compile(rb"\s*(?:<!doctype html|<html\b)", re.IGNORECASE)


def _format(file: File, wanted: str | None) -> str:
    """The format of a file: the one asked for, else the first that recognises it."""
    if wanted:
        return ALIASES.get(wanted, wanted)
    head = file.head()
    known = next((what for magic, what in _KNOWN.items() if head.startswith(magic)), None)
    if _PAGE.match(head.removeprefix(codecs.BOM_UTF8)):
        raise Corrupt(f"{file.name} is an HTML page", "open it in a browser: it may say what is wrong")
    if known is None:
        for name in extensions.SOURCES:
            if extensions.load("sources", name).matches(file.name, head):
                return name
        known = f"no table: it begins with the bytes {head[:4].hex(' ')}"
    raise Corrupt(f"{file.name} is {known}", "mlops reads " + ", ".join(extensions.SOURCES))
