"""What answers cost: the numbers by hand, and intervals that hold the truth."""

import numpy as np
import pytest

from mlops_cli.metrics import confusion, cost
from mlops_cli.metrics.grouped import Groups
from mlops_cli.runtime.costs import Costs

COSTS = Costs("EUR", [False, True], [[0.0, 2.0], [10.0, -1.0]])
PRICE = cost.table(COSTS, [False, True])


def of(metrics, name="cost", level=None):
    return next(one for one in metrics if one.name == name and one.level == level)


def test_the_mean_and_the_total_by_hand():
    counts = np.array([[50, 10], [4, 36]])
    found = cost.classes(counts, PRICE, ["false", "true"])
    assert of(found).value == pytest.approx((10 * 2 + 4 * 10 - 36) / 100) and of(found).n == 100
    assert of(found, "cost_total").value == 24
    assert of(found, level="false").value == pytest.approx(20 / 60)
    assert of(found, level="true").value == pytest.approx(4 / 40)
    assert of(found).low < of(found).value < of(found).high


def test_classes_are_matched_by_name_and_what_has_no_cost_is_undefined():
    table = cost.table(COSTS, [True, False])
    assert table.tolist() == [[-1.0, 10.0], [2.0, 0.0]]
    table = cost.table(Costs("", ["a", "b"], [[0, 1], [2, 0]]), ["a", "b", "zebra"])
    assert np.isnan(table[2]).all() and table[1, 0] == 2
    counts = np.zeros((3, 3), np.int64)
    counts[0, 0] = 5
    assert of(cost.classes(counts, table, ["a", "b", "zebra"])).value == 0.0
    counts[2, 0] = 1
    found = cost.classes(counts, table, ["a", "b", "zebra"])
    assert of(found).value is None and of(found, level="a").value == 0.0


def test_a_regression_pays_for_each_unit():
    actual, predicted = np.array([10.0, 10, 10]), np.array([12.0, 9, 10])
    spent = cost.of_values(actual, predicted, Costs(over=1.5, under=4.0))
    assert spent.tolist() == [3.0, 4.0, 0.0]
    assert of(cost.values(spent)).value == pytest.approx(7 / 3)


def test_an_error_that_has_not_occurred_is_not_impossible():
    counts = np.array([[50, 0], [0, 50]])
    found = of(cost.classes(counts, cost.table(Costs("", [0, 1], [[0, 1], [100, 0]]), [0, 1]), ["0", "1"]))
    assert found.value == 0.0 and found.low == pytest.approx(0, abs=0.01) and found.high > 1.0


def test_intervals_hold_the_truth():
    """95 % of 400 samples of 300 rows, within three standard errors."""
    random = np.random.default_rng(5)
    shares = np.array([0.6, 0.1, 0.05, 0.25])
    true = float(shares @ PRICE.ravel())
    held = 0
    for seed in range(400):
        counts = random.multinomial(300, shares).reshape(2, 2)
        value = of(cost.classes(counts, PRICE, ["false", "true"], seed=seed))
        held += value.low <= true <= value.high
    assert held / 400 >= 0.95 - 3 * (0.95 * 0.05 / 400) ** 0.5


def test_a_difference_on_the_same_rows_is_surer_than_two_means():
    random = np.random.default_rng(7)
    actual = random.integers(0, 2, 2000)
    one = np.where(random.random(2000) < 0.2, 1 - actual, actual)
    other = np.where(random.random(2000) < 0.02, 1 - one, one)
    found = cost.paired_classes(actual, one, other, PRICE)
    means = [cost.classes(confusion.matrix(actual, each, 2), PRICE, ["false", "true"])[0] for each in (one, other)]
    assert found.value == pytest.approx(means[0].value - means[1].value)
    assert found.high - found.low < (means[0].high - means[0].low) / 2
    same = cost.paired_classes(actual, one, one, PRICE)
    assert same.value == 0 and same.low < 0 < same.high
    spent = PRICE[actual, one], PRICE[actual, other]
    assert cost.paired_values(*spent).value == pytest.approx(found.value)


def test_another_threshold():
    score, positive = np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 1, 0, 1])
    at = np.array([0.0, 0.4, 0.5, 0.95])
    found = cost.by_threshold(score, positive, PRICE, at)
    wanted = [np.mean([PRICE[t, int(s >= cut)] for s, t in zip(score, positive, strict=True)]) for cut in at]
    assert found == pytest.approx(wanted)


def test_rows_of_a_group_that_are_alike_say_no_more_than_one():
    random = np.random.default_rng(3)
    wrong = np.repeat(random.random(40) < 0.3, 50)  # whole groups are wrong
    spent = np.where(wrong, 10.0, 0.0)
    counts = np.array([[0, 0], [int(wrong.sum()), int((~wrong).sum())]])
    price = np.array([[0.0, 2.0], [10.0, 0.0]])
    alone = cost.classes(counts, price, ["false", "true"])
    groups = Groups.of(np.repeat(np.arange(40), 50))
    together = of(cost.together(alone, spent, groups))
    width = together.high - together.low
    assert width > 4 * (of(alone).high - of(alone).low)
    assert width == pytest.approx(2 * 2.02 * 10 * np.sqrt(0.3 * 0.7 / 39), rel=0.25) and together.groups == 40
    assert together.value == of(alone).value and cost.together(alone, spent, None) == alone
