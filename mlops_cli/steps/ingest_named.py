"""Tables that are called by a name in a query: `--input NAME=SOURCE`, where a source is anything that is ingested."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlops_cli.errors import Usage
from mlops_cli.sources.asked import Asked
from mlops_cli.steps import ingest_tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_tables import Origin
from mlops_cli.steps.references import check_stop
from mlops_cli.steps.selection import TABLE

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.+)", re.DOTALL)
_FROM = re.compile(r'\b(?:from|join)\s+"?(\w+)', re.IGNORECASE)
_WITH = re.compile(r"(\w+)\s+as\s*\(", re.IGNORECASE)
_HINT = "--input flights=a.parquet --input weather=b.csv --sql 'select … from flights join weather using (…)'"


def tables(names: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Name → sources. Positional arguments of the form NAME=SOURCE count as inputs when there are inputs at all; the
    others together are the table `data`. Usage for an input without a name, and for a name given twice."""
    found: dict[str, tuple[str, ...]] = {}
    plain = [name for name in names if not _NAMED.fullmatch(name) or Path(name).exists()]
    if plain:
        found[TABLE] = tuple(plain)
    for text in [*inputs, *(name for name in names if name not in plain)]:
        named = _NAMED.fullmatch(text)
        if named is None:
            raise Usage(f"--input {text!r} has no name", _HINT)
        if named[1] in found:
            raise Usage(f"two inputs are called {named[1]}", "several files of one table: --input 'NAME=part-*.csv'")
        found[named[1]] = (named[2],)
    return found


def used(wanted: Mapping[str, tuple[str, ...]], sql: str | None) -> dict[str, tuple[str, ...]]:
    """Those tables that a query can mean: the others decide nothing. Usage for several tables and no query."""
    if sql is None:
        if len(wanted) > 1:
            raise Usage("several inputs, and no query that makes one table of them", _HINT)
        return dict(wanted)
    words = set(re.findall(r"\w+", sql))
    named = {name: source for name, source in wanted.items() if name in words}
    if not named:
        raise Usage("--sql names none of the inputs", "they are called " + ", ".join(wanted))
    strange = set(_FROM.findall(sql)) - set(wanted) - set(_WITH.findall(sql))
    return dict(wanted) if strange else named  # the error for a table that is not there names all that are


def origins(
    ctx: Context, wanted: Mapping[str, tuple[str, ...]], asked: Asked, stdin: Callable[[], Origin]
) -> dict[str, Origin]:
    """The tables by name, looked at and not read. `stdin` is asked for the one that is called `-`.

    Errors: those of `ingest_tables.origin`; Usage when standard input or a query of a database is meant twice.
    """
    for flag, given in (("--query", asked.query), ("--at", asked.at)):
        if given is not None and len(wanted) > 1:
            hint = "--input NAME=TABLE@VERSION" if flag == "--at" else "ingest the answer first, then join it"
            raise Usage(f"{flag} is about one source, and there are {len(wanted)}", hint)
    if sum(names.count("-") for names in wanted.values()) > 1:
        raise Usage("standard input can be only one of the inputs")
    found = {}
    for name, sources in wanted.items():
        for source in sources:
            check_stop(source)
        if "-" in sources and len(sources) > 1:
            raise Usage("standard input cannot be read together with files as one table", "cat FILE… | mlops ingest -")
        found[name] = stdin() if sources == ("-",) else ingest_tables.origin(ctx, sources, asked, datasets=True)
    return found
