"""Look for the settings that do best: trials of a grid or drawn at random, side by side, on data prepared once."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models.base import Fit, Trainer

KINDS = ("grid", "random")
MOST = 10_000
USUAL = 20
"""Trials of a random search when nobody says how many."""


class Trial(msgspec.Struct, frozen=True):
    """One fit: the settings as they were written, its rounds, and the metric on the held-out rows."""

    settings: dict[str, str]
    score: float | None
    rounds: int


class Trials(msgspec.Struct, frozen=True):
    """The document `trials.json`. `folds` is None when trials were judged on the valid part; `best` counts from 0."""

    search: str
    metric: str
    higher: bool
    folds: int | None
    best: int
    trials: list[Trial]
    format: int = 1


@dataclass(frozen=True)
class Plan:
    """What to try: settings as written, read by the family for the trainer."""

    written: list[dict[str, str]]
    read: list[dict[str, Any]]
    kind: str = "grid"


@dataclass(frozen=True)
class Found:
    """The table of trials, the settings that did best, and the fit with them when there was one on all train rows."""

    trials: Trials
    settings: dict[str, Any]
    fit: Fit | None


def space(texts: Sequence[str]) -> dict[str, list[str]]:
    """What to try for each setting from `k=v1,v2,…`, a range `k=low..high` being one value; Usage for anything else."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        listed = [value.strip() for value in values.split(",")]
        if not equals or not name.strip() or "" in listed:
            raise Usage(f"--space {text!r}: not a list of values", "write --space num_leaves=15,31,63")
        if name.strip() in found:
            raise Usage(f"--space {name.strip()} is given twice")
        found[name.strip()] = list(dict.fromkeys(listed))
    return found


def plan(values: Mapping[str, Sequence[str]], read: Callable[[Mapping[str, str]], dict[str, Any]]) -> Plan:
    """Every combination of the values, in order, as written and as `read` by the family; Usage for too many."""
    count = 1
    for name, listed in values.items():
        if any(_range(name, value) for value in listed):
            raise Usage(f"--space {name}={listed[0]}: a grid has no ranges", "list its values, or say --search random")
        count *= len(listed)
    if count > MOST:
        raise Usage(f"the grid has {count:,} trials, more than {MOST:,}", "try fewer values")
    written = [dict(zip(values, choice, strict=True)) for choice in itertools.product(*values.values())]
    return Plan(written, [read(settings) for settings in written])


def drawn(
    values: Mapping[str, Sequence[str]], read: Callable[[Mapping[str, str]], dict[str, Any]], trials: int, seed: int
) -> Plan:
    """So many trials at random, the same for the same seed: of a list each value is as likely, of a range each order of
    magnitude (each number, when it begins at 0 or below); whole between whole ends. Usage."""
    if not 1 <= trials <= MOST:
        raise Usage(f"--trials {trials}: not between 1 and {MOST:,}")
    for name, listed in values.items():
        for value in listed:  # each end, before any fit
            for end in _range(name, value) or (value,):
                read({name: end})
    dice = random.Random(seed)
    written = [{name: _draw(name, dice.choice(listed), dice) for name, listed in values.items()} for _ in range(trials)]
    written = [dict(settings) for settings in dict.fromkeys(tuple(settings.items()) for settings in written)]
    return Plan(written, [read(settings) for settings in written], "random")


def _range(name: str, value: str) -> tuple[str, str] | None:
    """The ends of a range `low..high`; None for another value, Usage when they are no numbers in that order."""
    low, dots, high = value.partition("..")
    if not dots:
        return None
    try:
        sound = -math.inf < float(low) < float(high) < math.inf
    except ValueError:
        sound = False
    if not sound:
        raise Usage(f"--space {name}={value}: not a range of numbers", "write --space learning_rate=0.01..0.3")
    return low, high


def _draw(name: str, value: str, dice: random.Random) -> str:
    """A number of a range, as it would be written; another value is itself."""
    ends = _range(name, value)
    if ends is None:
        return value
    low, high = float(ends[0]), float(ends[1])
    number = math.exp(dice.uniform(math.log(low), math.log(high))) if low > 0 else dice.uniform(low, high)
    return str(round(number)) if all(end.lstrip("-").isdigit() for end in ends) else f"{number:.4g}"


def run(
    trainer: Trainer,
    planned: Plan,
    fixed: Mapping[str, Any],
    *,
    metric: str,
    higher: bool,
    folds: int | None,
    jobs: int,
    progress: Callable[[str, float, float | None], None],
) -> Found:
    """Fit each trial on one thread, `jobs` at a time; the first of the best wins, whatever ends first.

    InputUnusable when there is nothing to judge by: neither valid rows nor folds.
    """
    import joblib  # a tenth of a second that only a search needs

    stopped = threading.Event()

    def attempt(index: int) -> tuple[int, Fit]:
        settings = {**fixed, **planned.read[index]}
        return index, trainer.cross(settings, folds) if folds else trainer.fit(settings, 1, _until(stopped))

    total = len(planned.read)
    fits: dict[int, Fit] = {}
    workers = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    with warnings.catch_warnings(), contextlib.ExitStack() as ending:
        warnings.simplefilter("ignore")  # joblib's, about trials that an error leaves undone
        ending.callback(stopped.set)
        for index, fit in workers(joblib.delayed(attempt)(index) for index in range(total)):
            # One model is kept at most: a grid may have thousands.
            fits[index] = fit if _best({**fits, index: fit}, higher) == index else Fit(b"", fit.rounds, fit.score)
            progress("search", len(fits), total)
    best = _best(fits, higher)
    trials = [Trial(planned.written[index], fits[index].score, fits[index].rounds) for index in range(total)]
    settings = {**fixed, **planned.read[best]}
    table = Trials(planned.kind, metric, higher, folds, best, trials)
    return Found(table, settings, None if folds else fits[best])


def _best(fits: Mapping[int, Fit], higher: bool) -> int:
    """The trial with the best score, the first of several."""
    scored = [(-score if higher else score, index) for index, fit in fits.items() if (score := fit.score) is not None]
    if not scored:
        raise InputUnusable("there are no valid rows to judge trials by", "say --cv 5, or split with a valid part")
    return min(scored)[1]


class _Stopped(Exception):
    """The search has ended: a fit that still runs is not wanted any more."""


def _until(stopped: threading.Event) -> Callable[[float, float | None], None]:
    """Progress of a fit that ends it once the search has ended."""

    def progress(done: float, total: float | None) -> None:
        if stopped.is_set():
            raise _Stopped

    return progress
