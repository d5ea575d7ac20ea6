"""`mlops promote`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    ref: Annotated[str, typer.Argument(metavar="REF", help="NAME, NAME@7 or NAME@alias.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The alias to move, such as production.")],
    require: _options.Require = None,
    policy: _options.Policy = None,
    point: _options.Point = False,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, kept in the record.")] = "",
    accept_leaks: Annotated[
        str, typer.Option("--accept-leaks", metavar="WHY", help="Judge metrics of a split that is not clean; recorded.")
    ] = "",
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the version that the alias named before.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="Show every move of the alias, and move nothing.")] = False,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Print what the alias named then, and move nothing.")
    ] = None,
    registry: _options.Registry = None,
    dry_run: _options.DryRun = False,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
) -> None:
    """Move an alias, such as production, to a version, if the gates hold.

    The gates are judged by the version's newest evaluation; with none, or one that the certificates of its splits
    cast doubt on, they are inconclusive (3), not passed.

    \b
    mlops promote flights@7 production --require 'roc_auc>=champion-0.01' --why 'retrained on March'
    mlops promote flights production --rollback --why 'too many false alarms'
    mlops promote flights production --at 2026-03-03T14:00
    """
    with _pipe.session("promote", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        from mlops_cli.steps import promote

        if history or at:
            moves = promote.history(session.context, ref, alias)
            if at:
                moves = [promote.at(session.context, ref, alias, at)]
            if json:
                session.print_json({"moves": moves})
            elif at:
                session.print(f"{ref.partition('@')[0]}@{moves[0].version}")
            else:
                session.print("\n".join(map(promote.dated, moves)))
            return
        options = promote.Options(alias, tuple(require or ()), point, rollback, why, dry_run, accept_leaks, policy)
        session.finish(promote.run(session.context, ref, options))
