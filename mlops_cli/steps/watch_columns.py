"""Mean, least and greatest value of every number that the log has of a row: inputs, and what was measured of images."""

from __future__ import annotations

import math
from collections.abc import Collection

import polars as pl

from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.intervals import LEVEL, student
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import tables
from mlops_cli.steps.watch_log import INPUT, Log

NAMES = ("mean", "min", "max")


def measure(log: Log, signature: Signature, only: Collection[str] | None = None) -> list[Metric]:
    """`mean[column]` with Student's interval mean ± t(n−1)·s/√n; `min[column]` and `max[column]` exactly.

    Null, NaN and the infinities are left out. Columns that the log does not hold are undefined.
    """
    numbers = [c.name for c in signature.logged if c.type in ("int", "float") and (only is None or c.name in only)]
    there = {column.name for column in log.logged}
    wanted = []
    for name in numbers:
        if name in there:
            value = pl.col(INPUT + name).cast(pl.Float64)
            finite = value.filter(value.is_finite())
            aggregates = (finite.count(), finite.mean(), finite.std(), finite.min(), finite.max())
            wanted += [one.alias(f"{number} {name}") for number, one in enumerate(aggregates)]
    with tables.reading("the log"):
        row = log.frame.select(wanted).collect(engine="streaming").row(0, named=True) if wanted and log.rows else {}
    return [one for name in numbers for one in _metrics(name, [row.get(f"{number} {name}") for number in range(5)])]


def _metrics(column: str, found: list[float | None]) -> list[Metric]:
    """The three metrics of a column from its count, mean, standard deviation, least and greatest value."""
    count, mean, deviation, least, greatest = found
    n = int(count or 0)
    if mean is None or least is None or greatest is None:
        return [Metric(name, None, None, None, 1, column) for name in NAMES]
    interval = None
    if n > 1 and deviation is not None:
        half = student((1 + LEVEL) / 2, n - 1) * deviation / math.sqrt(n)
        interval = (mean - half, mean + half)
    return [
        metric("mean", mean, interval, n, column),
        metric("min", least, None, n, column),
        metric("max", greatest, None, n, column),
    ]
