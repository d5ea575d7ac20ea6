"""Give a model a name and the next version in the registry, with what is known about it as evidence."""

from __future__ import annotations

import msgspec

from mlops_cli.errors import Usage
from mlops_cli.steps import references
from mlops_cli.steps.context import Context
from mlops_cli.steps.environment import actor
from mlops_cli.steps.memo import Outcome
from mlops_cli.steps.references import Given
from mlops_cli.store import artefact, records, registry
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.registry import Entry


class Options(msgspec.Struct, frozen=True):
    """How to register: under which name, with which alias moved to it, by which owner, with what note."""

    name: str | None
    alias: str | None = None
    owner: str | None = None
    note: str = ""
    dry_run: bool = False


def run(ctx: Context, given: Given, options: Options) -> Outcome:
    """Register a model, or the model of an evaluation or package, which becomes evidence in the same record.

    What already is the newest version (by content) is returned, not doubled. Errors: Usage, Missing, Integrity, Busy.
    """
    if not options.name:
        raise Usage("a model needs a name to be registered", "--name NAME")
    records.check_name(options.name)
    if options.alias:
        records.check_alias(options.alias)
    found = references.resolve(ctx, given, "model", "evaluation", "package").artefact
    entry = _entry(ctx, found, options)
    if options.dry_run:
        return Outcome(options.name, entry.model, notes=(f"would register {entry.model.id} as {options.name}",))
    for item in (entry.model, *entry.evidence):
        artefact.check(item)  # before a registry is made for it
    store = registry.locate(ctx.registry, create=True)
    number, new = store.register(options.name, entry, force=ctx.force)
    ref = f"{options.name}@{number}"
    notes = [f"registered in {store.bucket.url}" if new else f"this model already is {ref}"]
    if options.alias:
        _, current = store.current(options.name, options.alias)
        if current is None or current.version != number:
            store.move(options.name, options.alias, lambda _: (number, "registered with --alias", {}), entry.by)
        notes.append(f"{options.name}@{options.alias} is version {number} now")
    measured = {"name": options.name, "version": number, "new": new, "evidence": [item.id for item in entry.evidence]}
    return Outcome(ref, entry.model, measured=measured, notes=tuple(notes))


def _entry(ctx: Context, found: Artefact, options: Options) -> Entry:
    """The model behind what was given, its ancestors, and its evidence."""
    if found.kind == "model":
        model, evidence = found, []
    else:
        behind = references.ancestor(ctx, found, ("model",))
        if behind is None:
            raise Usage(f"{found.path} is a {found.kind} without a model")
        model, evidence = behind, [found]
    who = actor()
    return Entry(model, references.lineage(ctx, model), evidence, options.owner or who, options.note, who)
