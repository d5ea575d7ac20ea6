"""The rows of a log cut by the levels of a column: a camera, or a quarter of what a sensor said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import msgspec
import polars as pl

from mlops_cli.drift.base import DriftTest
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import evaluate_rows, tables, watch_columns, watch_drift, watch_places
from mlops_cli.steps.watch_drift import Reference
from mlops_cli.steps.watch_join import BROUGHT
from mlops_cli.steps.watch_log import INPUT, Log

LEVEL = "level."
"""What the column of a cut's levels begins with."""


@dataclass(frozen=True)
class Cut:
    """A column by which the log is cut, and the rows of each level, most rows first; at most 50 and `(other)`."""

    column: str
    rows: dict[str, int]

    @property
    def levels(self) -> list[str]:
        """The levels that there are."""
        return list(self.rows)


def cut(log: Log, column: str, signature: Signature) -> tuple[Log, Cut]:
    """The log with the level of each row in one more column; no level where the log does not hold the column."""
    if not log.rows or column not in {one.name for one in log.logged}:
        return add(log, column, pl.Series(column, [None] * log.rows, pl.String))
    with tables.reading("the log"):
        values = log.frame.select(pl.col(INPUT + column).alias(column)).collect(engine="streaming")[column]
    if column not in {one.name for one in signature.logged}:
        values = watch_places.numbers(values)
    return add(log, column, evaluate_rows.levelled(values)[0])


def late(rows: pl.DataFrame, column: str) -> tuple[pl.DataFrame, Cut]:
    """Joined rows with the level of each by a column that came with the actuals, as a cut of these rows alone."""
    levels, names = evaluate_rows.levelled(rows[BROUGHT + column].alias(column))
    counts = dict(levels.value_counts(name="rows").iter_rows())
    return rows.with_columns(levels.alias(LEVEL + column)), Cut(column, {name: counts[name] for name in names})


def add(log: Log, column: str, levels: pl.Series) -> tuple[Log, Cut]:
    """The log with `levels`, in the order of its rows, as a cut by `column`."""
    levels = levels.alias("value")  # polars fails on a series that is called ^…$
    counts = levels.drop_nulls().value_counts(name="rows").sort(["rows", levels.name], descending=[True, False])
    extra = pl.LazyFrame({LEVEL + column: levels.cast(pl.String)})
    frame = pl.concat([log.frame, extra], how="horizontal")
    return replace(log, frame=frame), Cut(column, dict(counts.iter_rows()))


def measure(
    log: Log, of: Cut, reference: Reference | None, signature: Signature, tests: dict[str, DriftTest]
) -> list[Metric]:
    """`rows[c=l]`, and `psi_COLUMN[c=l]`, `mean_COLUMN[c=l]`, … for each level l of the column c and each other COLUMN.

    A level is compared with the same level of the reference when that is a table which has the column, else with the
    whole of it.
    """
    found = []
    for level, rows in of.rows.items():
        part = rows_of(log, of, level)
        compared = None if reference is None else reference.level(of.column, level)
        each = [
            *watch_drift.measure(part, compared, signature, tests),
            *(one for one in watch_columns.measure(part, signature) if one.name == "mean"),
        ]
        found.append(Metric("rows", float(rows), None, None, rows, of.column, level))
        found += [filed(one, of.column, level) for one in each if one.column not in (None, of.column)]
    return found


def rows_of(log: Log, of: Cut, level: str) -> Log:
    """The rows of one level."""
    return replace(log, frame=log.frame.filter(pl.col(LEVEL + of.column) == level), rows=of.rows[level])


def filed(one: Metric, column: str, level: str) -> Metric:
    """The metric of a column as that of a level of another: `mean[brightness]` as `mean_brightness[camera=north]`."""
    return msgspec.structs.replace(one, name=f"{one.name}_{one.column}", column=column, level=level)


def missing(gates: Sequence[Gate], metrics: Sequence[Metric], columns: Collection[str]) -> list[Metric]:
    """What alerts ask of levels that did not occur: no rows of them, and nothing else is defined.

    Only for names that were measured of another level, or of all rows; a name that nobody knows stays unknown.
    """
    found = []
    for gate in gates:
        if gate.column not in columns or gate.level is None:
            continue
        there = [one for one in metrics if one.column == gate.column and one.level is not None]
        names = {one.name for one in [*there, *metrics] if one.column in (None, gate.column)}
        level = gate.level.strip().casefold()
        if any(one.name == gate.metric and (one.level or "").casefold() == level for one in there):
            continue
        if gate.metric in names or not there:
            value = 0.0 if gate.metric in ("rows", "labelled_rows", "readings") else None
            found.append(Metric(gate.metric, value, None, None, 1, gate.column, gate.level))
    return found
