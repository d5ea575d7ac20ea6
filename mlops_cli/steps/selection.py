"""Which rows and columns of tables are taken in and how they are called and typed; how is in `ingest_shape`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_cli.errors import Usage

TABLE = "data"
"""What the table is called in a query, unless it was given a name."""

KEEP = ("first", "last")
"""Which row of a key may be kept."""

_QUERY = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)
_READS = re.compile(r"\bread_(?:csv|parquet|ipc|json|ndjson)\b", re.IGNORECASE)  # wherever it stands: SQL has comments
_COMMA = re.compile(r",(?![^\[(]*[\])])")  # the comma in decimal(10,2) separates nothing
_TEXTS = re.compile(r"\s*(?:str|string|utf8|object|category|categorical|decimal|binary|bytes)\b", re.IGNORECASE)

Wanted = tuple[str, str | None, bool]
"""A column of `--target-schema`: its name, its type if that is said, whether it has to be there."""


@dataclass(frozen=True, slots=True)
class Selection:
    """`sql` is asked of the tables; then columns are renamed (old, new), cast (column, type), brought into the form of
    `target`, and of rows with equal values in `dedupe` one is kept; then `columns`, and the first `limit` rows."""

    sql: str | None = None
    columns: tuple[str, ...] = ()
    limit: int | None = None
    renames: tuple[tuple[str, str], ...] = ()
    casts: tuple[tuple[str, str], ...] = ()
    dedupe: tuple[str, ...] = ()
    keep: str = "last"
    target: tuple[Wanted, ...] = ()

    @property
    def narrows(self) -> bool:
        """Whether anything may be left out."""
        return self.drops_rows or bool(self.columns or self.target)

    @property
    def drops_rows(self) -> bool:
        """Whether rows may be left out that nobody counts, or new ones come."""
        return bool(self.sql or self.limit is not None)

    @property
    def shapes(self) -> bool:
        """Whether the table that comes out is another than the one that goes in, its number of rows apart."""
        return bool(self.sql or self.columns or self.renames or self.casts or self.dedupe or self.target)

    def makes(self, column: str) -> bool:
        """Whether a column of the result may be another one than that of its name in the source."""
        renamed = any(column in pair for pair in self.renames)
        return bool(self.sql or renamed or self.target) or any(column == name for name, _ in self.casts)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns, as the source calls them, whose text must not become a number on the way to what it is cast to:
        `1.50` would be `1.5`. None when there is a query, which has columns of its own."""
        if self.sql is not None:
            return ()
        before = {new: old for old, new in self.renames}
        typed = {**{name: kind for name, kind, _ in self.target if kind}, **dict(self.casts)}
        return tuple(before.get(name, name) for name, kind in typed.items() if _TEXTS.match(kind))

    @property
    def params(self) -> dict[str, Any]:
        """All of it for a key and a manifest; what was not asked for is left out, except the oldest three."""
        asked = {
            "rename": [list(pair) for pair in self.renames],
            "cast": [list(pair) for pair in self.casts],
            "dedupe": [self.keep, *self.dedupe] if self.dedupe else [],
            "target": [list(column) for column in self.target],
        }
        fixed = {"sql": self.sql, "columns": list(self.columns), "limit": self.limit}
        return fixed | {name: value for name, value in asked.items() if value}

    def check(self) -> None:
        """Refuse with Usage what is no query, or no limit, before anything is read."""
        if self.sql is not None and not _QUERY.match(self.sql):
            raise Usage(f"--sql is not a query: {self.sql[:60]!r}", "--sql 'select … from data where …'")
        reads = _READS.search(self.sql or "")
        if reads:
            raise Usage(f"--sql calls {reads[0]}, which reads a file of its own", "give the file as a source instead")
        if self.limit is not None and self.limit < 1:
            raise Usage(f"--limit {self.limit} leaves no rows", "--limit 1000")
        if self.columns and self.target:
            raise Usage("--columns and --target-schema both say which columns there are", "leave one of them out")
        if self.keep not in KEEP:
            raise Usage(f"--keep {self.keep!r} is neither first nor last", "--keep first")
        if self.keep != "last" and not self.dedupe:
            raise Usage("--keep says which row --dedupe keeps", "--dedupe COLUMN --keep first")
        _once("--columns", self.columns)
        _once("--dedupe", self.dedupe)
        _once("--rename", [old for old, _ in self.renames])
        _once("--cast", [name for name, _ in self.casts])


def listed(text: str | None) -> tuple[str, ...]:
    """`a,b` as its parts."""
    return tuple(part.strip() for part in text.split(",")) if text else ()


def pairs(flag: str, given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`old=new,…`, several times, as pairs. Usage for what is none."""
    found = []
    for part in (part.strip() for text in given for part in _COMMA.split(text)):
        left, equals, right = part.rpartition("=")
        if not equals or not left.strip() or not right.strip():
            hint = "--cast column=type,…" if flag == "--cast" else "--rename old=new,…"
            raise Usage(f"{flag} {part!r} has not the form {'column=type' if flag == '--cast' else 'old=new'}", hint)
        found.append((left.strip(), right.strip()))
    return tuple(found)


def _once(flag: str, names: Sequence[str]) -> None:
    """Usage when a name comes twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Usage(f"{flag} names {twice[0]!r} twice")
