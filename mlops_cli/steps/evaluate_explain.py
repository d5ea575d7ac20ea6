"""What the answers of a model of tables depend on: `explanation.json`, and its sections of the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from mlops_cli.metrics import wording
from mlops_cli.metrics.base import Metric, text_of
from mlops_cli.metrics.gate import FEWEST
from mlops_cli.reports.html import Bar, Block, Cell, Measure, Section, Text
from mlops_cli.reports.html import Table as Sheet
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import (
    evaluate_dependence,
    evaluate_importance,
    evaluate_robustness,
    evaluate_sample,
    evaluate_worst,
)
from mlops_cli.steps.evaluate_dependence import Dependence
from mlops_cli.steps.evaluate_importance import Alike, Importance
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.steps.evaluate_worst import Row, Wrong
from mlops_cli.steps.tables import Table

FILE = "explanation.json"
_SHOWN = 20


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`explanation.json`: on how many rows, by which metric, what was found. No time, no path."""

    format: int = 1
    rows: int
    metric: str
    importance: list[Importance]
    alike: list[Alike]
    dependence: list[Dependence]
    wrong: list[Wrong]


def about(
    model: Path, table: Table, signature: Signature, answers: Answers, payload: Path, seed: int,
    *, explain: bool, robustness: bool,
) -> tuple[list[Metric], list[Section]]:  # fmt: skip
    """Ask the model about a sample of the rows: metrics that gates can use, and sections of the page.

    With `explain` writes `explanation.json` into the payload. Of fewer than ten rows no importance is measured.
    """
    if not (explain or robustness):
        return [], []
    sample = evaluate_sample.draw(model, table, signature, answers, seed)
    metrics: list[Metric] = []
    sections: list[Section] = []
    if explain:
        few = sample.fewer()
        enough = len(sample.rows) >= FEWEST
        metrics += evaluate_importance.measure(sample, seed) if enough else []
        ranked = evaluate_importance.ranked(metrics, few.explained)
        document = Document(
            rows=len(sample.rows),
            metric=sample.metric,
            importance=ranked,
            alike=evaluate_importance.alike(sample) if enough else [],
            dependence=evaluate_dependence.measure(sample, [one.column for one in ranked], seed),
            wrong=evaluate_worst.find(table, answers, few),
        )
        (payload / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
        sections += _sections(document, signature)
    if robustness:
        found = evaluate_robustness.measure(sample, seed)
        metrics += found
        sections.append(evaluate_robustness.section(found, sample.metric, len(sample.rows)))
    return metrics, sections


def _sections(document: Document, signature: Signature) -> list[Section]:
    found = [_importance(document)]
    if document.dependence:
        found.append(evaluate_dependence.section(document.dependence, signature))
    return [*found, _wrong(document)]


def _importance(document: Document) -> Section:
    if not document.importance:
        return Section("What the answers depend on", [], f"{document.rows} rows are too few to say.")
    shown = document.importance[:_SHOWN]
    ends = [end for one in shown for end in (one.low, one.high) if end is not None]
    scale = min([0.0, *ends]), max([1e-9, *ends])
    rows: list[list[Cell]] = []
    for one in shown:
        metric = Metric("importance", one.value, one.low, one.high, document.rows)
        bar = (
            None
            if one.value is None or one.low is None or one.high is None
            else Bar(one.value, one.low, one.high, *scale)
        )
        measure = Measure(wording.value(metric), wording.interval(metric), bar)
        rows.append([one.column, measure, None if one.contribution is None else f"{one.contribution:.3g}"])
    text = (
        f"How much worse {wording.title(document.metric)} becomes when a column's values are dealt to other rows, with "
        f"its 95 % interval, on {document.rows:,} rows; beside it the mean size of what the column adds to the score."
    )
    if document.alike:
        pairs = ", ".join(
            f"{one.columns[0]} and {one.columns[1]} ({one.correlation:.2f})" for one in document.alike[:4]
        )
        text += f" These say much the same, and each looks less important than they are together: {pairs}."
    head = ("Column", f"{wording.title(document.metric)} worse by", "Mean |contribution|")
    return Section("What the answers depend on", [Sheet(head, rows, frozenset({2}))], text)


def _wrong(document: Document) -> Section:
    title = "Most surely wrong"
    if not document.wrong:
        return Section(title, [], "No answer is far from the truth.")
    rows: list[list[Cell]] = []
    for one in document.wrong:
        rows.append([f"row {one.wrong.row:,}", *_cells(one.wrong), f"{one.surprise:.3g}"])
        if one.nearest is not None:
            rows.append([f"  right: row {one.nearest.row:,}", *_cells(one.nearest, _differs(one)), None])
    text = (
        "Below each is the most similar row that was answered right, and what is different there. The last column is "
        "the probability given to the truth, of a regression the error in standard deviations."
    )
    blocks: Sequence[Block] = [Sheet(("Row", "Actual", "Predicted", "Why", "Given"), rows, frozenset({4}))]
    return Section(title, blocks, text)


def _cells(row: Row, more: str = "") -> list[Cell]:
    return [_text(row.actual), _text(row.prediction), Text(more or "; ".join(row.reasons) or _values(row))]


def _text(value: bool | int | float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def _values(row: Row) -> str:
    return ", ".join(f"{name}={_digits(value)}" for name, value in list(row.values.items())[:8])


def _digits(value: object) -> str:
    """A value in as many digits as reasons have."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _differs(one: Wrong) -> str:
    """The values of the right row that the wrong one does not have."""
    assert one.nearest is not None
    other = [(name, value) for name, value in one.nearest.values.items() if value != one.wrong.values.get(name)]
    return ", ".join(f"{name}={_digits(value)}" for name, value in other[:8]) or "nothing: the same values"
