"""Find the line of an NDJSON file that a parser stumbled over: slow, and only asked when one did."""

from __future__ import annotations

import codecs
import itertools
import json
from typing import Any

import msgspec

from mlops_cli.errors import Corrupt, InputUnusable, SchemaMismatch
from mlops_cli.sources.base import File

_LONGEST = 64 << 20
_FIRST = 1_000
_KINDS = {bool: "true or false", int: "number", float: "number", str: "text", dict: "object", list: "array"}


def first_keys(file: File) -> list[str]:
    """The keys of the first row, in its order."""
    with file.path.open("rb") as stream:
        line = next((line for line in stream if line.strip()), b"{}")
    try:
        return list(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def demand_one_of_each(file: File) -> None:
    """Refuse a key that is there twice in one object, which parsers take silently; of the first rows, for its price.

    SchemaMismatch.
    """
    with file.path.open("rb") as stream:
        for number, line in enumerate(itertools.islice(stream, _FIRST), 1):
            try:
                json.loads(line, object_pairs_hook=_once)
            except _Twice as error:
                raise SchemaMismatch(f"{file.name}:{number}: the key {error.args[0]!r} is there twice") from None
            except (ValueError, RecursionError):
                return  # the parser says what is wrong, and where


class _Twice(Exception):
    """A key that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raise _Twice for a key that is there twice."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise _Twice(twice)


def first_fault(file: File) -> InputUnusable | None:
    """What is wrong on the first line that is: not JSON, not an object, or a value of another kind than before."""
    kinds: dict[str, tuple[str, int]] = {}
    with file.path.open("rb") as stream:
        number = 0
        while line := stream.readline(_LONGEST):
            number += 1
            fault = _fault(file, number, line, kinds)
            if fault:
                return fault
    return None


def _fault(file: File, number: int, line: bytes, kinds: dict[str, tuple[str, int]]) -> InputUnusable | None:
    """What is wrong on one line; `kinds` are those of the values before it, and where each was seen first."""
    where = f"{file.name}:{number}"
    if not line.strip():
        return None
    if number == 1 and line.startswith(codecs.BOM_UTF8):
        return Corrupt(f"{where}: a byte order mark, which JSON has not", f"tail -c +4 {file.quoted} | mlops ingest -")
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Corrupt(f"{where}: UTF-16 text, not UTF-8", f"iconv -f UTF-16 -t UTF-8 {file.quoted} | mlops ingest -")
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Corrupt(f"{where}: not a JSON object: {str(error)[:200]}")
    if not isinstance(row, dict):
        return Corrupt(f"{where}: a row must be a JSON object, this is: {line[:40].decode(errors='replace').strip()}")
    for name, value in row.items():
        if value is None:
            continue
        kind = _KINDS[type(value)]
        before, at = kinds.setdefault(name, (kind, number))
        if kind != before and "text" not in (kind, before):
            return SchemaMismatch(f"{where}: {name} is {_a(kind)}, on line {at} it is {_a(before)}")
    return None


def _a(kind: str) -> str:
    """A kind of value with its article."""
    return kind if kind == "true or false" else f"an {kind}" if kind[0] in "ao" else f"a {kind}"
