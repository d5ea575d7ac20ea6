"""How often a model in use chooses the members of each group of a column: of the whole log, no label is needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from mlops_cli.metrics import fairness
from mlops_cli.metrics.base import Metric, text_of
from mlops_cli.metrics.gate import Gate
from mlops_cli.metrics.intervals import generator
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import tables
from mlops_cli.steps.watch_by import LEVEL, Cut
from mlops_cli.steps.watch_log import Log

_STREAM = 401  # of random numbers
_NAMES: dict[str, tuple[Collection[str], Collection[str]]] = {
    "binary": (fairness.COMPARED, (*fairness.OWN, "calibration_gap")),
    "multiclass": (("accuracy",), ()),
    "regression": (fairness.ERRORS, ("mean_prediction",)),
}
"""What is compared between groups, and what only fairness measures of each, by task."""

_SELECTED = ("selection_rate", "demographic_parity_ratio", "demographic_parity_difference")


def measure(log: Log, cuts: Sequence[Cut], signature: Signature) -> list[Metric]:
    """`selection_rate[c=l]` and `demographic_parity_ratio[c]`, `…_difference[c]` of the cuts; of two classes only."""
    if signature.task != "binary" or signature.positive is None:
        return []
    chosen, found = pl.col("prediction") == text_of(signature.positive), []
    for cut in cuts:
        if not cut.rows:
            continue
        column = pl.col(LEVEL + cut.column).alias("level")
        with tables.reading("the log"):
            counted = log.frame.group_by(column).agg(chosen.sum().alias("chosen")).collect(engine="streaming")
        by_level = dict(counted.drop_nulls().iter_rows())
        hits = np.array([by_level.get(level, 0) for level in cut.levels], dtype=np.int64)
        rows = np.array(list(cut.rows.values()), dtype=np.int64)
        found += fairness.shares(
            "demographic_parity", hits, rows, cut.levels, cut.column, generator(0, _STREAM), "selection_rate"
        )
    return found


def without(metrics: Sequence[Metric], selected: Sequence[Metric]) -> list[Metric]:
    """The metrics of labelled rows but those that were measured of the whole log."""
    columns = {one.column for one in selected}
    return [one for one in metrics if not (one.name in _SELECTED and one.column in columns)]


def missing(
    gates: Sequence[Gate], metrics: Sequence[Metric], columns: Collection[str], signature: Signature
) -> list[Metric]:
    """What alerts ask of the groups of a column that could not be measured: there, and undefined."""
    compared, own = _NAMES[signature.task]
    whole = {f"{name}_{kind}" for name in compared for kind in ("ratio", "difference")}
    there = {(one.name, one.column, _fold(one.level)) for one in metrics}
    return [
        Metric(gate.metric, None, None, None, 1, gate.column, gate.level)
        for gate in gates
        if gate.column in columns and gate.metric in (whole if gate.level is None else own)
        if (gate.metric, gate.column, _fold(gate.level)) not in there
    ]


def _fold(level: str | None) -> str | None:
    return None if level is None else level.strip().casefold()
