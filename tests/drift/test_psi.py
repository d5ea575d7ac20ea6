"""The population stability index against numbers worked out by hand and by simulation."""

import math

import numpy as np
import pytest

from mlops_cli.drift import psi
from mlops_cli.drift.base import ColumnProfile


def levels(counts: list[int], nulls: int = 0, other: int = 0) -> ColumnProfile:
    names = [f"l{i}" for i in range(len(counts))]
    return ColumnProfile(name="c", type="string", nulls=nulls, counts=counts, levels=names, other=other)


def test_by_hand():
    # Shares, smoothed by a half: (70.5, 30.5)/101 and (50.5, 50.5)/101.
    e, a = (70.5 / 101, 30.5 / 101), (0.5, 0.5)
    expected = sum((x - y) * math.log(x / y) for x, y in zip(a, e, strict=True))
    assert psi.compare(levels([70, 30]), levels([50, 50])).statistic == pytest.approx(expected, rel=1e-9)


def test_it_is_symmetric():
    one, two = levels([70, 25, 5]), levels([40, 30, 0], nulls=3)
    assert psi.compare(one, two).statistic == psi.compare(two, one).statistic


def test_missing_values_and_new_levels_are_cells():
    reference = levels([5000, 5000])
    assert psi.compare(reference, levels([2500, 2500], nulls=5000)).drifted
    assert psi.compare(reference, levels([2500, 2500], other=5000)).drifted


def test_cells_empty_on_both_sides_do_not_count():
    assert psi.compare(levels([50, 50, 0]), levels([40, 60, 0])) == psi.compare(levels([50, 50]), levels([40, 60]))


def test_the_interval_covers_and_the_p_value_is_calibrated():
    rng = np.random.default_rng(0)
    e = np.full(10, 0.1)
    a = e * np.exp(np.linspace(-0.7, 0.7, 10))
    a /= a.sum()
    truth = float(((a - e) * np.log(a / e)).sum())
    covered = refused = 0
    for _ in range(400):
        reference = levels(rng.multinomial(20_000, e).tolist())
        found = psi.compare(reference, levels(rng.multinomial(1_000, a).tolist()))
        covered += found.low <= truth <= found.high
        same = psi.compare(reference, levels(rng.multinomial(1_000, e).tolist()))
        refused += same.p_value < 0.05
        assert not same.drifted
    assert covered / 400 >= 0.91
    assert 0.02 <= refused / 400 <= 0.08


def test_fewer_rows_than_two_a_cell_leave_the_upper_end_open():
    assert psi.compare(levels([500] * 10), levels([1] * 10)).high == math.inf
