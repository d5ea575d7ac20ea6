"""The search for the worst slices finds what was planted, and nothing where nothing is."""

import numpy as np
import pytest

from mlops_cli.metrics import worst
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.worst import Coded


def columns(rows, count=6, seed=0):
    rng = np.random.default_rng(seed)
    return [Coded(f"c{n}", rng.integers(0, 4, rows).astype(np.uint8), list("abcd")) for n in range(count)]


def search(coded, loss, least=200, groups=None, seed=0):
    return worst.search(coded, loss, least, groups, np.random.default_rng(seed))


def test_a_planted_pair_is_found_alone_and_its_size_told():
    coded = columns(8000)
    inside = (coded[1].codes == 2) & (coded[4].codes == 3)
    loss = np.random.default_rng(1).exponential(size=8000) + 1.5 * inside
    found, tried = search(coded, loss)
    assert tried == 6 * 4 + 15 * 16
    assert found[0].where == ((1, 2), (4, 3))
    assert found[0].rows == inside.sum() and 0.35 < found[0].measured / found[0].rows < 0.65
    assert found[0].difference[1] > 1.0 < 1.5 < found[0].difference[2]
    assert len(found) == 1  # c1=c alone and c4=d alone are worse only because of it


def test_a_planted_level_is_found_without_its_parts():
    coded = columns(8000)
    loss = np.random.default_rng(1).exponential(size=8000) + 0.8 * (coded[2].codes == 0)
    found, _ = search(coded, loss)
    assert [one.where for one in found] == [((2, 0),)]


def test_noise_has_no_surely_worse_slices():
    said = 0
    for seed in range(40):
        found, _ = search(columns(2000, seed=seed), np.random.default_rng(seed).exponential(size=2000), 50, seed=seed)
        said += any(one.difference[1] > 0 for one in found)
    assert said <= 2


def test_what_is_told_of_a_slice_is_not_flattered_by_having_found_it():
    """A level worse by 0.2 is found only where chance makes it worse by 0.26 in the half that it is found on."""
    told = []
    for seed in range(120):
        coded = columns(2000, seed=seed)
        loss = np.random.default_rng(seed).exponential(size=2000) + 0.2 * (coded[0].codes == 0)
        told += [one.difference[0] for one in search(coded, loss, 50, seed=seed)[0] if one.where == ((0, 0),)]
    assert len(told) >= 10 and 0.12 < np.mean(told) < 0.25, told


def test_groups_that_are_bad_together_are_no_slice():
    """One group is bad, and lies in one level: rows taken alone would say that the level is."""
    said = [0, 0]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        codes = np.repeat(np.arange(40), 50)
        coded = [Coded("c", rng.integers(0, 4, 40)[codes].astype(np.uint8), list("abcd"))]
        loss = rng.exponential(size=2000) + rng.exponential(size=40)[codes]
        for place, groups in enumerate((Groups.of(codes), None)):
            found, _ = search(coded, loss, 50, groups, seed)
            said[place] += any(one.difference[1] > 0 for one in found)
    assert said[0] <= 2 and said[1] >= 10, said


def test_near_duplicates_and_small_slices_are_left_out():
    coded = columns(6000, 3)
    coded.append(Coded("copy", coded[0].codes.copy(), list("abcd")))
    coded.append(Coded("rare", np.where(np.arange(6000) < 100, 0, 1).astype(np.uint8), ["r"]))
    loss = np.random.default_rng(1).exponential(size=6000) + 1.0 * (coded[0].codes == 1)
    loss[:100] += 5
    found, _ = search(coded, loss, 500)
    assert [one.where for one in found] == [((0, 1),)]
    assert search(coded, loss, 60)[0][0].where == ((4, 0),)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_hardly_any_rows(rows):
    assert search(columns(rows), np.ones(rows), 20)[0] == []
