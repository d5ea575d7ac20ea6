"""Drift of what a model was asked and of what it answered, against stored profiles."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from mlops_cli import extensions
from mlops_cli.drift.base import ColumnProfile, Drift, DriftTest, Profile
from mlops_cli.errors import MlopsError
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import profile as profiles
from mlops_cli.steps import profile_live
from mlops_cli.steps.watch_log import INPUT, Log

ALWAYS = "psi"
PREDICTION = "prediction"
EMBEDDING = "embedding"
_COORDINATE = re.compile(rf"{EMBEDDING}_\d+")


@dataclass(frozen=True)
class Reference:
    """What live rows are compared with: a profile of the inputs, and one of the model's own predictions if known.

    `frame` is the table that the profile was made of, if it was made of one just now.
    """

    profile: Profile
    prediction: ColumnProfile | None
    ref: str
    frame: pl.LazyFrame | None = None

    def level(self, column: str, level: str) -> Reference:
        """The reference for the rows of one level: those of the table where it has them, else all of it."""
        if self.frame is None or column not in self.frame.collect_schema():
            return self
        rows = self.frame.filter(pl.col(column).cast(pl.String, strict=False).fill_null("(null)") == level)
        profile = profiles.build(rows, [one.name for one in self.profile.columns])
        return replace(self, profile=profile) if profile.rows else self


def tests(alerts: Sequence[Gate]) -> dict[str, DriftTest]:
    """The drift tests to run: PSI always, and every other one whose name an alert uses as its metric."""
    named = {gate.metric for gate in alerts if gate.metric in extensions.DRIFT}
    return {name: extensions.load("drift", name) for name in sorted(named | {ALWAYS})}


def measure(log: Log, reference: Reference | None, signature: Signature, by: dict[str, DriftTest]) -> list[Metric]:
    """`psi[column]` of every input, and `psi[prediction]` unless an input is called so; each with its interval.

    `psi[embedding]` of a model of images is that of the embedding as a whole (`_together`). What the log or the
    reference does not hold is there and undefined. SchemaMismatch when a reference's column is of another type than
    the model's.
    """
    names = [column.name for column in signature.logged]
    names += [PREDICTION] if PREDICTION not in names else []
    found: dict[tuple[str, str], Metric | None] = {
        (name, column): _undefined(name, column, log.rows) for column in names for name in by
    }
    coordinates = [column.name for column in signature.measured if _COORDINATE.fullmatch(column.name)]
    whole = bool(coordinates) and EMBEDDING not in names
    found |= {(name, EMBEDDING): _undefined(name, EMBEDDING, log.rows) for name in by if whole}
    if reference is not None and log.rows:
        pairs = _pairs(log, reference, signature)
        parts = [pair for pair in pairs if pair[0].name in coordinates]
        for name, test in by.items():
            found |= {(name, pair[0].name): distance(name, *pair, test) for pair in pairs}
            if whole and len(parts) == len(coordinates):
                found[name, EMBEDDING] = _together(name, parts, test)
    return [one for one in found.values() if one is not None]


def _pairs(log: Log, reference: Reference, signature: Signature) -> list[tuple[ColumnProfile, ColumnProfile]]:
    """What the reference counted, and the log in the same edges and levels."""
    logged = {column.name for column in log.logged}
    stored = [column for column in reference.profile.columns if column.name in logged]
    inputs = log.frame.select(pl.col(INPUT + column.name).alias(column.name) for column in stored)
    pairs = list(zip(stored, profile_live.against(inputs, stored).columns, strict=True)) if stored else []
    answers = _answers(log, signature, reference.prediction)
    named = PREDICTION in {column.name for column in signature.logged}
    if reference.prediction is not None and answers is not None and not named:
        pairs.append((reference.prediction, answers))
    return pairs


def _answers(log: Log, signature: Signature, reference: ColumnProfile | None) -> ColumnProfile | None:
    """The predictions counted like the reference's: the positive class's probability, the label, or the number."""
    if reference is None:
        return None
    if signature.task == "binary":
        value = pl.col("proba").list.get(signature.positive_index(), null_on_oob=True)
    elif signature.task == "regression":
        value = pl.col("prediction").cast(pl.Float64, strict=False)
    else:
        value = pl.col("prediction")
    try:
        return profile_live.against(log.frame.select(value.alias(PREDICTION)), [reference]).columns[0]
    except MlopsError:
        return None  # a profile of predictions that is not of this task


def _together(name: str, parts: Sequence[tuple[ColumnProfile, ColumnProfile]], test: DriftTest) -> Metric | None:
    """The distance of an embedding: the largest of its k coordinates', in an interval that allows for having chosen.

    Each coordinate's interval may miss with a chance of 0.05 / k (Bonferroni), so that all of them hold with 95 %, and
    then the largest distance lies between the largest lower and the largest upper end. It sees what moves along a
    coordinate, and not a change of how coordinates go together.
    """
    each = [distance(name, *pair, test, 0.05 / len(parts)) for pair in parts]
    known = [one for one in each if one is not None and one.value is not None]
    rows = max((one.n for one in known), default=1)
    if len(known) < len(parts):
        return _undefined(name, EMBEDDING, rows)
    low, value, high = (max(getattr(one, end) for one in known) for end in ("low", "value", "high"))
    return Metric(name, value, low, high, rows, EMBEDDING)


def distance(
    name: str, reference: ColumnProfile, live: ColumnProfile, test: DriftTest, error: float = 0.05
) -> Metric | None:
    """One distance; None where the test does not apply to this kind of column."""
    if not test.applies(reference):
        return None
    rows = sum(live.counts) + (live.other or 0) + live.nulls
    drift: Drift = test.compare(reference, live, error=error)
    if not rows or math.isnan(drift.statistic) or (drift.p_value is None and math.isinf(drift.high)):
        return _undefined(name, reference.name, rows)
    return Metric(name, drift.statistic, drift.low, drift.high, rows, reference.name)


def _undefined(name: str, column: str, rows: int = 1) -> Metric:
    return Metric(name, None, None, None, max(1, rows), column)
