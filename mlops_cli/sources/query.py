"""The text of a query: whether it is one, the name of a table instead, and what a larger query says of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

from mlops_cli.errors import EmptyInput, Missing, Usage

_BLANK = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*"
_QUERY = re.compile(rf"{_BLANK}(?:\({_BLANK})*(?:select|with|values|table)\b", re.IGNORECASE | re.DOTALL)
_STATEMENT = re.compile(
    r"\s*(?:insert|update|delete|merge|create|alter|drop|truncate|copy|call|do|set|begin|grant|vacuum|pragma|attach)\s",
    re.IGNORECASE,
)


def resolve(query: str | None, tables: Callable[[], Mapping[str, str]], where: str) -> str:
    """The query that is meant: the text itself, or all rows of a table by its name, or of the only one there is.

    `tables` lists name → how SQL names it. Errors: Usage for a statement that is no query, Missing for no such table,
    EmptyInput for none.
    """
    if query is not None and _QUERY.match(query):
        text = query.strip().rstrip(";").rstrip()
        return text + "\n" if "--" in text else text  # a comment at the end must not hide what follows
    if query is not None and _STATEMENT.match(query):
        raise Usage(f"--query is not a query: {query[:60]!r}", "only select, with, values and table are taken")
    there = tables()
    if query is None:
        if not there:
            raise EmptyInput(f"{where} has no tables", "--query 'select …' asks it for something else")
        if len(there) > 1:
            names = ", ".join(list(there)[:30])
            raise Usage(f"{where} has {len(there)} tables: {names}", "choose with --query TABLE or --query 'select …'")
        query = next(iter(there))
    if query not in there:
        near = difflib.get_close_matches(query, there, 1)
        names = ", ".join(list(there)[:30]) or "no table at all"
        what = "there is no table" if re.fullmatch(r"\S+", query) else "--query is neither a query nor a table:"
        raise Missing(f"{where}: {what} {query[:60]!r}", f"did you mean {near[0]}?" if near else f"there is: {names}")
    return f"select * from {there[query]}"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def around(query: str, columns: str = "*", condition: str = "") -> str:
    """A query of the answer to a query."""
    return f"select {columns} from (\n{query}\n) as answer" + (f" where {condition}" if condition else "")
