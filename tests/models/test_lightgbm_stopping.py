"""When a fit stops: like LightGBM's own early stopping, but never before the loss is at its best."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from lightgbm.callback import CallbackEnv, EarlyStopException

from mlops_cli.models.lightgbm_stopping import Stopping


def stopped(stopping: Stopping, *metrics: dict[str, float]) -> tuple[int, float]:
    """The best round, counted from 0, and the metric there, of a fit whose rounds have such metrics."""
    for number, told in enumerate(metrics):
        listed = [("valid_0", name, value, False) for name, value in told.items()]
        try:
            stopping(CallbackEnv(None, {}, number, 0, len(metrics), listed))  # type: ignore[arg-type]
        except EarlyStopException as end:
            return end.best_iteration, next(value for _, name, value, _ in end.best_score if name == stopping.metric)
    raise AssertionError("it must end in the last round")


def rounds(auc: list[float], loss: list[float]) -> list[dict[str, float]]:
    return [{"loss": two, "auc": one} for one, two in zip(auc, loss, strict=True)]


def test_a_metric_that_is_best_at_first_by_chance_waits_for_the_loss() -> None:
    told = rounds([0.9, 0.7, 0.8, 0.85, 0.84, 0.8, 0.8], [0.6, 0.5, 0.4, 0.41, 0.42, 0.43, 0.44])
    assert stopped(Stopping("auc", True, 3), *told) == (0, 0.9)
    assert stopped(Stopping("auc", True, 3, "loss"), *told) == (3, 0.85)
    assert stopped(Stopping("auc", True, 1, "loss"), *told) == (3, 0.85), "it went on being better"
    falling = rounds([0.9, 0.8, 0.7], [0.6, 0.5, 0.4])
    assert stopped(Stopping("auc", True, 1, "loss"), *falling) == (2, 0.7), "the loss is what becomes better"
    lower = [{"loss": 0.5, "error": 0.1}, {"loss": 0.4, "error": 0.3}, {"loss": 0.5, "error": 0.2}]
    assert stopped(Stopping("error", False, 5, "loss"), *lower) == (2, 0.2)


@pytest.mark.parametrize("patience", [2, 10, 100])
def test_without_a_loss_beside_it_is_lightgbms_own(patience: int) -> None:
    rng = np.random.default_rng(patience)
    x = rng.normal(size=(300, 3))
    y = (x[:, 0] + rng.normal(size=300) > 0).astype(float)
    train = lightgbm.Dataset(x[:200], y[:200])
    found = []
    for stop in (Stopping("binary_logloss", False, patience), lightgbm.early_stopping(patience, verbose=False)):
        data = [train, lightgbm.Dataset(x[200:], y[200:], reference=train)]
        told = {"objective": "binary", "metric": "binary_logloss", "verbosity": -1, "num_threads": 1}
        made = lightgbm.train(told, data[0], 60, valid_sets=[data[1]], callbacks=[stop])
        found.append((made.best_iteration, made.best_score, made.current_iteration()))
    assert found[0] == found[1]
