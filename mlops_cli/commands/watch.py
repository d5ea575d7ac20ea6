"""`mlops watch`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

Alerts = Annotated[
    list[str] | None,
    typer.Option("--alert", metavar="EXPR", help="A finding when it holds, such as 'precision<0.40'; several times."),
]


def main(
    ref: _options.Ref = None,
    log: Annotated[
        str, typer.Option("--log", metavar="DIR", help="The prediction log: the --log of mlops serve.")
    ] = "",
    actuals: Annotated[
        str | None, typer.Option("--actuals", metavar="DATA", help="What came true: a table with the target's column.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="COLUMN", help="The actuals' key; without it request_id (and row).")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="REF", help="Measure drift from this table, not from training.")
    ] = None,
    window: Annotated[
        str, typer.Option("--window", metavar="LENGTH", help="How far back: 30m, 12h, 7d, 2w, all.")
    ] = "7d",
    alert: Alerts = None,
    exec: Annotated[
        str | None, typer.Option("--exec", metavar="CMD", help="Run this when an alert is told; see $MLOPS_ALERT.")
    ] = None,
    prom: Annotated[
        str | None, typer.Option("--prom", metavar="FILE", help="Write a textfile for Prometheus' node_exporter.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", metavar="SERIES", help="The series; else watch/NAME@ALIAS/ by the registry."),
    ] = None,
    registry: _options.Registry = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Judge a served model by its log and what really happened.

    Ends with 1 when an alert holds, 3 when one is inconclusive or no rows came, 6 while another run has the series,
    8 when the command of --exec failed. An alert is told when it begins to hold, and again after 24 hours.

    \b
    mlops watch flights@production --log logs/ --actuals landed.parquet --alert 'precision<0.40' --exec 'make retrain'
    mlops watch flights@production --log logs/ --alert 'psi[distance]>0.2' --prom node_exporter/flights.prom
    """
    with _pipe.session("watch", json=json, quiet=quiet, verbose=verbose, force=False, registry=registry) as session:
        from mlops_cli.errors import Usage
        from mlops_cli.steps import watch

        if not log:
            raise Usage("--log is missing", "name the directory that mlops serve --log writes to")
        options = watch.Options(log, actuals, key, reference, window, tuple(alert or ()), exec, prom)
        session.finish(watch.run(session.context, session.given(ref), options, session.output(out)))
