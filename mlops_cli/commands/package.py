"""mlops package: make a container image of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _options, _pipe


def main(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A model, an evaluation or a registered version; stdin without it."),
    ] = None,
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="What is made: docker.")] = "docker",
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="NAME:TAG", help="The image's name; else the model's NAME:VERSION.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="IMAGE", help="From which image; else python:3.x-slim as here.")
    ] = None,
    push: Annotated[bool, typer.Option("--push", help="Push the image to where its --tag says.")] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Write the build context only; no Docker engine is asked.")
    ] = False,
    out: _options.Out = None,
    json: _options.Json = False,
    quiet: _options.Quiet = False,
    verbose: _options.Verbose = False,
    force: _options.Force = False,
    registry: _options.Registry = None,
) -> None:
    """Make a container image of a model.

    The image holds the model, the code that answers and the libraries it needs, and nothing else. It is started
    once, without network and rights, and must answer the request recorded in training as recorded, before it gets
    its name. Prints the path of an artefact that describes it.

    \b
    mlops package flights@production --target docker --tag flights:1
    docker run --read-only --cap-drop=ALL -p 127.0.0.1:8080:8080 flights:1

    Exit codes: 0 built and tagged, 4 no such model, 5 the model is damaged, 7 an optional part is missing,
    8 Docker failed, or the image did not answer as recorded.
    """
    with _pipe.session("package", json=json, quiet=quiet, verbose=verbose, force=force, registry=registry) as session:
        from mlops_cli.steps import package

        options = package.Options(target=target, tag=tag, base=base, push=push, dry_run=dry_run)
        session.finish(package.run(session.context, session.given(model), options, session.output(out)))
