"""Shares of counted rows: Wilson's interval, and whether the shares of several samples differ more than by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from mlops_cli.metrics.intervals import LEVEL

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


def wilson(count: float, rows: float) -> tuple[float, float]:
    """The 95 % score interval of a share of `rows` > 0 rows, inside 0 to 1.

    (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n): Wilson, "Probable Inference, the Law of Succession, and
    Statistical Inference", JASA 22 (1927). It holds the truth for few rows and for shares near 0 and 1 too, where
    p ± z·√(p(1 − p)/n) does not (Brown, Cai & DasGupta, 2001).
    """
    p, z2 = count / rows, _Z**2 / rows
    centre, half = (p + z2 / 2) / (1 + z2), _Z / (1 + z2) * math.sqrt(p * (1 - p) / rows + z2 / rows / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def independence(counts: Sequence[Sequence[int]]) -> tuple[float, int, float]:
    """Pearson's χ² of a table of counts (samples × levels), its degrees of freedom, and its p-value.

    χ² = Σ (counted − expected)² / expected, where a cell expects row sum · column sum / all (Pearson, 1900). Rows and
    columns without any count are left out; a table of one row or column has χ² 0 and p 1.
    """
    rows = [sum(row) for row in counts]
    columns = [sum(column) for column in zip(*counts, strict=True)]
    total = sum(rows)
    freedom = (sum(map(bool, rows)) - 1) * (sum(map(bool, columns)) - 1)
    if freedom <= 0:
        return 0.0, 0, 1.0
    statistic = 0.0
    for row, row_sum in zip(counts, rows, strict=True):
        for count, column_sum in zip(row, columns, strict=True):
            if row_sum and column_sum:
                expected = row_sum * column_sum / total
                statistic += (count - expected) ** 2 / expected
    return statistic, freedom, chi_square_tail(statistic, freedom)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(χ² with `freedom` > 0 degrees > `statistic`), exact.

    Q(a, x) with a = freedom / 2, x = statistic / 2, by Q(a + 1, x) = Q(a, x) + xᵃ·e⁻ˣ / Γ(a + 1) from Q(½, x) =
    erfc(√x) and Q(1, x) = e⁻ˣ (Abramowitz & Stegun 6.5.21, 26.4.4).
    """
    x = statistic / 2
    if x <= 0:
        return 1.0
    a = 0.5 if freedom % 2 else 1.0
    tail = math.erfc(math.sqrt(x)) if freedom % 2 else math.exp(-x)
    while a < freedom / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, tail)
