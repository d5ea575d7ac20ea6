"""What `--set` and `--space` may say."""

import numpy as np
import pytest
from msgspec import UNSET

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models import lightgbm
from mlops_cli.models.lightgbm_settings import Shape, check_labels, complete, loss


def test_values_have_their_types():
    given = {
        "learning_rate": "0.05",
        "num_leaves": "63",
        "extra_trees": "true",
        "objective": "huber",
        "max_depth": "-1",
    }
    assert lightgbm.settings(given) == {
        "learning_rate": 0.05,
        "num_leaves": 63,
        "extra_trees": True,
        "objective": "huber",
        "max_depth": -1,
    }


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("num_leafs", "3", "did you mean num_leaves"),
        ("num_threads", "3", "no setting"),
        ("n_estimators", "100", "did you mean num_iterations"),
        ("machines", "10.0.0.1", "no setting"),
        ("num_leaves", "many", "whole number"),
        ("num_leaves", "2.5", "whole number"),
        ("num_leaves", "1", "at least 2"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "nan", "above 0"),
        ("feature_fraction", "1.5", "at most 1"),
        ("extra_trees", "yes", "false, true"),
        ("objective", "lambdarank", "regression"),
    ],
)
def test_what_is_refused(name, text, says):
    with pytest.raises(Usage) as caught:
        lightgbm.settings({name: text})
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_an_objective_of_another_task():
    with pytest.raises(Usage, match="does not fit a binary"):
        complete({"objective": "huber"}, "binary", Shape(2, 100, 5), 0)


@pytest.mark.parametrize(
    "given",
    [
        {"data_sample_strategy": "goss", "bagging_fraction": 0.5},
        {"data_sample_strategy": "goss", "top_rate": 0.9, "other_rate": 0.2},
        {"is_unbalance": True, "scale_pos_weight": 2.0},
    ],
)
def test_settings_that_exclude_each_other(given):
    with pytest.raises(Usage):
        complete(given, "binary", Shape(2, 100, 5), 0)


def test_targets_that_an_objective_cannot_have():
    for objective, labels in (("poisson", [-1.0, 2.0]), ("tweedie", [0.0, 0.0]), ("gamma", [0.0, 1.0])):
        with pytest.raises(InputUnusable, match=objective):
            check_labels({"objective": objective}, np.array(labels))
    check_labels({"objective": "poisson"}, np.array([0.0, 1.0]))
    check_labels({"objective": "regression"}, np.array([-1.0]))


def test_leaves_adapt_to_few_rows():
    assert complete({}, "regression", Shape(0, 75, 5), 0)["min_data_in_leaf"] == 5
    assert complete({}, "regression", Shape(0, 10, 5), 0)["min_data_in_leaf"] == 2
    assert complete({}, "regression", Shape(0, 100_000, 5), 0)["min_data_in_leaf"] == 20
    assert complete({"min_data_in_leaf": 7}, "regression", Shape(0, 150, 5), 0)["min_data_in_leaf"] == 7


def test_few_rows_want_small_trees_and_slow_learning():
    leaves = [complete({}, "binary", Shape(2, rows, 10), 0)["num_leaves"] for rows in (500, 5_000, 500_000)]
    assert leaves == [8, 16, 31]
    few, many = (complete({}, "binary", Shape(2, rows, 10), 0) for rows in (500, 500_000))
    assert few["learning_rate"] < many["learning_rate"]
    assert few["feature_fraction_bynode"] == 0.5 and "feature_fraction_bynode" not in many
    assert "feature_fraction_bynode" not in complete({}, "binary", Shape(2, 500, 3), 0)


def test_losses_have_the_names_that_people_know():
    for written, read in (
        ("l2", "regression"),
        ("mse", "regression"),
        ("l1", "regression_l1"),
        ("mae", "regression_l1"),
    ):
        assert lightgbm.settings({"objective": written}) == {"objective": read}
    assert loss("regression", {}) == ("regression", UNSET)
    assert loss("regression", {"objective": "quantile"}) == ("quantile", 0.9)
    assert loss("binary", {}) == (UNSET, UNSET)


def test_a_bagging_fraction_takes_effect():
    assert complete({"bagging_fraction": 0.5}, "binary", Shape(2, 100, 5), 0)["bagging_freq"] == 1
    assert complete({"bagging_fraction": 0.5, "bagging_freq": 3}, "binary", Shape(2, 100, 5), 0)["bagging_freq"] == 3


def test_metrics_by_task():
    assert next(iter(lightgbm.metrics("binary", {}))) == "log_loss"
    assert lightgbm.metrics("binary", {})["roc_auc"] and not lightgbm.metrics("regression", {})["rmse"]
