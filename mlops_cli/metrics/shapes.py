"""The figures behind charts: calibration, how scores lie, rates by threshold, histograms, densities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics.intervals import Floats, Ints


class Calibration(NamedTuple):
    """Mean predicted probability, observed frequency and rows of each bin of about equally many rows."""

    predicted: Floats
    observed: Floats
    rows: Floats


def calibration(score: Floats, positive: NDArray[np.bool_], bins: int = 12) -> Calibration:
    """How often what was given a probability happens, from (rows,) scores and truths; equal scores stay together."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, score, side="left") - 1, 0, max(0, len(edges) - 2))
    rows = np.bincount(place).astype(np.float64)
    there = rows > 0
    predicted = np.bincount(place, score)[there] / rows[there]
    observed = np.bincount(place, positive.astype(np.float64))[there] / rows[there]
    return Calibration(predicted, observed, rows[there])


def shares(score: Floats, bins: int = 40) -> Floats:
    """The share of scores in each of `bins` equal parts of 0 to 1: shape (bins,); zeros when there are none."""
    counts = np.histogram(score, bins, (0.0, 1.0))[0]
    return np.asarray(counts / max(1, len(score)), dtype=np.float64)


def rates(score: Floats, positive: NDArray[np.bool_], at: Floats) -> tuple[list[float | None], list[float]]:
    """Precision (None where nothing reaches the threshold) and recall, were `at` the thresholds."""
    named = len(score) - np.searchsorted(np.sort(score), at, side="left")
    ordered = np.sort(score[positive])
    right = len(ordered) - np.searchsorted(ordered, at, side="left")
    precision = [float(r / n) if n else None for r, n in zip(right, named, strict=True)]
    return precision, [float(r / len(ordered)) for r in right]


def histogram(values: Floats, bins: int = 50) -> tuple[list[float], list[int]]:
    """Edges and counts of equal bins from the 0.5th to the 99.5th percentile; what lies beyond is in the end bins."""
    low, high = np.quantile(values, (0.005, 0.995))
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), bins, (low, high))
    return edges.tolist(), counts.tolist()


def density(x: Floats, y: Floats, bins: int = 48) -> tuple[list[float], list[list[int]]]:
    """Edges, the same for both axes, and counts [x][y], over the middle 99 % of both; the rest is in the end cells."""
    low, high = np.quantile(np.concatenate([x, y]), (0.005, 0.995))
    if low == high:
        low, high = low - 0.5, high + 0.5
    clipped = np.clip(x, low, high), np.clip(y, low, high)
    counts, edges, _ = np.histogram2d(*clipped, bins=bins, range=((low, high), (low, high)))
    return edges.tolist(), counts.astype(int).tolist()


def confused(counts: Ints, most: int = 15) -> list[tuple[int, int, int]]:
    """The commonest errors of a confusion matrix, as (actual, predicted, rows)."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, errors.shape)
    return [(int(r), int(c), int(errors[r, c])) for r, c in zip(rows, columns, strict=True) if errors[r, c]]
