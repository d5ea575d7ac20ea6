"""`mlops serve`: flags, one call; what it says is on stderr."""

from __future__ import annotations

import sys

from mlops_cli.commands import _options, _pipe
from mlops_cli.commands import _serve_flags as flags


def main(
    ref: _options.Ref = None,
    host: flags.Host = "127.0.0.1",
    port: flags.Port = 8080,
    workers: flags.Workers = 1,
    log: flags.Log = None,
    key: flags.Key = None,
    log_columns: flags.Columns = None,
    log_redact: flags.Redact = None,
    retain: flags.Retain = None,
    token_file: flags.Token = None,
    name: flags.Name = None,
    max_body: flags.Body = "16MB",
    max_rows: flags.Rows = 100_000,
    drain_seconds: flags.Drain = 2.0,
    stdio: flags.Stdio = False,
    context: flags.Constants = None,
    follow: flags.Follow = None,
    rules: flags.Rules = "warn",
    registry: _options.Registry = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
) -> None:
    """Answer requests over HTTP, or rows on standard input.

    Open Inference Protocol V2, MLflow's /invocations, health and /metrics; GET / lists them. SIGTERM drains without
    a failed request and ends with 0; Ctrl-C ends with 130. With --json, the URL is printed once it accepts.

    \b
    mlops serve flights@production --port 8080 --log logs/ --key flight_id --retain 30d --follow 10s
    cat rows.ndjson | mlops serve flights@production --stdio
    """
    with _pipe.session("serve", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        from mlops_cli.steps import serve

        files = (log, key, log_columns, log_redact, retain, token_file)
        options = serve.Options(host, port, workers, *files, max_body, max_rows, drain_seconds, context, rules)
        if stdio:
            code = serve.stream(session.context, ref, options, name, sys.stdin.buffer, sys.stdout.buffer)
        else:
            ready = session.print_json if json else None
            code = serve.run(session.context, session.given(ref), options, name, ready, follow)
        if code:
            raise SystemExit(code)
