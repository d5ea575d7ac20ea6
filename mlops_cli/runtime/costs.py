"""What answers cost, in money: a table of what was so and what was answered, or so much a unit too high or too low."""

from __future__ import annotations

from math import isfinite

import msgspec

from mlops_cli.runtime.signature import Label, Signature


class Costs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one answer costs; below 0 it is a gain.

    Of classes `table[i][j]` is what it costs to answer `classes[j]` where `classes[i]` was so. Of a regression it is
    `over` for each unit that was predicted too high, and `under` for each unit too low.
    """

    currency: str = ""
    classes: list[Label] | None = None
    table: list[list[float]] | None = None
    over: float | None = None
    under: float | None = None

    @property
    def unit(self) -> str:
        """What a row costs is counted in this."""
        return f"{self.currency} per row" if self.currency else "per row"


def problem(costs: Costs, signature: Signature) -> str:
    """What contradicts the signature, or nothing."""
    if signature.classes is None:
        if costs.table is not None or costs.over is None or costs.under is None:
            return "the costs are not those of a regression"
        return "" if isfinite(costs.over) and isfinite(costs.under) else "a cost is not finite"
    if costs.classes != signature.classes or costs.table is None:
        return "the costs are not those of the model's classes"
    sizes = {len(row) for row in costs.table}
    if len(costs.table) != len(costs.classes) or sizes != {len(costs.classes)}:
        return "the table of costs is not one row and one column for each class"
    return "" if all(isfinite(cost) for row in costs.table for cost in row) else "a cost is not finite"
