"""LightGBM models answered by the C library itself: no lightgbm package, no scipy, 3 µs a row."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Integrity, Usage
from mlops_cli.runtime import lightgbm_text, rows
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.features import Features, matrix
from mlops_cli.runtime.lightgbm_library import Booster
from mlops_cli.runtime.predictors import BASE, Explanation, Prediction
from mlops_cli.runtime.signature import Signature
from mlops_cli.runtime.single import Encoder

FILE = "model.txt"
THRESHOLD = 0.5
CELLS = 4_000_000
"""Contributions that are held at a time, about, of eight bytes each: many classes and columns make many."""


class Model:
    """A LightGBM model with its fitted preparation; meets `predictors.Predictor`, safe to call from several threads."""

    def __init__(self, text: bytes, features: Features, signature: Signature, threads: int = 1) -> None:
        """From the bytes of model.txt; Integrity when its structure is unsound or does not fit the other files."""
        shape = lightgbm_text.check(text)
        _agree(shape, features, signature)
        self.signature = signature
        self._features = features
        self._threads = threads
        self._depth = shape.depth
        self._classes = shape.classes
        self._booster = Booster(text, shape.classes)
        self._encoder = Encoder(signature, features)
        self._one = self._booster.single(shape.features)
        self._pack = struct.Struct(f"{shape.features}d").pack_into
        self._lock = Lock()  # the buffers of a single row are shared

    def predict(self, batch: Batch) -> Prediction:
        """The answers for all rows of a batch that has the signature's columns."""
        return self.answers_of(matrix(self._features, batch))

    def answers_of(self, values: NDArray[np.float64]) -> Prediction:
        """The answers for a matrix of shape (n, k) as `features.matrix` makes it."""
        return self._prediction(self._booster.predict(values, self._threads))

    def explain(self, batch: Batch) -> Explanation:
        """What each input column adds to the raw score: of the positive class when binary, of the predicted one when
        multiclass, of the value for a regression (its logarithm with an objective such as poisson).

        Usage for a model with a tree so deep that the library's recursion would not be safe.
        """
        if self._depth >= lightgbm_text.DEEP:
            raise Usage(f"a tree of the model is {self._depth} splits deep or more, too deep to explain")
        values = matrix(self._features, batch)
        codes = self.answers_of(values).values if self.signature.task == "multiclass" else np.zeros(len(values), int)
        widths = [column.width for column in self._features.columns]
        starts = np.cumsum([0, *widths])  # parts of a time, buckets of words are one column; the last is the base
        made = np.empty((len(values), len(starts)))
        step = max(1_024, CELLS // (self._classes * (values.shape[1] + 1)))
        for start in range(0, len(values), step):
            some = slice(start, start + step)
            found = self._booster.contributions(values[some], self._threads)
            own = found[np.arange(len(found)), codes[some]]
            np.add.reduceat(own, starts, axis=1, out=made[some])
        return Explanation(made, [*self.signature.names, BASE])

    def answer(self, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON rows in, JSON-ready answers out; rows.RequestError when a row does not fit the signature."""
        values = self._encoder.encode(given[0]) if len(given) == 1 else None
        if values is None:
            return rows.answers(self.signature, self.predict(rows.batch_from_rows(self.signature, given)))
        with self._lock:
            self._pack(self._one.row, 0, *values)
            self._one.predict()
            scores = self._one.scores[:]
        return [self._answer(scores)]

    def _answer(self, scores: list[float]) -> dict[str, Any]:
        """One row's answer; the same rules as `_prediction`."""
        signature = self.signature
        if signature.task == "regression":
            return {"prediction": scores[0]}
        classes = signature.classes or []
        if signature.task == "multiclass":
            return {"prediction": classes[scores.index(max(scores))], "proba": scores}
        positive = signature.positive_index()
        proba = [1.0 - scores[0], scores[0]] if positive else [scores[0], 1.0 - scores[0]]
        return {"prediction": classes[positive if scores[0] >= THRESHOLD else 1 - positive], "proba": proba}

    def _prediction(self, scores: NDArray[np.float64]) -> Prediction:
        """From the library's scores of shape (n, classes) to values and probabilities in the order of classes."""
        signature = self.signature
        if signature.task == "regression":
            return Prediction(scores[:, 0])
        if signature.task == "multiclass":
            return Prediction(scores.argmax(axis=1).astype(np.int32), scores)
        positive = signature.positive_index()
        proba = np.empty((len(scores), 2))
        proba[:, positive] = scores[:, 0]
        proba[:, 1 - positive] = 1.0 - scores[:, 0]
        return Prediction(np.where(scores[:, 0] >= THRESHOLD, positive, 1 - positive).astype(np.int32), proba)


def _agree(shape: lightgbm_text.Shape, features: Features, signature: Signature) -> None:
    """Integrity unless the model, its preparation and its signature are of one piece."""
    hint = "the model directory is put together from several; train or fetch it again"
    if features.width != shape.features:
        raise Integrity(f"features.json makes {features.width} columns, the model takes {shape.features}", hint)
    if [(c.name, c.type) for c in features.columns] != [(c.name, c.type) for c in signature.columns]:
        raise Integrity("features.json and signature.json differ in their columns", hint)
    objective = shape.objective.split(" ")[0]
    task = objective if objective in ("binary", "multiclass") else "regression"
    if task != signature.task or (task == "multiclass" and len(signature.classes or ()) != shape.classes):
        raise Integrity(f"the model is made for {shape.objective}, signature.json says {signature.task}", hint)
