"""Intervals cover, agree with the plain bootstrap, repeat themselves, and stay honest when rows are few."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from mlops_cli.metrics import classification, intervals, ranking, regression, slices
from mlops_cli.metrics.base import CLASS


def rows(count, seed=0, shift=1.2, rate=0.3):
    rng = np.random.default_rng(seed)
    y = (rng.random(count) < rate).astype(np.int64)
    s = 1 / (1 + np.exp(-rng.normal(size=count) - shift * y + shift / 2 + 0.8))
    return y, (s >= 0.5).astype(np.int64), s


def ends(found, name):
    each = next(each for each in found if each.name == name and each.column is None)
    return each.low, each.high


def plain(statistic, count, resamples=600):
    """The plain percentile bootstrap, row by row."""
    rng = np.random.default_rng(5)
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(resamples)]
    return tuple(np.nanquantile(drawn, (0.025, 0.975)))


def near(mine, other, share=0.15):
    width = other[1] - other[0]
    return abs(mine[0] - other[0]) < share * width and abs(mine[1] - other[1]) < share * width


def test_agrees_with_the_plain_bootstrap():
    y, p, s = rows(3000)
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(500):
        i = rng.integers(0, 3000, 3000)
        drawn.append([each.value for each in classification.binary(y[i], p[i], s[i], resamples=1)])
    for each, low, high in zip(
        classification.binary(y, p, s), *np.quantile(drawn, (0.025, 0.975), axis=0), strict=True
    ):
        # The calibration error has an interval of another kind: test_calibration.py.
        assert each.name in ("rows", "ece") or near((each.low, each.high), (low, high)), each.name


@pytest.mark.parametrize("count", [400, 30_000])
def test_regression_agrees_with_the_plain_bootstrap(count):
    rng = np.random.default_rng(3)
    actual = rng.normal(10, 3, count)
    predicted = actual + rng.laplace(size=count)
    found = regression.regression(actual, predicted)
    error = predicted - actual
    for name, statistic in {
        "rmse": lambda i: np.sqrt(np.mean(error[i] ** 2)),
        "bias": lambda i: error[i].mean(),
        "r2": lambda i: 1 - np.mean(error[i] ** 2) / actual[i].var(),
        "median_absolute_error": lambda i: np.median(np.abs(error[i])),
    }.items():
        assert near(ends(found, name), plain(statistic, count)), name


def test_macro_roc_auc_agrees_with_the_plain_bootstrap():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 2000)
    z = rng.normal(size=(2000, 4))
    z[np.arange(2000), y] += 1.2
    proba = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    found = classification.multiclass(y, proba.argmax(axis=1), proba, list("abcd"))

    def areas(i):
        each = (ranking.ranking(proba[i, code], y[i] == code) for code in range(4))
        return np.mean([ranking.auc(*one) for one in each])

    assert near(ends(found, "roc_auc"), plain(areas, 2000, 400))


@pytest.mark.parametrize("count", [60, 300])
def test_coverage(count):
    """Nominally 95 % of intervals hold the truth; of 120 at least 105 are expected to (one in 10,000 runs fewer)."""
    big = classification.binary(*rows(400_000, 99), resamples=10)
    truth = {each.name: each.value for each in big}
    held = dict.fromkeys(truth, 0)
    for seed in range(120):
        for each in classification.binary(*rows(count, seed), resamples=300):
            if each.low is not None:
                held[each.name] += each.low <= truth[each.name] <= each.high
    del held["rows"]
    assert min(held.values()) >= 105, held


def test_few_rows_in_perfect_order_are_not_certain():
    y = np.array([0] * 7 + [1] * 5)
    found = classification.binary(y, y, y * 0.8 + 0.1)
    for name in ("precision", "recall", "accuracy", "roc_auc", "average_precision", "f1", "mcc"):
        low, high = ends(found, name)
        assert 0.3 < low < 0.95, name
        assert high == 1.0, name


def test_few_rows_all_right_in_many_classes_are_not_certain():
    y = np.repeat(np.arange(4), 5)
    found = classification.multiclass(y, y, np.eye(4)[y] * 0.9 + 0.025, list("abcd"))
    for each in found:
        if each.name in ("precision", "recall", "roc_auc"):
            assert each.low < 0.95, each
            assert each.high == 1.0
    assert {each.n for each in found if each.column == CLASS} == {5}


def test_the_same_seed_gives_the_same_interval_and_another_another():
    y, p, s = rows(12_000)
    first = classification.binary(y, p, s, seed=1)
    assert first == classification.binary(y, p, s, seed=1)
    assert first != classification.binary(y, p, s, seed=2)


def test_values_do_not_depend_on_resampling_in_groups_or_cells():
    y, p, s = rows(20_000)
    fine, coarse = (classification.binary(y, p, s, cells=cells, resamples=200) for cells in (4096, 64))
    for one, other in zip(fine, coarse, strict=True):
        assert one.value == other.value
        if one.low is not None:
            assert near((one.low, one.high), (other.low, other.high), 0.3), one.name


def test_jeffreys_interval_of_a_proportion():
    """The Bayesian bootstrap of the recall, 8 of 10, is Beta(8.5, 2.5)."""
    y = np.array([1] * 10 + [0] * 10)
    p = np.array([1] * 8 + [0] * 12)
    low, high = ends(classification.binary(y, p, None, resamples=20_000), "recall")
    assert (low, high) == pytest.approx(stats.beta(8.5, 2.5).interval(0.95), abs=0.01)


def test_medians_have_the_distribution_of_the_bootstrap():
    rng = np.random.default_rng(0)
    for count in (9, 10):
        values = np.sort(rng.normal(size=count))
        mine = intervals.medians(values, rng, 20_000)
        plainly = np.median(values[rng.integers(0, count, (20_000, count))], axis=1)
        for q in (0.05, 0.3, 0.5, 0.8, 0.95):
            assert np.quantile(mine, q) == pytest.approx(np.quantile(plainly, q), abs=0.12)
        assert mine.mean() == pytest.approx(plainly.mean(), abs=0.02)


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 9, 30, 1000])
def test_students_t(freedom):
    tolerance = 0.06 if freedom == 3 else 0.01
    assert intervals.student(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=tolerance)


def test_expanded_tails_are_wider_for_few_rows():
    assert intervals.expanded(10)[0] < 0.012 < intervals.expanded(100)[0] < 0.025
    assert intervals.expanded(10**6)[0] == pytest.approx(0.025, abs=1e-5)
    assert intervals.expanded(1) == (0.0, 1.0)


def test_coarse_cells_keep_rows_and_rare_positives():
    y, _, s = rows(50_000, rate=0.002)
    fine = ranking.ranking(s, y == 1)
    few = ranking.coarse(fine)
    assert len(few.positive) <= ranking.CELLS < len(fine.positive)
    assert (few.positive.sum(), few.negative.sum()) == (y.sum(), len(y) - y.sum())
    assert few.positive.max() <= 2


def test_curve_ends_and_rises():
    y, _, s = rows(5000)
    false, true, precision = ranking.curve(ranking.ranking(s, y == 1))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all() and (np.diff(true) >= 0).all()
    assert precision[-1] == pytest.approx(y.mean())
    assert len(false) <= 201


def test_slices_measure_each_level_on_its_rows():
    y, p, _ = rows(900)
    codes = np.arange(900) % 3
    found = slices.by_level(
        codes, ["a", "b", "nobody", "c"][:3], "who", lambda part: classification.binary(y[part], p[part], None)
    )
    for code, level in enumerate(["a", "b"]):
        mine = next(each for each in found if each.name == "recall" and each.level == level)
        part = codes == code
        assert mine.value == pytest.approx(sk.recall_score(y[part], p[part]))
        assert (mine.n, mine.column) == (300, "who")
