"""Hashes that differ in few bits: found as by comparing all with all, whatever the distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.steps import near


def apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Differing bits of all pairs."""
    return np.bitwise_count(left[:, None] ^ right[None, :])


def chains(hashes: np.ndarray, distance: int) -> np.ndarray:
    """The smallest position that each is connected with, by brute force."""
    close = apart(hashes, hashes) <= distance
    label = np.arange(len(hashes))
    while True:
        least = np.where(close, label[None, :], len(hashes)).min(axis=1)
        if (least == label).all():
            return label
        label = least


def crowded(seed: int, rows: int, flips: int) -> np.ndarray:
    """Hashes around a few scenes, each with up to `flips` bits turned."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, 12, dtype=np.uint64)[rng.integers(0, 12, rows)]
    for _ in range(flips):
        hashes = hashes ^ (np.uint64(1) << rng.integers(0, 64, rows, dtype=np.uint64))
    return hashes


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two labellings divide alike."""
    return len(set(zip(one.tolist(), other.tolist(), strict=True))) == len(set(one)) == len(set(other))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, near.MOST), st.integers(0, 12), st.integers(1, 120))
def test_clusters_and_neighbours_are_those_of_brute_force(seed: int, distance: int, flips: int, rows: int) -> None:
    hashes = crowded(seed, rows, flips)
    assert same(near.clusters(hashes, distance), chains(hashes, distance))
    half = rows // 2
    ours, others = hashes[:half], hashes[half:]
    assert (near.among(ours, others, distance) == (apart(ours, others) <= distance).any(axis=1)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, near.MOST), st.integers(0, 9))
def test_of_those_alike_the_first_is_kept(seed: int, distance: int, flips: int) -> None:
    hashes = crowded(seed, 100, flips)
    kept: list[int] = []
    for number, row in enumerate(apart(hashes, hashes)):
        if not any(row[other] <= distance for other in kept):
            kept.append(number)
    assert np.flatnonzero(~near.later(hashes, distance)).tolist() == kept


def test_a_bit_in_every_band_but_two_is_still_found() -> None:
    """The worst place for the bits: each in another band, for every distance."""
    for distance in range(1, near.MOST + 1):
        borders = np.linspace(0, 64, distance + 3).round().astype(int)[:distance]
        turned = np.bitwise_or.reduce(np.uint64(1) << borders.astype(np.uint64))
        pair = np.array([0, turned], dtype=np.uint64)
        assert len(set(near.clusters(pair, distance))) == 1
        assert len(set(near.clusters(pair, distance - 1))) == 2
        assert near.among(pair[:1], pair[1:], distance).all()


def test_a_long_chain_is_one_cluster_and_merging_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = np.random.default_rng(3).integers(0, 64, 3000, dtype=np.uint64)
    chain = np.bitwise_xor.accumulate(np.uint64(1) << steps)
    assert len(set(near.clusters(chain, 1))) == 1
    monkeypatch.setattr(near, "AT_ONCE", 3)
    assert len(set(near.clusters(chain, 1))) == 1
    hashes = crowded(1, 300, 4)
    assert same(near.clusters(hashes, 6), chains(hashes, 6))


@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_one(rows: int) -> None:
    hashes = np.zeros(rows, dtype=np.uint64)
    assert len(near.clusters(hashes, 6)) == len(near.later(hashes, 6)) == rows
    assert not near.later(hashes, 6).any()
    assert near.among(hashes, hashes[:0], 6).tolist() == [False] * rows
