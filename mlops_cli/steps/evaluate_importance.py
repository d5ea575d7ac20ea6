"""Which columns the answers depend on: permutation importance with its uncertainty, and columns that say the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from mlops_cli.metrics import grouped, per_row
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.intervals import Floats, generator
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.predictors import Explanation
from mlops_cli.steps import evaluate_sample
from mlops_cli.steps.evaluate_sample import REPEATS, Sample

NAME = "importance"
ALIKE = 0.8
"""From this rank correlation on two columns are said to tell much the same."""
_PERMUTE, _DRAWN = 230, 1000  # streams of random numbers
_FEW = 20


class Importance(msgspec.Struct, frozen=True):
    """How much worse the metric becomes when a column is permuted, and its mean |contribution| where that is known."""

    column: str
    value: float | None
    low: float | None
    high: float | None
    contribution: float | None = None


class Alike(msgspec.Struct, frozen=True):
    """Two columns whose ranks go together."""

    columns: tuple[str, str]
    correlation: float


def measure(sample: Sample, seed: int) -> list[Metric]:
    """`importance[COLUMN]` of each input column (Breiman 2001; Fisher, Rudin & Dominici 2019): how much worse the main
    metric becomes when the column's values are dealt to other rows, the mean of five deals."""
    found = []
    for number, name in enumerate(sample.signature.names):
        rng = generator(seed, _PERMUTE + number * 10_000)
        after = []
        for _ in range(REPEATS):
            order = rng.permutation(len(sample.rows))
            answer = sample.ask({name: evaluate_sample.permuted(sample.batch[name], order)})
            if answer is not None:
                after.append(sample.numbers(answer))
        if not after:
            found.append(Metric(NAME, None, None, None, len(sample.rows), name))
            continue
        value, ends = per_row.worsening(
            sample.metric, sample.before, np.stack(after), seed, _DRAWN + number, sample.groups
        )
        found.append(metric(NAME, value, ends, len(sample.rows), name))
    return grouped.alone(found, sample.groups)


def ranked(metrics: Sequence[Metric], explained: Explanation | None) -> list[Importance]:
    """The columns, the most important first."""
    means: dict[str, float] = {}
    if explained is not None and explained.columns is not None:
        means = dict(zip(explained.columns, np.abs(explained.values).mean(axis=0).tolist(), strict=True))
    found = [
        Importance(m.column or "", m.value, m.low, m.high, _short(means[m.column]) if m.column in means else None)
        for m in metrics
    ]
    return sorted(found, key=lambda one: -(one.value if one.value is not None else float("-inf")))


def alike(sample: Sample) -> list[Alike]:
    """Pairs of columns with a rank correlation (Spearman 1904) of at least ALIKE, the closest first.

    The levels of a category are ranked by the mean score of their rows, so that it is compared by what it says.
    """
    answer = sample.answer
    score = answer.values.astype(np.float64) if answer.proba is None else answer.proba[:, -1]
    names = sample.signature.names
    ranks = [_ranks(sample.batch[name], score) for name in names]
    varied = [place for place, each in enumerate(ranks) if each.std() > 0]
    if len(varied) < 2:
        return []
    correlation = np.atleast_2d(np.corrcoef(np.stack([ranks[place] for place in varied])))
    pairs = [
        Alike((names[varied[i]], names[varied[j]]), _short(float(correlation[i, j])))
        for i in range(len(varied))
        for j in range(i + 1, len(varied))
        if abs(correlation[i, j]) >= ALIKE
    ]
    return sorted(pairs, key=lambda one: -abs(one.correlation))


def _ranks(column: Column, score: Floats) -> Floats:
    """The mean rank of each row's value; a missing value, and a level of few rows, is in the middle."""
    if column.levels is not None:
        codes = np.where(column.values < 0, len(column.levels), column.values)
        rows = np.bincount(codes, minlength=len(column.levels) + 1)
        total = np.bincount(codes, score, minlength=len(column.levels) + 1)
        values = np.where(rows >= _FEW, total / np.maximum(rows, 1), np.nan)[codes]
        null = np.isnan(values)
    else:
        values = column.values.astype(np.float64)
        null = ~evaluate_sample.there(column)
    there = ~null
    found = np.full(len(values), 0.5)
    _, places, counts = np.unique(values[there], return_inverse=True, return_counts=True)
    if there.any():
        found[there] = ((np.cumsum(counts) - (counts - 1) / 2) / there.sum())[places]
    return found


def _short(value: float) -> float:
    return float(f"{value:.12g}")
