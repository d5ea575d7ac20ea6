"""Every drift test against every rule of the Protocol."""

import importlib
import math

import numpy as np
import polars as pl
import pytest

from mlops_cli import extensions
from mlops_cli.drift.base import DriftTest
from mlops_cli.steps import profile, profile_live

ROWS = 4000


@pytest.fixture(params=sorted(extensions.DRIFT))
def test(request: pytest.FixtureRequest) -> DriftTest:
    return importlib.import_module(extensions.DRIFT[request.param])


def table(seed: int, shift: float = 0.0, rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "number": rng.normal(size=rows) + shift,
            "count": rng.poisson(3, rows) + int(shift),
            "level": rng.choice(["new", "odd"] if shift else ["a", "b", "c"], rows),
            "flag": rng.random(rows) < (0.95 if shift else 0.3),
            "when": pl.Series(rng.integers(0, 10**12, rows) + int(shift * 10**12)).cast(pl.Datetime("us")),
            "holes": pl.Series(rng.normal(size=rows) + shift).set(pl.Series(rng.random(rows) < 0.2), None),
            "constant": np.full(rows, 7.0 + shift),
        }
    )


def found(test: DriftTest, reference: pl.DataFrame, live: pl.DataFrame) -> dict:
    stored = profile.build(reference.lazy(), reference.columns)
    columns = [column for column in stored.columns if test.applies(column)]
    counted = profile_live.against(live.lazy(), columns)
    return {a.name: test.compare(a, b) for a, b in zip(columns, counted.columns, strict=True)}


def test_the_same_rows_are_no_drift(test):
    for name, drift in found(test, table(1), table(1)).items():
        assert drift.statistic == pytest.approx(0, abs=1e-12), name
        assert not drift.drifted and drift.low == 0


def test_another_sample_is_no_drift(test):
    for name, drift in found(test, table(1), table(2)).items():
        assert not drift.drifted, name
        assert drift.statistic < drift.threshold


def test_ten_sigma_are_drift(test):
    for name, drift in found(test, table(1), table(2, shift=10.0)).items():
        assert drift.drifted, name
        assert drift.p_value is not None and drift.p_value < 1e-6


def test_the_order_of_rows_does_not_matter(test):
    live = table(2, shift=0.3)
    assert found(test, table(1), live) == found(test, table(1), live.reverse())


def test_few_rows_are_never_drift(test):
    for name, drift in found(test, table(1), table(3, rows=5)).items():
        assert not drift.drifted, name


def test_no_rows_are_no_answer(test):
    for drift in found(test, table(1), table(1).clear()).values():
        assert (drift.statistic, drift.low, drift.high, drift.p_value) == (0.0, 0.0, math.inf, None)
        assert not drift.drifted


def test_the_interval_holds_the_statistic_and_the_threshold_can_be_named(test):
    stored = profile.build(table(1).lazy(), ["number"]).columns[0]
    live = profile_live.against(table(2, shift=0.5).lazy(), [stored]).columns[0]
    drift = test.compare(stored, live, 0.0001)
    assert 0 <= drift.low <= drift.statistic <= drift.high
    assert drift.threshold == 0.0001 and drift.drifted
    assert test.compare(stored, live, 5.0).drifted is False


def test_counts_of_other_edges_are_refused(test):
    one, other = (profile.build(table(seed).lazy(), ["number"]).columns[0] for seed in (1, 2))
    with pytest.raises(ValueError, match="number"):
        test.compare(one, other)


def test_an_all_null_reference_is_defined(test):
    empty = pl.DataFrame({"number": pl.Series([None] * 50, dtype=pl.Float64)})
    for drift in found(test, empty, table(1).select("number")).values():
        assert not math.isnan(drift.statistic)
