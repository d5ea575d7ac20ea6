"""The answer to a query in SQL, its rows in one order."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import UnknownColumn, Usage
from mlops_cli.sources.names import exactly
from mlops_cli.steps.column_names import near

_UNORDERED = re.compile(r"maintain_order: false|\bJOIN\b|\bSORT BY\b")
_PRODUCT = re.compile(r"\bcross\s+join\b", re.IGNORECASE)
_JOINS = re.compile(r"\bjoin\b|\bfrom\b[^()]*,", re.IGNORECASE)
_ABSENT = re.compile(r"""(?:unable to find column "|no column named ')([^"']*)""")
_WORDS = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|[();]|\border\s+by\b|\b(?:limit|offset|fetch)\b""",
    re.IGNORECASE | re.DOTALL,
)


def answer(frames: Mapping[str, pl.LazyFrame], sql: str | None) -> pl.LazyFrame:
    """One table of those that are there by name: the only one without a query, or the answer to a query of them.

    Errors: Usage for a query that cannot be run, UnknownColumn.
    """
    return next(iter(frames.values())) if sql is None else _queried(frames, sql)


def _queried(frames: Mapping[str, pl.LazyFrame], sql: str) -> pl.LazyFrame:
    """The answer to a query, its rows in an order that does not depend on the number of threads.

    Rows that `order by` finds equal are ordered by all columns; an answer without an order of its own too.
    """
    try:
        context = pl.SQLContext(dict(frames))
        answer = context.execute(sql, eager=False)
        plain = [name for name, kind in answer.collect_schema().items() if not kind.is_nested()]
        place = _end_of_order(sql)
        if place is not None:
            keys = "".join(', "' + name.replace('"', '""') + '"' for name in plain)
            answer = context.execute(f"{sql[:place]}{keys} {sql[place:]}", eager=False)
            answer.collect_schema()
        elif plain and _UNORDERED.search(answer.explain()):
            _refuse_any_rows(sql)
            answer = answer.sort([exactly(name) for name in plain])
    except (PolarsError, PanicException, OSError) as error:
        absent = _ABSENT.search(str(error))
        if absent:
            columns = [column for frame in frames.values() for column in frame.collect_schema().names()]
            raise UnknownColumn(f"--sql: there is no column {absent[1]!r}", near(absent[1], columns)) from None
        what = str(error).splitlines()[0][:200]
        raise Usage(f"--sql: {what}", f"{_called(frames)}; the dialect is that of polars") from None
    _refuse_products(answer, sql)
    return answer


def _refuse_any_rows(sql: str) -> None:
    """Usage for a query that takes some rows of an answer whose order is open."""
    words = [word[0].lower() for word in _WORDS.finditer(sql)]
    some = next((word for word in words if word in ("limit", "offset", "fetch")), None)
    if some is not None and not any(word.startswith("order") for word in words):
        raise Usage(f"--sql: {some} takes any rows where their order is open", f"order by … {some} …, or --limit")


def _called(frames: Mapping[str, pl.LazyFrame]) -> str:
    """The names of the tables, for a hint."""
    return "the table is called " + next(iter(frames)) if len(frames) == 1 else "the tables are " + ", ".join(frames)


def _refuse_products(answer: pl.LazyFrame, sql: str) -> None:
    """Usage for a query that pairs every row of one table with every row of another without saying so."""
    if _PRODUCT.search(sql) or not _JOINS.search(sql):
        return
    if "CROSS JOIN" in answer.explain():
        hint = "join … using (key), or on a.key = b.key; cross join, when it is meant"
        raise Usage("--sql pairs every row of one table with every row of another", hint)


def _end_of_order(sql: str) -> int | None:
    """The place behind the keys of a query's own `order by`; None when it has none."""
    depth, place, ordered = 0, len(sql.rstrip()), False
    for word in _WORDS.finditer(sql):
        text = word[0].lower()
        if text in ("(", ")"):
            depth += 1 if text == "(" else -1
        elif depth == 0 and text.startswith("order"):
            ordered, place = True, len(sql.rstrip())
        elif depth == 0 and ordered and (text in ("limit", "offset", "fetch", ";") or text.startswith(("--", "/*"))):
            place = min(place, word.start())
    return place if ordered else None
