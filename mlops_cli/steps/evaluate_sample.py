"""A bounded sample of the rows that were measured, read again as a batch to ask the model about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import UnsetType
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable
from mlops_cli.metrics import per_row
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import Floats, Ints, generator
from mlops_cli.runtime import predictors
from mlops_cli.runtime.columns import Batch, Column
from mlops_cli.runtime.predictors import Explainer, Explanation, Prediction, Predictor
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import batches, processors, tables
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.tables import Table

ROWS = 20_000
"""Rows of a sample at most, so that 3 million rows take no longer than 20,000."""
ANSWERS = {"lightgbm": 6_000_000}
"""How many answers asking every column five times may take, by family; of other families 300,000."""
TREES, EXPLAINED = 300_000_000, 5_000_000
"""How many answers of single trees that may take, and how many contributions of single trees are asked for: a model of
thousands of trees takes milliseconds a row."""
REPEATS = 5
_LEAST = 500
_SAMPLE = 200  # a stream of random numbers


@dataclass(frozen=True)
class Sample:
    """Rows to ask about: `rows` are their places among the answers, `frame` the model's columns, `batch` the same.

    `before` are the (rows,) numbers whose mean is `metric`, as the model answers the rows as they are. `groups`
    says which of the rows belong together, `trees` how many trees answer a row.
    """

    predictor: Predictor
    rows: Ints
    frame: pl.DataFrame
    batch: Batch
    actual: NDArray[np.generic]
    answer: Prediction
    metric: str
    before: Floats
    groups: Groups | None = None
    trees: int = 1

    @property
    def signature(self) -> Signature:
        """What the model takes."""
        return self.predictor.signature

    @cached_property
    def explained(self) -> Explanation | None:
        """What each column adds to the answers; None of a model that cannot say."""
        return self.predictor.explain(self.batch) if isinstance(self.predictor, Explainer) else None

    def fewer(self) -> Sample:
        """Those of the rows that contributions are asked of: as many as EXPLAINED allows, evenly spaced."""
        size = max(_LEAST, EXPLAINED // self.trees)
        if len(self.rows) <= size:
            return self
        some = np.linspace(0, len(self.rows), size, endpoint=False).astype(np.int64)
        proba = None if self.answer.proba is None else self.answer.proba[some]
        return replace(
            self, rows=self.rows[some], frame=self.frame[some.tolist()], batch=picked(self.batch, some),
            actual=self.actual[some], answer=Prediction(self.answer.values[some], proba), before=self.before[some],
            groups=None if self.groups is None else self.groups.part(some),
        )  # fmt: skip

    def ask(self, changed: Batch) -> Prediction | None:
        """The answers to other columns in the place of some; None where the model cannot take them."""
        try:
            return batches.predict(self.predictor, {**self.batch, **changed}, "the changed rows")
        except InputUnusable:
            return None

    def numbers(self, answer: Prediction) -> Floats:
        """The (rows,) numbers whose mean is the metric."""
        return numbers(self.signature, self.metric, self.actual, answer)


def numbers(signature: Signature, metric: str, actual: NDArray[np.generic], answer: Prediction) -> Floats:
    """The (rows,) numbers whose mean is a metric of some answers."""
    positive = signature.positive_index() if signature.task == "binary" else 0
    alpha = None if isinstance(signature.alpha, UnsetType) else signature.alpha
    return per_row.numbers(metric, actual, answer.values, answer.proba, positive, alpha)


def draw(model: Path, table: Table, signature: Signature, answers: Answers, seed: int) -> Sample:
    """A sample of the rows that `answers` are of, the same for the same seed; the table is read once more."""
    trees = (model / "model.txt").read_bytes().count(b"\nTree=") if signature.family == "lightgbm" else 1
    most = min(ANSWERS.get(signature.family, 300_000), TREES // max(1, trees))
    size = min(ROWS, max(_LEAST, most // (REPEATS * len(signature.columns))))
    every = len(answers.actual)
    rows = np.arange(every)
    if every > size:
        rows = np.sort(generator(seed, _SAMPLE).choice(every, size, replace=False))
    frame = read(table, signature, answers, rows)
    batch = batches.batch(frame, signature, table.name)
    predictor = predictors.load(model, processors.count())
    answer = batches.predict(predictor, batch, table.name)
    actual = answers.actual[rows]
    loss = None if isinstance(signature.loss, UnsetType) else signature.loss
    metric = per_row.main_metric(signature.task, actual, answer.values, answer.proba, loss)
    before = numbers(signature, metric, actual, answer)
    groups = None if answers.groups is None else answers.groups.part(rows)
    return Sample(predictor, rows, frame, batch, actual, answer, metric, before, groups, max(1, trees))


def read(table: Table, signature: Signature, answers: Answers, rows: Sequence[int] | Ints) -> pl.DataFrame:
    """The model's columns of some answers, in the order of their rows in the table, which `rows` must ascend in."""
    assert answers.places is not None
    wanted = pl.Series(answers.places[np.asarray(rows, np.int64)])
    number = "row"
    while number in signature.names:
        number += "_"
    with tables.reading(table.name):
        frame = table.frame.select(map(exactly, signature.names)).with_row_index(number)
        found = frame.filter(pl.col(number).is_in(wanted.implode())).collect(engine="streaming")
    return found.sort(number).drop(number)


def permuted(column: Column, order: Ints) -> Column:
    """A column with its rows in another order."""
    null = None if column.null is None else column.null[order]
    return Column(column.values[order], null, column.levels)


def picked(batch: Batch, rows: Ints) -> Batch:
    """Some rows of a batch."""
    return {name: permuted(column, rows) for name, column in batch.items()}


def missing(column: Column) -> Column:
    """A column without any value."""
    if column.levels is not None:
        return Column(np.full(len(column), -1, np.int32), None, column.levels)
    return Column(np.zeros_like(column.values), np.ones(len(column), bool))


def there(column: Column) -> NDArray[np.bool_]:
    """Which rows of a column of numbers have a finite value, (rows,)."""
    finite = np.isfinite(column.values.astype(np.float64))
    return finite if column.null is None else finite & ~column.null
