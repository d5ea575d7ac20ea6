"""How probabilities become an answer, `decision.json`: calibration, threshold and costs, around any model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import costs as pricing
from mlops_cli.runtime import rows
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.predictors import Explainer, Explanation, Prediction, Predictor
from mlops_cli.runtime.signature import Signature

FILE = "decision.json"
FORMAT = 1
USUAL = 0.5
"""The threshold of a model that says nothing else."""

Floats = NDArray[np.float64]
Method = Literal["isotonic", "platt"]

_SURE = 1e-15  # the nearest that a probability comes to 0 or 1 before its log-odds are taken
_FAR = 500.0  # beyond this many log-odds a probability is 0 or 1 in floating point anyway


class Curve(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """From the model's own probability of a class to the calibrated one.

    isotonic: straight lines through the points `x`, `y`, flat beyond the ends. platt: 1 / (1 + exp(a f + b)) of the
    log-odds f; a = -1, b = 0 changes nothing.
    """

    x: list[float] = []
    y: list[float] = []
    a: float = -1.0
    b: float = 0.0

    @cached_property
    def points(self) -> tuple[Floats, Floats]:
        """`x` and `y` as arrays; kept, since a single row takes less time than making them."""
        return np.array(self.x), np.array(self.y)


class Calibration(msgspec.Struct, frozen=True):
    """One curve, of the positive class, or one for each class; learnt from `rows` rows."""

    method: Method
    curves: list[Curve]
    rows: int


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """How probabilities become answers.

    `threshold` is from which probability on a binary model answers with the positive class, None for 0.5 and for other
    models. With `least` the answer is the class of least expected cost. `chosen` is what was asked for in words, such
    as `f1` or `precision>=0.9`; `costs` are what errors cost, whether or not the answer depends on them.
    """

    calibration: Calibration | None = None
    threshold: float | None = None
    least: bool = False
    chosen: str | None = None
    costs: Costs | None = None
    format: int = FORMAT

    @property
    def changes(self) -> bool:
        """Whether answers are other than the model's own."""
        return self.calibration is not None or self.threshold is not None or self.least


class Decided:
    """A model that answers by a decision; meets `predictors.Predictor`, safe to call from several threads."""

    def __init__(self, inner: Predictor, decision: Decision) -> None:
        self.inner = inner
        self.signature: Signature = deciding(inner.signature)
        self._decision = decision
        self._single = not any(column.type == "image" for column in self.signature.columns)

    def predict(self, batch: Batch) -> Prediction:
        """The answers for all rows of a batch, as the wrapped model raises."""
        return decided(self.inner.predict(batch), self._decision, self.signature)

    def answer(self, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON rows in, JSON-ready answers out; rows.RequestError when a row does not fit the signature."""
        if len(given) == 1 and self._single:
            return [self._one(self.inner.answer(given)[0]["proba"])]
        return rows.answers(self.signature, self.predict(rows.batch_from_rows(self.signature, given)))

    def _one(self, own: list[float]) -> dict[str, Any]:
        """One row's answer from the model's own probabilities: the same as `decided`, without arrays if it can."""
        classes, made = self.signature.classes or [], self._decision
        if made.calibration is None and made.threshold is not None:
            positive = self.signature.positive_index()
            return {"prediction": classes[positive if own[positive] >= made.threshold else 1 - positive], "proba": own}
        found = decided(Prediction(np.empty(1), np.array([own])), made, self.signature)
        assert found.proba is not None
        return {"prediction": classes[found.values[0]], "proba": found.proba[0].tolist()}


class _Explaining(Decided):
    """The same around a model that can say why."""

    def explain(self, batch: Batch) -> Explanation:
        """Why the wrapped model answers so, as it raises: what adds up to its raw score, which is not calibrated."""
        assert isinstance(self.inner, Explainer)
        return self.inner.explain(batch)


def deciding(signature: Signature) -> Signature:
    """The signature of a model whose answers are decided, which a reader that knows of no decisions refuses."""
    return msgspec.structs.replace(signature, decides=True, format=2)


def around(predictor: Predictor, decision: Decision | None) -> Predictor:
    """The predictor that answers by a decision: the same one where nothing changes."""
    if decision is None or not decision.changes:
        return predictor
    return (_Explaining if isinstance(predictor, Explainer) else Decided)(predictor, decision)


def own(predictor: Predictor) -> Predictor:
    """The model without its decision."""
    return predictor.inner if isinstance(predictor, Decided) else predictor


def decided(own: Prediction, decision: Decision, signature: Signature) -> Prediction:
    """The answers of a classifier, from what the model itself said: shapes as in `Prediction`.

    Every step is made element by element, so that the answer to a row does not depend on its neighbours.
    """
    assert own.proba is not None
    proba = own.proba if decision.calibration is None else calibrated(own.proba, decision.calibration, signature)
    measured = own.measured
    if measured is not None and "confidence" in measured:
        measured = {**measured, "confidence": proba.max(axis=1, initial=0.0)}
    return Prediction(_answers(proba, decision, signature), proba, measured)


def _answers(proba: Floats, decision: Decision, signature: Signature) -> NDArray[np.int32]:
    """The codes of the classes that are answered with, (n,), from (n, k) probabilities."""
    if decision.least:
        assert decision.costs is not None
        return _codes(expected(proba, np.array(decision.costs.table)).argmin(axis=1))
    if signature.task != "binary":
        return _codes(proba.argmax(axis=1))
    positive = signature.positive_index()
    reached = proba[:, positive] >= (USUAL if decision.threshold is None else decision.threshold)
    return _codes(np.where(reached, positive, 1 - positive))


def _codes(values: Any) -> NDArray[np.int32]:
    return np.asarray(values, np.int32)


def expected(proba: Floats, table: Floats) -> Floats:
    """What each answer is expected to cost: shape (n, k), from (n, k) probabilities and a (k, k) table (Elkan 2001)."""
    found = np.zeros_like(proba)
    for actual, costs in enumerate(table):  # not a matrix product, which adds up in another order for a single row
        found += proba[:, actual, None] * costs
    return found


def calibrated(proba: Floats, calibration: Calibration, signature: Signature) -> Floats:
    """Calibrated probabilities (n, k): of two classes by the positive one; of more each against the rest, then
    divided by their sum (Zadrozny & Elkan 2002)."""
    found = np.empty(proba.shape)
    if signature.task == "binary":
        positive = signature.positive_index()
        found[:, positive] = mapped(proba[:, positive], calibration.method, calibration.curves[0])
        found[:, 1 - positive] = 1.0 - found[:, positive]
        return found
    total = np.zeros(len(proba))
    for code, curve in enumerate(calibration.curves):
        found[:, code] = mapped(proba[:, code], calibration.method, curve)
        total += found[:, code]
    none = total <= 0.0
    found[none], total[none] = 1.0, float(len(calibration.curves))
    return np.asarray(found / total[:, None])


def mapped(own: Floats, method: Method, curve: Curve) -> Floats:
    """The calibrated probabilities of one class, (n,), from the model's own."""
    if method == "isotonic":
        return np.asarray(np.interp(own, *curve.points))
    exponent = np.minimum(np.maximum(curve.a * log_odds(own) + curve.b, -_FAR), _FAR)
    return np.asarray(1.0 / (1.0 + np.exp(exponent)))


def log_odds(proba: Floats) -> Floats:
    """ln(p / (1 - p)), finite for 0 and 1 too."""
    within = np.minimum(np.maximum(np.ascontiguousarray(proba), _SURE), 1.0 - _SURE)  # faster than clip for one row
    return np.asarray(np.log(within) - np.log1p(-within))


def encode(decision: Decision) -> bytes:
    """The bytes of `decision.json`, the same for the same decision."""
    return msgspec.json.format(msgspec.json.encode(decision), indent=1) + b"\n"


def decode(data: bytes, signature: Signature) -> Decision:
    """Read `decision.json`; Corrupt if it is not one that this version understands, or contradicts the signature."""
    try:
        found = msgspec.json.decode(data, type=Decision)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{FILE}: {error}", _HINT) from None
    if found.format > FORMAT:
        raise Corrupt(f"{FILE}: format {found.format} is newer than this mlops ({FORMAT})", "upgrade mlops-cli")
    wrong = _problem(found, signature)
    if wrong:
        raise Corrupt(f"{FILE}: {wrong}", _HINT)
    return found


def read(read: Callable[[str], bytes], has: Callable[[str], bool], signature: Signature) -> Decision | None:
    """The decision of a model's files; None without one. Corrupt where it should be and is not."""
    if has(FILE):
        return decode(read(FILE), signature)
    if signature.decides:
        raise Corrupt(f"{FILE} is missing, by which the model's answers are decided", _HINT)
    return None


_HINT = "the model directory is damaged; train or fetch it again"


def _problem(decision: Decision, signature: Signature) -> str:
    """What contradicts itself or the signature, or nothing."""
    classes = signature.classes
    if decision.changes and classes is None:
        return "a regression has no probabilities to decide by"
    if decision.changes != bool(signature.decides):
        return "signature.json says otherwise of whether answers are decided"
    if decision.threshold is not None and (signature.task != "binary" or not 0 <= decision.threshold <= 1):
        return "a threshold is between 0 and 1, and of two classes"
    if decision.least and (decision.costs is None or decision.threshold is not None):
        return "the least cost needs costs and no threshold"
    if decision.costs is not None and pricing.problem(decision.costs, signature):
        return pricing.problem(decision.costs, signature)
    if decision.calibration is None:
        return ""
    wanted = 1 if signature.task == "binary" else len(classes or ())
    if len(decision.calibration.curves) != wanted:
        return f"{len(decision.calibration.curves)} curves where there should be {wanted}"
    return next(filter(None, (_bent(curve, decision.calibration.method) for curve in decision.calibration.curves)), "")


def _bent(curve: Curve, method: Method) -> str:
    """What is wrong with a curve, or nothing."""
    if method == "platt":
        return "" if np.isfinite([curve.a, curve.b]).all() else "a curve is not finite"
    x, y = curve.points
    if not len(x) or len(x) != len(y) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return "the points of a curve are not pairs of finite numbers"
    if (np.diff(x) <= 0).any() or (np.diff(y) < 0).any() or y[0] < 0 or y[-1] > 1:
        return "a curve does not rise from 0 to 1"
    return ""
