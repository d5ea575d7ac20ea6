"""What is to be predicted: the task, the classes and the positive one, told from the target's own values."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from mlops_cli.errors import EmptyInput, InputUnusable, UnknownColumn, Usage, listed
from mlops_cli.metrics.base import text_of
from mlops_cli.runtime.signature import Label, Task

MOST_LEVELS = 20
"""Whole numbers with more different values than this are quantities, with fewer they are classes."""
MOST_CLASSES = 1_000


@dataclass(frozen=True)
class Target:
    """The target column. `classes` are its values in sort order, None for a regression; `positive` is one of two."""

    name: str
    task: Task
    classes: list[Label] | None = None
    positive: Label | None = None

    @property
    def column(self) -> pl.Expr:
        """The column itself: polars takes a name like `^x$` for a pattern, but not from a selector."""
        return selectors.by_name(self.name).as_expr()

    def codes(self, values: pl.Series) -> NDArray[np.int64]:
        """The index of each value in `classes`, -1 for one that is none of them or null; shape (n,)."""
        assert self.classes is not None
        values = values.alias("value")  # its own name may be what polars takes for a pattern
        known = {value: code for code, value in enumerate(self.classes)}
        different = values.unique()
        table = {value: known.get(value, -1) for value in different.to_list()}
        old = pl.Series(values=list(table), dtype=values.dtype)
        codes = values.replace_strict(old, list(table.values()), default=-1, return_dtype=pl.Int64)
        return codes.to_numpy()


def task_named(text: str) -> Task:
    """The task of that name; Usage for another."""
    tasks: tuple[Task, ...] = get_args(Task)
    for task in tasks:
        if task == text:
            return task
    raise Usage(f"--task {text!r} is unknown", f"there is: {', '.join(tasks)}")


def infer(frame: pl.LazyFrame, name: str, task: Task | None = None, positive: str | None = None) -> Target:
    """The target of a table from its column `name`.

    Bool or two values: binary; strings, or at most 20 different whole numbers: multiclass; else regression. `task`
    and `positive` override that. Errors: UnknownColumn; EmptyInput when no row has a target; InputUnusable when it
    has one value, infinite ones, or cannot be predicted; Usage when `task` or `positive` do not fit it.
    """
    schema = frame.collect_schema()
    if name not in schema:
        near = get_close_matches(name, schema.names(), 1)
        hint = f"did you mean {near[0]}?" if near else f"the table has {listed(schema.names(), 20)}"
        raise UnknownColumn(f"no column {name!r} to predict", hint)
    dtype = schema[name]
    frame = frame.select(selectors.by_name(name).alias("value"))
    column = pl.col("value")
    if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Categorical, pl.Enum)):
        raise InputUnusable(f"the target {name} is {str(dtype).lower()}, which cannot be predicted")
    if not frame.select(column.count()).collect().item():
        raise EmptyInput(f"no row has a value of the target {name}")
    if dtype.is_float():
        bad = frame.select((~column.is_finite()).sum()).collect().item()
        if bad:
            raise InputUnusable(f"the target {name} is NaN or infinite in {bad:,} rows", "leave those rows out")
    values = _different(frame, dtype, limit=MOST_CLASSES + 1)
    if len(values) == 1:
        what = "value" if task == "regression" or dtype.is_float() else "class"
        raise InputUnusable(
            f"the target {name} has one {what}: {text_of(values[0])!r} in every row",
            f"nothing can be learnt from that; bring rows of another {what}",
        )
    return _target(name, task or _task(values, dtype), values, dtype, positive)


def _different(frame: pl.LazyFrame, dtype: pl.DataType, limit: int) -> list[Label]:
    """The different values of the target in sort order, but no more than `limit`."""
    column = pl.col("value").cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else pl.col("value")
    if dtype.is_decimal():
        column = column.cast(pl.Float64)
    found = frame.select(column.drop_nulls().unique()).collect(engine="streaming").to_series()
    return found.sort().head(limit).to_list()


def _task(values: list[Label], dtype: pl.DataType) -> Task:
    """The task that a target's values suggest."""
    if len(values) == 2:
        return "binary"
    if dtype.is_integer() and len(values) > MOST_LEVELS:
        return "regression"
    return "regression" if dtype.is_float() or dtype.is_decimal() else "multiclass"


def _target(name: str, task: Task, values: list[Label], dtype: pl.DataType, positive: str | None) -> Target:
    """The target for a task, if its values allow it."""
    if positive is not None and task != "binary":
        raise Usage(
            f"--positive needs two classes, but predicting {name} is a {task}", "leave it out, or say --task binary"
        )
    if task == "regression":
        if not dtype.is_numeric():
            raise Usage(f"--task regression needs numbers, but {name} is {str(dtype).lower()}")
        return Target(name, task)
    if task == "binary" and len(values) != 2:
        many = f"{len(values)}" if len(values) <= MOST_CLASSES else f"more than {MOST_CLASSES}"
        raise Usage(f"--task binary needs two classes, but {name} has {many}")
    if len(values) > MOST_CLASSES:
        raise InputUnusable(f"the target {name} has more than {MOST_CLASSES} classes", "is it an identifier?")
    if task == "multiclass":
        return Target(name, task, values)
    return Target(name, task, values, values[-1] if positive is None else _named(name, values, positive))


def _named(name: str, values: list[Label], positive: str) -> Label:
    """The class that is written as `positive`."""
    for value in values:
        if positive in (text_of(value), str(value)):
            return value
    there = " and ".join(repr(text_of(value)) for value in values)
    raise Usage(f"--positive {positive!r} is no class of {name}", f"it has {there}")
