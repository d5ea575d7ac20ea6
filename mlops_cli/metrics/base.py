"""What a measured number is, and the document `metrics.json` that holds all of an evaluation's."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from mlops_cli.runtime.costs import Costs

Label = bool | int | float | str

CLASS = "label"
"""The column name under which metrics of one class are filed, whatever the target is called."""


class Metric(msgspec.Struct, frozen=True):
    """One measured number, with its 95 % interval where it was measured on a sample.

    `value` is None where the metric is undefined (the precision of a class that was never predicted).
    `low` and `high` are None for exact numbers (a count of rows) and where `value` is. `n` is the number of
    rows that it was measured on: all of them, or those of `column` = `level`. Metrics of one class have the
    column "label"; those of a whole column (a drift distance) have a column and no level. `groups` is how many groups
    of rows that belong together the interval rests on; there is none for rows that are independent.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    column: str | None = None
    level: str | None = None
    groups: int | UnsetType = UNSET


class Confusion(msgspec.Struct, frozen=True):
    """How often each class (row) was predicted as each class (column)."""

    labels: list[Label]
    counts: list[list[int]]


class Subject(msgspec.Struct, frozen=True):
    """What was measured, by the id of its content; None where it has none (data on standard input)."""

    id: str | None


class Certified(msgspec.Struct, frozen=True):
    """What the certificate of the model's split says of metrics on its test part, or on other rows where that leaks.

    `clean` is None when it has none, or it says nothing about the rows measured on; `leaks` then has the reason.
    """

    clean: bool | None
    leaks: list[str] = []

    @property
    def doubt(self) -> str:
        """Why the metrics cannot be trusted, in words; empty when they can."""
        if self.clean:
            return ""
        if self.clean is None:
            return "; ".join(self.leaks) or "the split has no certificate"
        return "the split is not clean: " + "; ".join(self.leaks)


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the model that was measured makes answers of probabilities, where that is not the usual way.

    `chosen` is how the threshold came about (`f1`, `cost`, or the number that was given).
    """

    calibration: str | None = None
    threshold: float | None = None
    chosen: str | None = None


class Baseline(msgspec.Struct, frozen=True):
    """What a rule that looks at no column reaches on the same rows.

    `rule` says what it answers, `metrics` are its own, and `difference` is the model's less its own of the metric that
    the model learns by, from the same rows, both weighted as in training; a metric of which lower is better.
    """

    rule: str
    metrics: list[Metric]
    difference: Metric


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """The document `metrics.json` of an evaluation: measurements only, no verdict, no time, no path."""

    format: int = 1
    task: str
    target: str
    rows: int
    metrics: list[Metric]
    positive: Label | None = None
    classes: list[Label] | None = None
    confusion: Confusion | None = None
    model: Subject | None = None
    data: Subject | None = None
    baseline: Baseline | UnsetType = UNSET  # of a model's own metrics, on its valid rows
    certificate: Certified | UnsetType = UNSET  # see Certified; none without a split or a doubt
    decided: Decided | UnsetType = UNSET
    costs: Costs | UnsetType = UNSET  # what `cost` was measured with
    loss: str | UnsetType = UNSET  # what a regression has learnt to make small
    alpha: float | UnsetType = UNSET  # of a quantile


def comparable(champion: Measurements, own: Measurements) -> list[Metric]:
    """The champion's metrics, without a value of what was measured by another table of costs or of another quantile."""
    other: tuple[str, ...] = () if champion.costs == own.costs else ("cost", "cost_total")
    other += () if champion.alpha == own.alpha else ("pinball_loss",)
    return [
        msgspec.structs.replace(one, value=None, low=None, high=None) if one.name in other else one
        for one in champion.metrics
    ]


def metric(
    name: str,
    value: float,
    interval: Iterable[float] | None,
    n: int,
    column: str | None = None,
    level: str | None = None,
) -> Metric:
    """A metric from plain numbers: undefined where the value or an end of its interval is NaN or infinite.

    A percentile interval can miss a value at the edge of its range (a recall of exactly 1): it is widened to
    hold it, as Brown, Cai & DasGupta (2001) do for Jeffreys' interval. Twelve digits are kept, so that the order
    in which a processor adds numbers up does not change the bytes of an evaluation.
    """
    if not math.isfinite(value):
        return Metric(name, None, None, None, n, column, level)
    value = _rounded(value)
    if interval is None:
        return Metric(name, value, None, None, n, column, level)
    low, high = (_rounded(end) for end in interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Metric(name, None, None, None, n, column, level)
    return Metric(name, value, min(low, value), max(high, value), n, column, level)


def text_of(label: Label) -> str:
    """A class as it is written in a gate: `true`, `3`, `truck`."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def _rounded(value: float) -> float:
    return float(f"{float(value):.12g}")
