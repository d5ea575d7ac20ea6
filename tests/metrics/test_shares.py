"""Wilson's interval and the χ² of a table of counts, held against scipy and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_cli.metrics import shares


@given(st.integers(1, 10_000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows))))
def test_wilson_is_scipys(pair: tuple[int, int]) -> None:
    count, rows = pair
    expected = stats.binomtest(count, rows).proportion_ci(method="wilson")
    assert shares.wilson(count, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.floats(0.001, 500), st.integers(1, 300))
def test_the_tail_of_chi_square_is_scipys(statistic: float, freedom: int) -> None:
    expected = float(stats.chi2.sf(statistic, freedom))
    assert shares.chi_square_tail(statistic, freedom) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_table_of_counts_is_scipys_and_empty_rows_do_not_count() -> None:
    counts = [[30, 20, 50], [12, 30, 60], [7, 3, 12]]
    expected = stats.chi2_contingency(np.array(counts), correction=False)
    found = shares.independence(counts)
    assert found == pytest.approx((expected.statistic, expected.dof, expected.pvalue), rel=1e-9)
    assert shares.independence([*counts, [0, 0, 0]]) == pytest.approx(found)
    assert shares.independence([[*row, 0] for row in counts]) == pytest.approx(found)
    assert shares.independence([[5, 0], [9, 0]]) == (0.0, 0, 1.0)
