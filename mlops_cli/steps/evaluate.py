"""Measure a model on rows whose outcome is known, and judge it by gates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from mlops_cli.errors import Missing, Usage
from mlops_cli.metrics import gate, wording
from mlops_cli.metrics.base import CLASS, Certified, Measurements
from mlops_cli.metrics.gate import Gate, Judgement
from mlops_cli.reports import charts
from mlops_cli.reports.html import Section
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import (
    batches,
    evaluate_compare,
    evaluate_data,
    evaluate_fairness,
    evaluate_groups,
    evaluate_measure,
    evaluate_page,
    evaluate_rows,
    evaluate_slices,
    memo,
    policy,
    references,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_compare import Comparison
from mlops_cli.steps.evaluate_data import Rows
from mlops_cli.steps.evaluate_groups import Grouping
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.evaluate_slices import Slices
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.steps.tables import Table
from mlops_cli.store.artefact import Artefact

METRICS, PREDICTIONS, PAGE = "metrics.json", "predictions.parquet", "report.html"
_LIBRARIES = (
    "lightgbm",
    "numpy",
    "onnxruntime",
    "pillow",
    "polars",
    "polars-runtime-32",
    "pyarrow",
    "vl-convert-python",
)


@dataclass(frozen=True)
class Options:
    """On what to measure (None: the test part of the split that the model was trained on), and how to judge.

    `against` is the champion that gates compare with: it is measured on the same rows. `by` are columns of which
    each level is measured too. `point` compares values alone. `explain` says what the answers depend on; of images,
    where the model looked when it was wrong. `policy` and `cost` are files, `group` the column of rows that belong
    together, `slices` the fewest rows of a slice to look for (0: none are). `positive` is the class that
    metrics are about instead of the model's positive one.
    """

    data: Given | None = None
    require: Sequence[str] = ()
    point: bool = False
    by: Sequence[str] = ()
    against: str | None = None
    seed: int = 0
    explain: bool = False
    policy: str | None = None
    group: str | None = None
    slices: int = 0
    cost: str | None = None
    robustness: bool = False
    positive: str | None = None
    grouping: Grouping | None = None  # what `run` makes of `group` and the model's split


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Evaluate a model; the artefact holds measurements only, the verdict is computed from it each time.

    Errors: Usage for a gate that cannot be, Missing when no data was named and the model's split is out of reach,
    EmptyInput without labelled rows, and those of reading and predicting.
    """
    asked = policy.load(options.policy, "evaluate")
    gates = [*map(gate.parse, options.require), *(asked.gates if asked else ())]
    if any(one.champion for one in gates) and options.against is None:
        raise Usage("a gate compares with the champion, and none is named", "say --against NAME@production")
    if CLASS in options.by:
        raise Usage(f"--by {CLASS}: {CLASS!r} means the classes in gates", "rename the column with mlops ingest --sql")
    evaluate_slices.check(options.slices, options.by)
    model = references.resolve(ctx, given, "model")
    pictures = batches.image_column(evaluate_data.signature(model.artefact, options.positive)) is not None
    if options.explain and not pictures:
        raise Usage("evaluate --explain is for models of images", "of tables: mlops predict MODEL DATA --explain")
    found = evaluate_data.find(ctx, model.artefact, options.data)
    twice = options.against is not None or pictures
    with tables.replayable(found.table) if twice else contextlib.nullcontext(found.table) as table:
        rows = replace(found, table=table)
        certified = evaluate_data.certified(ctx, model.artefact, rows)
        evaluate_data.tell(ctx, rows, certified)
        options = replace(options, grouping=evaluate_groups.find(ctx, model.artefact, table, options.group))
        champion = _champion(ctx, model.artefact, rows, options)
        job = _job(ctx, model, table, options, gates, champion, certified)
        return memo.perform(ctx, job, output)


def _job(
    ctx: Context,
    model: Resolved,
    table: Table,
    options: Options,
    gates: Sequence[Gate],
    champion: Artefact | None,
    certified: Certified | None,
) -> Job:
    """Measuring one model on one table, and judging what was measured."""
    asked = [list(options.by), options.seed, options.explain, certified, options.positive]
    asked += [options.grouping, options.slices, champion.id if champion else None]
    key = None if table.key is None else [model.artefact.id, table.key, *asked]

    def build(payload: Path, _: Path) -> Contents:
        return _build(ctx, model, table, options, payload, certified, champion)

    def judge(made: Artefact) -> Verdict:
        return _judge(made, gates, champion, options)

    return Job("evaluate", key, _LIBRARIES, build, judge, _measured)


def _build(
    ctx: Context,
    model: Resolved,
    table: Table,
    options: Options,
    payload: Path,
    certified: Certified | None,
    champion: Artefact | None,
) -> Contents:
    """Predict, measure, write the files."""
    charts.engine()
    signature = evaluate_data.signature(model.artefact, options.positive)
    inputs = evaluate_slices.columns(signature, options.by) if options.slices else []
    answers = evaluate_rows.collect(ctx, model.artefact.path, table, signature, options.by, options.grouping, inputs)
    data = table.inputs[0].id or None
    measured = evaluate_measure.measure(answers, signature, seed=options.seed, model=model.artefact.id, data=data)
    if certified is not None:
        measured = msgspec.structs.replace(measured, certificate=certified)
    more = evaluate_page.More(pictures=_pictures(ctx, model, table, signature, answers, options.explain))
    predictions = evaluate_rows.predictions(answers)
    if champion is not None:
        compared = evaluate_compare.compare(measured, predictions.collect(), champion, options.seed)
        _write(payload / evaluate_compare.FILE, compared)
        more.comparison = [evaluate_compare.section(compared, evaluate_page.HEADLINES[measured.task])]
    if options.slices:
        found, metrics = evaluate_slices.search(answers, options.slices, options.seed)
        measured = msgspec.structs.replace(measured, metrics=[*measured.metrics, *metrics])
        _write(payload / evaluate_slices.FILE, found)
        more.slices = [evaluate_slices.section(found)]
    _write(payload / METRICS, measured)
    tables.write_table(predictions, payload, PREDICTIONS)
    (payload / PAGE).write_text(evaluate_page.render(measured, answers, more), encoding="utf-8")
    rows = len(answers.actual)
    notes = [f"{rows + answers.dropped:,} rows in = {rows:,} measured + {answers.dropped:,} without {signature.target}"]
    notes += filter(None, map(evaluate_fairness.left_out, answers.slices))
    strange = answers.levels[len(signature.classes or []) :]
    if strange:
        notes.append(f"the model does not know {', '.join(strange[:8])}: rows of these classes count as errors")
    notes += evaluate_groups.note(options.grouping, answers.groups, rows)
    params: dict[str, Any] = {"by": list(options.by)} if options.by else {}
    if options.grouping is not None:
        params["group"] = options.grouping.column
    if options.slices:
        params["slices"] = options.slices
    if options.explain:
        params["explain"] = True
    if options.positive is not None:
        params["positive"] = options.positive
    if table.commands:
        params["stream"] = table.commands
    return Contents("evaluation", [model.input, *table.inputs], params, options.seed, notes=tuple(notes))


def _write(path: Path, document: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def _pictures(
    ctx: Context, model: Resolved, table: Table, signature: Signature, answers: Answers, explained: bool
) -> list[Section]:
    """What a page about images shows of them."""
    if batches.image_column(signature) is None:
        return []
    from mlops_cli.steps import evaluate_pictures  # needs Pillow, which tables do without

    return evaluate_pictures.sections(ctx, model.artefact.path, table, signature, answers, explained=explained)


def _champion(ctx: Context, model: Artefact, rows: Rows, options: Options) -> Artefact | None:
    """The champion's evaluation on the same rows; None when the alias that was named does not exist yet.

    Errors: SchemaMismatch for a champion of another target or task, or one that lacks columns.
    """
    if options.against is None:
        return None
    try:
        found = references.resolve(ctx, Given(options.against), "model")
    except Missing:
        if "@" not in options.against or Path(options.against).exists():
            raise
        ctx.note(f"there is no {options.against} yet to compare with")
        return None
    own, theirs = (evaluate_data.signature(each, options.positive) for each in (model, found.artefact))
    schema = tables.schema_of(rows.table.frame, rows.table.name)
    evaluate_compare.check(options.against, own, theirs, schema, rows.table.name)
    plain = replace(options, explain=False, slices=0, robustness=False)
    certified = evaluate_data.certified(ctx, found.artefact, rows)
    quiet = msgspec.structs.replace(ctx, note=lambda _: None)  # what is told of rows is told of the model's own
    outcome = memo.perform(quiet, _job(quiet, found, rows.table, plain, (), None, certified), Output())
    return outcome.artefact


def _measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`."""
    found = made.json(METRICS, Measurements)
    told = {name: getattr(found, name) for name in ("task", "target", "positive", "rows", "metrics", "confusion")}
    if made.has(evaluate_compare.FILE):
        told["comparison"] = made.json(evaluate_compare.FILE, Comparison)
    if made.has(evaluate_slices.FILE):
        told["slices"] = made.json(evaluate_slices.FILE, Slices)
    return told if found.certificate is UNSET else told | {"certificate": found.certificate}


def _judge(made: Artefact, gates: Sequence[Gate], champion: Artefact | None, options: Options) -> Verdict:
    """The headline numbers for people; and of each gate the answer, with the verdict of all of them."""
    measured = made.json(METRICS, Measurements)
    overall = {metric.name: metric for metric in measured.metrics if metric.column is None}
    lines = [
        f"{name} {wording.value(overall[name])} {wording.interval(overall[name])}".rstrip()
        for name in evaluate_page.HEADLINES[measured.task]
        if name in overall
    ]
    known = champion.json(METRICS, Measurements).metrics if champion else None
    compared = made.json(evaluate_compare.FILE, Comparison) if champion else None
    paired = compared.differences if compared else []
    if compared is not None and options.against is not None:
        lines += evaluate_compare.lines(compared, options.against, [one.metric for one in gates])
    judgements = [
        gate.judge(one, measured.metrics, champion=known, paired=paired, point=options.point, target=measured.target)
        for one in gates
    ]
    doubt = "" if options.policy is None or measured.certificate is UNSET else measured.certificate.doubt
    judgements = [gate.doubted(one, doubt) for one in judgements] if doubt else judgements
    code = gate.exit_code(judgements)
    if judgements:
        lines += [*wording.table(judgements), _verdict(judgements, code)]
    return Verdict(code, tuple(lines), judgements)


def _verdict(judgements: Sequence[Judgement], code: int) -> str:
    """The last line."""
    counted = _counted(one for one in judgements if one.severity != "warn") or "no gate that blocks"
    warned = _counted(one for one in judgements if one.severity == "warn" and one.answer != "pass")
    counted += f"; warned of {warned}" if warned else ""
    return f"verdict: {({0: 'pass', 1: 'fail', 3: 'inconclusive'})[code]} ({counted})"


def _counted(judgements: Iterable[Judgement]) -> str:
    """How many judgements gave which answer."""
    answers = [judgement.answer for judgement in judgements]
    return ", ".join(f"{answers.count(each)} {each}" for each in dict.fromkeys(answers))
