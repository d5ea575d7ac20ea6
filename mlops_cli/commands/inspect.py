"""`mlops inspect`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe
from mlops_cli.errors import Integrity


def main(
    refs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[REF]...", help="A path, NAME, NAME@7 or NAME@alias; standard input without it."),
    ] = None,
    lineage: Annotated[bool, typer.Option("--lineage", help="Walk back to the digests of the raw files.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file and compare digests (5 when one differs).")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show several models or evaluations side by side.")
    ] = False,
    registry: _options.Registry = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Say what something is, where it comes from, and whether it is intact.

    \b
    mlops inspect flights@production --lineage
    mlops inspect model/ --verify
    mlops inspect --compare model-a model-b flights@production
    """
    with _pipe.session("inspect", json=json, quiet=quiet, verbose=verbose, registry=registry) as session:
        from mlops_cli.steps import inspect

        account = inspect.several(
            session.context,
            [session.given(ref) for ref in refs or (None,)],
            compare=compare,
            lineage=lineage,
            verify=verify,
        )
        if json:
            session.print_json(account.fields, Integrity.exit if account.damage else 0)
        else:
            session.print("\n".join(account.lines))
        if account.damage:
            for line in account.damage[1:]:
                session.note(line)
            raise Integrity(account.damage[0], "restore it from a copy, or make it again")
