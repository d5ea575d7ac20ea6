"""Differences on the same rows: they cover, agree with the plain bootstrap, and are narrower than two intervals."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_cli.metrics import classification, gate, paired
from mlops_cli.metrics.base import CLASS
from mlops_cli.metrics.paired import Answers


def two(count, seed, better=0.5, rate=0.4):
    """Truth, and the scores of two models that err alike in part; the first sees the signal better."""
    rng = np.random.default_rng(seed)
    actual = (rng.random(count) < rate).astype(np.int64)
    shared = rng.normal(size=count) + 1.5 * actual
    scores = [1 / (1 + np.exp(-(shared + rng.normal(size=count) * noise - 0.75))) for noise in (1 - better, 1.0)]
    return actual, [Answers((s >= 0.5).astype(np.int64), np.column_stack([1 - s, s])) for s in scores]


def binary(actual, models, seed=0):
    found = paired.classes(actual, *models, ["no", "yes"], 1, seed=seed)
    return {one.name: one for one in found if one.column is None}


def test_the_values_are_those_of_the_two_measurements():
    actual, models = two(700, 1)
    found = binary(actual, models)
    each = [{m.name: m.value for m in classification.binary(actual, a.predicted, a.proba[:, 1])} for a in models]
    for name, one in found.items():
        assert one.value == pytest.approx(each[0][name] - each[1][name], abs=1e-9), name
    assert {"precision", "accuracy", "f1", "mcc", "roc_auc", "log_loss", "brier"} <= set(found)


def test_agrees_with_the_plain_bootstrap():
    actual, models = two(2000, 2)
    rng = np.random.default_rng(5)
    drawn = {"precision": [], "f1": [], "roc_auc": [], "brier": []}
    for _ in range(400):
        i = rng.integers(0, 2000, 2000)
        for name, of in {
            "precision": lambda i, a: sk.precision_score(actual[i], a.predicted[i]),
            "f1": lambda i, a: sk.f1_score(actual[i], a.predicted[i]),
            "roc_auc": lambda i, a: sk.roc_auc_score(actual[i], a.proba[i, 1]),
            "brier": lambda i, a: np.mean((a.proba[i, 1] - actual[i]) ** 2),
        }.items():
            drawn[name].append(of(i, models[0]) - of(i, models[1]))
    found = binary(actual, models)
    for name, values in drawn.items():
        low, high = np.quantile(values, (0.025, 0.975))
        width = high - low
        assert abs(found[name].low - low) < 0.15 * width and abs(found[name].high - high) < 0.15 * width, name


@pytest.mark.parametrize(("count", "better"), [(80, 0.5), (300, 0.0), (300, 0.9)])
def test_coverage(count, better):
    """Nominally 95 % of intervals hold the truth; of 120 at least 105 are expected to (one in 10,000 runs fewer)."""
    truth = {name: one.value for name, one in binary(*two(400_000, 99, better)).items()}
    held = dict.fromkeys(truth, 0)
    for seed in range(120):
        for name, one in binary(*two(count, seed, better)).items():
            held[name] += one.low is None or one.low <= truth[name] <= one.high
    assert min(held.values()) >= 105, held


def test_several_classes_cover_too():
    def three(count, seed):
        rng = np.random.default_rng(seed)
        actual = rng.choice(3, count, p=[0.6, 0.3, 0.1])
        shared = rng.random(count)
        guess = rng.integers(0, 3, (2, count))
        return actual, [
            Answers(np.where(shared + 0.2 * rng.random(count) < limit, actual, guess[n]), None)
            for n, limit in enumerate((0.75, 0.6))
        ]

    def found(count, seed):
        actual, models = three(count, seed)
        every = paired.classes(actual, *models, ["a", "b", "c"], None)
        return {(one.name, one.level): one for one in every if one.column is None or one.column == CLASS}

    truth = {key: one.value for key, one in found(400_000, 99).items()}
    held = dict.fromkeys(truth, 0)
    for seed in range(120):
        for key, one in found(250, seed).items():
            held[key] += one.low is None or one.low <= truth[key] <= one.high
    assert min(held.values()) >= 105, held
    assert truth["precision", None] > 0.05


def test_regression_covers_and_is_the_difference():
    held = dict.fromkeys(("rmse", "mae", "bias", "r2"), 0)

    def found(count, seed):
        rng = np.random.default_rng(seed)
        actual = rng.normal(10, 3, count)
        shared = rng.normal(size=count)
        one, other = (actual + shared + rng.normal(size=count) * noise for noise in (0.3, 0.9))
        return actual, one, other, {m.name: m for m in paired.values(actual, one, other)}

    actual, one, other, exact = found(300_000, 99)
    assert exact["mae"].value == pytest.approx(np.abs(one - actual).mean() - np.abs(other - actual).mean())
    for seed in range(120):
        for name, value in found(100, seed)[3].items():
            if name in held:
                held[name] += value.low <= exact[name].value <= value.high
    assert min(held.values()) >= 105, held


def test_a_few_hundred_rows_decide_what_two_intervals_do_not():
    actual, models = two(400, 3, better=0.9)
    one, other = (classification.binary(actual, a.predicted, a.proba[:, 1]) for a in models)
    differences = paired.classes(actual, *models, ["no", "yes"], 1)
    asked = gate.parse("precision>=champion")
    alone = gate.judge(asked, one, champion=other)
    together = gate.judge(asked, one, champion=other, paired=differences)
    assert (alone.answer, together.answer) == ("inconclusive", "pass")
    assert gate.PAIRED in together.reason and gate.PAIRED not in alone.reason
    turned = paired.classes(actual, *models[::-1], ["no", "yes"], 1)
    assert gate.judge(asked, other, champion=one, paired=turned).answer == "fail"
    assert gate.judge(gate.parse("precision>=champion+0.3"), one, champion=other, paired=differences).answer == "fail"
    least = gate.judge(gate.parse("precision>=0.2"), one, champion=other, paired=differences)
    assert least.answer == "pass" and gate.PAIRED not in least.reason  # a plain bound is judged as ever


def test_models_that_agree_on_few_rows_are_not_surely_equal():
    actual = np.arange(40) % 2
    same = Answers(actual, None)
    found = binary(actual, [same, same])
    assert found["accuracy"].value == 0 and found["accuracy"].low < -0.01 and found["accuracy"].high > 0.01
    row = actual.copy()
    row[0] = 1 - row[0]
    found = binary(actual, [same, Answers(row, None)])
    assert found["accuracy"].value > 0 > found["accuracy"].low  # one row more is no proof
