"""`mlops ingest`: data into a dataset."""

from __future__ import annotations

import sys

from mlops_cli.commands import _ingest_flags as flags
from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Usage


def main(
    source: flags.Source = None,
    input: flags.Input = None,
    format: flags.Format = None,
    query: flags.Query = None,
    since: flags.Since = None,
    at: flags.At = None,
    sql: flags.Sql = None,
    rename: flags.Rename = None,
    cast: flags.Cast = None,
    target_schema: flags.TargetSchema = None,
    dedupe: flags.Dedupe = None,
    keep: flags.Keep = "last",
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
    """Read data from files, URLs, databases or standard input into a dataset.

    CSV, NDJSON, Parquet, Arrow, also compressed and several; directories, archives and videos of images; all of them
    also from s3://, gs://, az://, https://. Databases with --query; Delta and Iceberg tables. Rows are shaped in this
    order: --sql, --rename, --cast, --target-schema, --dedupe, --columns, --limit.

    \b
    mlops ingest 'logs/*.csv.gz' -o data
    mlops ingest flights.parquet --sql 'select carrier, distance from data where arr_delay is not null'
    mlops ingest --input a=a.csv b=b.parquet --sql 'select … from a join b using (k)' --cast 'at=datetime[us,UTC]'
    mlops ingest 's3://bucket/logs/2013-*.csv.gz' https://example.org/flights.csv --columns carrier,origin
    mlops ingest @db.url --query 'select * from orders' --since id -o orders
    mlops ingest FRAMES/ s3://bucket/frames/ --label labels.csv --reject bad.parquet

    Exit codes: 0 done, 1 more images are unreadable than --max-bad allows, 4 a source is missing, empty or damaged,
    8 a database or store cannot be reached.
    """
    with _pipe.session("ingest", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        stdin = getattr(sys.stdin, "buffer", None)  # there may be no standard input at all
        if not (source or input) and (stdin is None or stdin.isatty()):
            raise Usage("nothing to read", "mlops ingest FILE…, or pipe data in")
        streaming = session.streaming(out)

        from mlops_cli.sources.asked import Asked
        from mlops_cli.steps import ingest, ingest_images, ingest_target
        from mlops_cli.steps.selection import Selection, listed, pairs

        renames, casts = pairs("--rename", rename or []), pairs("--cast", cast or [])
        target = ingest_target.read(session.context, target_schema) if target_schema else ()
        selection = Selection(sql, listed(columns), limit, renames, casts, listed(dedupe), keep, target)
        sources = ingest.Sources(tuple(source or ([] if input else ["-"])), stdin, tuple(input or []))
        images = ingest_images.Options(label, camera, fps, max_bad)
        asked = Asked(format, query, at, texts=selection.texts)
        options = ingest.Options(asked, selection, images, target_schema, since)
        if streaming:
            session.stream(ingest.stream(session.context, sources, options, reject))
        else:
            session.finish(ingest.run(session.context, sources, options, session.output(out, reject)))
