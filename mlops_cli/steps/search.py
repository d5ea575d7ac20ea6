"""Look for the settings that do best: trials of a grid, drawn at random or proposed, on data prepared once."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlops_cli.errors import InputUnusable, MissingExtra, MlopsError, Usage
from mlops_cli.models.base import Fit, Report, Trainer
from mlops_cli.steps import search_prune, search_space, search_tpe, search_trials
from mlops_cli.steps.search_folds import Folds
from mlops_cli.steps.search_journal import Journal, Record
from mlops_cli.steps.search_space import Space
from mlops_cli.steps.search_trials import Trial, Trials

KINDS = ("grid", "random", "tpe")
USUAL = 20
"""Trials of a search at random or by tpe when nobody says how many."""


@dataclass(frozen=True)
class Plan:
    """What to try. `kind` is None for one set of settings that is to be cross-validated; `read` is the family's."""

    kind: str | None
    read: Callable[[Mapping[str, str]], dict[str, Any]]
    listed: list[dict[str, str]]
    space: Space = field(default_factory=dict)
    total: int = 1
    seed: int = 0

    def batch(self, tried: Sequence[Trial], higher: bool) -> list[dict[str, str]]:
        """The settings to try next; none when the search is over. They follow from what was tried before alone."""
        if not tried:
            return self.listed
        if self.kind != "tpe":
            return []
        count = min(search_tpe.BATCH, self.total - len(tried))
        return search_tpe.propose(self.space, tried, count, self.seed, higher) if count > 0 else []


def plan(
    kind: str | None,
    space: Space,
    read: Callable[[Mapping[str, str]], dict[str, Any]],
    trials: int | None = None,
    seed: int = 0,
) -> Plan:
    """What to try, checked before any row is read. Usage, MissingExtra (tpe without optuna)."""
    search_space.check(space, read)
    if kind is None:
        return Plan(None, read, [{}])
    if kind == "grid":
        listed = search_space.grid(space)
        return Plan(kind, read, listed, space, len(listed))
    count = USUAL if trials is None else trials
    if not 1 <= count <= search_space.MOST:
        raise Usage(f"--trials {count}: not between 1 and {search_space.MOST:,}")
    if kind == "random":
        listed = search_space.drawn(space, count, seed)
        return Plan(kind, read, listed, space, len(listed), seed)
    search_tpe.check()
    return Plan(kind, read, search_space.drawn(space, min(count, search_tpe.STARTING), seed), space, count, seed)


@dataclass(frozen=True)
class Judging:
    """By what trials are judged: the metric, and folds, or without any the valid part."""

    metric: str
    higher: bool
    folds: Folds | None = None


@dataclass(frozen=True)
class Found:
    """The table of trials, the settings that did best, and the fit with them when it is at hand."""

    trials: Trials
    settings: dict[str, Any]
    fit: Fit | None


def run(
    trainer: Trainer,
    planned: Plan,
    fixed: Mapping[str, Any],
    judging: Judging,
    jobs: int,
    journal: Journal,
    progress: Callable[[str, float, float | None], None],
) -> Found:
    """Try batch after batch, `jobs` trials at a time with a thread each (the last digit of a metric follows the threads
    that added it up); the first of the best wins, whatever ends first and however many run side by side.

    What one trial comes to depends on its settings and on batches that had ended before, nothing else. A trial that its
    family refuses has failed; when all have, the first refusal is raised.
    """
    search = _Search(trainer, planned, fixed, judging, jobs, journal, progress)
    tried: list[Trial] = []
    while settings := planned.batch(tried, judging.higher):
        tried += search.batch(settings, tried)
    best = search_trials.best(tried, judging.higher)
    if best is None:
        raise search.refusals[min(search.refusals)]
    folds = judging.folds
    table = Trials(
        planned.kind,
        judging.metric,
        judging.higher,
        len(folds.folds) if folds else None,
        best,
        tried,
        folds.cut if folds else None,
    )
    at, fit = search.kept or (None, None)
    return Found(table, {**fixed, **planned.read(tried[best].settings)}, fit if at == best else None)


class _Given(Exception):
    """The search has ended, or this trial is not worth its while: the fit ends where it is."""


class _Search:
    """The trials of one search; `kept` is the best fit on all train rows so far and its trial's number."""

    def __init__(
        self,
        trainer: Trainer,
        planned: Plan,
        fixed: Mapping[str, Any],
        judging: Judging,
        jobs: int,
        journal: Journal,
        progress: Callable[[str, float, float | None], None],
    ) -> None:
        self._trainer, self._planned, self._fixed, self._judging = trainer, planned, fixed, judging
        self._jobs, self._journal, self._progress = jobs, journal, progress
        self._stopped = threading.Event()
        self._best: float | None = None
        self.kept: tuple[int, Fit] | None = None
        self.refusals: dict[int, MlopsError] = {}
        # Each fold's rows once for all trials: together as many bytes as the binned table has, times their number.
        self._parts = [trainer.part(fold) for fold in judging.folds.folds] if judging.folds else []

    def batch(self, settings: list[dict[str, str]], before: list[Trial]) -> list[Trial]:
        """The trials of one batch, in its order; settings that were tried before are not fitted again."""
        known = {_key(trial.settings): trial for trial in before}
        first = {_key(one): at for at, one in reversed(list(enumerate(settings))) if _key(one) not in known}
        todo = sorted(first.values())
        done: dict[int, Trial] = {}
        left = self._through(todo, settings, before, done, wait=False)
        self._through(left, settings, before, done, wait=True)
        known |= {_key(trial.settings): trial for trial in done.values()}
        return [known[_key(one)] for one in settings]

    def _through(
        self,
        todo: list[int],
        settings: list[dict[str, str]],
        before: list[Trial],
        done: dict[int, Trial],
        *,
        wait: bool,
    ) -> list[int]:
        """Do trials side by side; those that another process is at are left, unless they are waited for."""
        joblib = _joblib()
        attempts = (joblib.delayed(self._attempt)(at, len(before) + at, settings[at], before, wait) for at in todo)
        with warnings.catch_warnings(), contextlib.ExitStack() as ending:
            warnings.simplefilter("ignore")  # joblib's, about trials that an error leaves undone
            ending.callback(self._stopped.set)
            for at, trial, fit in joblib.Parallel(n_jobs=self._jobs, prefer="threads", return_as="generator_unordered")(
                attempts
            ):
                if trial is not None:
                    done[at] = trial
                    self._seen(len(before) + at, trial, fit)
                    self._tell(len(before) + len(done))
            ending.pop_all()
        return [at for at in todo if at not in done]

    def _attempt(
        self, at: int, number: int, settings: dict[str, str], before: list[Trial], wait: bool
    ) -> tuple[int, Trial | None, Fit | None]:
        """One trial: from the journal, or done now; None when another process is at it."""
        with self._journal.claim(number, (lambda: not self._stopped.is_set()) if wait else None) as ours:
            if not ours:
                return at, None, None
            trial = self._journal.read(number, settings)
            if trial is not None:
                return at, trial, None
            curves: list[list[float]] = [[] for _ in self._parts or [None]]
            began, fit = time.monotonic(), None
            try:
                if self._parts:
                    trial = self._crossed(settings, before, curves)
                else:
                    trial, fit = self._fitted(settings, before, curves[0])
            except (Usage, InputUnusable) as error:
                self.refusals[number] = error
                return at, Trial(settings, None, 0, "failed", why=error.message), None
            self._journal.write(number, Record(trial, round(time.monotonic() - began, 3), curves))
            return at, trial, fit

    def _crossed(self, settings: dict[str, str], before: list[Trial], curves: list[list[float]]) -> Trial:
        """A trial on the folds in turn, given up when it is behind."""
        read = {**self._fixed, **self._planned.read(settings)}
        ended = [trial.folds for trial in before if trial.state == "complete" and trial.folds]
        scores: list[float] = []
        rounds: list[int] = []
        for fit in self._fits(read, curves):
            scores.append(_number(fit))
            rounds.append(fit.rounds)
            if len(scores) < len(self._parts) and search_prune.after_fold(scores, ended, self._judging.higher):
                return Trial(settings, None, round(float(np.mean(rounds))), "pruned", scores)
        return Trial(settings, float(np.mean(scores)), round(float(np.mean(rounds))), folds=scores)

    def _fits(self, read: Mapping[str, Any], curves: list[list[float]]) -> Iterator[Fit]:
        """The fits on the folds, in order: one after the other, or side by side when there is one trial alone."""
        asked = (
            _joblib().delayed(self._trainer.cross)(part, read, self._until, _noted(curve))
            for part, curve in zip(self._parts, curves, strict=True)
        )
        if self._planned.kind is None:
            yield from _joblib().Parallel(n_jobs=self._jobs, prefer="threads")(asked)
        else:
            yield from (function(*arguments) for function, arguments, _ in asked)

    def _fitted(self, settings: dict[str, str], before: list[Trial], curve: list[float]) -> tuple[Trial, Fit | None]:
        """A trial on all train rows, judged on the valid part, given up when it cannot catch up any more."""
        read = {**self._fixed, **self._planned.read(settings)}
        ended = [trial.score for trial in before if search_trials.usable(trial) and trial.score is not None]

        def report(value: float, total: float) -> None:
            curve.append(value)
            if search_prune.on_curve(curve, total, ended, self._judging.higher):
                raise _Given

        try:
            fit = self._trainer.fit(read, 1, self._until, report)
        except _Given:
            if self._stopped.is_set():
                raise
            pick = max if self._judging.higher else min
            return Trial(settings, None, len(curve), "pruned", [pick(curve)]), None
        return Trial(settings, _number(fit), fit.rounds), fit

    def _seen(self, number: int, trial: Trial, fit: Fit | None) -> None:
        """Keep the best score, and of the fits one at most: a grid may have thousands."""
        if not search_trials.usable(trial) or trial.score is None:
            return
        value = -trial.score if self._judging.higher else trial.score
        if self._best is None or value < self._best:
            self._best, self.kept = value, None if fit is None else (number, fit)
        elif value == self._best and fit is not None and self.kept is not None and number < self.kept[0]:
            self.kept = number, fit

    def _tell(self, done: int) -> None:
        """How far the search is, and the best so far."""
        best = ""
        if self._best is not None:
            best = f": best {self._judging.metric} {-self._best if self._judging.higher else self._best:.4g}"
        self._progress(f"search{best}", done, self._planned.total)

    def _until(self, done: float, total: float | None) -> None:
        """Progress of a fit, which ends once the search has ended."""
        if self._stopped.is_set():
            raise _Given


def _joblib() -> Any:
    """The library of parallel trials: a tenth of a second that only a search needs. MissingExtra."""
    try:
        import joblib
    except ModuleNotFoundError:
        raise MissingExtra.of("joblib", "search") from None
    return joblib


def _key(settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(settings.items())


def _number(fit: Fit) -> float:
    """The score of a fit; InputUnusable when there were no rows to judge it by."""
    if fit.score is None:
        raise InputUnusable("there are no valid rows to judge trials by", "say --cv 5, or split with a valid part")
    return fit.score


def _noted(curve: list[float]) -> Report:
    """What is reported of a fit, kept."""
    return lambda value, _: curve.append(value)
