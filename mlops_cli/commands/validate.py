"""mlops validate: check a dataset against rules; keep the rows that pass."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Usage


def main(
    data: _options.Data = None,
    schema: Annotated[
        str | None, typer.Option("--schema", metavar="FILE", help="The rules, YAML in pandera's form.")
    ] = None,
    infer: Annotated[
        bool, typer.Option("--infer", help="Print rules that this data passes, and do nothing else.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="PATH", help="Write an HTML page about the data as it comes.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="With --profile: what is to be predicted.")
    ] = None,
    reject: _options.Reject = None,
    max_bad: Annotated[
        str,
        typer.Option(
            "--max-bad", metavar="LIMIT", help="How many may fail: a share (0.01, 1%) or a number of rows (20)."
        ),
    ] = "0",
    out: _options.TableOut = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Check a dataset against rules; keep the rows that pass.

    Without rules the structure is checked: every row can be read. All rules are checked for all rows; the count of
    each, and a few values that break it, are told and kept in validation.json.

    \b
    mlops validate flights.csv --infer > flights.schema.yaml
    mlops validate flights.csv --schema flights.schema.yaml --reject bad.parquet --max-bad 0.1%
    mlops ingest flights.csv | mlops validate --schema flights.schema.yaml | mlops split

    Exit codes: 0 passed, 1 more rows failed than --max-bad allows, 4 the rules or the data cannot be used: an unknown
    key, a column that is absent or of another type.
    """
    with _pipe.session("validate", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        from mlops_cli.steps import validate

        if infer:
            if schema or reject or out or profile:
                raise Usage(
                    "--infer prints rules and goes with no other flag", "mlops validate DATA --infer > rules.yaml"
                )
            session.print(validate.infer(session.context, session.given(data)))
            return
        if target and not profile:
            raise Usage("--target goes with --profile")
        given = session.given(data)
        if profile:
            from mlops_cli.steps import describe

            describe.run(session.context, given, profile, target)
        options = validate.Options(schema=schema, max_bad=max_bad)
        if session.streaming(out):
            from mlops_cli.steps import validate_stream

            session.stream(validate_stream.stream(session.context, given, options, reject))
            return
        session.finish(validate.run(session.context, given, options, session.output(out, reject)))
