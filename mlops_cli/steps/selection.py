"""Which rows and columns of a table are taken in: a query in SQL, columns by name, the first rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_cli.errors import Usage

TABLE = "data"
"""What the table is called in a query."""

_QUERY = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)
_READS = re.compile(r'\b(read_\w+)"?\s*\(', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Selection:
    """`sql` is asked of the table `data`; then `columns`, in that order, and the first `limit` rows of the answer."""

    sql: str | None = None
    columns: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything may be left out."""
        return bool(self.sql or self.columns or self.limit is not None)

    @property
    def drops_rows(self) -> bool:
        """Whether rows may be left out, or new ones come."""
        return bool(self.sql or self.limit is not None)

    def check(self) -> None:
        """Refuse with Usage what is no query, or no limit, before anything is read."""
        if self.sql is not None and not _QUERY.match(self.sql):
            raise Usage(f"--sql is not a query: {self.sql[:60]!r}", "--sql 'select … from data where …'")
        reads = _READS.search(self.sql or "")
        if reads:
            raise Usage(f"--sql calls {reads[1]}, which reads a file of its own", "give the file as a source instead")
        if self.limit is not None and self.limit < 1:
            raise Usage(f"--limit {self.limit} leaves no rows", "--limit 1000")
        twice = [name for name in self.columns if self.columns.count(name) > 1]
        if twice:
            raise Usage(f"--columns names {twice[0]!r} twice")
