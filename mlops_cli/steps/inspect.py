"""What an artefact or a registered version is, where it comes from, and whether it is intact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mlops_cli.errors import Usage
from mlops_cli.steps import inspect_lineage, references, search_trials
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.store import artefact, manifest, registry

_IMAGE = "struct({'bytes': binary, 'path': string})"


class Account(msgspec.Struct, frozen=True):
    """What was found: the fields for programs, the lines for people, and what is wrong."""

    fields: dict[str, Any]
    lines: list[str]
    damage: list[str]


def several(ctx: Context, given: Sequence[Given], *, compare: bool, lineage: bool, verify: bool) -> Account:
    """One reference described, or with `compare` several side by side. Usage when flags and references do not fit."""
    if compare:
        if lineage or verify:
            raise Usage("--compare goes neither with --lineage nor with --verify")
        from mlops_cli.steps import inspect_compare

        return inspect_compare.run(ctx, given)
    if len(given) > 1:
        raise Usage(f"{len(given)} references", "one at a time, or side by side with --compare")
    return run(ctx, given[0], lineage=lineage, verify=verify)


def run(ctx: Context, given: Given, *, lineage: bool = False, verify: bool = False) -> Account:
    """Describe what was given; with `lineage` its ancestors down to the raw files, with `verify` every digest.

    Errors: Missing, Corrupt, Integrity (a manifest that was changed).
    """
    found = references.resolve(ctx, given)
    fields, lines = _head(found)
    if lineage:
        ancestors = inspect_lineage.ancestors(ctx, found)
        fields["lineage"] = [inspect_lineage.short(one) for one in ancestors]
        lines += ["lineage:", *inspect_lineage.tree(found, ancestors)]
    damage = []
    if verify:
        damage = artefact.verify(found.artefact)
        if found.name:
            damage += registry.locate(ctx.registry).damage(found.name)
        fields["intact"] = not damage
        lines.append(f"verified: {len(found.artefact.manifest.files)} files, {'DAMAGED' if damage else 'all intact'}")
    return Account(fields, lines, damage)


def _head(found: Resolved) -> tuple[dict[str, Any], list[str]]:
    """The manifest, for programs and for people."""
    made = found.artefact.manifest
    fields = msgspec.to_builtins(made)
    fields["path"] = str(found.artefact.path)
    registered = {"registered": f"{found.name}@{found.version}"} if found.name else {}
    size = sum(entry.bytes for entry in made.files)
    table = {
        "kind": made.kind,
        **registered,
        "path": str(found.artefact.path),
        "id": made.id,
        "created": f"{made.created} by {made.tool}",
        "command": " ".join(made.command),
        "files": f"{len(made.files)}, {size:,} bytes: " + ", ".join(entry.path for entry in made.files[:8]),
        "inputs": ", ".join(f"{source.kind} {source.ref}" for source in made.inputs) or "none",
    }
    if made.schema:
        columns = (f"{name} {'image' if kind == _IMAGE else kind}" for name, kind in made.schema.items())
        table["columns"] = f"{len(made.schema)}: " + ", ".join(columns)
    if made.params:
        table["params"] = ", ".join(f"{key}={plain(value)}" for key, value in made.params.items() if value is not None)
    if made.kind == "model" and found.artefact.has(search_trials.FILE):
        table["trials"] = found.artefact.json(search_trials.FILE, search_trials.Trials).told()
    return fields | registered, [f"{key + ':':<12}{value}" for key, value in table.items()]


def plain(value: Any) -> str:
    """A parameter in one word, as far as that goes."""
    text = value if isinstance(value, str) else manifest.canonical(value).decode()
    return text if len(text) <= 60 else text[:57] + "…"
