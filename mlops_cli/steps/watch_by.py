"""The rows of a log cut by the levels of a column: a camera, or a quarter of what a sensor said."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import msgspec
import polars as pl

from mlops_cli.drift.base import DriftTest
from mlops_cli.errors import UnknownColumn, Usage
from mlops_cli.metrics.base import CLASS, Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import evaluate_rows, tables, watch_columns, watch_drift
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


def wanted(by: Sequence[str], signature: Signature, key: str | None = None) -> list[InputColumn]:
    """What to read from the log: what it has of every row, and as text what of `by` and `key` rows may have brought.

    Usage for what no log can be cut by.
    """
    if CLASS in by:
        raise Usage(f"--by {CLASS}: {CLASS!r} means the classes in gates", "cut by another column")
    known = {column.name for column in signature.logged}
    more = [name for name in dict.fromkeys([*by, key]) if name is not None and name not in known]
    return [*signature.logged, *(InputColumn(name, "string") for name in more)]


def places(
    by: Sequence[str], log: Log, signature: Signature, actuals: Collection[str], others: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The columns of `by` to take from the log, and those that only the `actuals` bring; UnknownColumn for the rest.

    `others` are known elsewhere. One that the log may have and does not hold is of the log where the actuals lack it.
    """
    held = {column.name for column in log.logged}
    known = list(dict.fromkeys([*(column.name for column in signature.logged), *signature.aside, *held]))
    late = [column for column in dict.fromkeys(by) if column not in held and column not in others and column in actuals]
    for column in by:
        if column not in known and column not in others and column not in late:
            has = f"the log may have {', '.join(known)}" + (f"; the actuals have {', '.join(actuals)}" * bool(actuals))
            raise UnknownColumn(f"--by {column}: neither the log nor the actuals have such a column", has)
    return [column for column in dict.fromkeys(by) if column in known and column not in late], late


def cut(log: Log, column: str) -> tuple[Log, Cut]:
    """The log with the level of each row in one more column; no level where the log does not hold the column."""
    if not log.rows or column not in {one.name for one in log.logged}:
        return add(log, column, pl.Series(column, [None] * log.rows, pl.String))
    with tables.reading("the log"):
        values = log.frame.select(pl.col(INPUT + column).alias(column)).collect(engine="streaming")[column]
    return add(log, column, evaluate_rows.levelled(_numbers(values))[0])


def late(rows: pl.DataFrame, column: str) -> tuple[pl.DataFrame, Cut]:
    """Joined rows with the level of each by a column that came with the actuals, as a cut of these rows alone."""
    levels, names = evaluate_rows.levelled(rows[BROUGHT + column].alias(column))
    counts = dict(levels.value_counts(name="rows").iter_rows())
    return rows.with_columns(levels.alias(LEVEL + column)), Cut(column, {name: counts[name] for name in names})


def _numbers(values: pl.Series) -> pl.Series:
    """Texts that are all numbers, of more values than there may be levels, as numbers: they are cut into quarters."""
    if values.dtype != pl.String or values.n_unique() <= evaluate_rows.MOST_LEVELS:
        return values
    numbers = values.cast(pl.Float64, strict=False)
    return values if numbers.null_count() > values.null_count() else numbers


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
