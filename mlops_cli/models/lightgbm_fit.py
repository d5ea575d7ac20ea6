"""LightGBM fits: a table prepared and binned once, and learned from any number of times."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

# Before the library loads: its threads would spin while waiting, and take the core that another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import lightgbm
import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable
from mlops_cli.models import lightgbm_settings
from mlops_cli.models.base import Fit, Fold, Progress, Report, Settings, Tables
from mlops_cli.models.lightgbm_prepare import prepare
from mlops_cli.models.lightgbm_settings import METRICS, PATIENCE, ROUNDS, ROUNDS_WITHOUT_VALID
from mlops_cli.models.target import Target
from mlops_cli.runtime import features, lightgbm_text
from mlops_cli.runtime.lightgbm import FILE, Model
from mlops_cli.runtime.signature import Signature

_LOG = logging.getLogger(__name__)


class _Logger:
    """Where the package's own messages go; it would print them to stdout."""

    def info(self, message: str) -> None:
        _LOG.debug(message)

    def warning(self, message: str) -> None:
        _LOG.debug(message)


lightgbm.register_logger(_Logger())


class LightGBM:
    """A table prepared and binned once, for any number of fits; meets `base.Trainer`."""

    def __init__(self, tables: Tables, target: Target, metric: str, seed: int, shared: Settings) -> None:
        prepared = prepare(tables.train, target.name)
        self.features = prepared.features
        self.notes = prepared.notes
        self.signature = Signature(
            "lightgbm", target.task, target.name, prepared.columns, target.classes, target.positive
        )
        self._target, self._metric, self._seed = target, metric, seed
        matrix, labels = self._matrix(tables, tables.train)
        self._rows, self._labels = len(labels), labels
        options = self._told(shared)
        known: dict[str, Any] = {
            "params": options,
            "feature_name": [f"f{index}" for index in range(self.features.width)],
            "categorical_feature": _categories(self.features),
        }
        self._train = lightgbm.Dataset(matrix, labels, **known)
        self._valid = None
        if tables.valid is not None:
            self._valid = lightgbm.Dataset(*self._matrix(tables, tables.valid), reference=self._train, **known)
        with _refusals():
            for data in (self._train, self._valid):
                if data is not None:
                    data.construct()  # now, since fits side by side share it

    def fit(self, settings: Settings, threads: int, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from the train rows, stopping early by the valid rows if there are any."""
        booster, score = self._learn(self._train, self._valid, settings, threads, progress, report)
        rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        text = lightgbm_text.strip(booster.model_to_string(num_iteration=rounds).encode())
        return Fit(text, rounds, score)

    def part(self, fold: Fold) -> tuple[Any, Any]:
        """The rows of a fold to learn from and to judge by: binned as the whole is, whose edges depend on no target."""
        parts = [self._train.subset(np.sort(rows).tolist()) for rows in (fold.train, fold.valid)]
        with _refusals():
            return parts[0].construct(), parts[1].construct()

    def cross(
        self,
        part: tuple[Any, Any],
        settings: Settings,
        progress: Progress,
        report: Report | None = None,
    ) -> Fit:
        """Learn from one side of a fold, stopping by the other: score and rounds, no model."""
        booster, score = self._learn(*part, settings, 1, progress, report)
        rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        return Fit(b"", rounds, score)

    def rounds(self, count: int) -> dict[str, Any]:
        """The settings that make a fit without valid rows have `count` rounds."""
        return {"num_iterations": count}

    def predictor(self, fit: Fit, threads: int) -> Model:
        """What answers with this fit: the code that will answer later."""
        return Model(fit.model, self.features, self.signature, threads)

    def files(self, fit: Fit) -> dict[str, bytes]:
        """The payload files that `runtime.lightgbm` reads."""
        return {FILE: fit.model, features.FILE: features.encode(self.features)}

    def _told(self, settings: Settings) -> dict[str, Any]:
        """All that LightGBM is told, but for the number of threads."""
        classes = len(self._target.classes or ())
        return lightgbm_settings.complete(
            settings, self._target.task, classes, getattr(self, "_rows", 1000), self._seed
        )

    def _learn(
        self,
        train: Any,
        valid: Any,
        settings: Settings,
        threads: int,
        progress: Progress,
        report: Report | None = None,
    ) -> tuple[Any, float | None]:
        """One LightGBM fit, and the metric on `valid` at its best round."""
        rounds = settings.get("num_iterations", ROUNDS if valid is not None else ROUNDS_WITHOUT_VALID)
        patience = settings.get("early_stopping_round", PATIENCE)
        metric = METRICS[self._target.task][self._metric]
        told = self._told(settings) | {"metric": metric, "num_threads": threads}
        lightgbm_settings.check_labels(told, self._labels)
        callbacks: list[Any] = [lambda env: progress(env.iteration + 1, rounds)]
        if valid is not None and report:
            callbacks.append(lambda env: report(_score(metric, env.evaluation_result_list[0][2]), rounds))
        if valid is not None and patience:
            callbacks.append(lightgbm.early_stopping(patience, verbose=False))
        with _refusals():
            booster = lightgbm.train(
                told,
                train,
                rounds,
                valid_sets=[valid] if valid is not None else None,
                callbacks=callbacks,
                keep_training_booster=True,  # else it is written as text and read again
            )
        if valid is None:
            return booster, None
        return booster, _score(metric, booster.best_score["valid_0"][metric])

    def _matrix(self, tables: Tables, frame: pl.LazyFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The matrix of shape (n, width) and the labels of shape (n,), computed by `runtime/`."""
        rows: int = frame.select(pl.len()).collect().item()
        matrix = np.empty((rows, self.features.width))
        labels = np.empty(rows)
        at = 0
        for part, batch in tables.batches(frame, self.signature):
            matrix[at : at + part.height] = features.matrix(self.features, batch)
            labels[at : at + part.height] = self._learned(part[self._target.name])
            at += part.height
        return matrix, labels

    def _learned(self, values: pl.Series) -> NDArray[Any]:
        """What LightGBM learns: 1 for the positive class, the class's index, or the number itself."""
        if self._target.classes is None:
            return values.cast(pl.Float64).to_numpy()
        codes = self._target.codes(values)
        return codes == self.signature.positive_index() if self._target.task == "binary" else codes


def _categories(fitted: features.Features) -> list[int]:
    """The matrix columns that hold categories."""
    at, found = 0, []
    for column in fitted.columns:
        if column.use == "category":
            found.append(at)
        at += len(column.parts or ()) if column.use == "time" else 1
    return found


def _score(metric: str, value: float) -> float:
    """Our metric from LightGBM's, whose `…_error` is what is missing to 1."""
    return 1 - float(value) if metric.endswith("_error") else float(value)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What LightGBM refuses, in one line."""
    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        raise InputUnusable(f"LightGBM: {error}") from None
