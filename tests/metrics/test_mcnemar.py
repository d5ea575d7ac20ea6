"""McNemar's test against scipy, and where rows belong together."""

import numpy as np
import pytest
from scipy import stats

from mlops_cli.metrics import mcnemar
from mlops_cli.metrics.grouped import Groups


def right(b, c, both=50):
    one = np.array([True] * b + [False] * c + [True] * both)
    return one, np.array([False] * b + [True] * c + [True] * both)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 9), (12, 13), (25, 0)])
def test_few_rows_exactly(b, c):
    found = mcnemar.compare(*right(b, c))
    assert (found.only_this, found.only_champion, found.method) == (b, c, "exact")
    assert found.p == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0)


@pytest.mark.parametrize(("b", "c"), [(13, 13), (40, 20), (500, 400)])
def test_many_rows_with_the_correction(b, c):
    found = mcnemar.compare(*right(b, c))
    assert found.method == "corrected"
    assert found.p == pytest.approx(stats.chi2.sf(max(0, abs(b - c) - 1) ** 2 / (b + c), 1))


def test_rows_of_few_groups_are_no_proof():
    one, other = right(200, 100, 0)
    alone = mcnemar.compare(one, other)
    together = mcnemar.compare(one, other, Groups.of(np.repeat(np.arange(6), 50)))
    assert alone.p < 1e-6 and together.p > 0.3 and together.method == "grouped"


def test_groups_keep_the_level():
    """Where neither is better, about 5 % of runs say so at p < 0.05: with groups 2 to 12 of 100, with rows far more."""
    rng = np.random.default_rng(0)
    said = [0, 0]
    for _ in range(100):
        codes = np.repeat(np.arange(50), 20)
        lean = rng.choice([0.2, 0.8], 50)[codes]
        one = rng.random(1000) < lean
        for place, groups in enumerate((Groups.of(codes), None)):
            said[place] += mcnemar.compare(one, ~one, groups).p < 0.05
    assert said[0] <= 12 and said[1] >= 25, said
