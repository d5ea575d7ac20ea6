"""`mlops watch`: flags, one call, print."""

from __future__ import annotations

from mlops_cli.commands import _options, _pipe
from mlops_cli.commands import _watch_flags as flags


def main(
    ref: _options.Ref = None,
    log: flags.Log = "",
    actuals: flags.Actuals = None,
    key: flags.Key = None,
    reference: flags.Reference = None,
    by: flags.By = None,
    telemetry: flags.Readings = None,
    telemetry_reference: flags.TelemetryReference = None,
    telemetry_time: flags.TelemetryTime = None,
    telemetry_device: flags.TelemetryDevice = None,
    schema: flags.Schema = None,
    window: flags.Window = "7d",
    alert: flags.Alerts = None,
    policy: _options.Policy = None,
    notify: flags.Notify = None,
    exec: flags.Exec = None,
    cooldown: flags.Cooldown = None,
    prom: flags.Prom = None,
    out: flags.Series = None,
    registry: _options.Registry = None,
    dry_run: _options.DryRun = False,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Judge a served model by its log and what really happened.

    Ends with 1 when an alert holds, 3 when one is inconclusive or no rows came, 6 while another run has the series,
    8 when --notify or --exec failed. An alert is told when it begins to hold, and again after 24 hours.

    \b
    mlops watch flights@production --log logs/ --actuals landed.parquet --alert 'precision<0.40' --exec 'make retrain'
    mlops watch flights@production --log logs/ --alert 'psi[distance]>0.2' --prom node_exporter/flights.prom
    mlops watch vehicles@production --log logs/ --by camera --telemetry readings.ndjson \\
      --alert 'psi[embedding]>0.2' --alert 'max[temperature]>80' --alert 'silent>30' --notify @owner.url
    """
    with _pipe.session("watch", json=json, quiet=quiet, verbose=verbose, force=False, registry=registry) as session:
        from mlops_cli.errors import Usage
        from mlops_cli.steps import watch
        from mlops_cli.steps.watch_look import Sources

        if not log:
            raise Usage("--log is missing", "name the directory that mlops serve --log writes to")
        readings = (telemetry, telemetry_reference, telemetry_time, telemetry_device)
        sources = Sources(log, actuals, key, tuple(by or ()), *readings, schema)
        telling = (tuple(notify or ()), exec, cooldown)
        options = watch.Options(sources, reference, window, tuple(alert or ()), *telling, prom, dry_run, policy)
        session.finish(watch.run(session.context, session.given(ref), options, session.output(out)))
