"""What fitting a preparation finds of one column: how it is used, or why it is not."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_cli.runtime.features import FeatureColumn

LEAST_ROWS = 20
"""Below this many rows, values that are all different may be so by chance."""


@dataclass(frozen=True)
class Found:
    """A column that is used: how, whether it may be left out of a request, and what people should know of it."""

    how: FeatureColumn
    nullable: bool
    note: str = ""


@dataclass(frozen=True)
class Unused:
    """A column that is left out: why, and how it would be used if --include asks for it (None: it cannot be)."""

    reason: str
    could: Found | None = None
