"""Check the shape of CSV files while they are converted: every row as wide as the header, whole UTF-8, no zero bytes.

The parser fills short rows with nulls in silence, and tells of nothing by line. This reads the same bytes once more in
blocks of whole records and only counts, so it costs a few percent; only a block that does not add up is looked at row
by row.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.sources.base import File

_BLOCK = 1 << 17
_LONGEST = 64 << 20
_QUOTING = 'a field with quotes is quoted, and its quotes are doubled: "5"" pipe"'
_QUOTED = re.compile(rb'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Shape:
    """What is checked: `columns` fields in a record, one byte between them. `exact` compares every record; otherwise
    the fields of a block are only counted, which is enough when the parser refuses records that are too long."""

    columns: int
    separator: bytes
    exact: bool


def rows(file: File, shape: Shape, give_up: Callable[[], bool]) -> int:
    """How many rows a file has below its header. Errors with the line: InputUnusable (ragged), Corrupt."""
    line, records = 1, 0
    record = shape.separator * (shape.columns - 1) + b"\n"
    for block in _blocks(file):
        if give_up():
            return 0
        if b"\0" in block or not (block.isascii() or _is_utf8(block)):
            raise _not_text(file, block, line)
        quoted = b'"' in block
        if quoted or shape.exact:
            marks = _outside(block, shape.separator)
            found = len(marks) // shape.columns
            right = marks == record * found
        else:
            values = np.frombuffer(block, np.uint8)
            found = int(np.count_nonzero(values == 10))
            right = int(np.count_nonzero(values == shape.separator[0])) == found * (shape.columns - 1)
        if not right:
            raise _fault(file, block, line, shape) or _unexplained(file, block, line)
        records += found
        line += block.count(b"\n") if quoted else found
    return records - 1


def find_fault(file: File, shape: Shape) -> InputUnusable | None:
    """The first record that is written wrongly, looked for row by row: slow, for when a parser has failed."""
    line = 1
    for block in _blocks(file):
        fault = _fault(file, block, line, shape) if b'"' in block else None
        if fault:
            return fault
        line += block.count(b"\n")
    return None


def line_of(file: File, row: int) -> int:
    """The line on which the row of that number (0 is the first below the header) begins."""
    line, left = 1, row + 1
    for block in _blocks(file):
        found = _outside(block, b"").count(b"\n")
        if found > left:
            return line + _lines_before(block, left)
        left -= found
        line += block.count(b"\n")
    return line


def _lines_before(block: bytes, records: int) -> int:
    """The number of lines that the first records of a block take."""
    lines, inside = 0, False
    for text in block.split(b"\n"):
        if records == 0:
            break
        inside ^= text.count(b'"') % 2 == 1
        records -= not inside
        lines += 1
    return lines


def _outside(block: bytes, separator: bytes) -> bytes:
    """The separators and line ends of a block that are not inside quotes, in order.

    All other bytes are dropped first; two quotes that are then neighbours enclose nothing that counts.
    """
    kept = separator + b'\n"'
    marks = block.translate(None, bytes(byte for byte in range(256) if byte not in kept)).replace(b'""', b"")
    return _QUOTED.sub(b"", marks) if b'"' in marks else marks


def _blocks(file: File) -> Iterator[bytes]:
    """The file in blocks that end with a record: a line end behind an even number of quotes is outside of them.

    The last block is given its line end if it has none.
    """
    with file.path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            block += stream.readline(_LONGEST)
            if b'"' in block and block.count(b'"') % 2:  # looking first is four times quicker than counting none
                block += _rest_of_record(file, stream)
            yield block if block.endswith(b"\n") else block + b"\n"


def _rest_of_record(file: File, stream: IO[bytes]) -> bytes:
    """The lines up to the one where the open quote is closed."""
    lines, size = [], 0
    while line := stream.readline(_LONGEST):
        lines.append(line)
        size += len(line)
        if line.count(b'"') % 2:
            break
        if size > _LONGEST:
            raise Corrupt(f"{file.name}: a record is longer than {_LONGEST >> 20} MiB: a quote is never closed")
    return b"".join(lines)


def _is_utf8(block: bytes) -> bool:
    """Whether bytes are whole UTF-8."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _not_text(file: File, block: bytes, line: int) -> InputUnusable:
    """Say on which line there is a byte that is not UTF-8 text."""
    name = file.name
    zero = block.find(b"\0")
    if zero >= 0:
        return Corrupt(f"{name}:{line + block.count(10, 0, zero)}: a zero byte: this is not text")
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        where = line + block.count(b"\n", 0, error.start)
        hint = f"if it is Latin-1: iconv -f LATIN1 -t UTF-8 {file.quoted} | mlops ingest -"
        return Corrupt(f"{name}:{where}: byte 0x{block[error.start]:02x} is not UTF-8", hint)
    return Corrupt(f"{name}: not UTF-8 text")


def _fault(file: File, block: bytes, line: int, shape: Shape) -> InputUnusable | None:
    """Say which record of a block is wrong, and how; None when none seems to be."""
    csv.field_size_limit(sys.maxsize)
    separator = shape.separator.decode()
    lines = block.decode("utf-8", "replace").removesuffix("\n").split("\n")
    reader = csv.reader((text.removesuffix("\r") + "\n" for text in lines), delimiter=separator, strict=True)
    before = 0
    try:
        for row in reader:
            if len(row) != shape.columns and not (shape.columns == 1 and not row):
                return _ragged(file, line + before, len(row), shape.columns)
            before = reader.line_num
    except csv.Error as error:
        what = "a quote is opened and never closed" if "unexpected end" in str(error) else str(error)
        return Corrupt(f"{file.name}:{line + before}: {what}", _QUOTING)
    stray = _stray_quote("\n".join(lines), separator)
    if stray is not None:
        return Corrupt(f"{file.name}:{line + stray}: a quote inside a field that is not quoted", _QUOTING)
    return None


def _stray_quote(text: str, separator: str) -> int | None:
    """The number of lines before the first quote that neither encloses a field nor is doubled in one."""
    edge = re.escape(separator)
    fields = re.compile(rf'(^|{edge})"((?:[^"]|"")*)"(?=\r?$|{edge})', re.MULTILINE)
    plain = fields.sub(lambda field: field[1] + "\n" * field[2].count("\n"), text)
    place = plain.find('"')
    return None if place < 0 else plain.count("\n", 0, place)


def _unexplained(file: File, block: bytes, line: int) -> InputUnusable:
    """A block that does not add up for no reason that could be found."""
    last = line + block.count(b"\n")
    return Corrupt(f"{file.name}: quotes and separators do not add up between lines {line} and {last}", _QUOTING)


def _ragged(file: File, line: int, found: int, wanted: int) -> InputUnusable:
    """A row that is too short or too long."""
    if found == 0:
        hint = f"remove it with: sed -i {line}d {file.quoted}"
        return InputUnusable(f"{file.name}:{line}: a blank line among rows of {wanted} fields", hint)
    fields = "field" if found == 1 else "fields"
    hint = f"see it with: sed -n {line}p {file.quoted}"
    return InputUnusable(f"{file.name}:{line}: {found} {fields}, the header has {wanted}", hint)
