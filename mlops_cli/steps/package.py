"""Package a model for where it will run: a target makes what is asked, the artefact records it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlops_cli import extensions
from mlops_cli.errors import Usage
from mlops_cli.steps import memo, references
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.store import registry
from mlops_cli.targets.base import Order, Target


@dataclass(frozen=True)
class Options:
    """What kind of package, its name, from what, and whether it goes to a registry of images; the flags."""

    target: str = "docker"
    tag: str | None = None
    base: str | None = None
    push: bool = False
    dry_run: bool = False


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Package the model that `given` means; the artefact describes what was made.

    Never memoised, since an image lives outside. Errors: those of `references.resolve` and of the target.
    """
    target: Target = extensions.load("targets", options.target)
    named = references.resolve(ctx, given)
    found = references.resolve(ctx, given, "model")
    order = Order(
        model=found.artefact,
        name=found.name or "model",
        version=str(found.version) if found.version else None,
        created=created(found.artefact.manifest.created),
        evaluations=_evaluations(ctx, named),
        tag=options.tag,
        base=options.base,
        push=options.push,
        dry_run=options.dry_run,
        note=ctx.note,
        progress=ctx.progress,
    )
    facts: dict[str, Any] = {}

    def build(payload: Path, rejects: Path) -> Contents:
        built = target.build(order, payload)
        facts.update(built.facts)
        params = {"target": options.target, "tag": options.tag, "base": options.base, "dry_run": options.dry_run}
        return Contents("package", [found.input], params, notes=built.lines)

    job = Job("package", None, ("docker",), build, measured=lambda artefact: facts)
    return memo.perform(ctx, job, output)


def created(stamp: str) -> int:
    """When the package is dated, in seconds since the epoch: $SOURCE_DATE_EPOCH, else when the model was made."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        if not epoch.isdigit():
            raise Usage(f"SOURCE_DATE_EPOCH is {epoch!r}", "it holds seconds since 1970")
        return int(epoch)
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return 0


def _evaluations(ctx: Context, named: Resolved) -> tuple[str, ...]:
    """The ids of the evaluations that vouch for a model: the one that was named, or the registered version's."""
    if named.artefact.kind == "evaluation":
        return (named.artefact.id,)
    if named.name is None or named.version is None:
        return ()
    store = registry.locate(ctx.registry)
    known = [item for item in store.evidence(named.name, named.version) if item.kind == "evaluation"]
    return tuple(sorted({store.object(item.object).id for item in known}))
