"""One evaluation: what is asked of one model and one table, and the files that answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.metrics.base import Certified
from mlops_cli.reports import charts
from mlops_cli.reports.html import Section
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import (
    batches,
    evaluate_compare,
    evaluate_cost,
    evaluate_explain,
    evaluate_fairness,
    evaluate_groups,
    evaluate_measure,
    evaluate_page,
    evaluate_rows,
    evaluate_slices,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.evaluate_groups import Grouping
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.memo import Contents
from mlops_cli.steps.references import Resolved
from mlops_cli.steps.tables import Table
from mlops_cli.store.artefact import Artefact

METRICS, PREDICTIONS, PAGE = "metrics.json", "predictions.parquet", "report.html"


@dataclass(frozen=True)
class Work:
    """A model, the rows to measure it on, and what else is asked.

    `signature` is the model's, with the positive class that was asked for. `champion` is the evaluation of another
    model on the same rows, `slices` the fewest rows of a slice to look for (0: none are).
    """

    ctx: Context
    model: Resolved
    table: Table
    signature: Signature
    certified: Certified | None
    by: Sequence[str]
    seed: int
    positive: str | None
    grouping: Grouping | None
    slices: int
    costs: Costs | None
    explain: bool
    robustness: bool
    champion: Artefact | None = None

    @property
    def asked(self) -> list[Any]:
        """What decides the result beside model and table."""
        champion = self.champion.id if self.champion else None
        return [
            list(self.by), self.seed, self.explain, self.certified, self.positive, self.grouping, self.slices,
            self.costs, champion, self.robustness,
        ]  # fmt: skip

    @property
    def params(self) -> dict[str, Any]:
        """What the manifest says of it."""
        said = {
            "by": list(self.by),
            "group": self.grouping.column if self.grouping else None,
            "slices": self.slices,
            "explain": self.explain,
            "robustness": self.robustness,
            "positive": self.positive,
            "against": self.champion.id if self.champion else None,
            "costs": msgspec.to_builtins(self.costs) if self.costs else None,
            "stream": self.table.commands,
        }
        return {name: value for name, value in said.items() if value}


def build(work: Work, payload: Path) -> Contents:
    """Predict, measure, write the files."""
    charts.engine()
    table, signature = work.table, work.signature
    inputs = evaluate_slices.columns(signature, work.by) if work.slices else []
    path = work.model.artefact.path
    answers = evaluate_rows.collect(work.ctx, path, table, signature, work.by, work.grouping, inputs)
    model, data = work.model.artefact.id, table.inputs[0].id or None
    measured = evaluate_measure.measure(answers, signature, seed=work.seed, model=model, data=data)
    measured = evaluate_cost.told(measured, evaluate_cost.decided(work.model.artefact, signature))
    measured = evaluate_cost.added(measured, answers, work.costs, work.seed)
    if work.certified is not None:
        measured = msgspec.structs.replace(measured, certificate=work.certified)
    more = evaluate_page.More(pictures=_pictures(work, answers))
    if batches.image_column(signature) is None:
        moved, more.last = evaluate_explain.about(
            path, table, signature, answers, payload, work.seed, explain=work.explain, robustness=work.robustness
        )
        measured = msgspec.structs.replace(measured, metrics=[*measured.metrics, *moved])
    predictions = evaluate_rows.predictions(answers)
    if work.champion is not None:
        compared = evaluate_compare.compare(measured, predictions.collect(), work.champion, work.seed)
        _write(payload / evaluate_compare.FILE, compared)
        more.comparison = [evaluate_compare.section(compared, evaluate_page.HEADLINES[measured.task])]
    if work.slices:
        found, metrics = evaluate_slices.search(answers, work.slices, work.seed, signature.alpha or None)
        measured = msgspec.structs.replace(measured, metrics=[*measured.metrics, *metrics])
        _write(payload / evaluate_slices.FILE, found)
        more.slices = [evaluate_slices.section(found)]
    _write(payload / METRICS, measured)
    tables.write_table(predictions, payload, PREDICTIONS)
    (payload / PAGE).write_text(evaluate_page.render(measured, answers, more), encoding="utf-8")
    notes = tuple(_notes(work, answers))
    return Contents("evaluation", [work.model.input, *table.inputs], work.params, work.seed, notes=notes)


def _notes(work: Work, answers: Answers) -> list[str]:
    """What people should know of the rows."""
    rows, target = len(answers.actual), work.signature.target
    notes = [f"{rows + answers.dropped:,} rows in = {rows:,} measured + {answers.dropped:,} without {target}"]
    notes += filter(None, map(evaluate_fairness.left_out, answers.slices))
    strange = answers.levels[len(work.signature.classes or []) :]
    if strange:
        notes.append(f"the model does not know {', '.join(strange[:8])}: rows of these classes count as errors")
    return notes + evaluate_groups.note(work.grouping, answers.groups, rows)


def _write(path: Path, document: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")


def _pictures(work: Work, answers: Answers) -> list[Section]:
    """What a page about images shows of them."""
    if batches.image_column(work.signature) is None:
        return []
    from mlops_cli.steps import evaluate_pictures  # needs Pillow, which tables do without

    model = work.model.artefact.path
    return evaluate_pictures.sections(work.ctx, model, work.table, work.signature, answers, explained=work.explain)
