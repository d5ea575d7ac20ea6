"""Fit a model: prepare, search if asked, fit, and put beside it what later commands need."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli import extensions
from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.metrics.base import text_of
from mlops_cli.models import memory, terms
from mlops_cli.models import target as targets
from mlops_cli.models.base import Family, Fit, Tables, Trainer
from mlops_cli.models.target import Target
from mlops_cli.runtime.signature import Task
from mlops_cli.steps import (
    batches,
    memo,
    processors,
    search,
    search_folds,
    search_space,
    search_trials,
    tables,
    train_baseline,
    train_columns,
    train_data,
    train_decide,
    train_leaks,
    train_payload,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given
from mlops_cli.steps.search_journal import Journal
from mlops_cli.steps.train_data import Counted, Parts, Source
from mlops_cli.store.artefact import Artefact

_POLARS = ("polars", "polars-runtime-32", "polars-hash")


@dataclass(frozen=True)
class Tuning:
    """How to look for settings: `space` holds texts as `search_space.parse` reads them; `folds` 0 means that the valid
    part judges trials, without a search `folds` judge the one set of settings. `jobs` 0: as many at a time as there are
    processors. `metric` is what to stop and choose by, `trials` how many a search has that draws them."""

    search: str | None = None
    space: Sequence[str] = ()
    folds: int = 0
    metric: str | None = None
    jobs: int = 0
    trials: int | None = None


@dataclass(frozen=True)
class Learning:
    """What to learn from: `exclude` and `include` hold texts `a,b`, `monotone` texts `column=way`."""

    exclude: Sequence[str] = ()
    include: Sequence[str] = ()
    weight: str | None = None
    class_weight: str | None = None
    monotone: Sequence[str] = ()


@dataclass(frozen=True)
class Deciding:
    """How probabilities become answers: `threshold` is a number or the metric to be best in, `cost` a file."""

    calibrate: str | None = None
    threshold: str | None = None
    cost: str | None = None


@dataclass(frozen=True)
class Options:
    """What `train` was asked; `set` holds texts `k=v`. `family` None: cnn for a table with images, else lightgbm."""

    target: str
    family: str | None = None
    task: str | None = None
    positive: str | None = None
    set: Sequence[str] = ()
    tuning: Tuning = field(default_factory=Tuning)
    learning: Learning = field(default_factory=Learning)
    deciding: Deciding = field(default_factory=Deciding)
    seed: int = 0


@dataclass(frozen=True)
class _Asked:
    """The options, read: settings of every fit, and the trials of a search."""

    family: Family
    settings: dict[str, Any]
    plan: search.Plan | None
    task: Task | None
    deciding: train_decide.Asked
    written: dict[str, Any] = field(default_factory=dict)
    terms: terms.Terms = field(default_factory=terms.Terms)


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Train a model on a split, or on a table that holds out its own valid part.

    Errors: Usage for options that do not fit, those of `target.infer` and of reading, MissingExtra.
    """
    _check(options)
    source = train_data.find(ctx, given)
    names = tables.schema_of(source.train.frame, source.train.name).names()
    asked = _read(options, options.family or train_data.usual_family(source), names)
    key = None if source.key is None else [source.key, asked.written, asked.settings.get("digest"), options.seed]

    def build(payload: Path, rejects: Path) -> Contents:
        with train_data.opened(source, options.seed, options.target) as parts, tables.reading(source.train.name):
            made = _build(ctx, source, parts, asked, options, payload, checkpoint)
        if checkpoint:
            shutil.rmtree(checkpoint, ignore_errors=True)
        return made

    libraries = (*asked.family.LIBRARIES, *_POLARS, *(("optuna",) if options.tuning.search == "tpe" else ()))
    job = Job("train", key, libraries, build, _judge, measured=train_payload.measured)
    known = memo.key_of(job)
    checkpoint = ctx.workspace.checkpoint(known) if known else None
    return memo.perform(ctx, job, output)


def _judge(model: Artefact) -> Verdict:
    """A pass, with what makes the model doubtful."""
    return Verdict(lines=(*train_leaks.judge(model).lines, *train_baseline.judge(model).lines))


def _check(options: Options) -> None:
    """The options as far as they can be checked before anything is opened."""
    tuning = options.tuning
    if options.family:
        extensions.load("models", options.family)
    if tuning.search is not None and tuning.search not in search.KINDS:
        raise Usage(f"--search {tuning.search!r} is unknown", f"there is: {', '.join(search.KINDS)}")
    if tuning.search and not tuning.space:
        raise Usage("--search needs at least one --space", "for instance --space num_leaves=15,31,63")
    if not tuning.search and tuning.space:
        raise Usage("--space goes with --search grid, random or tpe")
    if tuning.trials is not None and tuning.search not in ("random", "tpe"):
        raise Usage("--trials goes with --search random or tpe")
    if tuning.jobs < 0:
        raise Usage(f"--jobs {tuning.jobs} is no number of trials")
    search_folds.check(tuning.folds)


def _read(options: Options, named: str, names: Sequence[str]) -> _Asked:
    """The options checked before any row is read, for the family that is named and columns of such `names`."""
    tuning = options.tuning
    family: Family = extensions.load("models", named)
    fixed, space = _assignments(options.set), search_space.parse(tuning.space)
    for name in fixed.keys() & space.keys():
        raise Usage(f"{name} is given by --set and by --space")
    for name in space.keys() & set(family.SHARED):
        raise Usage(f"{name} is alike for all trials", f"choose one: --set {name}=…")
    settings = family.settings(fixed)
    learning = options.learning
    counting = terms.read(learning.weight, learning.class_weight, learning.monotone)
    terms.refuse(counting, family.TERMS, named)
    plan = None
    if tuning.search or tuning.folds:
        plan = search.plan(tuning.search, space, family.settings, tuning.trials, options.seed)
    written = {
        "target": options.target,
        "family": named,
        "task": options.task,
        "positive": options.positive,
        "set": fixed,
        "search": tuning.search,
        "space": {name.strip(): values.strip() for name, _, values in (text.partition("=") for text in tuning.space)},
        "cv": tuning.folds,
        "trials": tuning.trials,
        "metric": tuning.metric,
        "exclude": sorted(train_columns.named("--exclude", options.learning.exclude, names)),
        "include": sorted(train_columns.named("--include", options.learning.include, names)),
        **counting.written(),
    }
    deciding = train_decide.read(options.deciding)
    written |= deciding.written
    task = targets.task_named(options.task) if options.task else None
    written = {name: value for name, value in written.items() if value}
    return _Asked(family, settings, plan, task, deciding, written, counting)


def _assignments(texts: Sequence[str]) -> dict[str, str]:
    """`k=v` texts as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise Usage(f"--set {text!r}: not a setting", "write --set learning_rate=0.05")
        found[name.strip()] = value.strip()
    return found


def _build(
    ctx: Context,
    source: Source,
    parts: Parts,
    asked: _Asked,
    options: Options,
    payload: Path,
    checkpoint: Path | None,
) -> Contents:
    """Everything from the rows to the files of the model."""
    target = targets.infer(parts.all, options.target, asked.task, options.positive)
    offered = asked.family.metrics(target.task, asked.settings)
    metric = _metric(offered, options.tuning.metric, target)
    parts = train_data.sound(parts, target)
    rows = train_data.counted(parts, target)
    train_data.check(rows, target, asked.terms)
    train_decide.check(asked.deciding, target, rows)
    learning = options.learning
    own = {target.name} | ({learning.weight} if learning.weight else set())
    chosen = train_columns.choose(rows, target, source, learning.exclude, learning.include, own)
    given_rows, rows = rows, chosen.rows  # the same rows, those before with the columns that cut folds
    name = source.train.name
    given = Tables(
        rows.train,
        rows.valid,
        lambda frame, signature: batches.batches(frame, signature, name),
        checkpoint,
        chosen.columns,
        asked.terms,
        train_data.apart(source.cut, given_rows),
    )
    trainer = asked.family.trainer(given, target, metric, options.seed, asked.settings)
    found = None
    if asked.plan is not None:
        judging = _judging(parts, given_rows, target, metric, offered[metric], options, source)
        found = _search(ctx, trainer, asked, judging, options.tuning, checkpoint)
    fit = _fit(ctx, trainer, asked.settings, found, has_valid=rows.valid is not None)
    settings = asked.settings if found is None else found.settings
    fit, kept = _kept(ctx, trainer, fit, settings, alike=asked.deciding.learns)
    fitted = trainer.predictor(fit, processors.count())
    decided = train_decide.decide(asked.deciding, fitted, rows, target, name, asked.terms.weight)
    predictor = decided.predictor
    final = predictor if kept is fit else decided.around(trainer.predictor(kept, processors.count()))
    files = trainer.files(kept) | decided.files
    files |= train_payload.files(rows, target, predictor, final, source, options.seed, asked.terms, decided.honest)
    files[train_leaks.FILE] = chosen.leaks.encoded(predictor.signature.names)
    if found is not None:
        files[search_trials.FILE] = msgspec.json.format(msgspec.json.encode(found.trials), indent=1) + b"\n"
    for file, data in files.items():
        (payload / file).write_bytes(data)
    searched = found.trials.told() if found else ""
    told = [rows.note, parts.note, *chosen.notes, *trainer.notes, searched, _told(target, fit, metric, asked.terms)]
    if kept is not fit:
        told.append(f"the model then learnt from all {rows.rows + rows.valid_rows:,} rows: {_rounds(kept.rounds)}")
    told += decided.notes
    params = asked.written | {"task": target.task, "rounds": kept.rounds}
    if source.train.commands:
        params["stream"] = source.train.commands
    schema = {column.name: column.type for column in predictor.signature.columns}
    return Contents("model", source.inputs, params, options.seed, schema, notes=tuple(filter(None, told)))


def _metric(offered: Mapping[str, bool], wanted: str | None, target: Target) -> str:
    """The metric to stop and to choose by."""
    if wanted is None:
        return next(iter(offered))
    if wanted not in offered:
        near = get_close_matches(wanted, offered, 1)
        hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(offered)}"
        raise Usage(f"--metric {wanted!r}: nothing to train a {target.task} by", hint)
    return wanted


def _judging(
    parts: Parts, rows: Counted, target: Target, metric: str, higher: bool, options: Options, source: Source
) -> search.Judging:
    """By what trials are judged; InputUnusable, before any fit, when there is nothing."""
    count = options.tuning.folds
    if not count:
        if rows.valid is None:
            raise InputUnusable("there are no valid rows to judge trials by", "say --cv 5, or split with a valid part")
        return search.Judging(metric, higher)
    made = search_folds.made(source.folds, parts.train, target, rows.rows)
    folds = search_folds.of(rows.train, target, count, source.cut, options.seed, source.train.name, made)
    return search.Judging(metric, higher, folds)


def _search(
    ctx: Context,
    trainer: Trainer,
    asked: _Asked,
    judging: search.Judging,
    tuning: Tuning,
    checkpoint: Path | None,
) -> search.Found:
    """The trials of a search."""
    assert asked.plan is not None
    journal = Journal(checkpoint / "trials" if checkpoint else None, ctx.note)
    jobs = tuning.jobs or processors.count()
    found = search.run(trainer, asked.plan, asked.settings, judging, jobs, journal, ctx.progress)
    if journal.found:
        ctx.note(f"{journal.found} of {len(found.trials.trials)} trials had been done by another run")
    return found


def _fit(
    ctx: Context, trainer: Trainer, settings: Mapping[str, Any], found: search.Found | None, *, has_valid: bool
) -> Fit:
    """The fit that becomes the model: the search's best, or one with its settings where trials saw only folds."""
    if found is not None and found.fit is not None:
        return found.fit
    threads = processors.count()
    if found is not None:
        settings = found.settings
        if not found.trials.folds:
            threads = 1  # as its trial had, whose model this must be
        elif not has_valid:
            best = found.trials.trials[found.trials.best]
            settings = {**settings, **trainer.rounds(best.rounds)}
    return trainer.fit(settings, threads, lambda done, total: ctx.progress("train", done, total))


def _kept(ctx: Context, trainer: Trainer, fit: Fit, settings: Mapping[str, Any], *, alike: bool) -> tuple[Fit, Fit]:
    """The fit to measure and to decide by, which has not seen the valid rows, and the model to keep.

    `alike` when a decision is learnt: both then have as many rounds, since a curve that mends few would spoil many.
    """

    def progress(done: float, total: float | None) -> None:
        ctx.progress("train", done, total)

    kept = trainer.whole(fit, settings, processors.count(), progress)
    if alike and kept.rounds != fit.rounds:
        fit = trainer.fit({**settings, **trainer.rounds(kept.rounds)}, processors.count(), progress)
    memory.now()
    return fit, kept


def _told(target: Target, fit: Fit, metric: str, counting: terms.Terms) -> str:
    """The fit in words."""
    classes = "" if target.classes is None else f", {len(target.classes)} classes"
    positive = "" if target.positive is None else f", positive is {text_of(target.positive)}"
    weighed = "weighted " * bool(counting.weight or counting.classes)
    score = "" if fit.score is None else f", {weighed}{metric} {fit.score:.4g} on the valid rows"
    learnt = _rounds(fit.rounds) if fit.rounds else "as it was made"
    return f"{target.task} of {target.name}{classes}{positive}: {learnt}{score}"


def _rounds(count: int) -> str:
    """So many rounds in words."""
    return f"{count} round" if count == 1 else f"{count} rounds"
