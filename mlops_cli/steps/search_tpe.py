"""The tree-structured Parzen estimator of optuna: the next settings, from those that were tried.

Bergstra et al., *Algorithms for Hyper-Parameter Optimization*, NeurIPS 2011. The study lives in memory for one
batch: it is told what is known, and asked. So what it proposes is a function of the seed and the
trials so far; nothing of it is kept.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_cli.errors import MissingExtra
from mlops_cli.steps.search_space import Choice, Range, Space
from mlops_cli.steps.search_trials import Trial, usable

STARTING, BATCH = 10, 4
"""Trials drawn at random before the first proposal, and how many are proposed at a time, whatever the processors."""


def check() -> None:
    """MissingExtra without optuna, before any row is read."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra.of("optuna", "search")


def propose(space: Space, tried: Sequence[Trial], count: int, seed: int, higher: bool) -> list[dict[str, str]]:
    """The next `count` settings; the same for the same seed and trials."""
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: _distribution(values) for name, values in space.items()}
    number = int(np.random.SeedSequence([seed % 2**64, len(tried)]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of optuna that are called experimental
        sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=1, multivariate=True, constant_liar=True)
        study = optuna.create_study(sampler=sampler, direction="maximize" if higher else "minimize")
        for trial in tried:
            params = {name: _number(values, trial.settings[name]) for name, values in space.items()}
            known: dict[str, Any] = {"params": params, "distributions": distributions}
            if usable(trial):
                study.add_trial(optuna.trial.create_trial(value=trial.score, **known))
            elif trial.state == "pruned" and trial.folds:
                steps = {step: float(np.mean(trial.folds[: step + 1])) for step in range(len(trial.folds))}
                pruned = TrialState.PRUNED
                study.add_trial(optuna.trial.create_trial(state=pruned, intermediate_values=steps, **known))
        asked = [study.ask(distributions).params for _ in range(count)]
    return [{name: _text(values, params[name]) for name, values in space.items()} for params in asked]


def _distribution(values: Range | Choice) -> Any:
    """A range or a list as optuna has it."""
    from optuna import distributions

    if isinstance(values, Choice):
        return distributions.CategoricalDistribution(values.values)
    if values.whole:
        return distributions.IntDistribution(int(values.low), int(values.high), log=values.log)
    return distributions.FloatDistribution(values.low, values.high, log=values.log)


def _number(values: Range | Choice, text: str) -> Any:
    """What was written, as optuna has it."""
    if isinstance(values, Choice):
        return text
    return int(text) if values.whole else min(values.high, max(values.low, float(text)))


def _text(values: Range | Choice, value: Any) -> str:
    """What optuna proposes, as it would be written."""
    return str(value) if isinstance(values, Choice) else values.text(value)
