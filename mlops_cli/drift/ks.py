"""The Kolmogorov–Smirnov distance between the counts of a reference and of live data, at the reference's edges."""

from __future__ import annotations

import math

import numpy as np

from mlops_cli.drift.base import ColumnProfile, Drift, settled, unknown

THRESHOLD = 0.1


def applies(reference: ColumnProfile) -> bool:
    """Numbers and times only: levels have no order."""
    return reference.levels is None


def compare(
    reference: ColumnProfile, live: ColumnProfile, threshold: float | None = None, error: float = 0.05
) -> Drift:
    """D = max |F(e) − G(e)| over the reference's edges, F and G the shares of present values below an edge.

    Missing values are left out. Between the edges the distance can be larger by at most the share of one bin, so D
    here is a lower bound of the exact one. The p-value is the limit 2 Σ (−1)ᵏ⁻¹ exp(−2 k² λ²) with
    λ = (√N + 0.12 + 0.11/√N)·D, N = nm/(n+m) (Stephens 1970), too large rather than too small on bins. The interval
    is D ± (√(ln(2/β)/2n) + √(ln(2/β)/2m)) with β = error / 2: Dvoretzky–Kiefer–Wolfowitz with Massart's constant (1990)
    for each side, so it covers at least 1 − error whatever the distribution.
    """
    limit = THRESHOLD if threshold is None else threshold
    if reference.edges != live.edges:
        raise ValueError(f"column {reference.name}: not counted in the reference's edges")
    expected, actual = np.cumsum(reference.counts), np.cumsum(live.counts)
    n, m = int(expected[-1]), int(actual[-1])
    if not n or not m:
        return unknown(limit)
    statistic = float(np.abs(expected / n - actual / m).max())
    reach = math.sqrt(math.log(4 / error) / 2)
    half = reach / math.sqrt(n) + reach / math.sqrt(m)
    interval = (max(0.0, statistic - half), min(1.0, statistic + half))
    return settled(statistic, interval, _upper_tail(statistic, n * m / (n + m)), limit)


def _upper_tail(distance: float, size: float) -> float:
    scaled = (math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)) * distance
    if scaled < 0.2:  # the series converges slowly there, and its sum is 1 to nine digits
        return 1.0
    terms = [2.0 * (-1.0) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
    return min(1.0, max(0.0, sum(terms)))
