"""`mlops gc`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    older: Annotated[
        str, typer.Option("--older", metavar="AGE", help="What the workspace has not needed for so long.")
    ] = "30d",
    registry: _options.Registry = None,
    dry_run: _options.DryRun = False,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Remove what the workspace and the registry no longer need.

    Objects of the registry that no record names are marked first, and removed by a later run when they have been marked
    for 14 days. Nothing that a version, its evidence or an alias names is ever removed.

    \b
    mlops gc --older 7d --dry-run
    """
    with _pipe.session("gc", json=json, quiet=quiet, verbose=verbose, registry=registry) as session:
        from mlops_cli.steps import collect

        found = collect.run(session.context, older, dry_run=dry_run)
        if json:
            fields = {
                "workspace": found.workspace,
                "objects": found.objects,
                "marked": found.marked,
                "bytes": found.bytes,
            }
            session.print_json({**fields, "dry_run": dry_run})
            return
        would = "would remove" if dry_run else "removed"
        session.note(f"workspace: {would} {len(found.workspace)} entries, {found.bytes:,} bytes")
        session.note(
            f"registry: {would} {len(found.objects)} objects; marked {len(found.marked)} for removal in 14 days"
        )
        if verbose:
            session.print("\n".join([*found.workspace, *found.objects]) or "-")
