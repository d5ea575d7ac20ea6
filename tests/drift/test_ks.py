"""The Kolmogorov–Smirnov distance on bins against the exact one."""

import numpy as np
import polars as pl
from scipy import stats

from mlops_cli.drift import ks
from mlops_cli.steps import profile, profile_live


def compared(reference: np.ndarray, live: np.ndarray):
    stored = profile.build(pl.LazyFrame({"x": reference}), ["x"]).columns[0]
    return ks.compare(stored, profile_live.against(pl.LazyFrame({"x": live}), [stored]).columns[0])


def test_it_is_a_lower_bound_within_one_bin_of_the_exact_distance():
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.2, 1.0):
        one, two = rng.normal(size=3000), rng.normal(size=2000) + shift
        exact = stats.ks_2samp(one, two)
        found = compared(one, two)
        assert exact.statistic - 0.1 <= found.statistic <= exact.statistic + 1e-12
        assert found.low <= exact.statistic <= found.high


def test_the_p_value_is_the_asymptotic_one():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=3000), rng.normal(size=2000) + 0.05
    found = compared(one, two)
    size = np.sqrt(3000 * 2000 / 5000)
    scaled = (size + 0.12 + 0.11 / size) * found.statistic
    assert abs(found.p_value - stats.kstwobign.sf(scaled)) < 1e-9


def test_levels_have_no_order():
    stored = profile.build(pl.LazyFrame({"x": ["a", "b"]}), ["x"]).columns[0]
    assert not ks.applies(stored)
