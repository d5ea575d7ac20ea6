"""Calibration, threshold and costs of a model that has been fitted: learnt on the valid rows, kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
import polars as pl

from mlops_cli.errors import InputUnusable, MlopsError, Usage
from mlops_cli.metrics.intervals import Floats, Ints
from mlops_cli.models.target import Target
from mlops_cli.runtime import decision
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.decision import Decision
from mlops_cli.runtime.predictors import Prediction, Predictor
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import batches, costs, train_calibrate, train_threshold
from mlops_cli.steps.costs import Stated
from mlops_cli.steps.train_data import Counted
from mlops_cli.steps.train_threshold import Wanted

FEW, FOLDS = 1_000, 5
"""Below so many valid rows isotonic curves follow noise; in so many parts its metrics are measured."""


class Deciding(Protocol):
    """What `train` was asked: see `train.Deciding`."""

    @property
    def calibrate(self) -> str | None: ...
    @property
    def threshold(self) -> str | None: ...
    @property
    def cost(self) -> str | None: ...


@dataclass(frozen=True)
class Asked:
    """The options, read. `written` is their share of a memo key and of the model's parameters."""

    method: decision.Method | None = None
    wanted: Wanted | None = None
    stated: Stated | None = None

    @property
    def written(self) -> dict[str, Any]:
        """What is asked for, by flag; of a file its digest."""
        return {
            "calibrate": self.method,
            "threshold": self.wanted and self.wanted.text,
            "cost": self.stated and self.stated.digest,
        }

    @property
    def learns(self) -> bool:
        """Whether valid rows are needed."""
        return self.method is not None or (self.wanted is not None and self.wanted.number is None)


@dataclass(frozen=True)
class Made:
    """What answers now, its files, the answers to the valid rows that flatter least, and what to tell."""

    predictor: Predictor
    files: dict[str, bytes]
    honest: Prediction | None
    notes: list[str]
    decision: Decision | None = None

    def around(self, predictor: Predictor) -> Predictor:
        """Another fit of the same model, deciding in the same way."""
        return predictor if self.decision is None else decision.around(predictor, self.decision)


def read(options: Deciding) -> Asked:
    """The options checked before any data is read. Errors: Usage, and those of `costs.read`."""
    method = next((one for one in train_calibrate.METHODS if one == options.calibrate), None)
    if options.calibrate is not None and method is None:
        raise Usage(f"--calibrate {options.calibrate!r} is unknown", f"there is: {', '.join(train_calibrate.METHODS)}")
    wanted = None if options.threshold is None else train_threshold.read(options.threshold)
    if wanted is not None and wanted.metric == "cost" and options.cost is None:
        raise Usage("--threshold cost needs --cost FILE", "it says what each kind of error costs: docs/decisions.md")
    return Asked(method, wanted, None if options.cost is None else costs.read(options.cost))


def check(asked: Asked, target: Target, rows: Counted) -> None:
    """Refuse what does not fit the target or lacks rows, before the model is fitted. Usage, InputUnusable."""
    if target.classes is None and (asked.method or asked.wanted):
        flag = "--calibrate" if asked.method else "--threshold"
        raise Usage(f"{flag} is for classes, and this is a regression of {target.name}", "--cost is for both")
    if target.task == "multiclass" and asked.wanted and asked.wanted.metric != "cost":
        raise Usage(
            f"--threshold {asked.wanted.text} is for two classes, {target.name} has {len(target.classes or ())}",
            "--threshold cost answers with the class of least expected cost",
        )
    if asked.stated is not None:
        costs.matched(asked.stated, target.classes)
    if not asked.learns or (target.task == "multiclass" and asked.method is None):
        return
    flag = "--calibrate" if asked.method else "--threshold"
    if rows.valid is None:
        raise InputUnusable(
            f"{flag} learns from valid rows, and there are none", "mlops split --valid 0.15 sets some aside"
        )
    there = rows.valid.select(target.column.n_unique()).collect(engine="streaming").item()
    if there < 2:
        raise InputUnusable(f"{flag}: all {rows.valid_rows:,} valid rows are of one class", "mlops split --stratify")


def decide(
    asked: Asked, predictor: Predictor, rows: Counted, target: Target, name: str, weight: str | None = None
) -> Made:
    """The decision for a fitted model; rows count as the column `weight` says. InputUnusable where no threshold reaches
    what is asked."""
    if asked == Asked():
        return Made(predictor, {}, None, [])
    signature = predictor.signature
    priced = None if asked.stated is None else costs.matched(asked.stated, target.classes)
    if rows.valid is None or not (asked.learns or asked.wanted):
        made, notes, honest = _learnt(asked, None, None, signature, priced), [], None
    else:
        own = _proba(rows.valid, predictor, name)
        actual = target.codes(rows.valid.select(target.column).collect(engine="streaming").to_series())
        weights = _weights(rows.valid, weight, len(actual))
        made = _learnt(asked, own, actual, signature, priced, weights)
        notes = _told(asked, made, own, actual, signature, weights)
        honest = _honest(asked, made, own, actual, decision.deciding(signature), weights) if asked.learns else None
    return Made(decision.around(predictor, made), {decision.FILE: decision.encode(made)}, honest, notes, made)


def _weights(frame: pl.LazyFrame, column: str | None, rows: int) -> Floats:
    """How much each row counts, (n,)."""
    if column is None:
        return np.ones(rows)
    return frame.select(exactly(column)).collect(engine="streaming").to_series().cast(pl.Float64).to_numpy()


def _learnt(
    asked: Asked,
    own: Floats | None,
    actual: Ints | None,
    signature: Signature,
    priced: Costs | None,
    weights: Floats | None = None,
) -> Decision:
    """The decision from (n, k) probabilities and (n,) codes of what was so, None where nothing is to be learnt."""
    calibration = None
    if asked.method is not None and own is not None and actual is not None:
        calibration = train_calibrate.fit(own, actual, asked.method, signature, weights)
        own = decision.calibrated(own, calibration, signature)
    if asked.wanted is None:
        return Decision(calibration, costs=priced)
    made = Decision(calibration, chosen=asked.wanted.text, costs=priced)
    if signature.task == "multiclass":
        return msgspec.structs.replace(made, least=True)
    threshold = asked.wanted.number
    if threshold is None:
        assert own is not None and actual is not None and weights is not None
        threshold, _ = _chosen(asked.wanted, own, actual, signature, made, weights)
    return msgspec.structs.replace(made, threshold=threshold)


def _chosen(
    wanted: Wanted, proba: Floats, actual: Ints, signature: Signature, made: Decision, weights: Floats
) -> tuple[float, float]:
    """The threshold of a binary model, and what it reaches on these rows.

    Of calibrated probabilities the one of least cost is known from the costs alone (Elkan 2001). After isotonic that is
    where these rows cost least; after platt it varies less from sample to sample than the place of the least.
    """
    positive = signature.positive_index()
    score, truth, table = proba[:, positive], actual == positive, _ordered(made.costs, positive)
    if wanted.metric == "cost" and made.calibration is not None and table is not None:
        even = train_threshold.break_even(table)
        if even is not None:
            spent = table[truth.astype(np.int64), (score >= even).astype(np.int64)]
            return even, float(np.average(spent, weights=weights))
    return train_threshold.choose(score, truth, wanted, table, weights)


def _ordered(priced: Costs | None, positive: int) -> Floats | None:
    """The table of costs with the positive class last."""
    if priced is None or priced.table is None:
        return None
    return np.array(priced.table)[np.ix_([1 - positive, positive], [1 - positive, positive])]


def _proba(frame: pl.LazyFrame, predictor: Predictor, name: str) -> Floats:
    """The model's own probabilities of all rows of a frame."""
    found: list[Floats] = []
    for _, batch in batches.batches(frame, predictor.signature, name):
        proba = batches.predict(predictor, batch, name).proba
        if proba is None:
            raise InputUnusable(
                "the model gives no probabilities to decide by", "leave --calibrate and --threshold out"
            )
        found.append(proba)
    return np.concatenate(found)


def _honest(
    asked: Asked, made: Decision, own: Floats, actual: Ints, signature: Signature, weights: Floats
) -> Prediction:
    """The answers to the valid rows, each by a decision that was learnt on the others.

    So that metrics on the valid rows do not flatter the decision: five parts, the classes spread evenly over them.
    Where the others bear no decision, it is the whole one.
    """
    plain = Prediction(np.zeros(len(own), np.int32), own)
    found = decision.decided(plain, made, signature)
    values, proba = found.values.copy(), np.array(found.proba)
    for part in _parts(actual):
        if not weights[~part].any():
            continue
        try:
            other = _learnt(asked, own[~part], actual[~part], signature, made.costs, weights[~part])
        except MlopsError:  # no threshold reaches the limit there
            continue
        answer = decision.decided(Prediction(values[part], own[part]), other, signature)
        values[part], proba[part] = answer.values, answer.proba
    return Prediction(values, proba)


def _parts(actual: Ints) -> Iterator[Any]:
    """The rows as FOLDS masks; none when a class has a single row, which would be learnt from nothing."""
    sizes = np.bincount(actual)
    if (sizes[sizes > 0] < 2).any():
        return
    order = np.argsort(actual, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(actual), np.int64)
    rank[order] = np.arange(len(actual)) - np.repeat(starts, sizes)
    for part in range(FOLDS):
        mask = rank % FOLDS == part
        if mask.any():
            yield mask


def _told(asked: Asked, made: Decision, own: Floats, actual: Ints, signature: Signature, weights: Floats) -> list[str]:
    """What people should know of the decision, a line each."""
    notes = []
    if made.calibration is not None:
        notes.append(f"probabilities calibrated on {len(actual):,} valid rows ({made.calibration.method})")
        if made.calibration.method == "isotonic" and len(actual) < FEW:
            notes.append(
                f"warning: {len(actual):,} valid rows are few for isotonic, which then follows noise: take platt"
            )
        if any(curve.a >= 0 for curve in made.calibration.curves):
            notes.append("warning: higher scores do not mean higher probabilities on the valid rows: look at the split")
    if made.least:
        notes.append("answers with the class of least expected cost")
    elif made.threshold is not None and asked.wanted is not None and asked.wanted.number is None:
        notes += _threshold_told(asked.wanted, made, own, actual, signature, weights)
    elif made.threshold is not None:
        notes.append(f"threshold {made.threshold:g}, as given")
    return notes


def _threshold_told(
    wanted: Wanted, made: Decision, own: Floats, actual: Ints, signature: Signature, weights: Floats
) -> list[str]:
    """The threshold that was chosen, and what it would be in theory."""
    proba = own if made.calibration is None else decision.calibrated(own, made.calibration, signature)
    positive = signature.positive_index()
    reached = _chosen(wanted, proba, actual, signature, made, weights)[1]
    what = wanted.metric if wanted.least is None else {"precision": "recall", "recall": "precision"}[wanted.metric]
    unit = f" {made.costs.unit}" if wanted.metric == "cost" and made.costs else ""
    few = int((actual == positive).sum())
    text = f"threshold {made.threshold:.4g} for {wanted.text}: {what} {reached:.4g}{unit} on {len(actual):,} valid rows"
    notes = [f"{text} ({few:,} positive)"]
    table = _ordered(made.costs, positive)
    even = None if table is None or wanted.metric != "cost" else train_threshold.break_even(table)
    if even is not None and made.calibration is None:
        notes.append(f"were probabilities exact, {even:.4g} would cost least: --calibrate decides by that")
    return notes
