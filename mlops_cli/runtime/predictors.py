"""What answers: the interface of a loaded model, and the allow-list of the code that may load one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.signature import Signature


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for n rows.

    `values` has shape (n,): float64 for a regression, else int32 codes into `signature.classes`. `proba` has
    shape (n, k), a row sums to 1, columns in the order of `signature.classes`; None for a regression. `measured`
    has an array of shape (n,) for each column of `signature.measured`, NaN where there is no value.
    """

    values: NDArray[Any]
    proba: NDArray[np.float64] | None = None
    measured: Mapping[str, NDArray[Any]] | None = None


class Predictor(Protocol):
    """A loaded model; safe to call from several threads."""

    @property
    def signature(self) -> Signature: ...

    def predict(self, batch: Batch) -> Prediction:
        """The answers for all rows of a batch that has the signature's columns."""

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON rows in, JSON-ready answers out: equal to rows.answers(predict(rows.batch_from_rows(rows))).

        An answer's `measured` is for the log alone. With a shorter way for a single row. rows.RequestError when a row
        does not fit the signature.
        """


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why n rows were answered as they were.

    Of a table `values` has shape (n, k): what each of `columns` adds to the raw score, the last of them (`BASE`) being
    what it is without any; a row adds up to its raw score. Of images `columns` is None, and `values` are the heat maps
    of `occlusion.saliency`, shape (n, rows, columns).
    """

    values: NDArray[Any]
    columns: Sequence[str] | None = None


BASE = "(base)"
"""What stands in the place of a column for the mean raw score."""


@runtime_checkable
class Explainer(Protocol):
    """A loaded model that can say why."""

    def explain(self, batch: Batch) -> Explanation:
        """Why the rows of a batch are answered as they are; RequestError for an image that cannot be decoded."""


def load(directory: Path, threads: int = 1) -> Predictor:
    """The predictor of a model directory, every byte of which is checked against the manifest's digests.

    `threads` is how many a batch may use; one row always takes one. Raises Missing, WrongKind, Corrupt or
    Integrity.
    """
    from mlops_cli.runtime import decision
    from mlops_cli.store.artefact import open_artefact

    model = open_artefact(directory, ("model",))
    signature = signatures.decode(model.read(signatures.FILE))
    loader = _LOADERS.get(signature.family)
    if loader is None:
        known = ", ".join(sorted(_LOADERS))
        raise Corrupt(f"{directory}: model family {signature.family!r} is not one of {known}")
    found = decision.read(model.read, model.has, signature)
    return decision.around(loader(model.read, signature, threads), found)


def _lightgbm(read: Callable[[str], bytes], signature: Signature, threads: int) -> Predictor:
    from mlops_cli.runtime import features, lightgbm

    return lightgbm.Model(read(lightgbm.FILE), features.decode(read(features.FILE)), signature, threads=threads)


def _images(read: Callable[[str], bytes], signature: Signature, threads: int) -> Predictor:
    from mlops_cli.runtime import image_model, images

    return image_model.Model(read(image_model.FILE), images.decode(read(images.FILE)), signature, threads)


def _onnx(read: Callable[[str], bytes], signature: Signature, threads: int) -> Predictor:
    if any(column.type == "image" for column in signature.columns):
        return _images(read, signature, threads)
    from mlops_cli.runtime import onnx_table

    return onnx_table.Model(read(onnx_table.FILE), onnx_table.decode(read(onnx_table.TABLE)), signature)


# The only code that may load a model is named here, never in an artefact.
_LOADERS: dict[str, Callable[[Callable[[str], bytes], Signature, int], Predictor]] = {
    "lightgbm": _lightgbm,
    "cnn": _images,
    "onnx": _onnx,
}
