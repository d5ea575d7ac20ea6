"""From rows to numbers: which metrics belong to which task."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import UnsetType

from mlops_cli.metrics import classification, confusion, regression, slices
from mlops_cli.metrics.base import Confusion, Measurements, Metric, Subject
from mlops_cli.metrics.intervals import Ints, generator
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import evaluate_fairness
from mlops_cli.steps.evaluate_rows import Answers

COARSE = 256
"""Cells of scores for the intervals of many slices, and of what a training tells: coarser than an evaluation's."""


def measure(
    answers: Answers,
    signature: Signature,
    *,
    seed: int,
    model: str | None = None,
    data: str | None = None,
    **more: int,
) -> Measurements:
    """All metrics of an evaluation, those of its slices last; `model` and `data` are ids of contents.

    `more` may say how many `resamples` and `cells` of scores the intervals are of.
    """
    rows = np.arange(len(answers.actual))
    metrics = _metrics(answers, signature, rows, seed, **more)
    if signature.task == "binary":
        rng = generator(seed, classification.COUNTED)
        metrics += confusion.multiclass(counts(answers), answers.levels, rng, rows=_together(answers))[1]
    for each in answers.slices:
        metrics += slices.by_level(
            each.codes,
            each.levels,
            each.column,
            lambda part: _metrics(answers, signature, part, seed, cells=COARSE),
        )
        metrics += evaluate_fairness.measure(answers, signature, each, seed)
    return Measurements(
        task=signature.task,
        target=signature.target,
        rows=len(rows),
        metrics=metrics,
        positive=signature.positive,
        classes=signature.classes,
        confusion=None if signature.classes is None else _confusion(answers),
        model=Subject(model),
        data=Subject(data),
        loss=signature.loss,
        alpha=signature.alpha,
    )


def counts(answers: Answers) -> Ints:
    """The confusion matrix over all labels."""
    return confusion.matrix(_codes(answers.actual), _codes(answers.predicted), len(answers.labels))


def _together(answers: Answers) -> confusion.Clustered | None:
    if answers.groups is None:
        return None
    return confusion.Clustered(_codes(answers.actual), _codes(answers.predicted), answers.groups)


def _confusion(answers: Answers) -> Confusion:
    return Confusion(answers.labels, counts(answers).tolist())


def _metrics(answers: Answers, signature: Signature, rows: Ints, seed: int, **more: Any) -> list[Metric]:
    """The metrics of some rows."""
    actual, predicted = answers.actual[rows], answers.predicted[rows]
    groups = None if answers.groups is None else answers.groups.part(rows)
    if signature.classes is None:
        loss = None if isinstance(signature.loss, UnsetType) else signature.loss
        alpha = None if isinstance(signature.alpha, UnsetType) else signature.alpha
        values = actual.astype(np.float64), predicted.astype(np.float64)
        more.pop("cells", None)  # nothing of a regression is ranked
        return regression.regression(*values, seed=seed, groups=groups, loss=loss, alpha=alpha, **more)
    proba = None if answers.proba is None else answers.proba[rows]
    if signature.task == "multiclass":
        levels = answers.levels
        return classification.multiclass(
            _codes(actual), _codes(predicted), proba, levels, seed=seed, groups=groups, **more
        )
    positive = signature.positive_index()
    score = None if proba is None else np.ascontiguousarray(proba[:, positive])
    truth, named = (_codes(codes == positive) for codes in (actual, predicted))
    return classification.binary(truth, named, score, seed=seed, groups=groups, **more)


def _codes(values: Any) -> Ints:
    return np.asarray(values, dtype=np.int64)
