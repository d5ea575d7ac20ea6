"""The figures behind charts: calibration, how scores lie, rates by threshold, histograms, densities."""

from __future__ import annotations

from statistics import NormalDist
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


class Gains(NamedTuple):
    """Of each tenth of the rows, by falling score: rows, positives, and the share of all positives found so far."""

    rows: Floats
    positives: Floats
    found: Floats
    lowest: Floats


def gains(score: Floats, positive: NDArray[np.bool_], parts: int = 10) -> Gains:
    """The gain table, from (rows,) scores and truths: shapes (parts,); `lowest` is the lowest score of each part.

    Rows of one score that a border cuts are shared out in proportion, so that the order of rows does not matter.
    """
    every, at = np.unique(score, return_counts=True)
    hits = np.bincount(np.searchsorted(every, score), positive, len(every))
    reached = np.concatenate([[0.0], np.cumsum(at[::-1])])
    found = np.concatenate([[0.0], np.cumsum(hits[::-1])])
    borders = np.arange(1, parts + 1) * (len(score) / parts)
    captured = np.interp(borders, reached, found)
    place = np.searchsorted(reached, borders - 1e-9, side="left").clip(1, len(every))
    rows = np.full(parts, len(score) / parts)
    return Gains(rows, np.diff(captured, prepend=0.0), captured / found[-1], every[::-1][place - 1])


class Residuals(NamedTuple):
    """By tenths of the rows by rising prediction: mean prediction, rows, and the errors' mean, deviation, quantiles.

    `quantiles` (parts, 5) are those of 5, 25, 50, 75 and 95 %.
    """

    predicted: Floats
    rows: Ints
    mean: Floats
    deviation: Floats
    quantiles: Floats


def residuals(predicted: Floats, error: Floats, parts: int = 10) -> Residuals:
    """How errors (predicted minus actual) lie along the predictions; fewer parts where predictions are few values."""
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, parts + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="left")
    there, place = np.unique(place, return_inverse=True)
    rows = np.bincount(place)
    mean = np.bincount(place, error) / rows
    deviation = np.sqrt(np.bincount(place, (error - mean[place]) ** 2) / rows)
    quantiles = np.stack(
        [np.quantile(error[place == part], (0.05, 0.25, 0.5, 0.75, 0.95)) for part in range(len(there))]
    )
    return Residuals(np.bincount(place, predicted) / rows, rows, mean, deviation, quantiles)


def normal_quantiles(values: Floats, most: int = 100) -> tuple[Floats, Floats]:
    """Quantiles of the standard normal distribution and of the values, (value - mean) / deviation; as scipy.probplot.

    At up to `most` of the probabilities (i - 0.5) / n, evenly spaced on the normal axis, the outermost rows among them.
    """
    ordered = np.sort(values)
    n = len(ordered)
    spread = float(ordered.std()) or 1.0
    normal = NormalDist()
    end = -normal.inv_cdf(0.5 / n)
    wanted = np.linspace(-end, end, min(n, most))
    places = np.unique(np.clip(np.round([normal.cdf(z) * n - 0.5 for z in wanted]), 0, n - 1).astype(np.int64))
    theory = np.array([normal.inv_cdf((place + 0.5) / n) for place in places])
    return theory, (ordered[places] - float(ordered.mean())) / spread
