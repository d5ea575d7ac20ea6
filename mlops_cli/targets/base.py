"""What a deployment target is told, what it hands back, and the Protocol its module meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlops_cli.store.artefact import Artefact


@dataclass(frozen=True)
class Order:
    """One model to be packaged. `name` and `version` are the registered ones, else `model` and None."""

    model: Artefact
    name: str
    version: str | None
    created: int  # seconds since the epoch, UTC: what the packed files and labels are dated, so that bytes repeat
    evaluations: tuple[str, ...] = ()  # ids of evaluation artefacts
    tag: str | None = None
    base: str | None = None
    push: bool = False
    dry_run: bool = False
    note: Callable[[str], None] = lambda text: None
    progress: Callable[[str, float, float | None], None] = lambda what, done, total: None

    @property
    def shown_version(self) -> str:
        """The registered version, else the first digits of the model's id."""
        return self.version or self.model.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True)
class Built:
    """What was made: lines for people, facts for programs. The payload lies in the directory that was given."""

    lines: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """A deployment target: a module with this one function, named in the table of targets."""

    def build(self, order: Order, directory: Path) -> Built:
        """Make the package, its payload in the empty `directory`.

        With `dry_run` nothing outside `directory` is touched and the same order gives the same bytes. Raises Usage
        for an order that makes no sense, MissingExtra, Integrity or Outside; then nothing is left outside.
        """
