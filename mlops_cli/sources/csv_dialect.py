"""How a CSV file is written: its encoding, its separator, and the names in its first line."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable, SchemaMismatch
from mlops_cli.sources.base import File

SEPARATORS = (",", "\t", ";", "|")
_ENCODINGS = (  # UTF-32 before UTF-16: the little-endian marks begin alike
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_WIDE = (  # ASCII without a mark
    (re.compile(rb"[\t\n\r -~]\0\0\0"), "UTF-32LE"),
    (re.compile(rb"\0\0\0[\t\n\r -~]"), "UTF-32BE"),
    (re.compile(rb"(?:[\t\n\r -~]\0){2}"), "UTF-16LE"),
    (re.compile(rb"(?:\0[\t\n\r -~]){2}"), "UTF-16BE"),
)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_ROWS = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """The separator, and the names of the columns in order, each once."""

    separator: str
    names: tuple[str, ...]


def encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark announces, other than UTF-8, or that the first characters show."""
    marked = next((name for mark, name in _ENCODINGS if head.startswith(mark)), None)
    return marked or next((name for shape, name in _WIDE if shape.match(head)), None)


def sniff(file: File) -> Dialect:
    """The dialect of a file by its beginning. Errors: EmptyInput, Corrupt, SchemaMismatch, InputUnusable."""
    head = file.head()
    _refuse(file, head)
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    separator = _separator(text, file.name)
    names = next(_records(text, separator), [])
    _check_names(file, names)
    return Dialect(separator, tuple(name or f"column_{number}" for number, name in enumerate(names, 1)))


def _refuse(file: File, head: bytes) -> None:
    """Refuse what is no UTF-8 text with a header line."""
    name = file.name
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise EmptyInput(f"{name} is empty")
    other = encoding(head)
    if other:
        raise Corrupt(f"{name} is {other} text, not UTF-8", f"iconv -f {other} -t UTF-8 {file.quoted} | mlops ingest -")
    if b"\0" in head:
        raise Corrupt(f"{name} is not text: it has a zero byte at offset {head.index(0)}")
    if b"\n" not in head and b"\r" in head:
        raise Corrupt(f"{name} ends its lines with CR alone", f"tr '\\r' '\\n' < {file.quoted} | mlops ingest -")
    if not head.removeprefix(codecs.BOM_UTF8).split(b"\n", 1)[0].strip():
        raise Corrupt(f"{name}:1: the first line is blank, it should name the columns")


def _records(text: str, separator: str) -> itertools.islice[list[str]]:
    """The first records of a text; it may end in the middle of one."""
    return itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=separator), _ROWS)


def tabbed(name: str) -> bool:
    """Whether a file is called like one with tabs between the fields, compressed or not."""
    return name.endswith((".tsv", ".tab"))


def _separator(text: str, name: str) -> str:
    """The separator that gives the first rows as many fields as the header, and the header most of them."""
    best, chosen = (0.0, 0), "\t" if tabbed(name) else ","
    for candidate in SEPARATORS:
        try:
            widths = [len(row) for row in _records(text, candidate)]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            alike = sum(width == widths[0] for width in widths) / len(widths)
            best, chosen = max((best, chosen), ((round(alike, 1), widths[0]), candidate), key=lambda found: found[0])
    return chosen


def _check_names(file: File, names: Sequence[str]) -> None:
    """Refuse a first line that cannot name columns."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if name and name in seen:
            raise SchemaMismatch(f"{file.name}:1: two columns are called {name!r} (fields {seen[name]} and {number})")
        seen[name] = number
    if names and all(_NUMBER.fullmatch(name) for name in names):
        raise InputUnusable(
            f"{file.name}:1: the first line is numbers ({', '.join(names)[:40]}), it should name the columns",
            f"(echo 'a,b,c'; cat {file.quoted}) | mlops ingest -",
        )
