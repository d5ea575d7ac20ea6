"""Flags that more than one command has, and what commands are called with."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[
    str | None,
    typer.Argument(metavar="[DATA]", help="A dataset, a data file or a reference; standard input without it."),
]
Ref = Annotated[
    str | None,
    typer.Argument(metavar="[REF]", help="A path, NAME, NAME@7 or NAME@alias; standard input without it."),
]
Out = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="PATH", help="Write there; without it into the workspace (.mlops/)."),
]
TableOut = Annotated[
    str | None,
    typer.Option("-o", "--out", metavar="PATH", help="Write there; '-' streams the table (Arrow) to standard output."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a reference.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing on standard error but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more on standard error.")]
Force = Annotated[bool, typer.Option("--force", help="Do it again, even if it is known already.")]
DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Say what would be done, and do nothing outside.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The seed of all that is random.")]
Registry = Annotated[
    str | None,
    typer.Option(
        "--registry", metavar="DIR", help="The registry; else $MLOPS_REGISTRY or the nearest mlops-registry/."
    ),
]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="EXPR", help="A gate, such as 'precision>=0.40'; may be given several times."),
]
Policy = Annotated[
    str | None,
    typer.Option("--policy", metavar="FILE", help="Gates with owner, severity and reason (TOML)."),
]
Point = Annotated[bool, typer.Option("--point", help="Judge estimates alone, without their intervals.")]
Reject = Annotated[
    str | None,
    typer.Option("--reject", metavar="PATH", help="Put the rejected rows there too, each with what is wrong with it."),
]
