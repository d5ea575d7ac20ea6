"""Equal rows: copies stay together, and cases that look alike do not."""

from __future__ import annotations

import numpy as np

from mlops_cli.models import alike, lightgbm_folds

RNG = np.random.default_rng(5)


def test_rows_whose_twins_have_another_target_are_alike_by_nature() -> None:
    inputs = np.repeat(np.arange(100), 7)
    assert not alike.by_nature(inputs, inputs % 2)
    assert alike.by_nature(inputs, RNG.integers(0, 2, 700))
    for groups, found in ((9, False), (10, True)):  # of 100, one row each that differs
        targets = np.zeros(700)
        targets[np.arange(groups) * 7 + 3] = 1
        assert alike.by_nature(inputs, targets) is found
    assert not alike.by_nature(np.arange(700), RNG.normal(size=700))


def test_further_rows_of_a_hash_are_spread_evenly_and_the_first_one_stays() -> None:
    hashes = RNG.integers(0, 2**64, 3, dtype=np.uint64).repeat([1000, 1, 400])
    mixed = RNG.permutation(len(hashes))
    found = alike.numbered(hashes[mixed])
    assert len(np.unique(found)) == len(found)
    for number, each in enumerate(np.unique(hashes)):
        here = found[hashes[mixed] == each]
        assert here[0] == each, number
        assert abs((here < np.uint64(int(0.15 * 2**64))).sum() - 0.15 * len(here)) <= 2


def test_copies_are_in_one_part_and_cases_that_look_alike_are_not() -> None:
    rows = RNG.normal(size=(60, 3))
    rows[5, 1] = np.nan
    values = np.concatenate([rows, rows, rows])
    labels = np.tile(RNG.integers(0, 2, 60), 3).astype(np.float64)
    fold = lightgbm_folds.places(values, labels, 5, 0, classes=True).reshape(3, 60)
    assert (fold[0] == fold[1]).all() and (fold[0] == fold[2]).all()
    assert np.bincount(fold[0]).tolist() == [12] * 5
    chance = RNG.integers(0, 2, 180).astype(np.float64)
    fold = lightgbm_folds.places(values, chance, 5, 0, classes=True)
    assert (fold[:60] != fold[60:120]).any() and np.bincount(fold).tolist() == [36] * 5
    few = lightgbm_folds.places(np.repeat([[0.0], [1.0]], 20, axis=0), np.repeat([0.0, 1.0], 20), 5, 0, classes=True)
    assert np.bincount(few).tolist() == [8] * 5, "two different rows cannot be five parts"
