"""Answer requests with a model: over HTTP until told to end, or row by row between two streams."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

# numpy is used for small arrays only: idle threads of its linear algebra would cost memory in every worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlops_cli.errors import MissingExtra, Usage
from mlops_cli.runtime import settings
from mlops_cli.runtime.follow import Follow, Version
from mlops_cli.runtime.settings import Settings
from mlops_cli.steps import references
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.store import registry

Options = settings.Flags


def run(
    ctx: Context,
    given: Given,
    options: Options,
    name: str | None = None,
    ready: Callable[[dict[str, str | None]], None] | None = None,
    follow: str | None = None,
) -> int:
    """Serve over HTTP until a signal; the exit code (0 after a drain, 130, 143).

    `name` overrides the registered name, or for a model directory the directory's. `ready` is told url, name
    and version once requests are accepted. `follow` is how often to look for another version under the reference.
    Errors: a model's that cannot be used, Outside for a port that is taken.
    """
    model = references.resolve(ctx, given, "model")
    told = _told(model, options, name)
    if told.context:
        raise Usage("--context goes with --stdio", "over HTTP it comes with each request")
    try:
        from mlops_cli.runtime import server
    except ImportError as error:
        raise MissingExtra.of(error.name or "uvicorn", "serve") from None

    def accepts(url: str) -> None:
        if ready is not None:
            ready({"url": url, "name": told.name, "version": told.version})

    return server.run(told, ctx.note, accepts, _follow(ctx, given, model, settings.seconds(follow)) if follow else None)


def stream(ctx: Context, ref: str | None, options: Options, name: str | None, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer NDJSON rows of `source` on `sink`, a line each, until the input ends; then 0."""
    from mlops_cli.runtime import stdio

    if ref is None:
        raise Usage("standard input has the rows, so the model must be named", "mlops serve REF --stdio")
    model = references.resolve(ctx, Given(ref), "model")
    return stdio.run(_told(model, options, name), source, sink, ctx.note)


def _follow(ctx: Context, given: Given, model: Resolved, seconds: float) -> Follow:
    """How to find out which version is meant now; Usage for a reference that always means the same."""
    asked = references.registered(given.ref or "")
    if model.name is None or asked is None or (asked[1] or "").isdigit():
        raise Usage(
            f"--follow needs a name that moves, {given.ref} does not", "serve NAME@ALIAS, or NAME for the newest"
        )
    name, which = asked
    known = model.version, Version(model.artefact.path, str(model.version))

    def newest() -> Version:
        nonlocal known
        number = registry.locate(ctx.registry).resolve(name, which)
        if number != known[0]:
            found = references.resolve(ctx, Given(f"{name}@{number}"), "model")
            known = number, Version(found.artefact.path, str(number))
        return known[1]

    return Follow(seconds, known[1], newest)


def _told(model: Resolved, options: Options, name: str | None) -> Settings:
    """The settings for the model that is meant, under its registered name and version if it has them."""
    version = None if model.version is None else str(model.version)
    return options.settings(model.artefact.path, name or model.name or model.artefact.path.resolve().name, version)
