"""Rows that belong together: intervals of whole groups hold the truth where those of rows do not."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_cli.metrics import classification, gate, grouped, paired, regression
from mlops_cli.metrics.base import CLASS
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.paired import Answers


def clustered(count, size, seed, alike=0.5):
    """Truth, scores and groups of so many groups of about `size` rows that resemble one another."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(count), rng.poisson(size - 1, count) + 1)
    own, shared = rng.normal(size=(2, len(codes))), rng.normal(size=(2, count))[:, codes]
    mixed = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
    y = (mixed[0] > 0.5).astype(np.int64)
    return y, 1 / (1 + np.exp(-(1.5 * y - 0.75 + mixed[1]))), codes


def binary(y, s, groups, **more):
    return classification.binary(y, (s >= 0.5).astype(np.int64), s, groups=groups, **more)


def named(found):
    return {each.name: each for each in found if each.column is None}


def test_intervals_of_groups_cover_where_those_of_rows_do_not():
    """Nominally 95 %. Of 80 runs 60 groups of 30 rows hold the truth in about 75, their rows alone in about 40."""
    exact = named(binary(*clustered(20_000, 20, 999)[:2], None, resamples=10))
    wanted = ("accuracy", "recall", "roc_auc", "average_precision", "lift_at_10", "log_loss", "brier", "mcc")
    held = {name: [0, 0] for name in wanted}
    for seed in range(80):
        y, s, codes = clustered(60, 30, seed)
        for place, groups in enumerate((Groups.of(codes), None)):
            found = named(binary(y, s, groups, resamples=200, cells=128))
            for name in wanted:
                held[name][place] += found[name].low <= exact[name].value <= found[name].high
    assert min(of_groups for of_groups, _ in held.values()) >= 66, held
    assert max(of_rows for _, of_rows in held.values()) <= 60, held


def plain(statistic, codes, resamples=500):
    """The bootstrap of whole groups, group by group."""
    rng = np.random.default_rng(5)
    count = codes.max() + 1
    members = [np.flatnonzero(codes == code) for code in range(count)]
    drawn = [statistic(np.concatenate([members[g] for g in rng.integers(0, count, count)])) for _ in range(resamples)]
    return tuple(np.quantile(drawn, (0.025, 0.975)))


def near(mine, other, share=0.15):
    width = other[1] - other[0]
    return abs(mine.low - other[0]) < share * width and abs(mine.high - other[1]) < share * width


def test_agrees_with_the_plain_bootstrap_of_groups():
    y, s, codes = clustered(150, 20, 3)
    found = named(binary(y, s, Groups.of(codes)))
    for name, statistic in {
        "roc_auc": lambda i: sk.roc_auc_score(y[i], s[i]),
        "average_precision": lambda i: sk.average_precision_score(y[i], s[i]),
        "precision": lambda i: sk.precision_score(y[i], s[i] >= 0.5),
        "f1": lambda i: sk.f1_score(y[i], s[i] >= 0.5),
        "brier": lambda i: np.mean((s[i] - y[i]) ** 2),
    }.items():
        assert near(found[name], plain(statistic, codes), 0.2), name
        assert 100 < found[name].groups <= 150 and found[name].n == len(y)


def test_regression_and_its_median_agree_too():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(120), 15)
    actual = rng.normal(10, 3, len(codes))
    error = rng.normal(size=120)[codes] + rng.laplace(size=len(codes))
    found = named(regression.regression(actual, actual + error, groups=Groups.of(codes)))
    for name, statistic in {
        "rmse": lambda i: np.sqrt(np.mean(error[i] ** 2)),
        "bias": lambda i: error[i].mean(),
        "median_absolute_error": lambda i: np.median(np.abs(error[i])),
    }.items():
        assert near(found[name], plain(statistic, codes), 0.2), name


def test_several_classes_agree_too():
    rng = np.random.default_rng(2)
    codes = np.repeat(np.arange(100), 20)
    y = np.where(rng.random(2000) < 0.5, rng.integers(0, 3, 100)[codes], rng.integers(0, 3, 2000))
    z = 0.7 * rng.normal(size=(100, 3))[codes] + rng.normal(size=(2000, 3))
    z[np.arange(2000), y] += 1.5
    proba = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    found = classification.multiclass(y, proba.argmax(axis=1), proba, list("abc"), groups=Groups.of(codes))
    named_p = proba.argmax(axis=1)
    whole = named(found)
    assert near(whole["accuracy"], plain(lambda i: np.mean(y[i] == named_p[i]), codes), 0.2)
    macro = plain(lambda i: sk.roc_auc_score(y[i], proba[i], multi_class="ovr"), codes, 200)
    assert near(whole["roc_auc"], macro, 0.25)
    one = next(each for each in found if (each.name, each.column, each.level) == ("recall", CLASS, "b"))
    assert near(one, plain(lambda i: np.mean(named_p[i][y[i] == 1] == 1), codes), 0.2)


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_differences_agree_with_the_plain_bootstrap_of_groups(alike):
    y, one, codes = clustered(150, 20, 4, alike)
    rng = np.random.default_rng(0)
    other = np.clip(one + 0.25 * rng.normal(size=150)[codes] + 0.1 * rng.normal(size=len(y)), 0.001, 0.999)
    both = [Answers((s >= 0.5).astype(np.int64), np.column_stack([1 - s, s])) for s in (one, other)]
    found = named(paired.classes(y, *both, ["no", "yes"], 1, groups=Groups.of(codes)))
    for name, of in {
        "roc_auc": lambda i, s: sk.roc_auc_score(y[i], s[i]),
        "average_precision": lambda i, s: sk.average_precision_score(y[i], s[i]),
        "accuracy": lambda i, s: np.mean((s[i] >= 0.5) == y[i]),
        "brier": lambda i, s: np.mean((s[i] - y[i]) ** 2),
    }.items():
        assert found[name].value == pytest.approx(of(slice(None), one) - of(slice(None), other), abs=1e-9)
        assert near(found[name], plain(lambda i, of=of: of(i, one) - of(i, other), codes), 0.25), name


def test_a_difference_of_medians_agrees_with_the_plain_bootstrap():
    rng = np.random.default_rng(7)
    codes = np.repeat(np.arange(150), 12)
    actual = rng.normal(size=len(codes))
    shared = rng.normal(size=150)[codes]
    one, other = (actual + shared + rng.normal(size=len(codes)) * noise for noise in (0.4, 1.0))
    for groups, units in ((Groups.of(codes), codes), (None, np.arange(len(codes)))):
        found = named(paired.values(actual, one, other, groups=groups))["median_absolute_error"]
        middle = [np.abs(each - actual) for each in (one, other)]
        assert near(found, plain(lambda i, m=middle: np.median(m[0][i]) - np.median(m[1][i]), units, 300), 0.25)


def test_groups_of_single_rows_are_none():
    assert Groups.of(np.arange(5)) is None
    assert Groups.of(np.array([0, 3, 3])).count == 2


def test_many_groups_are_dealt_and_still_say_the_same():
    y, s, codes = clustered(12_000, 3, 8)
    whole = named(binary(y, s, Groups.of(codes), resamples=400))
    alone = named(binary(y, s, None, resamples=400))
    for name in ("roc_auc", "accuracy", "brier"):
        ratio = (whole[name].high - whole[name].low) / (alone[name].high - alone[name].low)
        assert 1.1 < ratio < 1.8, (name, ratio)


def test_few_groups_give_wide_intervals_and_one_gives_none():
    y, s, codes = clustered(5, 200, 2)
    wide, alone = (named(binary(y, s, groups))["accuracy"] for groups in (Groups.of(codes), None))
    assert wide.high - wide.low > 2 * (alone.high - alone.low)
    said = gate.judge(gate.parse("accuracy>=0.01"), [wide])
    assert (said.answer, said.reason) == ("inconclusive", "only 5 groups, too few for an interval")
    assert gate.judge(gate.parse("accuracy>=0.01"), [wide], point=True).answer == "pass"
    single = named(binary(y, s, Groups.of(np.zeros(len(y), np.int64))))
    assert all(each.low is None for each in single.values())
    assert gate.judge(gate.parse("roc_auc>=0.01"), [single["roc_auc"]]).answer == "inconclusive"


def test_a_metric_rests_on_the_groups_that_have_its_class():
    y, s, codes = clustered(40, 20, 6)
    y[codes >= 3] = 0
    found = named(binary(y, s, Groups.of(codes)))
    assert (found["accuracy"].groups, found["recall"].groups, found["roc_auc"].groups) == (40, 3, 3)


def test_more_rows_are_told_as_groups():
    y, s, codes = clustered(60, 30, 1)
    found = named(binary(y, s, Groups.of(codes)))["accuracy"]
    said = gate.judge(gate.parse(f"accuracy>={found.value - 0.4 * (found.value - found.low)}"), [found])
    assert said.answer == "inconclusive" and "more groups (of" in said.reason


def test_the_design_effect_is_kishs():
    """1 + (size - 1) · correlation for groups of equal size."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(3000), 11)
    values = np.sqrt(0.3) * rng.normal(size=3000)[codes] + np.sqrt(0.7) * rng.normal(size=len(codes))
    assert grouped.design_effect(values, Groups.of(codes)) == pytest.approx(1 + 10 * 0.3, rel=0.1)
    assert grouped.design_effect(np.ones(len(codes)), Groups.of(codes)) == 11
