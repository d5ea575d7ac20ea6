"""Which metrics an evaluation will have, known before a row is read: a gate about another one is refused at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from mlops_cli.metrics import gate, per_row
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import (
    batches,
    evaluate_cost,
    evaluate_importance,
    evaluate_measure,
    evaluate_robustness,
    evaluate_slices,
)
from mlops_cli.steps.evaluate_rows import Answers, Slice

_LEVEL = "…"  # stands for the levels of a column, which only the rows tell
_CLASSES = 12


def check(
    gates: Sequence[Gate], signature: Signature, by: Sequence[str], costs: Costs | None,
    *, slices: bool, explain: bool, robustness: bool,
) -> None:  # fmt: skip
    """Refuse gates about what will not be measured, whatever the rows are; Usage."""
    if not gates:
        return
    few = msgspec.structs.replace(signature, classes=_some(signature))
    answers = _made_up(few, by)
    measured = evaluate_measure.measure(answers, few, seed=0, resamples=2)
    found = evaluate_cost.added(measured, answers, costs, 0).metrics
    if slices:
        losses = {evaluate_slices.losses(answers, signature.alpha or None)[0]} | ({"error"} if few.classes else set())
        found += [_named(f"worst_slice_{name}") for name in sorted(losses)]
        found += [_named(name, evaluate_slices.COLUMN, _LEVEL) for name in sorted(losses)]
    if batches.image_column(signature) is None:
        found += [_named(evaluate_importance.NAME, name) for name in signature.names] if explain else []
        found += _robust(few, answers) if robustness else []
    for one in gates:
        gate.known(one, found, signature.target)


def _some(signature: Signature) -> list[bool | int | float | str] | None:
    """Some of the classes, the positive one among them: thousands take their time."""
    return None if signature.classes is None else list(signature.classes[:_CLASSES])


def _made_up(signature: Signature, by: Sequence[str]) -> Answers:
    """Two rows, as if the model had answered them."""
    values = np.array([0, 1] if signature.classes else [1.0, 2.0])
    proba = None if signature.classes is None else np.full((2, len(signature.classes)), 1 / len(signature.classes))
    levels = [Slice(column, np.zeros(2, np.int64), [_LEVEL]) for column in by]
    return Answers(values, values, proba, list(signature.classes or []), 0, levels)


def _robust(signature: Signature, answers: Answers) -> list[Metric]:
    if signature.classes is not None:
        judged = {"roc_auc", "log_loss", "accuracy"} - ({"roc_auc"} if signature.task == "multiclass" else set())
    else:
        values = answers.actual, answers.predicted
        judged = {per_row.main_metric("regression", *values, None, signature.loss or None), "rmse"}
    kinds = ("noise", "missing", "unseen")
    names = [evaluate_robustness.FLIPPED, *map(evaluate_robustness.suffix, sorted(judged))]
    found = [_named(name, kind, _LEVEL) for name in names for kind in kinds]
    return [*(_named(evaluate_robustness.CHANGED, check) for check in evaluate_robustness.CHECKS), *found]


def _named(name: str, column: str | None = None, level: str | None = None) -> Metric:
    return Metric(name, None, None, None, 0, column, level)
