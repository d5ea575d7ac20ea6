"""What a trial is, the document that holds all of them, and which one is best."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

import msgspec

FILE = "trials.json"


class Trial(msgspec.Struct, frozen=True):
    """One set of settings as they were written, its rounds, and the metric: None when it failed or was given up.

    `folds` has the metric of each fold; of a trial that was given up what it came to. `why` says what failed.
    """

    settings: dict[str, str]
    score: float | None
    rounds: int
    state: Literal["complete", "pruned", "failed"] = "complete"
    folds: list[float] = []
    why: str = ""

    @property
    def error(self) -> float | None:
        """The standard error of the mean over folds: s / √K, s with K - 1 below; None without folds."""
        return statistics.stdev(self.folds) / math.sqrt(len(self.folds)) if len(self.folds) > 1 else None


class Trials(msgspec.Struct, frozen=True):
    """The document `trials.json`. `search` is None when one set of settings was cross-validated; `best` counts from 0.

    `folds` is None when trials were judged on the valid part; `cut` says how the folds were made.
    """

    search: str | None
    metric: str
    higher: bool
    folds: int | None
    best: int
    trials: list[Trial]
    cut: str | None = None
    format: int = 1

    def told(self) -> str:
        """The outcome in words."""
        best = self.trials[self.best]
        score = f"{self.metric} {best.score:.4g}"
        if best.error is not None:
            score += f" ± {best.error:.2g}, mean ± standard error of {len(best.folds)} folds {self.cut or ''}".rstrip()
        if self.search is None:
            return f"cross-validated: {score}"
        settings = ", ".join(f"{name}={value}" for name, value in best.settings.items())
        count = {state: sum(trial.state == state for trial in self.trials) for state in ("pruned", "failed")}
        less = [f"{count['pruned']} given up early"] * bool(count["pruned"])
        less += [f"{count['failed']} failed"] * bool(count["failed"])
        return f"{len(self.trials)} trials{f' ({chr(44).join(less)})' if less else ''}, the best: {settings} ({score})"


def best(trials: Sequence[Trial], higher: bool) -> int | None:
    """The place of the trial with the best score, the first of several; None when none has one."""
    there = [(trial.score, at) for at, trial in enumerate(trials) if usable(trial) and trial.score is not None]
    scored = [(-score if higher else score, at) for score, at in there]
    return min(scored)[1] if scored else None


def usable(trial: Trial) -> bool:
    """Whether a trial came to its end with a score that is a number."""
    return trial.state == "complete" and trial.score is not None and math.isfinite(trial.score)
