"""Two evaluations on the same rows, paired row by row by their `predictions.parquet`."""

from __future__ import annotations

import numpy as np
import polars as pl

from mlops_cli.metrics import paired
from mlops_cli.metrics.base import Label, Measurements, Metric, text_of
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.paired import Answers
from mlops_cli.steps import evaluate_cost, tables
from mlops_cli.store.artefact import Artefact

METRICS, PREDICTIONS = "metrics.json", "predictions.parquet"
GROUP = "group"
"""The column of `predictions.parquet` that says which rows belong together; there is none where none do."""


def differences(one: Artefact, other: Artefact, seed: int = 0) -> list[Metric]:
    """How much better `one` is than `other`, metric by metric; nothing when they are not of the same rows.

    The rows are the same when both evaluations are of as many rows with the same outcomes in the same order, and of
    the same data where that has an id.
    """
    if not (one.has(PREDICTIONS) and other.has(PREDICTIONS)):
        return []
    first, second = (each.json(METRICS, Measurements) for each in (one, other))
    with tables.reading(f"{one.path / PREDICTIONS}"):
        mine, theirs = (pl.read_parquet(each.file(PREDICTIONS)) for each in (one, other))
    return pair(first, mine, second, theirs, seed)


def pair(
    first: Measurements, mine: pl.DataFrame, second: Measurements, theirs: pl.DataFrame, seed: int = 0
) -> list[Metric]:
    """The same from what was measured and the tables of predictions; groups of rows are those of the first."""
    ids = [each.data.id if each.data else None for each in (first, second)]
    if ids[0] != ids[1] or (first.task, first.target, first.rows) != (second.task, second.target, second.rows):
        return []
    if mine.height != theirs.height or not mine["actual"].equals(theirs["actual"], check_dtypes=False):
        return []
    more = evaluate_cost.difference(first, second, mine, theirs, groups(mine), seed)
    if first.classes is None or second.classes is None:
        numbers = [_numbers(column) for column in (mine["actual"], mine["prediction"], theirs["prediction"])]
        loss, alpha = first.loss or None, first.alpha or None
        return more + paired.values(*numbers, seed=seed, groups=groups(mine), loss=loss, alpha=alpha)
    labels: list[Label] = [*first.classes, *(label for label in second.classes if label not in first.classes)]
    labels += [label for label in mine["actual"].unique().sort().to_list() if label not in labels]
    positive = labels.index(first.positive) if first.task == "binary" and first.positive is not None else None
    if positive is not None and (len(labels) != 2 or first.positive != second.positive):
        return []
    answers, others = _answers(mine, first.classes, labels), _answers(theirs, second.classes, labels)
    levels = [text_of(label) for label in labels]
    actual = _codes(mine["actual"], labels)
    return more + paired.classes(actual, answers, others, levels, positive, seed=seed, groups=groups(mine))


def groups(rows: pl.DataFrame) -> Groups | None:
    """Which rows of a table of predictions belong together."""
    return Groups.of(rows[GROUP].to_numpy().astype(np.int64)) if GROUP in rows.columns else None


def _answers(rows: pl.DataFrame, classes: list[Label], labels: list[Label]) -> Answers:
    """What a model said, its classes put in the order of `labels`; one that it does not know has the probability 0."""
    proba = None
    if "proba" in rows.columns and rows.height and bool((rows["proba"].list.len() == len(classes)).all()):
        given = rows["proba"].explode().to_numpy().reshape(-1, len(classes))
        proba = np.zeros((rows.height, len(labels)))
        proba[:, [labels.index(label) for label in classes]] = given
    return Answers(_codes(rows["prediction"], labels), proba)


def _codes(values: pl.Series, labels: list[Label]) -> np.ndarray:
    old = pl.Series(labels)
    codes = values.replace_strict(old, list(range(len(labels))), return_dtype=pl.Int64)
    return np.asarray(codes.to_numpy(), dtype=np.int64)


def _numbers(values: pl.Series) -> np.ndarray:
    return np.asarray(values.cast(pl.Float64).to_numpy(), dtype=np.float64)
