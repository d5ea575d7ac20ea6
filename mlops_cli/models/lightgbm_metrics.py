"""What a LightGBM fit may stop and be chosen by: the names that `evaluate` has, LightGBM's own or computed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable
from mlops_cli.runtime.signature import Task

Floats = NDArray[np.float64]
Measure = Callable[[Floats, Floats, Floats], float]
"""From labels (n,), answers (n,) or (n, classes), and weights (n,) of the rows to the metric."""

_TINY = 1e-15


@dataclass(frozen=True)
class Metric:
    """A metric: LightGBM's own name for it, or how it is measured after each round.

    `loss` is LightGBM's name of the loss beside one that moves in steps, as `lightgbm_stopping` has it.
    """

    higher: bool
    own: str = ""
    measure: Measure | None = None
    loss: str = ""

    def told(self) -> list[str] | str:
        """What LightGBM is to compute itself after each round."""
        return [name for name in (self.own, self.loss) if name] or "None"

    def value(self, found: float) -> float:
        """The metric from what LightGBM tells; its `…_error` is what is missing to 1."""
        return 1 - found if self.own.endswith("_error") else found


def feval(name: str, of: Metric) -> Callable[[Any, Any], tuple[str, float, bool]] | None:
    """What LightGBM calls after each round; None where it has the metric itself."""
    measure = of.measure
    if measure is None:
        return None

    def told(answers: Any, data: Any) -> tuple[str, float, bool]:
        labels, weights = data.get_label().astype(np.float64), data.get_weight()
        weights = np.ones(len(labels)) if weights is None or not weights.any() else weights.astype(np.float64)
        return name, measure(labels, np.asarray(answers), weights), of.higher

    return told


def _counts(labels: Floats, answers: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each class the weight that is right, that is there and that is named."""
    if answers.ndim == 1:
        named, k = (answers >= 0.5).astype(np.int64), 2
    else:
        named, k = answers.argmax(axis=1), answers.shape[1]
    truth = labels.astype(np.int64)
    hit = named == truth
    over = ((truth[hit], weights[hit]), (truth, weights), (named, weights))
    right, there, of_name = (np.asarray(np.bincount(codes, by, minlength=k), np.float64) for codes, by in over)
    return right, there, of_name


def _shared(over: Callable[[Floats, Floats, Floats], Floats], *, positive: bool) -> Measure:
    """A share of each class: that of the positive one when there are two, else the mean of those there or named."""

    def measure(labels: Floats, answers: Floats, weights: Floats) -> float:
        right, there, named = _counts(labels, answers, weights)
        each = over(right, there, named)
        if positive and answers.ndim == 1:
            return float(each[1])
        some = (there + named > 0) if positive else there > 0
        return float(each[some].mean())

    return measure


def _over(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _mcc(labels: Floats, answers: Floats, weights: Floats) -> float:
    """Gorodkin's R_K (2004), of two classes Matthews' coefficient; 0 where it is undefined."""
    right, there, named = _counts(labels, answers, weights)
    total = there.sum()
    above = total * right.sum() - there @ named
    below = np.sqrt((total**2 - there @ there) * (total**2 - named @ named))
    return float(above / below) if below > 0 else 0.0


def _brier(labels: Floats, answers: Floats, weights: Floats) -> float:
    """Brier (1950), half of the sum over the classes."""
    if answers.ndim == 1:
        return float(np.average((answers - labels) ** 2, weights=weights))
    given = answers[np.arange(len(labels)), labels.astype(np.int64)]
    return float(np.average(((answers**2).sum(axis=1) - 2 * given + 1) / 2, weights=weights))


def _ranked(labels: Floats, answers: Floats, weights: Floats) -> float:
    """The area under the curve of each class against the rest, their mean (macro) over the classes that are there."""
    areas = []
    for code in range(answers.shape[1]):
        truth = labels == code
        if not 0 < truth.sum() < len(truth):
            continue
        order = np.argsort(answers[:, code], kind="stable")
        score, yes, weight = answers[order, code], truth[order], weights[order]
        starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
        up, down = (np.add.reduceat(weight * side, starts) for side in (yes, ~yes))
        below = np.cumsum(down) - down / 2
        areas.append(float(up @ below / (up.sum() * down.sum())))
    return float(np.mean(areas)) if areas else float("nan")


def _r2(labels: Floats, answers: Floats, weights: Floats) -> float:
    spread = np.average((labels - np.average(labels, weights=weights)) ** 2, weights=weights)
    left = np.average((labels - answers) ** 2, weights=weights)
    return float(1 - left / spread) if spread > 0 else 0.0


def _mape(labels: Floats, answers: Floats, weights: Floats) -> float:
    if not labels.all():
        count = int((labels == 0).sum())
        raise InputUnusable(f"mape is undefined: the target is 0 in {count:,} rows", "stop by another: --metric mae")
    return float(np.average(np.abs((labels - answers) / labels), weights=weights))


def _deviance(labels: Floats, answers: Floats, weights: Floats) -> float:
    """2 (y ln(y / m) - y + m), the mean; McCullagh & Nelder, Generalized Linear Models (1989), section 2.3."""
    if (labels < 0).any():
        raise InputUnusable(
            f"poisson_deviance is undefined: the target is negative in {int((labels < 0).sum()):,} rows",
            "stop by another: --metric rmse",
        )
    known = np.maximum(answers, _TINY)
    ratio = np.log(np.where(labels > 0, labels, known) / known)
    return float(np.average(2 * (labels * ratio - labels + known), weights=weights))


def _pinball(alpha: float) -> Measure:
    """Koenker & Bassett (1978): alpha times what is missing, 1 - alpha times what is too much."""

    def measure(labels: Floats, answers: Floats, weights: Floats) -> float:
        short = labels - answers
        return float(np.average(np.maximum(alpha * short, (alpha - 1) * short), weights=weights))

    return measure


_NAMED = {
    "balanced_accuracy": Metric(True, measure=_shared(lambda right, there, _: _over(right, there), positive=False)),
    "f1": Metric(True, measure=_shared(lambda right, there, named: _over(2 * right, there + named), positive=True)),
    "precision": Metric(True, measure=_shared(lambda right, _, named: _over(right, named), positive=True)),
    "recall": Metric(True, measure=_shared(lambda right, there, _: _over(right, there), positive=True)),
    "mcc": Metric(True, measure=_mcc),
    "brier": Metric(False, measure=_brier),
}
_BINARY = {
    "log_loss": Metric(False, own="binary_logloss"),
    "roc_auc": Metric(True, own="auc"),
    "average_precision": Metric(True, own="average_precision"),
    "accuracy": Metric(True, own="binary_error"),
    **_NAMED,
}
_MULTICLASS = {
    "log_loss": Metric(False, own="multi_logloss"),
    "roc_auc": Metric(True, measure=_ranked),
    "accuracy": Metric(True, own="multi_error"),
    **_NAMED,
}
_SMOOTH = ("log_loss", "brier")
"""Of classes; what counts or ranks rows moves in steps."""

USUAL = {
    "regression": "rmse",
    "regression_l1": "mae",
    "huber": "mae",
    "fair": "mae",
    "mape": "mape",
    "quantile": "pinball_loss",
    "poisson": "poisson_deviance",
    "tweedie": "poisson_deviance",
    "gamma": "poisson_deviance",
}
"""The metric to stop by, of each loss that a regression may learn."""


def offered(task: Task, objective: str | None = None, alpha: float | None = None) -> dict[str, Metric]:
    """The metrics of a task, the one to stop by first; a regression's follows the loss that it learns."""
    if task != "regression":
        offered = _BINARY if task == "binary" else _MULTICLASS
        loss = offered["log_loss"].own
        return {name: of if name in _SMOOTH else replace(of, loss=loss) for name, of in offered.items()}
    found = {
        "rmse": Metric(False, own="rmse"),
        "mae": Metric(False, own="l1"),
        "mape": Metric(False, measure=_mape),
        "r2": Metric(True, measure=_r2),
        "poisson_deviance": Metric(False, measure=_deviance),
    }
    if objective == "quantile":
        found["pinball_loss"] = Metric(False, measure=_pinball(alpha if alpha is not None else 0.9))
    first = USUAL.get(objective or "regression", "rmse")
    return {first: found[first], **found}
