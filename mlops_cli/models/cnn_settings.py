"""What `--set` and `--space` may say of the CNN, and what holds when they say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_cli.models import settings as rules
from mlops_cli.models.settings import SWITCH, Number, Rule
from mlops_cli.runtime.signature import Task

METRICS: dict[Task, dict[str, bool]] = {
    "binary": {"log_loss": False, "accuracy": True},
    "multiclass": {"log_loss": False, "accuracy": True},
    "regression": {"rmse": False, "mae": False},
}
"""Name → whether higher is better, by task, the default first."""

OF_DATA = ("size",)
"""Settings that decide how images are stored: alike for all fits on one data set."""

WORK = 450_000
"""Images of 32 × 32 pixels that a fit sees, unless that would be too few or too many times the same."""
LEAST_EPOCHS, MOST_EPOCHS = 6, 40
OFTEN = 20
"""Where images are so many that each is usually seen less often than this, they are not blanked nor changed in light:
it would slow learning down. Few images need it, however often they are seen."""
BATCH = 512
PARTS = 8
"""A batch is cut in at most this many parts, each computed on one thread: more threads do not help."""
LEAST_PART = 32

_SHARE = Number(False, 0, 1)
_KNOWN: dict[str, Rule] = {
    "size": Number(True, 16, 512),
    "width": Number(True, 4, 512),
    "depth": Number(True, 1, 8),
    "epochs": Number(True, 1, 10_000),
    "batch_size": Number(True, 4, 8192),
    "learning_rate": Number(False, 0, 100, open=True),
    "momentum": Number(False, 0, 0.999),
    "weight_decay": Number(False, 0, 1),
    "label_smoothing": Number(False, 0, 0.9),
    "flip": SWITCH,
    "shift": Number(False, 0, 0.5),
    "cutout": _SHARE,
    "jitter": _SHARE,
    "class_weights": SWITCH,
    "patience": Number(True, 0),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class Recipe:
    """All that decides a fit on given images. `learning_rate` is the highest one for batches of BATCH images.

    `shift`, `cutout` and `jitter` are shares: of the side that an image is moved by at most, of the side of the square
    that is blanked, of the brightness and contrast that are changed at most. `patience` is the number of epochs without
    a better metric after which a fit ends, 0: never.
    """

    epochs: int
    batch_size: int
    parts: int
    width: int = 64
    depth: int = 1
    learning_rate: float = 0.75
    momentum: float = 0.85
    weight_decay: float = 0.0013
    label_smoothing: float = 0.1
    flip: bool = True
    shift: float = 0.0625
    cutout: float = 0.25
    jitter: float = 0.1
    class_weights: bool = True
    patience: int = 0
    precision: str = "auto"

    @property
    def rate(self) -> float:
        """The highest learning rate for this batch size (Goyal et al., 2017: in proportion)."""
        return self.learning_rate * self.batch_size / BATCH


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Settings from what was written; Usage for an unknown name or a bad value."""
    return rules.read(given, _KNOWN, "the CNN")


def recipe(settings: Mapping[str, Any], rows: int, cost: float) -> Recipe:
    """The recipe of a fit on `rows` images, each `cost` times the work of one of 32 × 32 pixels; a smaller one takes no
    less time."""
    usual = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(WORK / (rows * max(1.0, cost)))))
    epochs = settings.get("epochs", usual)
    batch = min(settings.get("batch_size", _batch(rows)), rows)
    parts = max(1, min(PARTS, batch // LEAST_PART))
    own = {name: value for name, value in settings.items() if name not in (*OF_DATA, "epochs", "batch_size")}
    if usual < OFTEN:
        own = {"cutout": 0.0, "jitter": 0.0} | own
    return Recipe(epochs=epochs, batch_size=batch, parts=parts, **own)


def _batch(rows: int) -> int:
    """A power of two from 64 to BATCH: at least some thirty steps an epoch, where there are rows for that."""
    return int(min(BATCH, max(64, 1 << max(0, (rows // 30).bit_length() - 1))))
