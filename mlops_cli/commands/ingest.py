"""`mlops ingest`: data into a dataset."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Usage


def main(
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE…", help="Files or globs; '-', or none, reads data from standard input."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="NAME", help="csv, ndjson, parquet or arrow; else told by the first bytes."),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option("--sql", metavar="QUERY", help="Take the answer to a query of the table 'data' instead."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,…", help="Take only these columns, in this order.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Take only the first N rows.")] = None,
    out: _options.TableOut = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Read data from files, globs or standard input into a dataset.

    CSV (comma, tab, semicolon, bar), NDJSON, Parquet and Arrow, also compressed; several files of one format make one
    table. Types of text come from the first 10,000 rows; when a later value does not fit, that is told and the file is
    read once more. The memory it takes does not depend on the size of the data.

    \b
    mlops ingest flights.csv
    mlops ingest 'logs/*.csv.gz' -o data
    mlops ingest flights.parquet --sql 'select carrier, distance from data where arr_delay is not null'
    curl -s https://example.org/flights.csv | mlops ingest - --columns carrier,origin

    Exit codes: 0 done, 4 a source is missing, empty, damaged or ragged, or a column is unknown, 8 the disk is full.
    """
    with _pipe.session("ingest", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        names = tuple(source or ["-"])
        stdin = getattr(sys.stdin, "buffer", None)  # there may be no standard input at all
        if not source and (stdin is None or stdin.isatty()):
            raise Usage("nothing to read", "mlops ingest FILE…, or pipe data in")
        streaming = session.streaming(out)

        from mlops_cli.steps import ingest
        from mlops_cli.steps.selection import Selection

        sources = ingest.Sources(names, stdin)
        chosen = tuple(name.strip() for name in columns.split(",")) if columns else ()
        options = ingest.Options(format, Selection(sql, chosen, limit))
        if streaming:
            session.stream(ingest.stream(session.context, sources, options))
        else:
            session.finish(ingest.run(session.context, sources, options, session.output(out)))
