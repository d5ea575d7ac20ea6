"""The baseline: what a rule that looks at no column reaches on the valid rows, and whether the model beats it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from mlops_cli.metrics import regression
from mlops_cli.metrics.base import Baseline, Measurements, Metric, metric
from mlops_cli.metrics.intervals import Floats, expanded, generator, means, percentiles
from mlops_cli.models.target import Target
from mlops_cli.models.terms import Terms, of_classes
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import evaluate_measure
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.train_data import Counted
from mlops_cli.store.artefact import Artefact

_STREAM = 300  # of random numbers
_FEW = 200  # resamples: how sure the numbers of the rule itself are is of little interest
_TINY = float(np.finfo(np.float64).eps)
_MEDIAN = ("regression_l1", "huber", "fair", "mape")


def beside(
    rows: Counted, target: Target, answers: Answers, signature: Signature, seed: int, asked: Terms
) -> Baseline | UnsetType:
    """The baseline learnt from the train rows, measured beside the model's `answers` on the valid ones.

    Of classes: their shares, and the commonest. Of a regression: what makes its loss least, if it is the same in every
    row: the mean, the median, or the quantile. Weights count in it as they do in training.
    """
    if rows.valid is None or not len(answers.actual) or (signature.classes is not None and answers.proba is None):
        return UNSET
    weights = _weights(rows.valid, asked, len(answers.actual))
    if signature.classes is None:
        name, rule, answered = _of_numbers(rows.train, target, asked, answers, signature)
    else:
        counted, by_class = _counted(rows.train, target, asked)
        name, rule, answered = _of_classes(counted, answers, signature)
        weights = weights if by_class is None else weights * by_class[answers.actual.astype(np.int64)]
    mine, its = (_losses(name, each, signature) for each in (answers, answered))
    measured = evaluate_measure.measure(
        answered, signature, seed=seed, resamples=_FEW, cells=evaluate_measure.COARSE
    ).metrics
    overall = [found for found in measured if found.column is None]
    return Baseline(rule, overall, _difference(name, mine, its, weights, seed))


def _weights(frame: pl.LazyFrame, asked: Terms, rows: int) -> Floats:
    """The weight of each of the frame's `rows` rows, shape (rows,)."""
    if asked.weight is None:
        return np.ones(rows)
    table = frame.select(exactly(asked.weight).cast(pl.Float64)).collect(engine="streaming")
    return table.to_series().to_numpy()


def _counted(frame: pl.LazyFrame, target: Target, asked: Terms) -> tuple[Floats, Floats | None]:
    """The weight of all rows of each class, and what a row of the class weighs by itself: two arrays (classes,)."""
    weight = pl.len() if asked.weight is None else exactly(asked.weight).cast(pl.Float64).sum()
    grouped = frame.group_by(target.column.alias("value")).agg(rows=pl.len(), weight=weight)
    table = grouped.collect(engine="streaming")
    codes = target.codes(table["value"])
    by_class = of_classes(asked, target, np.repeat(codes, table["rows"].to_numpy()) if asked.classes else None)
    weights = np.zeros(len(target.classes or ()))
    weights[codes] = table["weight"].cast(pl.Float64).to_numpy()
    return (weights if by_class is None else weights * by_class), by_class


def _of_classes(weights: Floats, answers: Answers, signature: Signature) -> tuple[str, str, Answers]:
    """The loss to compare by, the rule in words, and its answers: the shares of the classes in every row."""
    shares, n = weights / weights.sum(), len(answers.actual)
    predicted = np.full(n, int(shares.argmax()))
    if signature.task == "binary":
        positive = signature.positive_index()
        predicted[:] = positive if shares[positive] >= 0.5 else 1 - positive
    proba = np.tile(shares, (n, 1))
    return "log_loss", "the shares of the classes", Answers(answers.actual, predicted, proba, answers.labels, 0)


def _of_numbers(
    frame: pl.LazyFrame, target: Target, asked: Terms, answers: Answers, signature: Signature
) -> tuple[str, str, Answers]:
    """The same of a regression: what makes its loss least."""
    known = frame.select(target.column.cast(pl.Float64)).collect(engine="streaming").to_series().to_numpy()
    weights, n = _weights(frame, asked, len(known)), len(answers.actual)
    loss = "regression" if isinstance(signature.loss, UnsetType) else signature.loss
    name, rule, value = "rmse", "the mean", float(np.average(known, weights=weights))
    if loss in _MEDIAN:
        name, rule, value = "mae", "the median", _quantile(known, weights, 0.5)
    elif loss == "quantile" and not isinstance(signature.alpha, UnsetType):
        name, rule = "pinball_loss", f"the {signature.alpha:g} quantile"
        value = _quantile(known, weights, signature.alpha)
    elif loss in ("poisson", "tweedie", "gamma"):
        name = "poisson_deviance"
    return name, rule, Answers(answers.actual, np.full(n, value), None, [], 0)


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    """The smallest value below or at which `share` of the weight lies: it makes the pinball loss least."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1])])


def _losses(name: str, of: Answers, signature: Signature) -> Floats:
    """What each row adds to the loss, shape (n,); of rmse the square."""
    if of.proba is not None:
        given = of.proba[np.arange(len(of.actual)), of.actual.astype(np.int64)]
        return np.asarray(-np.log(np.clip(given, _TINY, 1 - _TINY)))
    actual, predicted = of.actual.astype(np.float64), of.predicted.astype(np.float64)
    if name == "pinball_loss":
        return regression.pinball(actual, predicted, float(signature.alpha or 0.5))
    if name == "poisson_deviance":
        return regression.deviance(actual, predicted)
    error = np.abs(actual - predicted)
    return error if name == "mae" else error**2


def _difference(name: str, mine: Floats, its: Floats, weights: Floats, seed: int) -> Metric:
    """The model's loss less the baseline's: the bootstrap of the rows, both alike."""

    def of_means(found: NDArray[np.float64]) -> Floats:
        each = found[:, :2] / found[:, 2:]
        each = np.sqrt(each) if name == "rmse" else each
        return np.asarray(each[:, :1] - each[:, 1:])

    parts = np.column_stack([weights * mine, weights * its, weights])
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = of_means(means(parts, generator(seed, _STREAM)))
        value = of_means(parts.mean(axis=0)[None, :])[0, 0]
    return metric(name, value, percentiles(drawn, expanded(len(mine)))[0], len(mine))


def told(of: Baseline) -> dict[str, Any]:
    """The baseline for `--json`: its metrics by name, and whether the model beats it (None: undecided)."""
    numbers: Mapping[str, Any] = {each.name: each.value for each in of.metrics}
    return {"rule": of.rule, "metrics": numbers, "beaten": _beaten(of.difference)}


def _beaten(by: Metric) -> bool | None:
    """Whether the loss is lower for sure (True), higher for sure (False), or nobody knows."""
    if by.low is None or by.high is None:
        return None
    return True if by.high < 0 else False if by.low > 0 else None


def judge(model: Artefact) -> Verdict:
    """A pass, with a warning where the model does not beat the baseline."""
    of = model.json("metrics.json", Measurements).baseline
    if isinstance(of, UnsetType) or _beaten(of.difference):
        return Verdict()
    by = of.difference
    if by.value is None or by.low is None or by.high is None:
        return Verdict()
    sure = "is worse than" if by.low > 0 else "does not beat"
    found = f"{by.name} differs by {by.value:+.3g}, 95 % interval {by.low:+.3g} to {by.high:+.3g}, on {by.n:,} rows"
    return Verdict(lines=(f"warning: the model {sure} the baseline, {of.rule} in every row: {found}",))
