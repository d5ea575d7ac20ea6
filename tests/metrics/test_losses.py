"""The losses that a regression may learn mean what scikit-learn means by them."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mlops_cli.metrics import regression

RNG = np.random.default_rng(0)
ACTUAL = RNG.poisson(2.0, 400).astype(float)
PREDICTED = RNG.gamma(4.0, 0.5, 400)


def named(**more):
    return {each.name: each for each in regression.regression(ACTUAL, PREDICTED, resamples=200, **more)}


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_pinball_loss(alpha):
    found = named(loss="quantile", alpha=alpha)["pinball_loss"]
    assert found.value == pytest.approx(sk.mean_pinball_loss(ACTUAL, PREDICTED, alpha=alpha))
    assert found.low < found.value < found.high and found.n == 400


@pytest.mark.parametrize("loss", ["poisson", "tweedie", "gamma"])
def test_poisson_deviance(loss):
    found = named(loss=loss)["poisson_deviance"]
    assert found.value == pytest.approx(sk.mean_poisson_deviance(ACTUAL, PREDICTED))
    assert found.low < found.value < found.high


def test_only_the_loss_that_was_learnt_is_measured():
    assert not {"pinball_loss", "poisson_deviance"} & named().keys()
    assert not {"pinball_loss", "poisson_deviance"} & named(loss="regression").keys()


def test_a_deviance_is_undefined_where_a_target_is_negative():
    found = regression.regression(ACTUAL - 1, PREDICTED, resamples=20, loss="poisson")
    assert next(each for each in found if each.name == "poisson_deviance").value is None
