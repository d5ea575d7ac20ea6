"""What a fit stops by is what `evaluate` and scikit-learn mean by the name, weights included."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_cli.errors import InputUnusable
from mlops_cli.metrics import classification, regression
from mlops_cli.models.lightgbm_metrics import USUAL, feval, offered
from mlops_cli.models.lightgbm_settings import OBJECTIVES

RNG = np.random.default_rng(1)
ROWS = 300
WEIGHTS = RNG.integers(0, 4, ROWS).astype(float)
TWO = RNG.random(ROWS).round(2)
BINARY = (RNG.random(ROWS) < TWO).astype(float)
PROBA = RNG.dirichlet([1.0, 1.0, 2.0], ROWS).round(3)
PROBA /= PROBA.sum(axis=1, keepdims=True)
THREE = np.array([RNG.choice(3, p=row) for row in PROBA], dtype=float)
COUNTS = RNG.poisson(3.0, ROWS) + 1.0
ANSWERS = RNG.gamma(5.0, 0.6, ROWS)


def cases():
    """Task, labels, answers, and what `evaluate` measures of them."""
    of_two = classification.binary(BINARY.astype(int), (TWO >= 0.5).astype(int), TWO, resamples=20)
    of_three = classification.multiclass(THREE.astype(int), PROBA.argmax(axis=1), PROBA, ["a", "b", "c"], resamples=20)
    numbers = regression.regression(COUNTS, ANSWERS, resamples=20, loss="poisson")
    numbers += regression.regression(COUNTS, ANSWERS, resamples=20, loss="quantile", alpha=0.3)
    yield "binary", None, BINARY, TWO, of_two
    yield "multiclass", None, THREE, PROBA, of_three
    yield "regression", "quantile", COUNTS, ANSWERS, numbers


@pytest.mark.parametrize(("task", "objective", "labels", "answers", "measured"), [*cases()])
def test_the_same_as_evaluate(task, objective, labels, answers, measured):
    known = {each.name: each.value for each in measured if each.column is None}
    computed = {name: of for name, of in offered(task, objective, 0.3).items() if of.measure}
    assert computed and offered(task, objective, 0.3).keys() <= known.keys()
    for name, of in computed.items():
        assert of.measure(labels, answers, np.ones(ROWS)) == pytest.approx(known[name], abs=1e-9), name


def test_weights_count_as_in_scikit_learn():
    two = {name: of.measure for name, of in offered("binary").items() if of.measure}
    named = TWO >= 0.5
    for name, theirs in {
        "f1": sk.f1_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "mcc": sk.matthews_corrcoef,
    }.items():
        assert two[name](BINARY, TWO, WEIGHTS) == pytest.approx(theirs(BINARY, named, sample_weight=WEIGHTS)), name
    assert two["brier"](BINARY, TWO, WEIGHTS) == pytest.approx(sk.brier_score_loss(BINARY, TWO, sample_weight=WEIGHTS))
    three = {name: of.measure for name, of in offered("multiclass").items() if of.measure}
    area = sk.roc_auc_score(THREE, PROBA, multi_class="ovr", sample_weight=WEIGHTS)
    assert three["roc_auc"](THREE, PROBA, WEIGHTS) == pytest.approx(area)
    numbers = {name: of.measure for name, of in offered("regression", "quantile", 0.3).items() if of.measure}
    for name, value in {
        "r2": sk.r2_score(COUNTS, ANSWERS, sample_weight=WEIGHTS),
        "mape": sk.mean_absolute_percentage_error(COUNTS, ANSWERS, sample_weight=WEIGHTS),
        "poisson_deviance": sk.mean_poisson_deviance(COUNTS, ANSWERS, sample_weight=WEIGHTS),
        "pinball_loss": sk.mean_pinball_loss(COUNTS, ANSWERS, sample_weight=WEIGHTS, alpha=0.3),
    }.items():
        assert numbers[name](COUNTS, ANSWERS, WEIGHTS) == pytest.approx(value), name


def test_every_loss_has_a_metric_to_stop_by():
    assert set(USUAL) == set(OBJECTIVES["regression"])
    for objective, name in USUAL.items():
        assert next(iter(offered("regression", objective))) == name
    assert "pinball_loss" not in offered("regression")


def test_metrics_that_a_target_does_not_have():
    with pytest.raises(InputUnusable, match="mape is undefined: the target is 0 in 1 rows"):
        offered("regression")["mape"].measure(np.array([0.0, 1.0]), np.ones(2), np.ones(2))
    with pytest.raises(InputUnusable, match="negative"):
        offered("regression")["poisson_deviance"].measure(np.array([-1.0, 1.0]), np.ones(2), np.ones(2))


def test_lightgbm_computes_its_own():
    assert feval("rmse", offered("regression")["rmse"]) is None
    assert offered("binary")["accuracy"].value(0.25) == 0.75
