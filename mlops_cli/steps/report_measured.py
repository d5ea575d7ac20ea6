"""What was measured of a registered version, for its account: whose numbers they are, all rows, each class."""

from __future__ import annotations

from mlops_cli.metrics import wording
from mlops_cli.metrics.base import CLASS, Measurements, text_of
from mlops_cli.reports.html import Block, Matrix, Section, Table, Text
from mlops_cli.steps import report_groups
from mlops_cli.steps.report_story import Story

_CLASSES = 40


def sections(story: Story) -> list[Section]:
    """What was measured, the newest evaluation first, then what training itself measured."""
    found = []
    for proof in reversed([one for one in story.evidence if one.measured]):
        assert proof.measured is not None
        data = proof.measured.data.id if proof.measured.data else None
        text = f"On {proof.measured.rows:,} rows of {data or 'data on standard input'}, added {proof.at} by {proof.by}."
        blocks = [*_metrics(proof.measured), *report_groups.groups(proof.measured)]
        found.append(Section("Measured by an evaluation", blocks, f"{text}{_about(proof.measured)}"))
    if not found:
        found.append(Section("Measured", [], "No evaluation is among the evidence."))
    if story.trained:
        rows = f"On the {story.trained.rows:,} rows held out to stop training: they flatter."
        found.append(Section("Measured while training", _metrics(story.trained, classes=False), rows))
    return found


def _about(measured: Measurements) -> str:
    """What one must know to read the numbers: whose they are, how answers are decided, and what makes them doubtful."""
    parts = []
    if measured.positive is not None:
        parts.append(f"Precision, recall and the like are about {measured.target}={text_of(measured.positive)}.")
    decided = measured.decided or None
    if decided is not None:
        told = [f"probabilities calibrated by {decided.calibration}"] if decided.calibration else []
        if decided.threshold is not None and measured.positive is not None:
            given = decided.chosen in (None, f"{decided.threshold:g}")
            chosen = "" if given else f", chosen for {decided.chosen}"
            told.append(f"{text_of(measured.positive)} from a probability of {decided.threshold:.4g} on{chosen}")
        elif decided.chosen:
            told.append("the class of least expected cost")
        parts += [f"Answers are decided so: {'; '.join(told)}."] if told else []
    if measured.alpha:
        parts.append(f"What is predicted is the quantile {measured.alpha:g}.")
    if measured.costs and measured.costs.currency:
        parts.append(f"What errors cost is in {measured.costs.unit}.")
    doubt = measured.certificate.doubt if measured.certificate else ""
    parts += [f"They may flatter: {doubt}."] if doubt else []
    return "".join(f" {part}" for part in parts)


def _metrics(measured: Measurements, *, classes: bool = True) -> list[Block]:
    """All rows, and each class."""
    overall = [one for one in measured.metrics if one.column is None and one.name != "rows"]
    blocks: list[Block] = [
        Table(
            ["metric", "value", "rows", "meaning"],
            [[one.name, report_groups.shown(one), one.n, Text(wording.MEANINGS.get(one.name, ""))] for one in overall],
            frozenset({2}),
        )
    ]
    each = [one for one in measured.metrics if one.column == CLASS and one.level is not None]
    if classes and each:
        blocks.append(
            report_groups.by_level(measured.target, each, list(dict.fromkeys(one.name for one in each)), _CLASSES)
        )
    if classes and measured.confusion and len(measured.confusion.labels) <= _CLASSES:
        labels = [text_of(label) for label in measured.confusion.labels]
        blocks.append(
            Matrix(labels, measured.confusion.counts, "Confusion", "How often each class was taken for each.")
        )
    return blocks
