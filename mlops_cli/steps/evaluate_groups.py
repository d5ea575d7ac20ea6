"""Which rows of an evaluation belong together, so that intervals do not take them for independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from mlops_cli.errors import InputUnusable, Missing
from mlops_cli.metrics.grouped import FEW, Groups
from mlops_cli.metrics.intervals import Ints
from mlops_cli.steps import references, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.tables import Table
from mlops_cli.store.artefact import Artefact


@dataclass(frozen=True)
class Grouping:
    """The column whose values say which rows belong together, and whether it was asked for or is the split's."""

    column: str
    asked: bool


def find(ctx: Context, model: Artefact, table: Table, asked: str | None) -> Grouping | None:
    """The column that was asked for, else that by which the model's split kept rows together, where the data has it.

    A split that cuts each group by time keeps none together. Whether a column that was asked for is there is checked
    where it is read.
    """
    if asked is not None:
        return Grouping(asked, asked=True)
    try:
        split = references.ancestor(ctx, model, ("split",))
    except Missing:
        return None
    params = split.manifest.params if split is not None else {}
    column = params.get("group")
    if not isinstance(column, str) or params.get("time"):
        return None
    if column not in tables.schema_of(table.frame, table.name):
        ctx.note(f"no column {column}, by which the split kept rows together: intervals take all rows for independent")
        return None
    return Grouping(column, asked=False)


def groups(series: pl.Series, grouping: Grouping, name: str) -> Groups | None:
    """The groups of a column; a row without a value is one of its own. None where every row is alone.

    InputUnusable where nobody has a value of a column that was asked for.
    """
    if series.null_count() == len(series):
        if grouping.asked:
            raise InputUnusable(f"{name}: {grouping.column} is null in all rows", "--group names what rows belong to")
        return None
    return Groups.of(codes(series))


def codes(series: pl.Series) -> Ints:
    """(rows,) numbers from 0 up, equal where values are; each row without a value has one of its own."""
    levels = series.drop_nulls().unique(maintain_order=True)
    known = series.replace_strict(levels, range(len(levels)), default=None, return_dtype=pl.Int64)
    missing = np.flatnonzero(series.is_null().to_numpy())
    found = known.fill_null(0).to_numpy().astype(np.int64)
    found[missing] = len(levels) + np.arange(len(missing))
    return found


def note(grouping: Grouping | None, found: Groups | None, rows: int) -> list[str]:
    """What is told people about the groups that intervals rest on."""
    if grouping is None:
        return []
    if found is None:
        return [f"every row is a group of its own by {grouping.column}: intervals take rows for independent"]
    told = f"intervals are of {found.count:,} groups by {grouping.column}, not of {rows:,} rows"
    if found.count < 2:
        return [f"all rows are of one group by {grouping.column}: nothing says how groups differ, so no intervals"]
    return [f"{told}; with fewer than {FEW} they are wide and rough" if found.count < FEW else told]
