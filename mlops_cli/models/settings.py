"""How the values of `--set` and `--space` are checked: each name of a family has a range or a list of words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mlops_cli.errors import Usage

SWITCH = ("false", "true")
_ELSEWHERE = {
    "n_estimators": "num_iterations",
    "num_boost_round": "num_iterations",
    "n_iter": "num_iterations",
    "max_iter": "num_iterations",
    "early_stopping_rounds": "early_stopping_round",
    "eta": "learning_rate",
    "max_leaves": "num_leaves",
    "max_leaf_nodes": "num_leaves",
    "min_child_samples": "min_data_in_leaf",
    "min_samples_leaf": "min_data_in_leaf",
    "min_child_weight": "min_sum_hessian_in_leaf",
    "min_split_gain": "min_gain_to_split",
    "reg_alpha": "lambda_l1",
    "reg_lambda": "lambda_l2",
    "subsample": "bagging_fraction",
    "subsample_freq": "bagging_freq",
    "colsample_bytree": "feature_fraction",
    "colsample_bynode": "feature_fraction_bynode",
}
"""What settings are called by scikit-learn, XGBoost and LightGBM's own aliases: errors tell the name here."""


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, `whole` or not; `open` when `low` itself is none."""

    whole: bool
    low: float = 0
    high: float = math.inf
    open: bool = False


Rule = Number | tuple[str, ...]


def read(given: Mapping[str, str], known: Mapping[str, Rule], who: str) -> dict[str, Any]:
    """The values that were written, as the family `who` takes them; Usage for an unknown name or a bad value."""
    return {name: _value(name, text, known, who) for name, text in given.items()}


def _value(name: str, text: str, known: Mapping[str, Rule], who: str) -> Any:
    """One setting."""
    rule = known.get(name)
    if rule is None:
        near = [own for own in [_ELSEWHERE.get(name)] if own in known] or get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(known)}"
        raise Usage(f"{who} has no setting {name!r} that can be set", hint)
    if isinstance(rule, tuple):
        if text not in rule:
            raise Usage(f"{name}={text}: not one of its values", f"there is: {', '.join(rule)}")
        return text == "true" if rule == SWITCH else text
    try:
        number = int(text) if rule.whole else float(text)
    except ValueError:
        raise Usage(f"{name}={text}: not a {'whole ' if rule.whole else ''}number") from None
    if not math.isfinite(number) or not rule.low <= number <= rule.high or (rule.open and number == rule.low):
        raise Usage(f"{name}={text}: out of range", _range(rule))
    return number


def _range(rule: Number) -> str:
    """The range of a number in words."""
    low = f"{'above' if rule.open else 'at least'} {rule.low:g}"
    return low if rule.high == math.inf else f"{low}, at most {rule.high:g}"
