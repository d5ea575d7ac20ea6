"""Remove what nothing needs any more: old work in the workspace, and unreferenced objects of the registry."""

from __future__ import annotations

import re
import time

import msgspec

from mlops_cli.errors import Missing, Usage
from mlops_cli.steps.context import Context
from mlops_cli.store import collector, registry

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Collected(msgspec.Struct, frozen=True):
    """What was removed, or would be: artefacts, keys and leftovers here; objects there, now or after the grace."""

    workspace: list[str]
    objects: list[str]
    marked: list[str]
    bytes: int


def run(ctx: Context, older: str, *, dry_run: bool) -> Collected:
    """Collect workspace artefacts unused for `older` (`30d`), and registry objects that no record names.

    Objects go in two phases: marked now, removed by a later run, 14 days after, if still unreferenced.
    """
    before = time.time() - duration(older)
    removed, size = collector.workspace(ctx.workspace, before, dry_run=dry_run)
    try:
        store = registry.locate(ctx.registry)
    except Missing:
        return Collected(removed, [], [], size)
    objects, marked = collector.registry(store, time.time(), dry_run=dry_run)
    return Collected(removed, objects, marked, size)


def duration(text: str) -> float:
    """A duration such as `90s`, `12h`, `30d` or `2w`, in seconds; Usage when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if not match:
        raise Usage(f"{text!r} is not a duration", "write it as 90s, 15m, 12h, 30d or 2w")
    return float(match[1]) * _UNITS[match[2]]
