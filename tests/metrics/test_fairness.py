"""Fairness metrics against fairlearn's, and intervals that allow for having picked the extreme groups."""

import numpy as np
import pytest
from fairlearn import metrics as fairlearn

from mlops_cli.metrics import fairness
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import generator, percentiles

LEVELS = ["a", "b", "c"]
NAMES = ("demographic_parity", "equal_opportunity", "equalized_odds")


def rows(seed, sizes=(400, 300, 90), rates=(0.5, 0.4, 0.2)):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    actual = (rng.random(len(codes)) < np.array(rates)[codes]).astype(np.int64)
    predicted = (rng.random(len(codes)) < 0.2 + 0.5 * actual + 0.1 * (codes == 1)).astype(np.int64)
    return codes, actual, predicted


def table(codes, actual, predicted, groups=3):
    return np.bincount(codes * 4 + actual * 2 + predicted, minlength=groups * 4).reshape(groups, 2, 2)


def measured(counts, levels=LEVELS, seed=0):
    return {(one.name, one.level): one for one in fairness.binary(counts, levels, "sex", generator(seed, 1))}


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_those_of_fairlearn(seed):
    codes, actual, predicted = rows(seed)
    found = measured(table(codes, actual, predicted))
    for name in NAMES:
        for kind in ("ratio", "difference"):
            theirs = getattr(fairlearn, f"{name}_{kind}")(actual, predicted, sensitive_features=codes)
            one = found[f"{name}_{kind}", None]
            assert one.value == pytest.approx(theirs, abs=1e-11), (name, kind)
            assert one.low <= one.value <= one.high and one.column == "sex" and one.n == len(codes)
    frame = fairlearn.MetricFrame(
        metrics={"selection_rate": fairlearn.selection_rate, "fpr": fairlearn.false_positive_rate},
        y_true=actual,
        y_pred=predicted,
        sensitive_features=codes,
    )
    for code, level in enumerate(LEVELS):
        for name in ("selection_rate", "fpr"):
            assert found[name, level].value == pytest.approx(frame.by_group[name][code], abs=1e-11)
    for name, theirs in (
        ("accuracy", fairlearn.accuracy_score_difference),
        ("precision", fairlearn.make_derived_metric(metric=_precision, transform="difference")),
    ):
        expected = theirs(actual, predicted, sensitive_features=codes)
        assert found[f"{name}_difference", None].value == pytest.approx(expected, abs=1e-11)


def _precision(actual, predicted):
    return actual[predicted == 1].mean()


def test_regression_compares_as_fairlearn_does():
    codes, _, _ = rows(0)
    rng = np.random.default_rng(3)
    actual = rng.normal(10, 3, len(codes))
    predicted = actual + rng.normal(codes, 1 + codes)
    found = {
        (one.name, one.level): one
        for one in fairness.regression(actual, predicted, codes, LEVELS, "sex", generator(0, 1))
    }
    frame = fairlearn.MetricFrame(
        metrics={"mae": lambda t, p: np.abs(t - p).mean(), "mean_prediction": fairlearn.mean_prediction},
        y_true=actual,
        y_pred=predicted,
        sensitive_features=codes,
    )
    assert found["mae_ratio", None].value == pytest.approx(frame.ratio()["mae"])
    for name in ("mae", "mean_prediction"):
        assert found[f"{name}_difference", None].value == pytest.approx(frame.difference()[name])
    assert found["mean_prediction", "b"].value == pytest.approx(frame.by_group["mean_prediction"][1])
    assert found["mae_ratio", None].high < 1 and ("mean_prediction_ratio", None) not in found


def test_groups_that_are_too_small_or_none_are_measured_and_not_compared():
    codes, actual, predicted = rows(1, (200, 200, 29, 200, 200), (0.5, 0.5, 1.0, 0.5, 0.5))
    levels = ["a", "b", "few", "(null)", "(other)"]
    predicted[codes >= 2] = 1
    found = measured(table(codes, actual, predicted, 5), levels)
    assert found["selection_rate", "few"].value == 1 and found["selection_rate", "(null)"].value == 1
    kept = codes < 2
    theirs = fairlearn.demographic_parity_ratio(actual[kept], predicted[kept], sensitive_features=codes[kept])
    assert found["demographic_parity_ratio", None].value == pytest.approx(theirs)
    assert found["demographic_parity_ratio", None].n == 400


def test_a_rate_of_few_rows_is_not_compared():
    counts = np.array([[[50, 50], [50, 50]], [[90, 50], [4, 5]]])
    found = measured(counts, ["a", "b"])
    assert found["demographic_parity_ratio", None].value is not None
    for name in ("equal_opportunity_ratio", "equal_opportunity_difference", "equalized_odds_ratio"):
        assert found[name, None].value is None and found[name, None].low is None
    counts[1, 1] = [5, 5]
    assert measured(counts, ["a", "b"])["equal_opportunity_ratio", None].value == 1


def test_nobody_chosen_has_no_ratio_and_no_difference():
    counts = np.array([[[60, 0], [40, 0]], [[50, 0], [50, 0]]])
    found = measured(counts, ["a", "b"])
    assert found["demographic_parity_ratio", None].value is None
    assert found["demographic_parity_difference", None].value == 0
    assert found["demographic_parity_difference", None].high > 0.005


def test_intervals_of_equal_groups_hold_equality_where_those_of_a_plain_bootstrap_do_not():
    sizes, ours, plain = np.full(8, 80), 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hits = rng.binomial(sizes, 0.3)
        ratio, difference = fairness.shares("demographic_parity", hits, sizes, list("abcdefgh"), "g", rng)
        ours += ratio.high >= 0.999 and difference.low <= 0.001
        draws = rng.beta(hits + 0.5, sizes - hits + 0.5, (1000, 8))
        plain += percentiles((draws.min(axis=1) / draws.max(axis=1))[:, None])[0, 1] >= 0.999
    assert ours >= 52 and plain == 0


def test_intervals_hold_a_true_ratio_and_say_so_surely_when_rows_are_many():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sizes = np.array([400, 150, 300])
        hits = rng.binomial(sizes, [0.5, 0.35, 0.45])
        ratio, difference = fairness.shares("demographic_parity", hits, sizes, LEVELS, "g", rng)
        held += ratio.low <= 0.7 <= ratio.high and difference.low <= 0.15 <= difference.high
    assert held >= 54
    sizes = np.full(3, 100_000)
    ratio, _ = fairness.shares("demographic_parity", sizes * [5, 4, 3] // 10, sizes, LEVELS, "g", generator(0, 1))
    assert 0.58 < ratio.low < 0.6 < ratio.high < 0.62


def test_the_calibration_gap_is_mean_probability_less_share():
    rng = np.random.default_rng(0)
    score = rng.random(500)
    actual = (rng.random(500) < score * 0.5).astype(np.int64)
    gap = fairness.gap(score, actual, "sex", "a", rng)
    assert gap.value == pytest.approx(score.mean() - actual.mean()) and 0.15 < gap.low < 0.25 < gap.high < 0.35


def test_rows_that_belong_together_make_intervals_wider():
    codes, actual, predicted = rows(2, (600, 600), (0.5, 0.4))
    alone = measured(table(codes, actual, predicted, 2), ["a", "b"])
    members = np.repeat(np.arange(len(codes)), 20)  # each row twenty times over says no more than once
    copies = codes[members], actual[members], predicted[members]
    cells, place = table(*copies, 2), copies[0] * 4 + copies[1] * 2 + copies[2]
    rows_of = fairness.Clustered(Groups.of(members), place, copies[0], copies[2].astype(float))
    for together, width in ((None, 20**-0.5), (rows_of, 1.0)):
        found = {
            (one.name, one.level): one for one in fairness.binary(cells, ["a", "b"], "sex", generator(0, 1), together)
        }
        for key in (("demographic_parity_difference", None), ("selection_rate", "a"), ("fpr", "b")):
            ours, theirs = found[key], alone[key]
            assert ours.value == pytest.approx(theirs.value)
            assert (ours.high - ours.low) / (theirs.high - theirs.low) == pytest.approx(width, rel=0.2), key
    assert found["selection_rate", "a"].groups == 600 and found["demographic_parity_ratio", None].groups == 1200


def test_a_comparison_of_few_groups_says_how_few():
    codes, actual, predicted = rows(2, (600, 600), (0.5, 0.4))
    members = np.where(codes == 0, np.arange(1200) // 10, 100 + codes * 5 + np.arange(1200) % 5)
    place = codes * 4 + actual * 2 + predicted
    rows_of = fairness.Clustered(Groups.of(members), place, codes, predicted.astype(float))
    found = fairness.binary(table(codes, actual, predicted, 2), ["a", "b"], "sex", generator(0, 1), rows_of)
    assert {one.groups for one in found if one.level is None and one.value is not None} == {5}
    mean = fairness.regression(
        actual * 1.0, predicted * 1.0, codes, ["a", "b"], "sex", generator(0, 1), Groups.of(members)
    )
    assert next(one for one in mean if one.name == "mae_difference").groups == 5
