"""The family CNN, a small residual network for images: trained here by torch, answered by `runtime/` from ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_cli.errors import MissingExtra
from mlops_cli.models import cnn_settings
from mlops_cli.models.base import Settings, Tables, Trainer
from mlops_cli.models.target import Target
from mlops_cli.runtime.signature import Task

LIBRARIES = ("torch", "onnx", "onnxruntime", "safetensors", "pillow", "numpy")
SHARED = cnn_settings.OF_DATA
TERMS = ("--class-weight",)


def settings(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of `--set`, checked; Usage for an unknown name or a bad value."""
    return cnn_settings.read(given)


def metrics(task: Task, settings: Settings) -> dict[str, bool]:
    """What `--metric` may be, the default first: name → whether higher is better."""
    return dict(cnn_settings.METRICS[task])


def trainer(tables: Tables, target: Target, metric: str, seed: int, settings: Settings) -> Trainer:
    """Decode the images for fits; of the `settings` `size` says how large they are seen. MissingExtra."""
    # Imported here, since torch takes seconds that a model which is known already need not wait for.
    try:
        from mlops_cli.models import cnn_fit
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in ("torch", "onnx", "safetensors", "onnxruntime", "PIL"):
            raise
        raise MissingExtra.of(name, "vision") from None
    return cnn_fit.CNN(tables, target, metric, seed, {name: settings[name] for name in SHARED if name in settings})
