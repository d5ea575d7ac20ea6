"""The flags of `mlops watch`, which has more of them than fit beside its call."""

from __future__ import annotations

from typing import Annotated

import typer

Log = Annotated[str, typer.Option("--log", metavar="DIR", help="The prediction log: the --log of mlops serve.")]
Actuals = Annotated[
    str | None, typer.Option("--actuals", metavar="DATA", help="What came true: a table with the target's column.")
]
Key = Annotated[
    str | None, typer.Option("--key", metavar="COLUMN", help="The actuals' key; without it request_id (and row).")
]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="REF", help="Measure drift from this table, not from training.")
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", metavar="COLUMN", help="Measure each level of the column too, such as camera; several times."),
]
Readings = Annotated[
    str | None, typer.Option("--telemetry", metavar="DATA", help="Readings of devices: a table with times and numbers.")
]
TelemetryReference = Annotated[
    str | None,
    typer.Option("--telemetry-reference", metavar="DATA", help="Their usual values; else those before the window."),
]
TelemetryTime = Annotated[
    str | None, typer.Option("--telemetry-time", metavar="COLUMN", help="Their time; else time, at or timestamp.")
]
TelemetryDevice = Annotated[
    str | None, typer.Option("--telemetry-device", metavar="COLUMN", help="Their device; else device or camera.")
]
Schema = Annotated[
    str | None, typer.Option("--schema", metavar="FILE", help="Rules for the log's rows, in place of the model's own.")
]
Window = Annotated[str, typer.Option("--window", metavar="LENGTH", help="How far back: 15m, 12h, 7d, 2w, all.")]
Alerts = Annotated[
    list[str] | None,
    typer.Option("--alert", metavar="EXPR", help="A finding when it holds, such as 'precision<0.40'; several times."),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify", metavar="URL", help="Tell people when an alert is told: mailto://…, @FILE; several times."
    ),
]
Exec = Annotated[
    str | None, typer.Option("--exec", metavar="CMD", help="Run this when an alert is told; see $MLOPS_ALERT.")
]
Cooldown = Annotated[
    str | None, typer.Option("--cooldown", metavar="LENGTH", help="Do not start --exec again within 30m, 6h, 1d.")
]
Prom = Annotated[
    str | None, typer.Option("--prom", metavar="FILE", help="Write a textfile for Prometheus' node_exporter.")
]
Series = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="SERIES", help="The series; else watch/NAME@ALIAS/ by the registry."),
]
