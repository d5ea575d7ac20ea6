"""`mlops ingest`: data into a dataset."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Usage

_LABEL = "Labels of images: directory (that they lie in), none, or a FILE (CSV, NDJSON) with columns path and label."
_CAMERA = "Cameras of images: name (the file's, up to the time), directory (above the label), none, or =NORTH."
_FORMAT = "csv, ndjson, parquet, arrow, images; else told by the first bytes."
_MAX_BAD = "How many images may be unreadable: a share (0.01, 1%) or a number of them (20); 1%."


def main(
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE…", help="Files, globs, directories of images, s3://…; '-' or none: stdin."),
    ] = None,
    format: Annotated[str | None, typer.Option("--format", metavar="NAME", help=_FORMAT)] = None,
    sql: Annotated[
        str | None, typer.Option("--sql", metavar="QUERY", help="Take the answer to a query of the table 'data'.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B,…", help="Take only these columns, in this order.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Take only the first N rows.")] = None,
    label: Annotated[str | None, typer.Option("--label", metavar="RULE", help=_LABEL)] = None,
    camera: Annotated[str | None, typer.Option("--camera", metavar="RULE", help=_CAMERA)] = None,
    fps: Annotated[str | None, typer.Option("--fps", metavar="N", help="Frames a second of a video; 1.")] = None,
    reject: _options.Reject = None,
    max_bad: Annotated[str | None, typer.Option("--max-bad", metavar="LIMIT", help=_MAX_BAD)] = None,
    out: _options.TableOut = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Read data from files, globs or standard input into a dataset.

    CSV, NDJSON, Parquet and Arrow, also compressed; several files of one format make one table. Images: directories,
    tar and zip archives, videos, prefixes of object stores. The memory it takes does not depend on the size.

    \b
    mlops ingest 'logs/*.csv.gz' -o data
    mlops ingest flights.parquet --sql 'select carrier, distance from data where arr_delay is not null'
    curl -s https://example.org/flights.csv | mlops ingest - --columns carrier,origin
    mlops ingest FRAMES/ s3://bucket/frames/ --label labels.csv --reject bad.parquet

    Exit codes: 0 done, 1 more images are unreadable than --max-bad allows, 4 a source is missing, empty or damaged.
    """
    with _pipe.session("ingest", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        names = tuple(source or ["-"])
        stdin = getattr(sys.stdin, "buffer", None)  # there may be no standard input at all
        if not source and (stdin is None or stdin.isatty()):
            raise Usage("nothing to read", "mlops ingest FILE…, or pipe data in")
        streaming = session.streaming(out)

        from mlops_cli.steps import ingest, ingest_images
        from mlops_cli.steps.selection import Selection

        sources = ingest.Sources(names, stdin)
        chosen = tuple(name.strip() for name in columns.split(",")) if columns else ()
        images = ingest_images.Options(label, camera, fps, max_bad)
        options = ingest.Options(format, Selection(sql, chosen, limit), images)
        if streaming:
            session.stream(ingest.stream(session.context, sources, options, reject))
        else:
            session.finish(ingest.run(session.context, sources, options, session.output(out, reject)))
