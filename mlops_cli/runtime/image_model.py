"""Models of images answered by onnxruntime: one at a time, so that no answer depends on its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import images, occlusion, onnx_answers, onnx_session, rows
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.images import STATISTICS, Picture, Preparation, Undecodable
from mlops_cli.runtime.predictors import Explanation, Prediction
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn, Signature

FILE = "model.onnx"


def measured(embedding: int, classes: bool) -> list[InputColumn]:
    """What is measured of every image: size, statistics, the highest probability, and `embedding` coordinates."""
    names = [*STATISTICS, *(["confidence"] if classes else []), *(f"embedding_{n + 1}" for n in range(embedding))]
    return [InputColumn("width", "int"), InputColumn("height", "int"), *(InputColumn(name, "float") for name in names)]


class Model:
    """An image classifier or regression; meets `predictors.Predictor`, safe to call from several threads."""

    def __init__(self, onnx: bytes, preparation: Preparation, signature: Signature, threads: int = 1) -> None:
        """From the bytes of model.onnx; Integrity or Corrupt when it is unsound or does not fit the other files."""
        self.signature = signature
        self._preparation = preparation
        self._threads = threads
        outputs = [preparation.logits, *([preparation.embedding] if preparation.embedding else [])]
        self._session = onnx_session.Session(onnx, [preparation.input], outputs)
        self._image = _image_column(signature)
        self._least = max(images.WORKING, preparation.height, preparation.width)

    def predict(self, batch: Batch) -> Prediction:
        """The answers for all images of a batch; RequestError for one that cannot be decoded."""
        data = batch[self._image].values
        found = list(self._map(range(len(data)), data, self._one))
        if not found:
            return self._nothing()
        logits = np.stack([one[0] for one in found])
        told = [column.name for column in self.signature.measured]
        values, proba = self._answers(logits)
        if proba is not None:
            for (_, seen), confidence in zip(found, proba.max(axis=1), strict=True):
                seen["confidence"] = float(confidence)
        read = {name: np.array([seen.get(name, np.nan) for _, seen in found]) for name in told}
        return Prediction(values, proba, read)

    def answer(self, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON rows in, JSON-ready answers out; RequestError when a row does not fit the signature."""
        return rows.answers(self.signature, self.predict(rows.batch_from_rows(self.signature, given)))

    def raw(self, batch: Batch) -> list[NDArray[np.float32]]:
        """What the file itself puts out, (1, classes) for each image; RequestError for one that cannot be decoded."""
        data = batch[self._image].values
        return [logits[None] for logits, _ in self._map(range(len(data)), data, self._one)]

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The raw answers for pixels of shape (n, height, width, channels): (n, classes)."""
        tensors = images.tensor(pixels, self._preparation)
        return np.concatenate([self._session.run([one[None]])[0] for one in tensors])

    def explain(self, batch: Batch) -> Explanation:
        """By how much the predicted class's probability (or the value) falls where a patch is hidden."""
        data = batch[self._image].values
        found = list(self._map(range(len(data)), data, self._saliency))
        return Explanation(np.stack(found) if found else np.empty((0, 0, 0), np.float32))

    def view(self, data: bytes) -> NDArray[np.uint8]:
        """An image as the model sees it, shape (height, width, channels); images.Undecodable when it is none."""
        return images.pixels(images.opened(data, self._least), self._preparation)

    def _saliency(self, row: int, data: bytes) -> NDArray[np.float32]:
        """The heat map of one image."""
        pixels = images.pixels(self._opened(row, data), self._preparation)
        values, _ = self._answers(self.logits(pixels[None]))

        def score(given: NDArray[np.uint8]) -> NDArray[np.float64]:
            answers, chances = self._answers(self.logits(given))
            return np.asarray(answers if chances is None else chances[:, values[0]], np.float64)

        fill = np.round(np.asarray(self._preparation.mean) * 255).clip(0, 255).astype(np.uint8)
        return occlusion.saliency(pixels, score, fill)

    def _map(self, numbers: Sequence[int], data: NDArray[Any], work: Callable[[int, bytes], Any]) -> Any:
        if self._threads > 1 and len(data) > 1:
            return self._pool.map(work, numbers, data)
        return map(work, numbers, data)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, "images")

    def _opened(self, row: int, data: bytes) -> Picture:
        try:
            return images.opened(data, self._least)
        except Undecodable as error:
            raise RequestError(f"column {self._image!r}: {error}", row, self._image) from None

    def _one(self, row: int, data: bytes) -> tuple[NDArray[np.float32], dict[str, float]]:
        """The logits of one image, and what was measured of it."""
        picture = self._opened(row, data)
        pixels = images.pixels(picture, self._preparation)
        outputs = self._session.run([images.tensor(pixels[None], self._preparation)])
        seen: dict[str, float] = {"width": picture.width, "height": picture.height, **images.statistics(picture)}
        if len(outputs) > 1:
            seen |= {f"embedding_{n + 1}": float(value) for n, value in enumerate(outputs[1][0])}
        return outputs[0][0], seen

    def _answers(self, logits: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        """Values and probabilities."""
        if self.signature.classes is None:
            return onnx_answers.matrix(logits)[:, 0], None
        how = self._preparation
        values, classes = onnx_answers.matrix(logits), len(self.signature.classes)
        proba = onnx_answers.proba(values, classes, how.gives, how.order, how.temperature)
        return proba.argmax(axis=1).astype(np.int32), proba

    def _nothing(self) -> Prediction:
        """The answer to no images."""
        classes = self.signature.classes
        proba = None if classes is None else np.empty((0, len(classes)))
        read = {column.name: np.empty(0) for column in self.signature.measured}
        return Prediction(np.empty(0, np.float64 if classes is None else np.int32), proba, read)


def _image_column(signature: Signature) -> str:
    """The one column that holds the images."""
    found = [column.name for column in signature.columns if column.type == "image"]
    if len(found) != 1 or len(signature.columns) != 1:
        raise Corrupt("a model of images takes one column, the image", "the model directory is damaged")
    return found[0]
