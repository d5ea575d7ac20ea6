"""Measure a model on rows whose outcome is known, and judge it by gates."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
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
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import (
    batches,
    evaluate_data,
    evaluate_explain,
    evaluate_measure,
    evaluate_page,
    evaluate_pair,
    evaluate_robustness,
    evaluate_rows,
    memo,
    references,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_data import Rows
from mlops_cli.steps.evaluate_rows import Answers
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
    together, `slices` the fewest rows of a slice to look for (0: none are).
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


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Evaluate a model; the artefact holds measurements only, the verdict is computed from it each time.

    Errors: Usage for a gate that cannot be, Missing when no data was named and the model's split is out of reach,
    EmptyInput without labelled rows, and those of reading and predicting.
    """
    gates = [gate.parse(text) for text in options.require]
    if any(one.champion for one in gates) and options.against is None:
        raise Usage("a gate compares with the champion, and none is named", "say --against NAME@production")
    if CLASS in options.by:
        raise Usage(f"--by {CLASS}: {CLASS!r} means the classes in gates", "rename the column with mlops ingest --sql")
    model = references.resolve(ctx, given, "model")
    pictures = batches.image_column(signatures.decode(model.artefact.read(signatures.FILE))) is not None
    if options.robustness:
        evaluate_robustness.refuse_images(pictures)
        gates += [gate.parse(text) for text in evaluate_robustness.IMPLIED]
    found = evaluate_data.find(ctx, model.artefact, options.data)
    twice = options.against is not None or pictures or options.explain or options.robustness
    with tables.replayable(found.table) if twice else contextlib.nullcontext(found.table) as table:
        rows = replace(found, table=table)
        certified = evaluate_data.certified(ctx, model.artefact, rows)
        evaluate_data.tell(ctx, rows, certified)
        champion = _champion(ctx, rows, gates, options)
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
    asked = [list(options.by), options.seed, options.explain, options.robustness, certified]
    key = None if table.key is None else [model.artefact.id, table.key, *asked]

    def build(payload: Path, _: Path) -> Contents:
        return _build(ctx, model, table, options, payload, certified)

    def judge(made: Artefact) -> Verdict:
        return _judge(made, gates, champion, options)

    return Job("evaluate", key, _LIBRARIES, build, judge, _measured)


def _build(
    ctx: Context, model: Resolved, table: Table, options: Options, payload: Path, certified: Certified | None
) -> Contents:
    """Predict, measure, write the three files."""
    charts.engine()
    signature = signatures.decode(model.artefact.read(signatures.FILE))
    answers = evaluate_rows.collect(ctx, model.artefact.path, table, signature, options.by)
    data = table.inputs[0].id or None
    measured = evaluate_measure.measure(answers, signature, seed=options.seed, model=model.artefact.id, data=data)
    if certified is not None:
        measured = msgspec.structs.replace(measured, certificate=certified)
    told: list[Section] = []
    if batches.image_column(signature) is None:
        found, told = evaluate_explain.about(
            model.artefact.path, table, signature, answers, payload, options.seed,
            explain=options.explain, robustness=options.robustness,
        )  # fmt: skip
        measured = msgspec.structs.replace(measured, metrics=[*measured.metrics, *found])
    (payload / METRICS).write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    tables.write_table(evaluate_rows.predictions(answers), payload, PREDICTIONS)
    pictures = [*_pictures(ctx, model, table, signature, answers, options.explain), *told]
    (payload / PAGE).write_text(evaluate_page.render(measured, answers, pictures), encoding="utf-8")
    rows = len(answers.actual)
    notes = [f"{rows + answers.dropped:,} rows in = {rows:,} measured + {answers.dropped:,} without {signature.target}"]
    strange = answers.levels[len(signature.classes or []) :]
    if strange:
        notes.append(f"the model does not know {', '.join(strange[:8])}: rows of these classes count as errors")
    params: dict[str, Any] = {"by": list(options.by)} if options.by else {}
    if options.explain:
        params["explain"] = True
    if options.robustness:
        params["robustness"] = True
    if table.commands:
        params["stream"] = table.commands
    return Contents("evaluation", [model.input, *table.inputs], params, options.seed, notes=tuple(notes))


def _pictures(
    ctx: Context, model: Resolved, table: Table, signature: Signature, answers: Answers, explained: bool
) -> list[Section]:
    """What a page about images shows of them."""
    if batches.image_column(signature) is None:
        return []
    from mlops_cli.steps import evaluate_pictures  # needs Pillow, which tables do without

    return evaluate_pictures.sections(ctx, model.artefact.path, table, signature, answers, explained=explained)


def _champion(ctx: Context, rows: Rows, gates: Sequence[Gate], options: Options) -> Artefact | None:
    """The champion's evaluation on the same rows; None when the alias that was named does not exist yet."""
    if options.against is None or not any(one.champion for one in gates):
        return None
    try:
        found = references.resolve(ctx, Given(options.against), "model")
    except Missing:
        if "@" not in options.against or Path(options.against).exists():
            raise
        ctx.note(f"there is no {options.against} yet to compare with")
        return None
    plain = replace(options, explain=False, robustness=False)
    certified = evaluate_data.certified(ctx, found.artefact, rows)
    outcome = memo.perform(ctx, _job(ctx, found, rows.table, plain, (), None, certified), Output())
    return outcome.artefact


def _measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`."""
    found = made.json(METRICS, Measurements)
    told = {name: getattr(found, name) for name in ("task", "target", "positive", "rows", "metrics", "confusion")}
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
    paired = evaluate_pair.differences(made, champion, options.seed) if champion else []
    judgements = [
        gate.judge(one, measured.metrics, champion=known, paired=paired, point=options.point, target=measured.target)
        for one in gates
    ]
    code = gate.exit_code(judgements)
    if judgements:
        lines += [*wording.table(judgements), _verdict(judgements, code)]
    return Verdict(code, tuple(lines), judgements)


def _verdict(judgements: Sequence[Judgement], code: int) -> str:
    """The last line."""
    answers = [judgement.answer for judgement in judgements]
    counted = ", ".join(f"{answers.count(each)} {each}" for each in dict.fromkeys(answers))
    return f"verdict: {({0: 'pass', 1: 'fail', 3: 'inconclusive'})[code]} ({counted})"
