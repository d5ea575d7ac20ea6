"""`mlops demo`: flags, one call, print."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_cli.commands import _pipe


def main(
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="A new directory to live in.")] = "mlops-demo",
) -> None:
    """Run a model's whole life on built-in flights, offline.

    Prints each command before its result, so that it can be copied; needs a minute and 50 MB.
    """
    with _pipe.session("demo") as session:
        from pathlib import Path

        from mlops_cli.steps import demo

        demo.run(Path(directory), session.print)
