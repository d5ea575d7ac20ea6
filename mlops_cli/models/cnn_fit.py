"""CNN fits: images decoded once, and learned from any number of times."""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

# Before the library loads: its threads would spin while waiting, and take the core that another process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import msgspec
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable
from mlops_cli.models import cnn_export, cnn_images, cnn_learn, cnn_network, cnn_settings, terms
from mlops_cli.models.base import Fit, Fold, Progress, Report, Settings, Tables
from mlops_cli.models.cnn_checkpoint import Reached
from mlops_cli.models.cnn_learn import Examples
from mlops_cli.models.cnn_network import Architecture, Network
from mlops_cli.models.cnn_settings import Recipe
from mlops_cli.models.target import Target
from mlops_cli.runtime import image_model, images
from mlops_cli.runtime.image_model import Model
from mlops_cli.runtime.signature import InputColumn, Signature

EMBEDDING = 8
_FEATURES = 2_048
_WHITENED = 512
_LEAST_ROWS = 4

# A part of a batch has one thread (cnn_learn), so that no digit follows the number of processors.
torch.set_num_threads(1)


@dataclass(frozen=True)
class _Made:
    """What one fit learns from and by."""

    train: Examples
    valid: Examples | None
    recipe: Recipe
    architecture: Architecture


class CNN:
    """Images decoded once, for any number of fits; meets `base.Trainer`."""

    def __init__(self, tables: Tables, target: Target, metric: str, seed: int, shared: Settings) -> None:
        self._target, self._metric, self._seed, self._checkpoint = target, metric, seed, tables.checkpoint
        column = InputColumn(cnn_images.column(tables.train), "image", nullable=False)
        self.signature = Signature(
            "cnn",
            target.task,
            target.name,
            [column],
            target.classes,
            target.positive,
            context=cnn_images.context(tables.train),
            measured=image_model.measured(EMBEDDING, target.classes is not None),
        )
        self.notes: list[str] = []
        self._terms = tables.terms
        self._higher = cnn_settings.METRICS[target.task][metric]
        codes = self._labels(tables.train)
        if len(codes) < _LEAST_ROWS:
            raise InputUnusable(f"{len(codes)} images are too few to learn from", f"bring at least {_LEAST_ROWS}")
        self._preparation = cnn_images.prepared(tables, self.signature, shared.get("size"))
        self._train = self._examples(tables, tables.train, codes)
        self._valid = None if tables.valid is None else self._examples(tables, tables.valid, self._labels(tables.valid))
        shown = f"{self._preparation.width} x {self._preparation.height}"
        self.notes.append(f"images are seen at {shown}, {'grey' if self._preparation.channels == 1 else 'in colour'}")

    def fit(self, settings: Settings, threads: int, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from the train rows; the valid rows give the temperature and the score. Nothing is reported: a fit
        that goes on from its checkpoint has no curve."""
        made = self._made(self._train, self._valid, settings)
        network, rounds = self._learn(made, threads, progress)
        return self._finished(made, network, rounds, threads)

    def whole(self, fit: Fit, settings: Settings, threads: int, progress: Progress) -> Fit:
        """The fit itself: its temperature is told by the valid rows, which it must not have learnt."""
        return fit

    def part(self, fold: Fold) -> Fold:
        """The rows of a fold to learn from and to judge by, as they are: pixels are copied for a fit alone."""
        return fold

    def cross(self, part: Fold, settings: Settings, progress: Progress, report: Report | None = None) -> Fit:
        """Learn from one side of a fold: score on the other and rounds, no model."""
        train, valid = (self._train.part(rows) for rows in (part.train, part.valid))
        made = self._made(train, valid, settings)
        network, rounds = self._learn(made, 1, progress, kept=False)
        return Fit(b"", rounds, self._finished(made, network, rounds, 1).score)

    def rounds(self, count: int) -> dict[str, Any]:
        """The settings that make a fit without valid rows have `count` rounds."""
        return {"epochs": count}

    def predictor(self, fit: Fit, threads: int) -> Model:
        """What answers with this fit: the code that will answer later."""
        files = self.files(fit)
        return Model(files[image_model.FILE], images.decode(files[images.FILE]), self.signature, threads)

    def files(self, fit: Fit) -> dict[str, bytes]:
        """The payload files: those that `runtime.image_model` reads, and the network for torch."""
        if not fit.model:
            raise InputUnusable("the fit went astray: its loss is not finite", "try a lower --set learning_rate=…")
        return msgspec.msgpack.decode(fit.model, type=dict[str, bytes])

    def _labels(self, frame: pl.LazyFrame) -> NDArray[Any]:
        """What the rows of a frame say: class codes, or numbers."""
        values = frame.select(self._target.column).collect(engine="streaming").to_series()
        return values.cast(pl.Float64).to_numpy() if self._target.classes is None else self._target.codes(values)

    def _examples(self, tables: Tables, frame: pl.LazyFrame, labels: NDArray[Any]) -> Examples:
        """The rows of a frame, their images decoded."""
        pixels = cnn_images.pixels(tables, frame, self.signature, self._preparation)
        mean, std = (np.asarray(value, np.float32) for value in (self._preparation.mean, self._preparation.std))
        return Examples(pixels, labels, None, mean, std)

    def _made(self, train: Examples, valid: Examples | None, settings: Settings) -> _Made:
        """A fit on these rows."""
        outputs = len(self._target.classes or (0,))
        width, depth = settings.get("width", Recipe.width), settings.get("depth", Recipe.depth)
        seen = self._preparation
        architecture = cnn_network.designed(seen.channels, seen.height, seen.width, width, depth, outputs)
        plain = cnn_network.designed(seen.channels, seen.height, seen.width, Recipe.width, Recipe.depth, outputs)
        recipe = cnn_settings.recipe(settings, len(train.labels), cnn_network.work(plain))
        return _Made(self._weighted(train, recipe), valid, recipe, architecture)

    def _weighted(self, train: Examples, recipe: Recipe) -> Examples:
        """With weights for classes when some are rare: the root of how many times rarer than the mean, 1 on average."""
        codes = np.asarray(train.labels, np.int64)
        asked = terms.of_classes(self._terms, self._target, codes if self._target.classes is not None else None)
        if asked is not None:
            return replace(train, weights=torch.from_numpy(asked.astype(np.float32)))
        if self._target.classes is None or not recipe.class_weights:
            return train
        counts = np.bincount(codes, minlength=len(self._target.classes))
        if counts.max() <= 1.5 * max(1, counts.min()):
            return train
        weights = np.sqrt(counts.sum() / np.maximum(counts, 1))
        weights *= counts.sum() / (weights * counts).sum()
        return replace(train, weights=torch.from_numpy(weights.astype(np.float32)))

    def _learn(self, made: _Made, threads: int, progress: Progress, *, kept: bool = True) -> tuple[Network, int]:
        """The network that has learned, and its epochs; from its checkpoint when there is one."""
        train = made.train
        rows = np.random.default_rng(self._seed).permutation(len(train.labels))[:_WHITENED]
        network = cnn_network.begun(made.architecture, cnn_learn.tensor(train, np.sort(rows)), self._seed)
        middle, spread = 0.0, 1.0
        if self._target.classes is None:
            middle, spread = float(train.labels.mean()), float(train.labels.std()) or 1.0
            train = replace(train, labels=((train.labels - middle) / spread).astype(np.float32))
        learner = cnn_learn.Learner(train, made.recipe, network, self._seed, threads)
        work = _digest(made, self._metric, self._seed)
        place = self._checkpoint / f"{work[:16]}.safetensors" if self._checkpoint and kept else None

        def judge(out: NDArray[np.float32]) -> float:
            value = self._judged(made, out * spread + middle)[1]
            return -value if self._higher else value

        learned = learner.run(Reached(work), place, made.valid, judge, progress)
        self.notes += learned.notes
        # From numbers of deviation 1 to those of the target.
        scale = network.given.scale * spread
        network.given = msgspec.structs.replace(network.given, scale=scale, middle=middle)
        return learned.network, learned.epochs

    def _finished(self, made: _Made, network: Network, rounds: int, threads: int) -> Fit:
        """A fit of a network: what is fitted after it, its files, and its score."""
        spread = np.linspace(0, len(made.train.labels) - 1, min(_FEATURES, len(made.train.labels))).astype(np.int64)
        preparation, score = msgspec.structs.replace(self._preparation, embedding="embedding"), None
        with ThreadPoolExecutor(max(1, threads), "cnn") as pool:
            features = cnn_learn.outputs(network.features, made.train.part(spread), pool)
            if not np.isfinite(features).all():
                return Fit(b"", rounds, -math.inf if self._higher else math.inf)
            if made.valid is not None:
                heat, score = self._judged(made, cnn_learn.outputs(network, made.valid, pool))
                preparation = msgspec.structs.replace(preparation, temperature=heat)
        fitted = cnn_export.projection(features, EMBEDDING)
        files = cnn_export.files(network, fitted, preparation)
        return Fit(msgspec.msgpack.encode(files), rounds, score)

    def _judged(self, made: _Made, out: NDArray[np.float32]) -> tuple[float, float]:
        """The temperature that outputs for the valid rows ask for, and the metric that they have with it."""
        assert made.valid is not None
        actual = made.valid.labels
        if self._target.classes is None:
            off = out[:, 0].astype(np.float64) - actual
            return 1.0, float(np.sqrt((off**2).mean()) if self._metric == "rmse" else np.abs(off).mean())
        heat = cnn_export.temperature(out, actual)
        if self._metric == "accuracy":
            return heat, float((out.argmax(axis=1) == actual).mean())
        return heat, cnn_export.log_loss(out, actual, heat)


def _digest(made: _Made, metric: str, seed: int) -> str:
    """The digest of all that decides a fit, but for its pixels, which its directory stands for."""
    parts = [asdict(made.recipe), msgspec.to_builtins(made.architecture), metric, seed, str(torch.__version__)]
    labels = np.ascontiguousarray(made.train.labels).tobytes()
    return hashlib.sha256(msgspec.json.encode(parts) + labels).hexdigest()
