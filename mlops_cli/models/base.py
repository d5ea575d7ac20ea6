"""What a model family is: the Protocol that its module meets, and what training hands to it and gets back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.models.target import Target
from mlops_cli.models.terms import Terms
from mlops_cli.runtime.columns import Batch
from mlops_cli.runtime.predictors import Predictor
from mlops_cli.runtime.signature import Signature, Task

Settings = Mapping[str, Any]
Progress = Callable[[float, float | None], None]
Report = Callable[[float, float], None]
"""Told a round's metric on the valid rows and the most rounds there may be; may raise to end the fit."""
Batches = Callable[[pl.LazyFrame, Signature], Iterable[tuple[pl.DataFrame, Batch]]]


@dataclass(frozen=True)
class Columns:
    """What was decided of columns before a family sees them.

    `left_out` are gone from the frames: column → why. `include` are columns that a family must not leave out as long as
    anything can be learnt from them. `time` is the column by which a split was cut: rows to come are later than all.
    """

    left_out: Mapping[str, str] = field(default_factory=dict)
    include: frozenset[str] = frozenset()
    time: str | None = None


@dataclass(frozen=True)
class Tables:
    """The rows to learn from: frames that can be read many times, every target value there and known.

    `batches(frame, signature)` gives each frame's rows in order as the batches that `runtime/` takes. `checkpoint` is a
    directory for this very work, which a killed process leaves and the same command finds again; None when the
    work cannot be recognised. It need not exist yet, and is removed when the work is done. `terms` say what counts how
    much; rows are `apart` when the parts were cut by group, key or time, so that chance must not divide them.
    """

    train: pl.LazyFrame
    valid: pl.LazyFrame | None
    batches: Batches
    checkpoint: Path | None = None
    columns: Columns = field(default_factory=Columns)
    terms: Terms = field(default_factory=Terms)
    apart: bool = False


@dataclass(frozen=True)
class Fit:
    """One fit: the model in the family's own form, its rounds, and the metric on the valid rows (None without any)."""

    model: bytes
    rounds: int
    score: float | None


@dataclass(frozen=True)
class Fold:
    """Rows of the train part, by their places: those to learn from, and those to judge by."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]


class Trainer(Protocol):
    """Data prepared once for any number of fits, which may run side by side."""

    @property
    def signature(self) -> Signature:
        """What the models made here take and answer."""

    @property
    def notes(self) -> Sequence[str]:
        """What people should know of the preparation, a line each."""

    def fit(self, settings: Settings, threads: int, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from the train rows, stopping by the valid rows if there are any. A family need not `report`."""

    def whole(self, fit: Fit, settings: Settings, threads: int, progress: Progress) -> Fit:
        """The model to keep: learnt from the valid rows as well where that is worth it, else `fit` itself.

        `fit` has not seen the valid rows, so that it is what is measured, calibrated and compared on them.
        """

    def part(self, fold: Fold) -> Any:
        """The rows of a fold, held ready for any number of fits, which may run side by side."""

    def cross(self, part: Any, settings: Settings, progress: Progress, report: Report | None = None) -> Fit:
        """The same on what `part` gave, on one thread: score and rounds, no model."""

    def rounds(self, count: int) -> dict[str, Any]:
        """The settings that make a fit have `count` rounds; of cnn, one without valid rows."""

    def predictor(self, fit: Fit, threads: int) -> Predictor:
        """What answers with this fit."""

    def files(self, fit: Fit) -> dict[str, bytes]:
        """The payload files that the family's own loader in `runtime/` reads."""


class Family(Protocol):
    """A model family: a module of functions, named in the table of `extensions`."""

    LIBRARIES: Sequence[str]
    """The distributions that decide the result."""
    SHARED: Sequence[str]
    """Settings that decide how data is stored, which therefore are alike for all fits on it."""

    def settings(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The values of `--set`, checked as far as possible without data; Usage for an unknown name or a bad value."""

    TERMS: Sequence[str]
    """Of `--weight`, `--class-weight` and `--monotone` those that it takes."""

    def metrics(self, task: Task, settings: Settings) -> Mapping[str, bool]:
        """What `--metric` may be for a task, the default first: name → whether higher is better."""

    def trainer(self, tables: Tables, target: Target, metric: str, seed: int, settings: Settings) -> Trainer:
        """Prepare the data for fits; of the `settings` those in SHARED matter here."""
