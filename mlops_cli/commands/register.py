"""`mlops register`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    model: _options.Ref = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The model's name in the registry.")
    ] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", metavar="ALIAS", help="Move this alias to the new version, ungated.")
    ] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Who answers for it; else you.")] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="What people should know about it.")] = "",
    registry: _options.Registry = None,
    dry_run: _options.DryRun = False,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
) -> None:
    """Give a model a name and a version in the registry.

    Takes a model, an evaluation or a package; the last two become evidence of their model. A model that already is the
    newest version is not doubled (--force makes a new one), so running it again is harmless.

    \b
    mlops evaluate model/ --require 'roc_auc>=0.70' | mlops register --name flights
    """
    with _pipe.session("register", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        from mlops_cli.steps import register

        options = register.Options(name, alias, owner, note, dry_run)
        session.finish(register.run(session.context, session.given(model), options))
