"""Strata of quantities: bins between quantiles, ties in one bin, numbers with few values as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_cli.steps import split_strata

Cli = Callable[..., Any]


def strata(values: list[Any], bins: int = 10, dtype: Any = None) -> tuple[list[Any], split_strata.Strata]:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)})
    found = split_strata.of(frame.lazy(), "x", bins)
    return frame.select(found.value).to_series().to_list(), found


def test_bins_hold_the_same_number_of_rows_and_say_their_ends() -> None:
    numbers, found = strata([float(number) for number in range(1000)])
    assert [numbers.count(one) for one in range(10)] == [100] * 10
    assert found.edges == tuple(float(number) for number in range(100, 1000, 100))
    assert (found.shown(0), found.shown(1), found.shown(9)) == ("(-inf, 100.0)", "[100.0, 200.0)", "[900.0, inf)")
    assert found.shown(None) is None


@given(st.lists(st.floats(allow_infinity=True, allow_nan=True) | st.none(), min_size=30), st.integers(2, 12))
def test_equal_values_share_a_bin_order_is_kept_and_holes_have_none(values: list[Any], bins: int) -> None:
    numbers, found = strata(values, bins, pl.Float64)
    if found.edges is None:
        return
    known = [(value, one) for value, one in zip(values, numbers, strict=True) if value is not None and value == value]
    assert all(one is None for value, one in zip(values, numbers, strict=True) if value is None or value != value)
    assert sorted(one for _, one in known) == [one for _, one in sorted(known)]
    assert len({(value, one) for value, one in known}) == len({value for value, _ in known})
    assert all(0 <= one < bins for _, one in known)


def test_one_value_that_is_most_of_them_is_a_bin() -> None:
    numbers, found = strata([0] * 700 + list(range(1, 301)))
    assert found.edges == (0, 1, 101, 201) or found.edges[0] == 0
    assert len(set(numbers[:700])) == 1


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([1, 2, 3] * 50, None),
        (list(range(20)) * 5, None),
        ([0.5, 1.5, None] * 20, None),
        ([True, False] * 9, None),
        (["a", "b"] * 9, None),
        ([2**63 - number for number in range(1, 41)], (2**63 - 20,)),
    ],
)
def test_few_values_are_levels_and_large_integers_are_exact(values: list[Any], edges: Any) -> None:
    _, found = strata(values, 2)
    assert found.edges == edges


def test_a_split_by_a_price_has_the_same_prices_in_every_part(cli: Cli) -> None:
    price = np.random.default_rng(0).lognormal(3, 2, 4000)
    pl.DataFrame({"id": range(4000), "price": price}).write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--stratify", "price", "--bins", "20", "-o", "parts").code == 0
    edges = np.sort(price)[[number * 200 for number in range(1, 20)]]
    for part, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        inside = np.searchsorted(edges, pl.read_parquet(f"parts/{part}/*.parquet")["price"].to_numpy(), "right")
        assert np.abs(np.bincount(inside, minlength=20) - 200 * share).max() <= 1
    told = json.loads(Path("parts/certificate.json").read_bytes())
    assert told["target"]["edges"] == pytest.approx(edges.tolist(), rel=0)
    assert [one["rows"] for one in told["parts"]["test"]["strata"]] == [40] * 20
    assert told["target"]["p"] > 0.99 and told["clean"]


def test_bad_bins(cli: Cli) -> None:
    pl.DataFrame({"id": range(400), "x": [[1]] * 400}).write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--stratify", "id", "--bins", "1").code == 2
    done = cli("split", "t.parquet", "--target", "x")
    assert done.code == 4 and "no target" in done.err
