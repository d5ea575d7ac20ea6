"""What `--set` and `--space` may say of LightGBM: names, types and ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models import settings as rules
from mlops_cli.models.settings import SWITCH, Number, Rule
from mlops_cli.runtime.signature import Task

ALPHA = 0.9
"""The quantile that LightGBM learns when nobody says which."""
ROUNDS, ROUNDS_BETWEEN = 1_000, 2_000
"""At most, where nothing stops a fit earlier: of few or many rows, and between FEW_ROWS and MANY_ROWS."""
ROUNDS_WITHOUT_VALID = 100
WHOLE_ROWS = 20_000
"""Up to so many train and valid rows the model learns from both in the end: there every row counts."""
CROSSED_ROWS, CROSSED_WORK = 10_000, 500_000
"""Up to so many rows, and so many cells times trees a round, the rounds are told by parts that are left out in turn:
one small valid part tells them badly."""
FOLDS = 5
ALONE_CELLS = 250_000
"""With fewer cells one thread learns as fast as several."""
FEW_ROWS, MANY_ROWS = 2_000, 50_000
"""Below the one and from the other on other settings are usual; see `usual`."""
SAMPLED_COLUMNS = 4
"""With fewer columns each split looks at all of them."""

OBJECTIVES: dict[Task, tuple[str, ...]] = {
    "binary": ("binary",),
    "multiclass": ("multiclass",),
    "regression": (
        *("regression", "regression_l1", "huber", "fair", "poisson"),
        *("quantile", "mape", "gamma", "tweedie"),
    ),
}
_ALIASES = {
    **dict.fromkeys(("l2", "mse", "rmse", "squared_error"), "regression"),
    **dict.fromkeys(("l1", "mae", "absolute_error"), "regression_l1"),
}
"""Other names of objectives that people know."""
_NO_MONOTONE = ("regression_l1", "quantile", "mape")
"""Losses of which the leaves are set anew after a tree has grown, so that LightGBM cannot hold them in order."""


_SHARE = Number(False, 0, 1, open=True)
_POSITIVE = Number(False, 0, open=True)
_WEIGHT = Number(False)
_COUNT = Number(True)
_KNOWN: dict[str, Rule] = {
    "objective": (*sum(OBJECTIVES.values(), ()), *_ALIASES),
    "num_iterations": Number(True, 1, 100_000),
    "early_stopping_round": _COUNT,
    "learning_rate": _POSITIVE,
    "num_leaves": Number(True, 2, 131_072),
    "max_depth": Number(True, -1),
    "min_data_in_leaf": _COUNT,
    "min_sum_hessian_in_leaf": _WEIGHT,
    "min_gain_to_split": _WEIGHT,
    "lambda_l1": _WEIGHT,
    "lambda_l2": _WEIGHT,
    "max_delta_step": _WEIGHT,
    "path_smooth": _WEIGHT,
    "feature_fraction": _SHARE,
    "feature_fraction_bynode": _SHARE,
    "bagging_fraction": _SHARE,
    "bagging_freq": _COUNT,
    "data_sample_strategy": ("bagging", "goss"),
    "top_rate": _SHARE,
    "other_rate": _SHARE,
    "extra_trees": SWITCH,
    "is_unbalance": SWITCH,
    "scale_pos_weight": _POSITIVE,
    "alpha": _SHARE,
    "fair_c": _POSITIVE,
    "poisson_max_delta_step": _POSITIVE,
    "tweedie_variance_power": Number(False, 1, 1.999_999),
    "max_cat_threshold": Number(True, 1),
    "max_cat_to_onehot": Number(True, 1),
    "cat_l2": _WEIGHT,
    "cat_smooth": _WEIGHT,
    "min_data_per_group": Number(True, 1),
    "max_bin": Number(True, 2, 65_535),
    "min_data_in_bin": Number(True, 1),
    "bin_construct_sample_cnt": Number(True, 1),
}
LOOKED_AT = 200_000
"""Rows by which LightGBM tells the bins, when bin_construct_sample_cnt does not say otherwise."""
OF_DATA = ("max_bin", "min_data_in_bin", "bin_construct_sample_cnt", "objective", "alpha")
"""Settings that decide how the data is binned, and what is learnt: alike for all fits on one data set."""


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Settings as LightGBM takes them from what was written; Usage for an unknown name or a bad value."""
    found = rules.read(given, _KNOWN, "LightGBM")
    if "objective" in found:
        found["objective"] = _ALIASES.get(found["objective"], found["objective"])
    if "alpha" in found and not 0 < found["alpha"] < 1 and found.get("objective") == "quantile":
        raise Usage(f"alpha={found['alpha']:g}: a quantile lies between 0 and 1")
    return found


@dataclass(frozen=True)
class Shape:
    """What the usual settings follow: the number of classes (0 for a regression), train rows and matrix columns."""

    classes: int
    rows: int
    columns: int


def loss(task: Task, settings: Mapping[str, Any]) -> tuple[str | UnsetType, float | UnsetType]:
    """What a regression learns, and of a quantile which one, for the signature."""
    if task != "regression":
        return UNSET, UNSET
    objective: str = settings.get("objective", OBJECTIVES[task][0])
    return objective, float(settings.get("alpha", ALPHA)) if objective == "quantile" else UNSET


def patience(learning_rate: float) -> int:
    """Rounds without anything better before a fit stops: a slow learner needs more of them."""
    return min(200, max(50, round(5 / learning_rate)))


def crossed(shape: Shape, rows: int) -> bool:
    """Whether the rounds of a model of so many rows are told by parts of them that are left out in turn."""
    trees = shape.classes if shape.classes > 2 else 1
    return FOLDS * 2 <= rows <= CROSSED_ROWS and rows * shape.columns * trees <= CROSSED_WORK


def threads(shape: Shape, there: int) -> int:
    """How many threads a fit takes of those that are `there`; the result is the same.

    A round of a small table is over before a second thread has begun, and beside a busy neighbour all wait for one.
    """
    return 1 if shape.rows * shape.columns < ALONE_CELLS else there


def most_rounds(shape: Shape) -> int:
    """The rounds of a fit that nothing stops earlier."""
    return ROUNDS_BETWEEN if FEW_ROWS <= shape.rows < MANY_ROWS else ROUNDS


def usual(shape: Shape) -> dict[str, Any]:
    """The settings that nobody gave, from the shape of the data alone: never from time or processors.

    Few rows want small trees and slow learning, and each split a choice of half the columns; docs/training.md has the
    table, docs/benchmark.md what it was chosen on.
    """
    if shape.rows >= MANY_ROWS:
        return {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20}
    few = shape.rows < FEW_ROWS
    found: dict[str, Any] = {"learning_rate": 0.05, "num_leaves": 8 if few else 16, "lambda_l2": 1.0 if few else 0.0}
    found |= {"min_data_in_leaf": min(10, max(2, shape.rows // 15)), "min_data_per_group": 20, "cat_smooth": 20.0}
    return found | ({"feature_fraction_bynode": 0.5} if shape.columns >= SAMPLED_COLUMNS else {})


def complete(settings: Mapping[str, Any], task: Task, shape: Shape, seed: int) -> dict[str, Any]:
    """All that LightGBM is told of a fit, but for the number of threads; Usage for an objective of another task.

    Histograms are built by column and sums in a fixed order, so that the number of threads cannot show in the result.
    """
    check_objective(settings, task)
    _check_together(settings)
    told: dict[str, Any] = {
        "objective": settings.get("objective", OBJECTIVES[task][0]),
        **usual(shape),
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
    if task == "multiclass":
        told["num_class"] = shape.classes
    if "bagging_fraction" in settings and "bagging_freq" not in settings:
        told["bagging_freq"] = 1  # without it the fraction has no effect
    own = ("objective", "num_iterations", "early_stopping_round")
    return told | {name: value for name, value in settings.items() if name not in own}


def check_objective(settings: Mapping[str, Any], task: Task) -> None:
    """Usage for an objective of another task."""
    objective = settings.get("objective", OBJECTIVES[task][0])
    if objective not in OBJECTIVES[task]:
        raise Usage(f"objective={objective} does not fit a {task}", f"there is: {', '.join(OBJECTIVES[task])}")


def check_monotone(settings: Mapping[str, Any], task: Task) -> None:
    """Usage for a loss that LightGBM does not learn under monotone constraints: it would print its own refusal."""
    objective = settings.get("objective", OBJECTIVES[task][0])
    if objective in _NO_MONOTONE:
        raise Usage(f"--monotone does not go with objective={objective}", "huber is near to l1 and takes it")


def _check_together(settings: Mapping[str, Any]) -> None:
    """Usage for settings that exclude each other: the library would print its own refusal before it raises."""
    if settings.get("data_sample_strategy") == "goss":
        if settings.get("bagging_fraction", 1) < 1:
            raise Usage("data_sample_strategy=goss and bagging_fraction exclude each other")
        if settings.get("top_rate", 0.2) + settings.get("other_rate", 0.1) > 1:
            raise Usage("top_rate and other_rate are more than 1 together")
    if settings.get("is_unbalance") and "scale_pos_weight" in settings:
        raise Usage("is_unbalance and scale_pos_weight exclude each other")


def check_labels(told: Mapping[str, Any], labels: NDArray[np.float32]) -> None:
    """InputUnusable for values of the target that an objective cannot have, before the library says so twice."""
    objective = told["objective"]
    if objective in ("poisson", "tweedie", "gamma"):
        wrong = int((labels <= 0).sum() if objective == "gamma" else (labels < 0).sum())
        if wrong or not labels.any():
            need = "above 0" if objective == "gamma" else "at least 0, and one above"
            raise InputUnusable(f"objective={objective} needs a target {need}; {wrong:,} rows have another")
