"""CSV and its relatives: comma, tab, semicolon or bar; types from a sample, and wider ones where they do not fit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace

from mlops_cli.errors import EmptyInput, SchemaMismatch
from mlops_cli.sources import lines
from mlops_cli.sources.base import File, Options, Scanned
from mlops_cli.sources.csv_dialect import encoding, sniff
from mlops_cli.sources.csv_table import Table

_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
_TAIL = 1 << 16


def matches(name: str, head: bytes) -> bool:
    """Text, and whatever is called CSV: `scan` says why it is not, or how to convert it."""
    text = bool(head) and b"\0" not in head
    return text or encoding(head) is not None or name.lower().endswith(_SUFFIXES)


def scan(files: Sequence[File], options: Options) -> Scanned:
    """CSV files as one table; every row is checked to be as wide as the header."""
    dialect = sniff(files[0])
    for file in files[1:]:
        _same_columns(files[0], file, dialect.names, sniff(file).names)
    for file in files:
        lines.check(file)
    if len(dialect.names) > 1:
        files = [_without_blank_end(file, number, options) for number, file in enumerate(files)]
    table = Table(tuple(files), dialect, options.narrowed, frozenset(options.texts))
    sample = table.sample()
    if sample.rows == 0 and table.check(lambda: False) == 0:
        raise EmptyInput(f"{files[0].name} has a header and no rows")
    return table.typed(sample)


def _same_columns(first: File, file: File, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a file whose columns are not those of the first one, in the same order."""
    for number, (one, other) in enumerate(zip(wanted, names, strict=False), 1):
        if one != other:
            raise SchemaMismatch(f"{file.name}: column {number} is {other!r}, in {first.name} it is {one!r}")
    if len(wanted) != len(names):
        more, name = (file, names[len(wanted)]) if len(names) > len(wanted) else (first, wanted[len(names)])
        raise SchemaMismatch(f"{file.name} and {first.name} differ: only {more.name} has a column {name!r}")


def _without_blank_end(file: File, number: int, options: Options) -> File:
    """The file, or a copy of it that ends with its last row when blank lines follow that, which are no rows."""
    with file.path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read()
    end = tail[len(tail.rstrip(b"\r\n")) :]
    if end.count(b"\n") < 2:
        return file
    copy = options.scratch / f"trimmed-{number}.csv"
    shutil.copyfile(file.path, copy)
    os.truncate(copy, size - len(end) + end.index(b"\n") + 1)
    return replace(file, path=copy)
