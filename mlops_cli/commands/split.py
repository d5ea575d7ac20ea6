"""mlops split: divide a dataset into train, valid and test parts."""

from __future__ import annotations

from mlops_cli.commands import _options, _pipe, _split_flags


def main(
    data: _options.Data = None,
    test: _split_flags.Test = "0.2",
    valid: _split_flags.Valid = "0.1",
    stratify: _split_flags.Stratify = None,
    bins: _split_flags.Bins = 10,
    group: _split_flags.Group = None,
    time: _split_flags.Time = None,
    embargo: _split_flags.Embargo = None,
    key: _split_flags.Key = None,
    near: _split_flags.Near = None,
    target: _split_flags.Target = None,
    folds: _split_flags.Folds = None,
    audit: _split_flags.Audit = None,
    seed: _options.Seed = 0,
    out: _options.Out = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Divide a dataset into train, valid and test parts.

    A hash of the row, or of --key or --group, decides: rows stay where they were when data grows, and exact copies
    stay together. certificate.json says what was done and that no part knows of another.

    \b
    mlops split flights/ --time time_hour --test 2013-11-01 --embargo 1h
    mlops split flights/ --stratify fare --folds 5
    mlops split frames/ --time time --group camera --embargo 10m
    mlops split --audit train.parquet test.parquet --group tailnum --target delayed

    With --audit, --valid names a part between the two. Exit codes: 0 done, 1 a leak was found, 4 a part or a fold would
    be empty, or the column that decides has holes.
    """
    with _pipe.session("split", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        if audit:
            from mlops_cli.steps import split_audit

            parts = split_audit.Options(*audit, group, time, embargo, near, target, bins, valid, tuple(key or ()))
            session.finish(split_audit.run(session.context, parts, session.output(out)))
            return
        from mlops_cli.steps import split

        deciding = (test, valid, stratify, group, time, embargo, tuple(key or ()), seed, near)
        options = split.Options(*deciding, bins=bins, target=target, folds=folds)
        session.finish(split.run(session.context, session.given(data), options, session.output(out)))
