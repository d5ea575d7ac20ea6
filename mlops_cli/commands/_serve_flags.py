"""The flags of `mlops serve`, which are too many for its file."""

from __future__ import annotations

from typing import Annotated

import typer

Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")]
Port = Annotated[int, typer.Option("--port", metavar="N", help="Where to listen; 0 for any free one.")]
Workers = Annotated[int, typer.Option("--workers", metavar="N", help="Processes.")]
Log = Annotated[str | None, typer.Option("--log", metavar="DIR", help="Log every answered row there.")]
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

Name = Annotated[str | None, typer.Option("--name", help="The model's name in the protocols.")]
Rows = Annotated[int, typer.Option("--max-rows", metavar="N", help="The most rows of a request.")]
Rules = Annotated[
    str, typer.Option("--rules", metavar="MODE", help="Rows that break the model's rules: off, warn (count), reject.")
]
