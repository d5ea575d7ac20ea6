"""Make a selection of a table: the answer to a query, columns, the first rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

import polars as pl
from polars.exceptions import ColumnNotFoundError, PanicException, PolarsError

from mlops_cli.errors import UnknownColumn, Usage
from mlops_cli.sources.names import exactly
from mlops_cli.steps.selection import TABLE, Selection

_UNORDERED = re.compile(r"maintain_order: false|\bJOIN\b|\bSORT BY\b")
_WORDS = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|[();]|\border\s+by\b|\b(?:limit|offset|fetch)\b""",
    re.IGNORECASE | re.DOTALL,
)


def select(frames: Mapping[str, pl.LazyFrame], wanted: Selection) -> pl.LazyFrame:
    """One table of those that are there by name: the only one, or the answer to a query of them.

    Errors: Usage for a query that cannot be run, UnknownColumn.
    """
    frame = next(iter(frames.values())) if wanted.sql is None else _queried(frames, wanted.sql)
    if wanted.columns:
        there = frame.collect_schema().names()
        for name in wanted.columns:
            if name not in there:
                raise UnknownColumn(f"--columns: there is no column {name!r}", _near(name, there))
        frame = frame.select([exactly(name) for name in wanted.columns])
    return frame if wanted.limit is None else frame.head(wanted.limit)


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
            answer = answer.sort([exactly(name) for name in plain])
    except ColumnNotFoundError as error:
        named = re.search(r'column "([^"]*)"', str(error))
        name = named[1] if named else ""
        hint = _near(name, [column for frame in frames.values() for column in frame.collect_schema().names()])
        raise UnknownColumn(f"--sql: there is no column {name!r}", hint) from None
    except (PolarsError, PanicException, OSError) as error:
        what = str(error).splitlines()[0][:200]
        called = f"the table is called {TABLE}" if list(frames) == [TABLE] else "the tables are " + ", ".join(frames)
        raise Usage(f"--sql: {what}", f"{called}; the dialect is that of polars") from None
    return answer


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


def _near(name: str, there: Iterable[str]) -> str:
    """The column that may have been meant, or those that there are."""
    names = list(there)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else "there are: " + ", ".join(names[:30])
