"""From what an ONNX model puts out to probabilities in the order of a signature's classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Integrity

Gives = Literal["probabilities", "logits"]
"""Logits become probabilities by softmax, or by the logistic function where two classes have one."""
_HINT = "the model directory is damaged, or was put together by hand; train or fetch it again"


def matrix(raw: Any, keys: Sequence[int | str] = ()) -> NDArray[np.float64]:
    """An output for n rows as shape (n, k): a tensor, or a list of maps whose values stand under `keys`."""
    if not isinstance(raw, list):
        values = np.asarray(raw, dtype=np.float64)
        return values.reshape(len(values), -1)
    try:
        return np.array([[one[key] for key in keys] for one in raw], dtype=np.float64)
    except (KeyError, TypeError):
        raise Integrity(f"the model answers no map of {', '.join(map(str, keys))}", _HINT) from None


def proba(
    values: NDArray[np.float64], classes: int, gives: Gives, order: Sequence[int] = (), temperature: float = 1.0
) -> NDArray[np.float64]:
    """Probabilities of shape (n, classes) from a `matrix`; Integrity when it is not as wide.

    `order` has for each class its column, empty: as they are. Two classes may have one column, of the second.
    """
    if gives == "logits":
        values = values / temperature
    if values.shape[1] == 1 and classes == 2:
        second = 1 / (1 + np.exp(-values)) if gives == "logits" else values
        values = np.concatenate([1 - second, second], axis=1)
    elif gives == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    if values.shape[1] != classes:
        raise Integrity(f"the model answers {values.shape[1]} classes, its signature has {classes}", _HINT)
    return values[:, list(order)] if order else values
