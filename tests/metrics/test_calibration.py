"""The expected calibration error: its definition, its interval over simulated models, many rows, odd ends."""

import numpy as np
import pytest

from mlops_cli.metrics import calibration, classification


def drawn(rows, sharper, seed):
    """Probabilities that are too extreme by the factor `sharper` in log-odds, and what came true."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(scale=1.5, size=rows)
    said = 1 / (1 + np.exp(-sharper * odds))
    return said, rng.random(rows) < 1 / (1 + np.exp(-odds))


def by_definition(said, true):
    """The error with a loop over the bins."""
    total = 0.0
    for low in range(15):
        inside = (said * 15 >= low) & ((said * 15 < low + 1) | (low == 14))
        if inside.any():
            total += abs(true[inside].mean() - said[inside].mean()) * inside.mean()
    return total


@pytest.mark.parametrize("rows", [1, 50, 12_345])
def test_is_what_the_definition_says(rows):
    said, true = drawn(rows, 2.0, 1)
    found = calibration.error(said, true, np.random.default_rng(0), 50)
    assert found.value == pytest.approx(by_definition(said, true), abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.n == rows


def test_certainty_counts_too():
    found = calibration.error(np.array([0.0, 1.0, 1.0, 1.0]), np.array([False, True, True, False]),
                              np.random.default_rng(0), 50)  # fmt: skip
    assert found.value == pytest.approx(0.25)


def coverage(rows, sharper, truth, runs=30):
    hits = 0
    for seed in range(runs):
        said, true = drawn(rows, sharper, seed)
        found = calibration.error(said, true, np.random.default_rng(seed), 200)
        hits += found.low <= truth <= found.high
    return hits / runs


def test_intervals_hold_the_truth_also_where_it_is_nothing():
    assert coverage(400, 1.0, 0.0) >= 0.9
    assert coverage(1500, 3.0, by_definition(*drawn(1_000_000, 3.0, 99))) >= 0.85


@pytest.mark.parametrize("rows", [60, 100])
def test_intervals_of_few_rows_hold_miscalibration_that_noise_all_but_hides(rows):
    """A reflected interval holds it in 82 and 87 % of runs."""
    assert coverage(rows, 2.0, by_definition(*drawn(1_000_000, 2.0, 99)), runs=100) >= 0.93


def test_many_rows_are_dealt_into_groups_without_another_answer():
    said, true = drawn(30_000, 2.0, 3)
    dealt = calibration.error(said, true, np.random.default_rng(0), 300)
    rng = np.random.default_rng(1)
    samples = (rng.integers(0, 30_000, 30_000) for _ in range(150))
    low, high = np.quantile([by_definition(said[i], true[i]) for i in samples], (0.025, 0.975))
    assert dealt.low == pytest.approx(2 * dealt.value - high, abs=0.002)
    assert dealt.high == pytest.approx(2 * dealt.value - low, abs=0.002)


def test_of_several_classes_it_is_of_the_predicted_one():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), 500)
    actual = rng.integers(0, 5, 500)  # one of them no class of the model
    predicted = proba.argmax(axis=1)
    found = {one.name: one for one in classification.multiclass(actual, predicted, proba, list("abcde"), resamples=20)
             if one.column is None}  # fmt: skip
    assert found["ece"].value == pytest.approx(by_definition(proba.max(axis=1), actual == predicted), abs=1e-9)
    truth = np.eye(5)[actual]
    assert found["brier"].value == pytest.approx(
        ((np.pad(proba, ((0, 0), (0, 1))) - truth) ** 2).sum(axis=1).mean() / 2
    )


def test_confidence_is_that_in_the_predicted_class_also_where_that_is_not_the_likeliest():
    """As when the class of least expected cost is answered."""
    proba = np.tile([0.6, 0.3, 0.1], (200, 1))
    actual = (np.arange(200) % 10 < 3).astype(int)
    found = classification.multiclass(actual, np.ones(200, int), proba, ["a", "b", "c"])
    assert next(m.value for m in found if m.name == "ece") == pytest.approx(0, abs=1e-9)
