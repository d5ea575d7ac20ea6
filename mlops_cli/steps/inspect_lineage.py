"""Where an artefact comes from: its ancestors as a tree, and what programs are told of them."""

from __future__ import annotations

from typing import Any

from mlops_cli.steps import references
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Resolved
from mlops_cli.store import artefact, registry


def ancestors(ctx: Context, found: Resolved) -> list[dict[str, Any]]:
    """The ancestors' manifests: those kept in the registry's record, else those within reach."""
    if found.name and found.version:
        return registry.locate(ctx.registry).version(found.name, found.version).lineage
    return references.lineage(ctx, found.artefact)


def tree(found: Resolved, ancestors: list[dict[str, Any]]) -> list[str]:
    """The lineage as an indented tree that ends at the digests of raw files."""
    by_id = {one["id"]: one for one in ancestors}
    lines: list[str] = []

    def branch(kind: str, digest: str, ref: str, above: tuple[str, ...]) -> None:
        known = by_id.get(digest)
        leaf = "" if known or kind not in artefact.KINDS else "  (its manifest is not within reach)"
        lines.append(f"{'  ' * (len(above) + 1)}{kind} {digest} {ref}{leaf}")
        for source in (known or {}).get("inputs", []):
            if digest not in above:  # a loop, which only a forged record has
                branch(source["kind"], source["id"], source["ref"], (*above, digest))

    top = found.artefact.manifest
    lines.append(f"  {top.kind} {top.id} {found.ref}")
    for source in top.inputs:
        branch(source.kind, source.id, source.ref, (top.id,))
    return lines


def short(one: dict[str, Any]) -> dict[str, Any]:
    """What `--json` tells of an ancestor."""
    return {key: one.get(key) for key in ("kind", "id", "created", "command", "inputs", "self")}
