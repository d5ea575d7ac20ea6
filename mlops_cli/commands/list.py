"""`mlops list`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model; all models without it.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="So many versions; 0 for all.")] = 20,
    registry: _options.Registry = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
) -> None:
    """Show what the registry holds.

    Without a name all models with their newest version and aliases; with one its versions, newest first.

    \b
    mlops list
    mlops list flights --limit 5
    """
    with _pipe.session("list", json=json, quiet=quiet, verbose=verbose, registry=registry) as session:
        from mlops_cli.steps import listing

        if name is None:
            models = listing.models(session.context)
            if json:
                session.print_json({"models": models})
            elif models:
                session.print(listing.columns(listing.model_rows(models)))
            else:
                session.note("the registry is empty")
            return
        versions = listing.versions(session.context, name, limit)
        if json:
            session.print_json({"name": name, "versions": versions})
        else:
            session.print(listing.columns(listing.version_rows(versions)))
