"""The rows that a model was most surely wrong about, and for each the most similar row that it answered right."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mlops_cli.metrics import per_row
from mlops_cli.metrics.base import Label
from mlops_cli.metrics.intervals import Floats, Ints
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.predictors import Explainer, Predictor
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import batches, evaluate_sample, reasons
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.evaluate_sample import Sample
from mlops_cli.steps.tables import Table

MOST = 10
_FAR = 2.0  # standardised residuals from which a regression's answer counts as wrong


class Row(msgspec.Struct, frozen=True):
    """A row of the table (from 0): what was so, what was predicted, its values, and what pushed the answer most."""

    row: int
    actual: Label
    prediction: Label
    values: dict[str, Any]
    reasons: list[str] = []


class Wrong(msgspec.Struct, frozen=True):
    """A row answered wrongly; `surprise` is the probability that the truth was given, or the standardised residual;
    `nearest` is the most similar row that was answered right."""

    wrong: Row
    surprise: float
    nearest: Row | None = None


def losses(answers: Answers) -> Floats:
    """How wrong each row is, (rows,): minus the logarithm of the probability given to what was so, or the error's size;
    below 0 for a right answer."""
    if answers.proba is None:
        return np.asarray(np.abs(answers.predicted.astype(np.float64) - answers.actual.astype(np.float64)))
    lost = -np.log(np.maximum(per_row.given(answers.actual, answers.proba), 1e-300))
    return np.where(answers.actual == answers.predicted, -1.0, lost)


def find(table: Table, answers: Answers, sample: Sample) -> list[Wrong]:
    """The worst answers of all rows, the worst first; nothing where every answer is right."""
    surprise, lost = _surprise(answers, sample.signature)
    order = np.argsort(-lost, kind="stable")[:MOST]
    worst = np.sort(order[lost[order] > 0])
    if not len(worst):
        return []
    frame = evaluate_sample.read(table, sample.signature, answers, worst)
    batch = batches.batch(frame, sample.signature, table.name)
    right = np.flatnonzero(lost[sample.rows] <= 0)
    near = _nearest(sample, batch, right, answers.predicted[worst])
    own, told = _said(sample.predictor, batch, frame), _said(sample.predictor, sample.batch, sample.frame, near)
    found = []
    for place, each in enumerate(worst.tolist()):
        beside = near[place]
        twin = None if beside < 0 else _row(answers, int(sample.rows[beside]), sample.frame, beside, told[place])
        found.append(Wrong(_row(answers, each, frame, place, own[place]), _short(float(surprise[each])), twin))
    return sorted(found, key=lambda one: -lost[_place(answers, one.wrong.row)])


def _surprise(answers: Answers, signature: Signature) -> tuple[Floats, Floats]:
    """What is told of each row, and how wrong it is: 0 or less for a right answer."""
    if signature.classes is not None:
        if answers.proba is None:
            return np.zeros(len(answers.actual)), np.asarray(answers.actual != answers.predicted, np.float64)
        return per_row.given(answers.actual, answers.proba), losses(answers)
    residual = answers.predicted.astype(np.float64) - answers.actual.astype(np.float64)
    low, high = np.quantile(residual, (0.25, 0.75))
    spread = (high - low) / 1.349 or float(residual.std()) or 1.0
    standard = (residual - np.median(residual)) / spread
    return standard, np.where(np.abs(standard) >= _FAR, np.abs(standard), np.where(np.abs(standard) < 0.7, -1.0, 0.0))


def _nearest(sample: Sample, batch: Batch, right: Ints, predicted: np.ndarray) -> Ints:
    """For each row of a batch the place in the sample of the nearest right row that was answered the same; -1 for none.

    Near is what the model sees alike: the distance of contributions, of models without them the share of columns that
    are different, numbers counting in units of their inter-quartile range.
    """
    mine, theirs = _space(sample, batch)
    found = np.full(len(mine), -1, np.int64)
    for place, point in enumerate(mine):
        same = right
        if sample.signature.classes is not None:
            same = right[sample.answer.values[right] == predicted[place]]
        if len(same):
            found[place] = same[np.argmin(((theirs[same] - point) ** 2).sum(axis=1))]
    return found


def _space(sample: Sample, batch: Batch) -> tuple[Floats, Floats]:
    """Where rows of a batch and of the sample lie."""
    if isinstance(sample.predictor, Explainer):
        assert sample.explained is not None
        return sample.predictor.explain(batch).values, sample.explained.values
    mine, theirs = [], []
    for name in sample.signature.names:
        ours, others = batch[name], sample.batch[name]
        if others.levels is not None:
            levels = sorted({*(others.levels or ()), *(ours.levels or ())})
            index = {level: float(n) for n, level in enumerate(levels)}
            codes = [np.array([*(index[x] for x in c.levels or ()), -1.0])[c.values] for c in (ours, others)]
            for code in np.unique(codes[0]):
                mine.append((codes[0] == code) * 0.7)
                theirs.append((codes[1] == code) * 0.7)
            continue
        values = others.values.astype(np.float64)
        low, high = np.nanquantile(values, (0.25, 0.75))
        scale = (high - low) or float(np.nanstd(values)) or 1.0
        mine.append(np.nan_to_num(ours.values.astype(np.float64) / scale))
        theirs.append(np.nan_to_num(values / scale))
    return np.column_stack(mine), np.column_stack(theirs)


def _said(predictor: Predictor, batch: Batch, frame: pl.DataFrame, rows: Ints | None = None) -> list[list[str]]:
    """The reasons for rows of a batch, where the model has any."""
    wanted = np.arange(frame.height) if rows is None else np.maximum(rows, 0)
    if not isinstance(predictor, Explainer):
        return [[] for _ in wanted]
    explained = predictor.explain(evaluate_sample.picked(batch, wanted))
    return reasons.series(explained, frame[wanted.tolist()]).to_list()


def _row(answers: Answers, each: int, frame: pl.DataFrame, place: int, told: list[str]) -> Row:
    assert answers.places is not None
    values = {name: _plain(value) for name, value in frame.row(place, named=True).items()}
    actual, predicted = (_label(answers, of[each]) for of in (answers.actual, answers.predicted))
    return Row(int(answers.places[each]), actual, predicted, values, told)


def _label(answers: Answers, value: Any) -> Label:
    return answers.labels[int(value)] if answers.labels else _short(float(value))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float):
        return _short(value) if np.isfinite(value) else None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _place(answers: Answers, row: int) -> int:
    assert answers.places is not None
    return int(np.searchsorted(answers.places, row))


def _short(value: float) -> float:
    return float(f"{value:.12g}")
