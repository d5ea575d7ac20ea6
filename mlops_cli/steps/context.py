"""What a step gets from its caller besides its inputs: where to tell people, where the registry and workspace are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mlops_cli.store import workspace
from mlops_cli.store.workspace import Workspace


def _silent(*_: object) -> None:
    """Say nothing."""


class Context(msgspec.Struct, frozen=True):
    """`note(line)` tells people something; `progress(what, done, total)` says how far long work is, `total` in the
    same unit as `done` or None when unknown. `command` is the redacted command line for the manifest; `looked`
    holds what was looked at over a network, by its URL, so that it is looked at once in a command."""

    note: Callable[[str], None] = _silent
    progress: Callable[[str, float, float | None], None] = _silent
    registry: str | None = None
    force: bool = False
    command: tuple[str, ...] = ("mlops",)
    workspace: Workspace = msgspec.field(default_factory=workspace.locate)
    looked: dict[str, Any] = msgspec.field(default_factory=dict)
