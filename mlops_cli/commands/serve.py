"""`mlops serve`: flags, one call; what it says is on stderr."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe

Columns = Annotated[str | None, typer.Option("--log-columns", metavar="A,B", help="Log only these inputs.")]
Redact = Annotated[str | None, typer.Option("--log-redact", metavar="A,B", help="Log *** for these inputs' values.")]
Key = Annotated[
    str | None, typer.Option("--key", metavar="COLUMN", help="What identifies a row in the log; need not be an input.")
]
Retain = Annotated[str | None, typer.Option("--retain", metavar="30d", help="Remove days of the log older than this.")]
Token = Annotated[
    str | None, typer.Option("--token-file", metavar="FILE", help="Ask for one of these bearer tokens, one a line.")
]
Body = Annotated[str, typer.Option("--max-body", metavar="SIZE", help="The largest body of a request.")]
Drain = Annotated[float, typer.Option("--drain-seconds", metavar="S", help="Accept for so long after SIGTERM.")]
Stdio = Annotated[bool, typer.Option("--stdio", help="Rows or image files on stdin, answers on stdout; no port.")]
Constants = Annotated[
    str | None, typer.Option("--context", metavar="A=V,…", help="Columns of every row of --stdio: camera=north.")
]
Follow = Annotated[
    str | None, typer.Option("--follow", metavar="10s", help="Look so often for another version under the name.")
]


def main(
    ref: _options.Ref = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where to listen; 0 for any free one.")] = 8080,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes.")] = 1,
    log: Annotated[str | None, typer.Option("--log", metavar="DIR", help="Log every answered row there.")] = None,
    key: Key = None,
    log_columns: Columns = None,
    log_redact: Redact = None,
    retain: Retain = None,
    token_file: Token = None,
    name: Annotated[str | None, typer.Option("--name", help="The model's name in the protocols.")] = None,
    max_body: Body = "16MB",
    max_rows: Annotated[int, typer.Option("--max-rows", metavar="N", help="The most rows of a request.")] = 100_000,
    drain_seconds: Drain = 2.0,
    stdio: Stdio = False,
    context: Constants = None,
    follow: Follow = None,
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
        options = serve.Options(host, port, workers, *files, max_body, max_rows, drain_seconds, context)
        if stdio:
            code = serve.stream(session.context, ref, options, name, sys.stdin.buffer, sys.stdout.buffer)
        else:
            ready = session.print_json if json else None
            code = serve.run(session.context, session.given(ref), options, name, ready, follow)
        if code:
            raise SystemExit(code)
