"""Rules from what was given: one table, or several whose differences say how wide the rules have to be."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from mlops_cli.errors import Usage
from mlops_cli.steps import tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given


def infer(ctx: Context, given: Sequence[Given], tolerance: float | None = None) -> str:
    """YAML rules that the tables which were given pass; EmptyInput when one has no rows, Usage for no tolerance."""
    from mlops_cli.steps.rules import infer as inference  # PyYAML is an extra

    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise Usage(f"--tolerance {tolerance} is no multiple of a spread", "such as 0, 0.5 or 2")
    with contextlib.ExitStack() as stack:
        frames = {}
        for number, one in enumerate(given):
            table = stack.enter_context(tables.replayable(tables.open_table(ctx, one)))
            frames[table.name if table.name not in frames else f"{table.name} ({number + 1})"] = table.frame
        with tables.reading(next(iter(frames))):
            return inference.infer(frames, tolerance)
