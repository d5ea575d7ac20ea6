"""mlops split: divide a dataset into train, valid and test parts."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

Stratify = Annotated[
    str | None, typer.Option("--stratify", metavar="COLUMN", help="The same share of each of its values in each part.")
]
Audit = Annotated[
    tuple[str, str] | None,
    typer.Option("--audit", metavar="TRAIN TEST", help="Look for leaks between parts made elsewhere, and do no more."),
]


def main(
    data: _options.Data = None,
    test: Annotated[
        str, typer.Option("--test", metavar="SHARE", help="Share of the test part; with --time a date too.")
    ] = "0.2",
    valid: Annotated[
        str, typer.Option("--valid", metavar="SHARE", help="Share of the validation part; with --time a date too.")
    ] = "0.1",
    stratify: Stratify = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="COLUMN", help="Rows of one group (camera, patient) stay together.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="Train on what came first; in each --group if given.")
    ] = None,
    embargo: Annotated[
        str | None, typer.Option("--embargo", metavar="1h", help="With --time: leave out rows this close before a cut.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="COLUMN", help="Place rows by this; else by all their values.")
    ] = None,
    near: Annotated[
        str | None, typer.Option("--near", metavar="COLUMN[=BITS]|off", help="Keep images that look alike together.")
    ] = None,
    audit: Audit = None,
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
    mlops split frames/ --time time --group camera --embargo 10m
    mlops split --audit train.parquet test.parquet --group tailnum

    Exit codes: 0 done, 1 --audit found a leak, 4 a part would be empty, or the column that decides has holes.
    """
    with _pipe.session("split", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        if audit:
            from mlops_cli.steps import split_audit

            parts = split_audit.Options(*audit, group=group, time=time, embargo=embargo, near=near)
            session.finish(split_audit.run(session.context, parts, session.output(out)))
            return
        from mlops_cli.steps import split

        options = split.Options(test, valid, stratify, group, time, embargo, tuple(key or ()), seed, near)
        session.finish(split.run(session.context, session.given(data), options, session.output(out)))
