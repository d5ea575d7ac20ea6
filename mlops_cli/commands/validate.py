"""mlops validate: check a dataset against rules; keep the rows that pass."""

from __future__ import annotations

from mlops_cli.commands import _options, _pipe
from mlops_cli.commands import _validate_flags as flags
from mlops_cli.errors import Usage


def main(
    data: flags.Data = None,
    schema: flags.Schema = None,
    infer: flags.Infer = False,
    tolerance: flags.Tolerance = None,
    json_schema: flags.JsonSchema = False,
    profile: flags.Profile = None,
    target: flags.Target = None,
    reject: _options.Reject = None,
    max_bad: flags.MaxBad = "0",
    against: flags.Against = None,
    max_drift: flags.MaxDrift = None,
    now: flags.Now = None,
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
    mlops validate today.parquet --against flights@production --max-drift 0.2

    Exit codes: 0 passed, 1 more rows failed than --max-bad allows, or the table as a whole is not as it should be,
    3 --max-drift cannot be decided with so few rows, 4 the rules or the data cannot be used.
    """
    with _pipe.session("validate", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        if json_schema:
            from mlops_cli.steps.rules import json_schema as described

            session.print(described.text())
            return
        if infer:
            if schema or reject or out or against or profile:
                raise Usage("--infer goes with no other flag but --tolerance", "… --infer > rules.yaml")
            _infer(session, data, tolerance)
            return
        if len(data or ()) > 1:
            raise Usage(f"{len(data or ())} tables are too many", "one at a time; --infer takes several")
        if tolerance is not None or (target and not profile):
            raise Usage("--target goes with --profile, and --tolerance with --infer")
        from mlops_cli.steps import validate

        given = session.given(data[0] if data else None)
        options = validate.Options(schema, max_bad, against, max_drift, now)
        if profile:
            from mlops_cli.steps import describe

            describe.run(session.context, given, profile, target)
        if session.streaming(out):
            from mlops_cli.steps import validate_stream

            session.stream(validate_stream.stream(session.context, given, options, reject))
            return
        session.finish(validate.run(session.context, given, options, session.output(out, reject)))


def _infer(session: _pipe.Session, data: list[str] | None, tolerance: float | None) -> None:
    """Print rules that all of the tables pass."""
    from mlops_cli.steps import validate_infer

    tables = [session.given(name) for name in data] if data else [session.given(None)]
    session.print(validate_infer.infer(session.context, tables, tolerance))
