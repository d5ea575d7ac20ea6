"""What a model carries besides itself: signature, profile, example, metrics, and the file that MLflow reads."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import UnsetType
from numpy.typing import NDArray
from polars import selectors

from mlops_cli.metrics.base import Measurements, text_of
from mlops_cli.models.target import Target
from mlops_cli.models.terms import Terms
from mlops_cli.runtime import rules
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.predictors import Prediction, Predictor
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import batches, evaluate_measure, mlmodel, profile, tables, train_baseline
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.records import records
from mlops_cli.steps.tables import Table
from mlops_cli.steps.train_data import Counted, Source
from mlops_cli.store.artefact import Artefact

EXAMPLE_ROWS, EXAMPLE_IMAGES = 5, 2
_SAME = {kind: (kind,) for kind in ("bool", "int", "string", "date", "datetime")} | {"float": ("float", "int")}
"""What type of column a rule may be for to be held against one of the signature's types."""


def files(
    rows: Counted,
    target: Target,
    predictor: Predictor,
    final: Predictor,
    source: Source,
    seed: int,
    asked: Terms,
    honest: Prediction | None = None,
) -> dict[str, bytes]:
    """The files that every family's models have, by name; the same bytes for the same model and rows.

    `predictor` has not seen the valid rows, and is measured on them; `final` is the model that is kept. `honest` are
    answers to the valid rows to measure by, where the model's own would flatter it.
    """
    name = source.train.name
    signature = predictor.signature
    valid = rows.train if rows.valid is None else rows.valid
    answered = _answered(valid, signature, predictor, name)
    given = [column.name for column in signature.accepted if column.type != "image" and column.name != source.time]
    sketched = profile.build(rows.train, [*given, target.name])
    read_off = [profile.measured(column, (answered.measured or {})[column.name]) for column in signature.measured]
    sketched = msgspec.structs.replace(
        sketched, columns=[*sketched.columns, *read_off], prediction=_sketched(signature, answered)
    )
    measured = _measured(rows, target, signature, honest or answered, seed, asked)
    return {
        signatures.FILE: signatures.encode(msgspec.structs.replace(signature, aside=_aside(signature, source.train))),
        "profile.json": _json(sketched),
        "example.json": _json(_example(rows.train, final)),
        "metrics.json": _json(measured),
        mlmodel.FILE: mlmodel.encode(signature),
        **_rules(source.train.rules, signature),
    }


def _aside(signature: Signature, table: Table) -> list[str]:
    """The columns of the training data that the model does not take, in their order; the target is one."""
    known = {column.name for column in (*signature.accepted, *signature.measured)}
    return [name for name in tables.schema_of(table.frame, table.name) if name not in known]


def _rules(given: bytes | None, signature: Signature) -> dict[str, bytes]:
    """The rules of the model's own columns, which guard it in use; nothing where there are none."""
    if given is None:
        return {}
    passed = rules.decode(given)
    kinds = {column.name: column.type for column in (*signature.accepted, *signature.measured)}
    own = [rule for rule in passed.rules if rule.type in _SAME.get(kinds.get(rule.column, ""), ())]
    return {rules.FILE: msgspec.structs.replace(passed, rules=own, left_out=[]).encode()} if own else {}


def measured(model: Artefact) -> dict[str, Any]:
    """What `--json` tells of a model: rounds, and the metrics on the valid rows."""
    found = model.json("metrics.json", Measurements)
    numbers = {metric.name: metric.value for metric in found.metrics if metric.column is None}
    told = {"task": found.task, "rounds": model.manifest.params.get("rounds"), "valid": numbers}
    return told if isinstance(found.baseline, UnsetType) else told | {"baseline": train_baseline.told(found.baseline)}


def _json(value: Any) -> bytes:
    """Readable JSON, the same for the same value."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _answered(frame: pl.LazyFrame, signature: Signature, predictor: Predictor, name: str) -> Prediction:
    """The model's answers for all rows of a frame."""
    found = [batches.predict(predictor, batch, name) for _, batch in batches.batches(frame, signature, name)]
    values = np.concatenate([answer.values for answer in found])
    probas = [answer.proba for answer in found if answer.proba is not None]
    measured = {
        column.name: np.concatenate([(answer.measured or {})[column.name] for answer in found])
        for column in signature.measured
    }
    return Prediction(values, np.concatenate(probas) if probas else None, measured or None)


def _sketched(signature: Signature, answered: Prediction) -> Any:
    """How the model's own answers are distributed: of two classes the probability of the positive one."""
    if signature.classes is None:
        return profile.prediction(answered.values)
    if signature.task == "binary" and answered.proba is not None:
        return profile.prediction(np.ascontiguousarray(answered.proba[:, signature.positive_index()]))
    return profile.prediction(answered.values, [text_of(label) for label in signature.classes])


def _measured(
    rows: Counted, target: Target, signature: Signature, answered: Prediction, seed: int, asked: Terms
) -> Measurements:
    """The metrics on the valid rows, and beside them those of the baseline; none without valid rows."""
    if rows.valid is None:
        return Measurements(
            task=signature.task,
            target=target.name,
            rows=0,
            metrics=[],
            positive=signature.positive,
            classes=signature.classes,
        )
    truth = rows.valid.select(target.column).collect(engine="streaming").to_series()
    actual: NDArray[np.generic] = truth.cast(pl.Float64).to_numpy() if target.classes is None else target.codes(truth)
    predicted = answered.values.astype(np.float64 if target.classes is None else np.int64)
    answers = Answers(actual, predicted, answered.proba, list(signature.classes or []), dropped=0)
    found = evaluate_measure.measure(answers, signature, seed=seed, cells=evaluate_measure.COARSE)
    return msgspec.structs.replace(found, baseline=train_baseline.beside(rows, target, answers, signature, seed, asked))


def _example(frame: pl.LazyFrame, predictor: Predictor) -> dict[str, Any]:
    """A request that can be repeated anywhere, and its answer."""
    signature = predictor.signature
    rows = EXAMPLE_IMAGES if any(column.type == "image" for column in signature.columns) else EXAMPLE_ROWS
    asked = records(frame.select(selectors.by_name(*signature.names)).head(rows).collect(), signature)
    answers = [{k: v for k, v in answer.items() if k != "measured"} for answer in predictor.answer(asked)]
    return {"request": {"dataframe_records": asked}, "answer": {"predictions": answers}}
