"""`mlops ingest`: data into a dataset."""

from __future__ import annotations

import sys

from mlops_cli.commands import _ingest_flags as flags
from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Usage


def main(
    source: flags.Source = None,
    format: flags.Format = None,
    query: flags.Query = None,
    since: flags.Since = None,
    sql: flags.Sql = None,
    columns: flags.Columns = None,
    limit: flags.Limit = None,
    label: flags.Label = None,
    camera: flags.Camera = None,
    fps: flags.Fps = None,
    reject: _options.Reject = None,
    max_bad: flags.MaxBad = None,
    out: _options.TableOut = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Read data from files, databases or standard input into a dataset.

    CSV, NDJSON, Parquet and Arrow, also compressed; several files of one format make one table. Images: directories,
    tar and zip archives, videos, prefixes of object stores. The memory it takes does not depend on the size.

    \b
    mlops ingest 'logs/*.csv.gz' -o data
    mlops ingest flights.parquet --sql 'select carrier, distance from data where arr_delay is not null'
    curl -s https://example.org/flights.csv | mlops ingest - --columns carrier,origin
    mlops ingest @db.url --query 'select * from orders' --since id -o orders
    mlops ingest FRAMES/ s3://bucket/frames/ --label labels.csv --reject bad.parquet

    Exit codes: 0 done, 1 more images are unreadable than --max-bad allows, 4 a source is missing, empty or damaged,
    8 a database or store cannot be reached.
    """
    with _pipe.session("ingest", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        names = tuple(source or ["-"])
        stdin = getattr(sys.stdin, "buffer", None)  # there may be no standard input at all
        if not source and (stdin is None or stdin.isatty()):
            raise Usage("nothing to read", "mlops ingest FILE…, or pipe data in")
        streaming = session.streaming(out)

        from mlops_cli.sources.asked import Asked
        from mlops_cli.steps import ingest, ingest_images
        from mlops_cli.steps.selection import Selection

        sources = ingest.Sources(names, stdin)
        chosen = tuple(name.strip() for name in columns.split(",")) if columns else ()
        images = ingest_images.Options(label, camera, fps, max_bad)
        options = ingest.Options(Asked(format, query), Selection(sql, chosen, limit), images, since)
        if streaming:
            session.stream(ingest.stream(session.context, sources, options, reject))
        else:
            session.finish(ingest.run(session.context, sources, options, session.output(out, reject)))
