"""When a trial is given up: it is worse than the median of those that ended before its batch, at the same place.

The rule is the median stopping rule (Golovin et al., *Google Vizier*, KDD 2017, 3.2.1; optuna's MedianPruner), with one
change for learning curves. A small learning rate is behind at every early round and ahead at the end, so a curve is not
compared at the same round, but by what it could still become.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

LEAST = 5
"""Trials that must have ended before any is given up."""


def after_fold(scores: Sequence[float], ended: Sequence[Sequence[float]], higher: bool) -> bool:
    """Whether the mean over the first folds is worse than the median of what `ended` trials had after as many."""
    others = [fmean(folds[: len(scores)]) for folds in ended]
    return len(others) >= LEAST and _worse(fmean(scores), median(others), higher)


def on_curve(curve: Sequence[float], total: float, ended: Sequence[float], higher: bool) -> bool:
    """Whether a trial would be worse than the median of the `ended` ones even if each doubling of its rounds that is
    left brought as much as the last one did. `curve` has a metric for each round; `total` are the most rounds.

    Asked at powers of two from a sixteenth of the rounds on.
    """
    at = len(curve)
    if len(ended) < LEAST or at < 8 or at < total / 16 or at & (at - 1):
        return False
    pick = max if higher else min
    now, before = pick(curve), pick(curve[: at // 2])
    return _worse(now + (now - before) * math.log2(max(1.0, total / at)), median(ended), higher)


def _worse(value: float, other: float, higher: bool) -> bool:
    return value < other if higher else value > other
