"""What was measured by groups, for the account of a version: their levels short, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_cli.metrics import wording
from mlops_cli.metrics.base import CLASS, Measurements, Metric
from mlops_cli.reports.html import Block, Cell, Measure, Table

_LEVELS = 20
_GROUPS = {
    "binary": ("selection_rate", "recall", "fpr", "precision", "calibration_gap", "cost"),
    "multiclass": ("accuracy", "f1", "cost"),
    "regression": ("mean_prediction", "mae", "bias", "cost"),
}
"""What is told of the levels of a column, by task: what fairness looks at, and money. The evaluation has the rest."""
_KINDS = ("ratio", "difference")


def groups(measured: Measurements) -> list[Block]:
    """Of every column that was measured by: its levels, how they compare, and what is of the column as a whole."""
    blocks: list[Block] = []
    rest: list[list[Cell]] = []
    for column in dict.fromkeys(one.column for one in measured.metrics if one.column not in (None, CLASS)):
        there = [one for one in measured.metrics if one.column == column]
        each = [one for one in there if one.level is not None]
        if each:
            known = dict.fromkeys(one.name for one in each if one.name != "rows")
            short = [name for name in _GROUPS.get(measured.task, ()) if name in known]
            blocks.append(by_level(str(column), each, ["rows", *(short or known)], _LEVELS))
        whole = {one.name: one for one in there if one.level is None}
        bases = dict.fromkeys(name.rpartition("_")[0] for name in whole if name.endswith(_KINDS))
        rows: list[list[Cell]] = [[base, *(_found(whole.get(f"{base}_{kind}")) for kind in _KINDS)] for base in bases]
        if rows:
            blocks.append(Table([f"compared by {column}", *_KINDS], rows))
        rest += [[f"{name}[{column}]", shown(one)] for name, one in whole.items() if not name.endswith(_KINDS)]
    return [*blocks, Table(["of a column", "value"], rest)] if rest else blocks


def by_level(column: str, each: Sequence[Metric], names: Sequence[str], most: int) -> Table:
    """A line for each level, at most so many; how many rows it has where no metric of its own says it."""
    found = {(one.level, one.name): one for one in each}
    levels = list(dict.fromkeys(one.level for one in each))
    sizes = {one.level: one.n for one in each}
    rows: list[list[Cell]] = []
    for level in levels[:most]:
        cells: list[Cell] = [
            sizes[level] if name == "rows" and (level, name) not in found else _found(found.get((level, name)))
            for name in names
        ]
        rows.append([level or "", *cells])
    if len(levels) > most:
        rows.append([f"and {len(levels) - most} more", *(None for _ in names)])
    return Table([column, *names], rows)


def _found(metric: Metric | None) -> Measure | None:
    return None if metric is None else shown(metric)


def shown(metric: Metric) -> Measure:
    """A number with its interval."""
    return Measure(wording.value(metric), wording.interval(metric))
