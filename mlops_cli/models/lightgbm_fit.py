"""LightGBM fits: a table prepared and binned once, and learned from any number of times."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models import lightgbm_folds, lightgbm_metrics, lightgbm_settings, memory, terms
from mlops_cli.models.base import Fit, Fold, Progress, Report, Settings, Tables
from mlops_cli.models.lightgbm_prepare import prepare
from mlops_cli.models.lightgbm_rows import Binned, Rows, lightgbm
from mlops_cli.models.lightgbm_settings import FOLDS, ROUNDS_WITHOUT_VALID, WHOLE_ROWS
from mlops_cli.models.lightgbm_stopping import Stopping
from mlops_cli.models.sampled import numbered
from mlops_cli.models.target import Target
from mlops_cli.runtime import features, lightgbm_text
from mlops_cli.runtime.lightgbm import FILE, Model
from mlops_cli.runtime.signature import Signature

Labels = NDArray[np.float32]


class LightGBM:
    """A table prepared and binned once, for any number of fits; meets `base.Trainer`."""

    def __init__(self, tables: Tables, target: Target, metric: str, seed: int, shared: Settings) -> None:
        self._terms = tables.terms
        prepared = prepare(_learnt_from(tables.train, self._terms), target.name, tables.columns)
        self.features = prepared.features
        self.notes = prepared.notes
        loss, alpha = lightgbm_settings.loss(target.task, shared)
        self.signature = Signature(
            "lightgbm",
            target.task,
            target.name,
            prepared.columns,
            target.classes,
            target.positive,
            loss=loss,
            alpha=alpha,
        )
        self._target, self._metric, self._seed, self._shared = target, metric, seed, shared
        self._by = lightgbm_metrics.offered(target.task, shared.get("objective"), alpha or None)[metric]
        if self._terms.monotone:
            lightgbm_settings.check_monotone(shared, target.task)
        self._constraints = _constraints(self.features, self._terms)
        valid_rows = 0 if tables.valid is None else _rows(tables.valid)
        train_rows = _rows(tables.train)
        self._shape = lightgbm_settings.Shape(len(target.classes or ()), train_rows, self.features.width)
        options = self._told(shared)
        self._known: dict[str, Any] = {
            "params": options,
            "feature_name": [f"f{index}" for index in range(self.features.width)],
            "categorical_feature": _categories(self.features),
        }
        few = train_rows + valid_rows <= WHOLE_ROWS
        train = self._read(tables, tables.train, train_rows, few)
        lightgbm_settings.check_labels(options, train.labels)
        self._class_weights = self._of_classes(train.labels)
        self._train = self._dataset(train)
        self._valid, self._apart = None, tables.apart
        self._all = train if few and tables.valid is None else None
        if tables.valid is not None:
            valid = self._read(tables, tables.valid, valid_rows, few)
            self._valid = self._dataset(valid, reference=self._train)
            self._all = train.and_(valid) if few else None
        memory.now()

    def fit(self, settings: Settings, threads: int, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from the train rows, stopping early by the valid rows if there are any."""
        booster, score = self._learn(self._train, self._valid, settings, threads, progress, report)
        return _fit(booster, score)

    def whole(self, fit: Fit, settings: Settings, threads: int, progress: Progress) -> Fit:
        """The same learnt from the valid rows too, where rows are few; else `fit` itself.

        The rounds are those that did best on average over FOLDS parts of all rows, each left out in turn, also where
        there are no valid rows. Where rows belong together or follow each other such parts would know too much of each
        other: the fit's own are taken.
        """
        if self._all is None:
            return fit
        crossed = lightgbm_settings.crossed(self._shape, len(self._all.labels)) and not self._apart
        crossed = crossed and self._patience(settings) > 0
        if self._valid is None and not crossed:
            return fit
        data = self._dataset(self._all)
        rounds = self._best_rounds(data, settings, threads) if crossed else fit.rounds
        booster, _ = self._learn(data, None, {**settings, "num_iterations": rounds}, threads, progress)
        return Fit(_fit(booster, None).model, rounds, fit.score)

    def part(self, fold: Fold) -> tuple[Any, Any]:
        """The rows of a fold to learn from and to judge by: binned as the whole is, whose edges depend on no target."""
        parts = [self._train.subset(np.sort(rows).tolist()) for rows in (fold.train, fold.valid)]
        with _refusals():
            return parts[0].construct(), parts[1].construct()

    def cross(self, part: tuple[Any, Any], settings: Settings, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from one side of a fold, stopping by the other: score and rounds, no model."""
        booster, score = self._learn(*part, settings, 1, progress, report)
        return Fit(b"", _rounds(booster), score)

    def rounds(self, count: int) -> dict[str, Any]:
        """The settings that make a fit have `count` rounds."""
        return {"num_iterations": count, "early_stopping_round": 0}

    def predictor(self, fit: Fit, threads: int) -> Model:
        """What answers with this fit: the code that will answer later."""
        return Model(fit.model, self.features, self.signature, threads)

    def files(self, fit: Fit) -> dict[str, bytes]:
        """The payload files that `runtime.lightgbm` reads."""
        return {FILE: fit.model, features.FILE: features.encode(self.features)}

    def _told(self, settings: Settings) -> dict[str, Any]:
        """All that LightGBM is told, but for the number of threads."""
        told = lightgbm_settings.complete({**self._shared, **settings}, self._target.task, self._shape, self._seed)
        return told | ({"monotone_constraints": self._constraints} if any(self._constraints) else {})

    def _patience(self, settings: Settings) -> int:
        """Rounds without anything better after which a fit stops."""
        usual = lightgbm_settings.patience(self._told(settings)["learning_rate"])
        return int(settings.get("early_stopping_round", usual))

    def _stopping(self, settings: Settings) -> Stopping:
        """What ends a fit; an error of LightGBM's, as `binary_error`, is better when it is lower."""
        name, higher = self._by.own or self._metric, self._by.higher and not self._by.own.endswith("_error")
        return Stopping(name, higher, self._patience(settings), self._by.loss)

    def _of(self, told: Any) -> float:
        """The metric among what LightGBM tells of a round."""
        return next(float(value) for _, name, value, *_ in told if name == (self._by.own or self._metric))

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
        usual = ROUNDS_WITHOUT_VALID if valid is None else lightgbm_settings.most_rounds(self._shape)
        rounds = settings.get("num_iterations", usual)
        told = self._told(settings) | {
            "metric": self._by.told(),
            "num_threads": lightgbm_settings.threads(self._shape, threads),
        }
        callbacks: list[Any] = [lambda env: progress(env.iteration + 1, rounds)]
        if valid is not None and report:
            callbacks.append(lambda env: report(self._by.value(self._of(env.evaluation_result_list)), rounds))
        if valid is not None and self._patience(settings):
            callbacks.append(self._stopping(settings))
        with _refusals():
            booster = lightgbm.train(
                told,
                train,
                rounds,
                valid_sets=[valid] if valid is not None else None,
                feval=lightgbm_metrics.feval(self._metric, self._by) if valid is not None else None,
                callbacks=callbacks,
                keep_training_booster=True,  # else it is written as text and read again
            )
        if valid is None:
            return booster, None
        return booster, self._by.value(float(booster.best_score["valid_0"][self._by.own or self._metric]))

    def _best_rounds(self, data: Any, settings: Settings, threads: int) -> int:
        """The rounds with the best mean metric over parts of `data` that are left out in turn."""
        assert self._all is not None
        values, labels, classes = self._all.values, self._all.labels, self._target.classes is not None
        assert isinstance(values, np.ndarray)
        fold = lightgbm_folds.places(values, labels, FOLDS, self._seed, classes=classes)
        parts = [(np.flatnonzero(fold != held), np.flatnonzero(fold == held)) for held in range(FOLDS)]
        told = self._told(settings) | {
            "metric": self._by.told(),
            "num_threads": lightgbm_settings.threads(self._shape, threads),
        }
        with _refusals():
            found: Any = lightgbm.cv(
                told,
                data,
                settings.get("num_iterations", lightgbm_settings.most_rounds(self._shape)),
                folds=parts,
                feval=lightgbm_metrics.feval(self._metric, self._by),
                callbacks=[self._stopping(settings)],
            )
        return len(next(iter(found.values())))

    def _dataset(self, of: _Data, reference: Any = None) -> Any:
        """A data set of LightGBM's, binned: fits side by side share it."""
        weights = of.weights
        if self._class_weights is not None:
            weights = self._class_weights[of.labels.astype(np.int64)] * (1.0 if weights is None else weights)
        with _refusals():
            data = Binned(of.values, of.labels, weight=weights, reference=reference, **self._known)
            return data.construct()

    def _of_classes(self, labels: Labels) -> NDArray[np.float64] | None:
        """The weight of each label that LightGBM learns, where classes have weights."""
        codes = labels.astype(np.int64) if self._target.classes is not None else None
        turned = self._target.task == "binary" and self.signature.positive_index() == 0  # then code 0 is label 1
        if codes is not None and turned:
            codes = 1 - codes
        found = terms.of_classes(self._terms, self._target, codes)
        return found[::-1] if found is not None and turned else found

    def _read(self, tables: Tables, frame: pl.LazyFrame, rows: int, few: bool) -> _Data:
        """What LightGBM bins: the matrix, or of more rows than it looks at to tell bins their batches as they come."""
        weight = self._terms.weight
        names = [self._target.name] if weight is None else [self._target.name, weight]
        table = frame.select([selectors.by_name(name) for name in names]).collect(engine="streaming")
        learned = [self._learned(some.to_series(0)).astype(np.float32) for some in table.iter_slices(Rows.batch_size)]
        labels = np.concatenate(learned) if learned else np.empty(0, np.float32)
        weights = None if weight is None else table.to_series(1).cast(pl.Float64).to_numpy()

        def batches(frame: pl.LazyFrame = frame) -> Iterator[NDArray[np.float64]]:
            for _, batch in tables.batches(frame, self.signature):
                yield features.matrix(self.features, batch)

        most = self._shared.get("bin_construct_sample_cnt", lightgbm_settings.LOOKED_AT)
        if few:
            return _Data(np.concatenate(list(batches())), labels, weights)
        if rows <= most:
            return _Data(list(batches()), labels, weights)
        chosen = Rows(batches, rows, lambda numbers: batches(numbered(frame, rows, numbers)))
        return _Data(chosen, labels, weights)

    def _learned(self, values: pl.Series) -> NDArray[Any]:
        """What LightGBM learns: 1 for the positive class, the class's index, or the number itself."""
        if self._target.classes is None:
            return values.cast(pl.Float64).to_numpy()
        codes = self._target.codes(values)
        return codes == self.signature.positive_index() if self._target.task == "binary" else codes


@dataclass(frozen=True)
class _Data:
    """What LightGBM bins: values (n, width), labels (n,), single floats as LightGBM keeps them, and the weights (n,) of
    rows that have some."""

    values: NDArray[np.float64] | list[NDArray[np.float64]] | Rows
    labels: Labels
    weights: NDArray[np.float64] | None

    def and_(self, other: _Data) -> _Data:
        """Both, one below the other; of matrices."""
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        values, labels = (np.concatenate([getattr(each, of) for each in (self, other)]) for of in ("values", "labels"))
        return _Data(values, labels, weights)


def _fit(booster: Any, score: float | None) -> Fit:
    """A fit from what LightGBM has learnt, cut after its best round."""
    rounds = _rounds(booster)
    return Fit(lightgbm_text.strip(booster.model_to_string(num_iteration=rounds).encode()), rounds, score)


def _rounds(booster: Any) -> int:
    """The best round, the last one where nothing was judged."""
    best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    return int(best)


def _rows(frame: pl.LazyFrame) -> int:
    rows: int = frame.select(pl.len()).collect().item()
    return rows


def _learnt_from(frame: pl.LazyFrame, asked: terms.Terms) -> pl.LazyFrame:
    """The frame without the column of weights."""
    return frame if asked.weight is None else frame.select(~selectors.by_name(asked.weight))


def _constraints(fitted: features.Features, asked: terms.Terms) -> list[int]:
    """Which way the answer may go with each matrix column, 0 for either; Usage for a column that is not used."""
    left_out = [name for name in asked.monotone if name not in {column.name for column in fitted.columns}]
    if left_out:
        reason = next((column.reason for column in fitted.dropped if column.name == left_out[0]), "not learnt from")
        raise Usage(f"--monotone {left_out[0]}: the column is left out ({reason})")
    found: list[int] = []
    for column in fitted.columns:
        found += [asked.monotone.get(column.name, 0)] * column.width
    return found


def _categories(fitted: features.Features) -> list[int]:
    """The matrix columns that hold categories."""
    at, found = 0, []
    for column in fitted.columns:
        if column.use == "category":
            found.append(at)
        at += column.width
    return found


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What LightGBM refuses, in one line."""
    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        raise InputUnusable(f"LightGBM: {error}") from None
