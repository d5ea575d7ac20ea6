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
from mlops_cli.metrics.base import CLASS, Measurements, comparable
from mlops_cli.metrics.gate import Gate, Judgement
from mlops_cli.steps import (
    batches,
    costs,
    evaluate_build,
    evaluate_compare,
    evaluate_cost,
    evaluate_data,
    evaluate_groups,
    evaluate_offered,
    evaluate_page,
    evaluate_robustness,
    evaluate_slices,
    memo,
    policy,
    references,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_build import METRICS, PAGE, PREDICTIONS, Work
from mlops_cli.steps.evaluate_compare import Comparison
from mlops_cli.steps.evaluate_data import Rows
from mlops_cli.steps.evaluate_slices import Slices
from mlops_cli.steps.memo import Contents, Job, Outcome, Output, Verdict
from mlops_cli.steps.references import Given
from mlops_cli.store.artefact import Artefact

__all__ = ["METRICS", "PAGE", "PREDICTIONS", "Options", "run"]

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
    stated = None if options.cost is None else costs.read(options.cost)
    model = references.resolve(ctx, given, "model")
    signature = evaluate_data.signature(model.artefact, options.positive)
    pictures = batches.image_column(signature) is not None
    priced = evaluate_cost.found(stated, model.artefact, signature)
    if priced is None and any(one.metric in ("cost", "cost_total") for one in gates):
        raise Usage("a gate is about cost, and nobody says what errors cost", "--cost FILE, here or when training")
    if options.robustness:
        evaluate_robustness.refuse_images(pictures)
        gates += [gate.parse(text) for text in evaluate_robustness.IMPLIED]
    evaluate_offered.check(
        gates, signature, options.by, priced,
        slices=bool(options.slices), explain=options.explain, robustness=options.robustness,
    )  # fmt: skip
    found = evaluate_data.find(ctx, model.artefact, options.data)
    twice = options.against is not None or pictures or options.explain or options.robustness
    with tables.replayable(found.table) if twice else contextlib.nullcontext(found.table) as table:
        rows = replace(found, table=table)
        certified = evaluate_data.certified(ctx, model.artefact, rows)
        evaluate_data.tell(ctx, rows, certified)
        work = Work(
            ctx, model, table, signature, certified, options.by, options.seed, options.positive,
            grouping=evaluate_groups.find(ctx, model.artefact, table, options.group),
            slices=options.slices, costs=priced, explain=options.explain, robustness=options.robustness,
        )  # fmt: skip
        work = replace(work, champion=_champion(work, rows, options.against))
        return memo.perform(ctx, _job(work, gates, options), output)


def _job(work: Work, gates: Sequence[Gate] = (), options: Options | None = None) -> Job:
    """Measuring one model on one table, and judging what was measured."""
    key = None if work.table.key is None else [work.model.artefact.id, work.table.key, *work.asked]

    def build(payload: Path, _: Path) -> Contents:
        return evaluate_build.build(work, payload)

    def judge(made: Artefact) -> Verdict:
        return Verdict() if options is None else _judge(made, gates, work.champion, options)

    return Job("evaluate", key, _LIBRARIES, build, judge, _measured)


def _champion(work: Work, rows: Rows, against: str | None) -> Artefact | None:
    """The champion's evaluation on the same rows; None when the alias that was named does not exist yet.

    Errors: SchemaMismatch for a champion of another target or task, or one that lacks columns.
    """
    if against is None:
        return None
    try:
        found = references.resolve(work.ctx, Given(against), "model")
    except Missing:
        if "@" not in against or Path(against).exists():
            raise
        work.ctx.note(f"there is no {against} yet to compare with")
        return None
    theirs = evaluate_data.signature(found.artefact, work.positive)
    schema = tables.schema_of(work.table.frame, work.table.name)
    evaluate_compare.check(against, work.signature, theirs, schema, work.table.name)
    quiet = msgspec.structs.replace(work.ctx, note=lambda _: None)  # what is told of rows is told of the model's own
    certified = evaluate_data.certified(work.ctx, found.artefact, rows)
    plain = replace(
        work, ctx=quiet, model=found, signature=theirs, certified=certified, slices=0, explain=False, robustness=False
    )
    return memo.perform(quiet, _job(plain), Output()).artefact


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
        for name in evaluate_page.headlines(measured.task)
        if name in overall
    ]
    known = comparable(champion.json(METRICS, Measurements), measured) if champion else None
    compared = made.json(evaluate_compare.FILE, Comparison) if champion else None
    paired = compared.differences if compared else []
    if compared is not None and options.against is not None:
        lines += evaluate_compare.lines(compared, options.against, [one.metric for one in gates])
    if made.has(evaluate_slices.FILE):
        lines.append(evaluate_slices.told(made.json(evaluate_slices.FILE, Slices)))
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
