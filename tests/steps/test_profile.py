"""Profiles of columns: what is counted, that bytes are stable, and live data in stored edges."""

import datetime as dt
import os
import subprocess
import sys

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlops_cli import errors
from mlops_cli.drift.base import Profile
from mlops_cli.steps import profile, profile_live


def one(values: list, dtype: pl.DataType | None = None):
    return profile.build(pl.LazyFrame({"x": pl.Series(values, dtype=dtype)}), ["x"]).columns[0]


def test_numbers_are_divided_in_equal_shares():
    found = one(list(range(1000)))
    assert found.edges == list(range(50, 1000, 50))
    assert found.counts == [50] * 20
    assert (found.min, found.max, found.mean, found.nulls) == (0, 999, 499.5, 0)
    assert found.std == pytest.approx(np.std(np.arange(1000)))


def test_missing_is_null_nan_and_infinity():
    found = one([1.0, 2.0, None, float("nan"), float("inf"), float("-inf")])
    assert found.nulls == 4 and sum(found.counts) == 2 and (found.min, found.max) == (1.0, 2.0)


def test_a_value_that_fills_a_share_has_a_bin_of_its_own():
    found = one([0] * 700 + list(range(1, 301)))
    assert found.edges[0] == 1 and found.counts[0] == 700
    floats = one([0.0] * 700 + [float(x) for x in range(1, 301)])
    assert floats.counts[0] == 700


def test_a_constant_column_shows_any_other_value():
    found = one([3.5] * 40)
    assert found.counts == [0, 40, 0]
    live = profile_live.against(pl.LazyFrame({"x": [3.4, 3.5, 3.6, 99.0]}), [found]).columns[0]
    assert live.counts == [1, 1, 2]
    assert one([2**63 - 1] * 3).counts == [0, 3]


def test_nothing_but_nulls():
    found = one([None, None], pl.Float64())
    assert (found.nulls, found.counts, found.edges, found.min) == (2, [0], [], None)
    assert one([None, None]).levels == [] and one([None, None]).nulls == 2


def test_levels_are_ranked_by_count_then_name_and_the_rest_is_other():
    found = one(["b", "a", "c", "c", None])
    assert (found.levels, found.counts, found.other, found.nulls) == (["c", "a", "b"], [2, 1, 1], 0, 1)
    many = one([f"l{i:03}" for i in range(130)] + ["l129"])
    assert many.levels[:2] == ["l129", "l000"] and len(many.levels) == 100 and many.other == 30


def test_booleans_have_two_levels_whatever_was_seen():
    found = one([True, True, None])
    assert (found.type, found.levels, found.counts, found.nulls) == ("bool", ["false", "true"], [0, 2], 1)


def test_times_are_microseconds_utc():
    assert one([dt.date(1970, 1, 2)] * 2).min == 86_400_000_000
    zoned = pl.Series([dt.datetime(2020, 1, 1)]).dt.replace_time_zone("Europe/Rome")
    assert one(zoned.to_list(), zoned.dtype).min == 1577833200000000
    assert one([dt.datetime(1970, 1, 1, 0, 0, 1)], pl.Datetime("ms")).min == 1_000_000


def test_refusals():
    with pytest.raises(errors.UnknownColumn, match="no column y"):
        profile.build(pl.LazyFrame({"x": [1]}), ["y"])
    with pytest.raises(errors.SchemaMismatch, match="List"):
        profile.build(pl.LazyFrame({"x": [[1]]}), ["x"])
    reference = profile.build(pl.LazyFrame({"n": [1, 2], "s": ["a", "b"]}), ["n", "s"]).columns
    for bad in ({"n": ["a"], "s": ["a"]}, {"n": [1], "s": [1]}, {"n": [dt.date(2020, 1, 1)], "s": ["a"]}):
        with pytest.raises(errors.SchemaMismatch, match="in the reference"):
            profile_live.against(pl.LazyFrame(bad), reference)
    with pytest.raises(errors.InputUnusable):
        profile.build(pl.scan_parquet("missing.parquet"), ["x"])


def test_bytes_depend_neither_on_order_nor_on_threads(tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"f": rng.normal(size=30_000) * 1e6, "i": rng.integers(0, 9, 30_000), "s": rng.choice(list("abcdef"), 30_000)}
    )
    frame.write_parquet(tmp_path / "one.parquet")
    frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(tmp_path / "two.parquet", row_group_size=999)
    script = (
        "import sys, polars as pl, msgspec; from mlops_cli.steps import profile;"
        "print(msgspec.json.encode(profile.build(pl.scan_parquet(sys.argv[1]), ['f', 'i', 's'])).decode())"
    )
    answers = set()
    for name, threads in (("one", "1"), ("one", "4"), ("two", "2")):
        command = [sys.executable, "-c", script, str(tmp_path / f"{name}.parquet")]
        answers.add(subprocess.check_output(command, env={**os.environ, "POLARS_MAX_THREADS": threads}))
    assert len(answers) == 1
    assert msgspec.json.encode(msgspec.json.decode(answers.pop(), type=Profile)) in (
        msgspec.json.encode(profile.build(frame.lazy(), ["f", "i", "s"])),
    )


NUMBERS = st.lists(st.one_of(st.none(), st.floats(), st.floats(-2, 2), st.sampled_from([0.0, -0.0, 1.0])), max_size=60)
INTEGERS = st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(0, 4)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.one_of(NUMBERS.map(lambda v: (v, pl.Float64)), INTEGERS.map(lambda v: (v, pl.Int64))))
@example(([1.7976931345e308], pl.Float64))
def test_every_row_is_in_one_cell_and_counting_again_agrees(data):
    values, dtype = data
    stored = one(values, dtype)
    assert sum(stored.counts) + stored.nulls == len(values)
    assert len(stored.counts) == len(stored.edges) + 1
    assert stored.edges == sorted(set(stored.edges))
    again = profile_live.against(pl.LazyFrame({"x": pl.Series(values, dtype=dtype)}), [stored]).columns[0]
    assert (again.counts, again.nulls, again.min, again.max) == (stored.counts, stored.nulls, stored.min, stored.max)
    assert msgspec.json.decode(msgspec.json.encode(stored), type=type(stored)) == stored


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=2), st.sampled_from("abc")), max_size=150))
def test_levels_counted_again_agree(values):
    stored = one(values, pl.String)
    again = profile_live.against(pl.LazyFrame({"x": pl.Series(values, dtype=pl.String)}), [stored]).columns[0]
    assert (again.counts, again.other, again.nulls) == (stored.counts, stored.other, stored.nulls)
    assert sum(stored.counts) + stored.other + stored.nulls == len(values)


def test_predictions_have_a_profile_of_their_own():
    numbers = profile.prediction(np.linspace(0, 1, 101))
    assert (numbers.name, numbers.type) == ("prediction", "float") and sum(numbers.counts) == 101
    codes = profile.prediction(np.array([0, 2, 2], dtype=np.int32), ["a", "b", "c"])
    assert (codes.levels, codes.counts) == (["a", "b", "c"], [1, 0, 2])
