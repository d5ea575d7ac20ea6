"""Curves from a model's own probabilities to honest ones, learnt on rows that it was not fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics.intervals import Floats, Ints
from mlops_cli.runtime import decision
from mlops_cli.runtime.decision import Calibration, Curve, Method
from mlops_cli.runtime.signature import Signature

METHODS: tuple[Method, ...] = ("isotonic", "platt")
_STEPS, _SMALLEST = 100, 1e-12

Bools = NDArray[np.bool_]


def fit(own: Floats, actual: Ints, method: Method, signature: Signature, weights: Floats | None = None) -> Calibration:
    """The calibration from (n, k) probabilities and (n,) codes of what was so; rows count as their (n,) `weights` say.

    Of two classes one curve, of the positive one. Of more one for each class against the rest (Zadrozny & Elkan,
    "Transforming classifier scores into accurate multiclass probability estimates", 2002); a class without rows, or
    with all of them, keeps its probabilities.
    """
    codes = [signature.positive_index()] if signature.task == "binary" else list(range(own.shape[1]))
    learn = isotonic if method == "isotonic" else platt
    weights = np.ones(len(actual)) if weights is None else weights / weights.mean()  # so that they add up to rows
    curves = []
    for code in codes:
        truth = actual == code
        known = bool(truth.any()) and not bool(truth.all())
        curves.append(learn(own[:, code], truth, weights) if known else _same(method))
    return Calibration(method, curves, len(actual))


def isotonic(own: Floats, truth: Bools, weights: Floats) -> Curve:
    """The rising curve of least squares, from (n,) probabilities, truths and weights of mean 1.

    Pool adjacent violators (Ayer, Brunk, Ewing, Reid & Silverman 1955; Zadrozny & Elkan 2002), straight lines between
    its steps as in scikit-learn.

    Unlike there no probability is 0 or 1: n rows do not show that something never happens. The ends are drawn in to
    Platt's (1999) 1 / (negatives + 2) and (positives + 1) / (positives + 2).
    """
    x, places = np.unique(own, return_inverse=True)
    masses = np.asarray(np.bincount(places, weights), dtype=np.float64)
    there = masses > 0
    x, masses = x[there], masses[there]
    level = pooled(np.bincount(places, truth * weights)[there] / masses, masses)
    positives = float(weights[truth].sum())
    level = np.clip(level, 1 / (len(truth) - positives + 2), (positives + 1) / (positives + 2))
    # Of a step only its two ends matter.
    kept = np.ones(len(x), bool)
    kept[1:-1] = (level[1:-1] != level[:-2]) | (level[1:-1] != level[2:])
    return Curve(x=x[kept].tolist(), y=level[kept].tolist())


def pooled(values: Floats, weights: Floats) -> Floats:
    """The rising sequence nearest to (n,) values in weighted squares."""
    means: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        size = 1
        while means and means[-1] >= value:
            mass = masses.pop()
            value = (means.pop() * mass + value * weight) / (mass + weight)
            weight += mass
            size += sizes.pop()
        means.append(value)
        masses.append(weight)
        sizes.append(size)
    return np.repeat(np.array(means), sizes)


def platt(own: Floats, truth: Bools, weights: Floats) -> Curve:
    """The logistic curve of greatest likelihood over the log-odds, from (n,) probabilities, truths, weights of mean 1.

    Platt, "Probabilistic outputs for support vector machines" (1999), with his targets (N+ + 1) / (N+ + 2) and
    1 / (N- + 2) in the place of 1 and 0; Newton's method with halved steps of Lin, Lin & Weng (2007).
    """
    f = decision.log_odds(own)
    positives = float(weights[truth].sum())
    negatives = len(truth) - positives
    target = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.column_stack([f, np.ones(len(f))])
    found = np.array([0.0, np.log((negatives + 1) / (positives + 1))])

    def loss(at: Floats) -> float:
        z = design @ at
        return float(
            weights @ (np.logaddexp(0.0, z) - (1 - target) * z)
        )  # minus the log-likelihood, P = 1 / (1 + exp z)

    least = loss(found)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(np.clip(design @ found, -500, 500)))
        slope = design.T @ (weights * (target - p))
        bend = (design.T * (weights * p * (1 - p))) @ design + _SMALLEST * np.eye(2)
        step = np.linalg.solve(bend, slope)
        if float(slope @ step) < 1e-12 * len(f):
            break
        size = 1.0
        while size > 1e-10 and not (now := loss(found - size * step)) < least - 1e-4 * size * float(slope @ step):
            size /= 2
        if size <= 1e-10:
            break
        found, least = found - size * step, now
    return Curve(a=float(found[0]), b=float(found[1]))


def _same(method: Method) -> Curve:
    """The curve that changes nothing."""
    return Curve(x=[0.0, 1.0], y=[0.0, 1.0]) if method == "isotonic" else Curve()
