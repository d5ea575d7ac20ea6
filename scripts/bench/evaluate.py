#!/usr/bin/env python3
"""All 95 % intervals of a task beside computing its metrics once with numpy; `mlops evaluate` beside a bare loop.

    python scripts/bench/evaluate.py [--rows N] [--resamples N] [--no-command]

The target is 3 x one computation of the metrics for each 100 resamples. The bare loop predicts the same rows in batches
with LightGBM, computes scikit-learn's metrics once, and has no intervals, no page, no slices.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _run
import numpy as np

from mlops_cli.metrics import classification, regression
from mlops_cli.metrics.grouped import Groups

LOOP = """
import sys
import numpy as np, polars as pl
from sklearn import metrics as sk
sys.path.insert(0, sys.argv[1])
from mlops_cli.runtime import predictors
from pathlib import Path
from mlops_cli.steps import batches
predictor = predictors.load(Path("model"), 2)
scores, truths = [], []
names = predictor.signature.names
rows = pl.scan_parquet("rows.parquet").select(*names, "delayed")
for frame in rows.collect_batches(chunk_size=65536, maintain_order=True):
    scores.append(batches.predict(predictor, batches.batch(frame, predictor.signature), "rows").proba[:, 1])
    truths.append(frame["delayed"].to_numpy())
s, y = np.concatenate(scores), np.concatenate(truths)
p = s >= 0.5
sk.roc_auc_score(y, s), sk.average_precision_score(y, s), sk.precision_score(y, p), sk.recall_score(y, p)
sk.f1_score(y, p), sk.accuracy_score(y, p), sk.balanced_accuracy_score(y, p), sk.matthews_corrcoef(y, p)
sk.log_loss(y, s), sk.brier_score_loss(y, s), sk.confusion_matrix(y, p)
"""


def main() -> None:
    """Print a row for each task, with and without groups, and one for the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--no-command", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    groups = Groups.of(rng.integers(0, given.rows // 20, given.rows))
    for what, once, ours in _tasks(rng, given.rows):
        floor = _least(once)
        for name, together in (("rows alone", None), (f"{given.rows // 20:,} groups", groups)):
            took = _least(lambda o=ours, t=together: o(t, given.resamples), 2)
            ratio, target = took / floor, 3 * given.resamples / 100
            verdict = "met" if ratio <= target else "missed"
            sides = f"{what + ', ' + name:<46} {took:7.2f} s {floor:7.3f} s  x {ratio:5.1f}"
            print(f"{sides}  target {target:.0f}: {verdict}", flush=True)
    if not given.no_command:
        _command(given.rows)


def _tasks(
    rng: np.random.Generator, rows: int
) -> list[tuple[str, Callable[[], Any], Callable[[Groups | None, int], Any]]]:
    """(name, the metrics once with numpy, all intervals by groups and resamples)."""
    y = (rng.random(rows) < 0.3).astype(np.int64)
    s = 1 / (1 + np.exp(-rng.normal(size=rows) - 1.2 * y + 0.8))
    p = (s >= 0.5).astype(np.int64)
    k = rng.integers(0, 5, rows)
    z = rng.normal(size=(rows, 5))
    z[np.arange(rows), k] += 1.0
    proba = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    named = proba.argmax(axis=1)
    actual = rng.normal(10, 3, rows)
    predicted = actual + rng.laplace(size=rows)
    levels = list("abcde")
    return [
        ("binary", lambda: _binary(y, p, s), lambda g, n: classification.binary(y, p, s, resamples=n, groups=g)),
        (
            "5 classes",
            lambda: _multiclass(k, named, proba),
            lambda g, n: classification.multiclass(k, named, proba, levels, resamples=n, groups=g),
        ),
        (
            "regression",
            lambda: _regression(actual, predicted),
            lambda g, n: regression.regression(actual, predicted, resamples=n, groups=g),
        ),
    ]


def _area(y: Any, s: Any) -> tuple[float, float]:
    """Area under the ROC curve and average precision, from one sort."""
    order = np.argsort(s)[::-1]
    ranked, scores = y[order], s[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(ranked)[ends].astype(np.float64)
    false = ends + 1 - true
    precision, recall = true / (ends + 1), true / true[-1]
    return float(np.trapezoid(recall, false / false[-1])), float(np.sum(np.diff(recall, prepend=0) * precision))


def _counted(counts: Any) -> Any:
    right, actual, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    return right / actual, right / predicted, 2 * right / (actual + predicted), right.sum() / actual.sum()


def _calibration(confidence: Any, right: Any) -> Any:
    place = np.minimum((confidence * 15).astype(np.int64), 14)
    return np.abs(np.bincount(place, right - confidence, 15)).sum() / len(confidence)


def _binary(y: Any, p: Any, s: Any) -> Any:
    """The metrics of `classification.binary`, once."""
    counts = np.bincount(y * 2 + p, minlength=4).reshape(2, 2)
    given = np.where(y == 1, s, 1 - s)
    return _counted(counts), _area(y, s), -np.log(given).mean(), ((1 - given) ** 2).mean(), _calibration(s, y)


def _multiclass(k: Any, named: Any, proba: Any) -> Any:
    """The metrics of `classification.multiclass`, once."""
    counts = np.bincount(k * 5 + named, minlength=25).reshape(5, 5)
    given = proba[np.arange(len(k)), k]
    areas = [_area((k == code).astype(np.int64), proba[:, code])[0] for code in range(5)]
    brier = ((proba**2).sum(axis=1) - 2 * given + 1).mean() / 2
    return _counted(counts), areas, -np.log(given).mean(), brier, _calibration(proba.max(axis=1), k == named)


def _regression(actual: Any, predicted: Any) -> Any:
    """The metrics of `regression.regression`, once."""
    error = predicted - actual
    absolute = np.abs(error)
    squared = error @ error / len(error)
    means = np.sqrt(squared), absolute.mean(), error.mean(), np.abs(error / actual).mean(), 1 - squared / actual.var()
    return means, np.median(absolute)


def _least(run: Callable[[], Any], repeat: int = 3) -> float:
    """The least wall time of a few runs."""
    took = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def _command(rows: int) -> None:
    """Whole processes: `mlops evaluate` with intervals and page, and a loop that only measures."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        _run.model(folder)
        _run.flights(folder / "rows.parquet", rows)
        ours = [_run.MLOPS, "evaluate", "model", "--data", "rows.parquet", "--force"]
        loop = [_run.PYTHON, "-c", LOOP, str(Path(__file__).parents[2])]
        _run.row(f"mlops evaluate, {rows:,} rows", *_run.side_by_side(ours, loop, folder, 2), 2.0)
        sliced = [*ours, "--slices", str(rows // 100)]
        _run.row("the same with --slices", *_run.side_by_side(sliced, loop, folder, 1), 3.0)


if __name__ == "__main__":
    main()
