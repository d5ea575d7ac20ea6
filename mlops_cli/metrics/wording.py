"""Metrics in words: what each one means, and as many digits as its interval bears."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Judgement

MEANINGS = {
    "precision": "of the rows predicted as the class, the share that are",
    "recall": "of the rows of the class, the share that are found",
    "f1": "harmonic mean of precision and recall",
    "accuracy": "share of all rows that are predicted right",
    "balanced_accuracy": "mean of the classes' recalls: chance is 1 / classes",
    "specificity": "of the rows that are not of the class, the share predicted so",
    "mcc": "Matthews' correlation of actual and predicted: 0 is chance, 1 perfect",
    "roc_auc": "chance that a row of the class scores above one that is not: 0.5 is guessing",
    "average_precision": "area under precision against recall: guessing reaches the share of the class",
    "lift_at_10": "share of the class in the tenth of rows with the highest scores, over that in all: 1 is guessing",
    "log_loss": "mean of minus the logarithm of the probability given to what happened: lower is better",
    "brier": "mean squared error of the probabilities, half their sum over the classes: lower is better",
    "ece": "how far probabilities are from how often they come true, on average: 0 is best",
    "rmse": "root of the mean squared error, in the target's unit: lower is better",
    "mae": "mean absolute error, in the target's unit: lower is better",
    "median_absolute_error": "half of all rows are closer than this, in the target's unit",
    "r2": "share of the target's variance that is explained: 0 is what its mean would reach",
    "mape": "mean absolute error as a share of the actual value; undefined when one of them is 0",
    "bias": "mean of predicted minus actual, in the target's unit: 0 is best",
    "cost": "what a row costs on average, by the stated costs of errors: lower is better, below 0 is a gain",
    "cost_total": "what all rows cost together",
    "pinball_loss": "what the model's quantile makes least, in the target's unit: lower is better",
    "poisson_deviance": "mean Poisson deviance, what a model of counts makes least: lower is better",
    "rows": "rows that were measured",
    **{
        f"worst_slice_{name}": "of the slice that is most surely worse than the rest; of all rows where none is"
        for name in ("log_loss", "error", "mae", "pinball_loss")
    },
    "selection_rate": "share of the rows that are predicted as the class",
    "fpr": "of the rows that are not of the class, the share predicted as it all the same",
    "calibration_gap": "mean probability of the class less how often it is so: 0 is best",
    "mean_prediction": "mean of what is predicted, in the target's unit",
}

TITLES = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "lift_at_10": "Lift at 10 %",
    "balanced_accuracy": "Balanced accuracy",
    "median_absolute_error": "Median absolute error",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "f1": "F1",
    "cost": "Cost per row",
    "cost_total": "Cost of all rows",
    "mcc": "MCC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mape": "MAPE",
    "fpr": "False positive rate",
    "poisson_deviance": "Poisson deviance",
}

SHARES = frozenset({
    "precision", "recall", "f1", "accuracy", "balanced_accuracy", "specificity", "roc_auc",
    "average_precision", "brier", "ece", "selection_rate", "fpr",
})  # fmt: skip
"""Metrics that lie between 0 and 1."""


def title(name: str) -> str:
    """A metric's name for people."""
    if name.startswith("worst_slice_"):
        return f"{title(name.removeprefix('worst_slice_'))} of the worst slice"
    return TITLES.get(name, name[:1].upper() + name[1:].replace("_", " "))


def value(metric: Metric) -> str:
    """The value with the digits that its interval bears; "undefined" without one."""
    return "undefined" if metric.value is None else _written(metric.value, metric)


def interval(metric: Metric) -> str:
    """The 95 % interval as `[0.71, 0.75]`; empty for an exact number."""
    if metric.low is None or metric.high is None:
        return ""
    return f"[{_written(metric.low, metric)}, {_written(metric.high, metric)}]"


def _written(number: float, metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return f"{number:,.0f}" if number.is_integer() else f"{number:.4g}"
    half = (metric.high - metric.low) / 2
    decimals = 3 if half == 0 else min(6, max(0, 1 - math.floor(math.log10(3 * half))))
    text = f"{number:,.{decimals}f}"
    return text if text.strip("-0.") else text.removeprefix("-")  # not -0.00


def table(judgements: Sequence[Judgement]) -> list[str]:
    """The judgements as aligned lines for people: answer, gate, value with interval, bound, reason."""
    rows = [
        (
            f"{judgement.answer} (warns)" if judgement.severity == "warn" else judgement.answer,
            judgement.gate,
            _shown(judgement.value) + _range(judgement),
            f"bound {_shown(judgement.bound)}",
            judgement.reason + _asked(judgement),
        )
        for judgement in judgements
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _asked(judgement: Judgement) -> str:
    """Who asks, and why where it is no pass."""
    why = judgement.why if judgement.answer != "pass" else ""
    asked = ": ".join(part for part in (judgement.owner, why) if part)
    return f" ({asked})" if asked else ""


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _range(judgement: Judgement) -> str:
    if judgement.low is None or judgement.high is None:
        return ""
    return f" [{_shown(judgement.low)}, {_shown(judgement.high)}]"
