"""What was measured of a registered version, for its account: all rows, each class, and each group short."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_cli.metrics import wording
from mlops_cli.metrics.base import CLASS, Measurements, Metric, text_of
from mlops_cli.reports.html import Block, Cell, Matrix, Measure, Section, Table, Text
from mlops_cli.steps.report_story import Story

_CLASSES = 40
_LEVELS = 20
_GROUPS = {
    "binary": ("selection_rate", "recall", "fpr", "precision", "calibration_gap", "cost"),
    "multiclass": ("accuracy", "f1", "cost"),
    "regression": ("mean_prediction", "mae", "bias", "cost"),
}
"""What is told of the levels of a column, by task: what fairness looks at, and money. The evaluation has the rest."""
_KINDS = ("ratio", "difference")


def sections(story: Story) -> list[Section]:
    """What was measured, the newest evaluation first, then what training itself measured."""
    found = []
    for proof in reversed([one for one in story.evidence if one.measured]):
        assert proof.measured is not None
        data = proof.measured.data.id if proof.measured.data else None
        text = f"On {proof.measured.rows:,} rows of {data or 'data on standard input'}, added {proof.at} by {proof.by}."
        blocks = [*_metrics(proof.measured), *_groups(proof.measured)]
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
            [[one.name, _value(one), one.n, Text(wording.MEANINGS.get(one.name, ""))] for one in overall],
            frozenset({2}),
        )
    ]
    each = [one for one in measured.metrics if one.column == CLASS and one.level is not None]
    if classes and each:
        blocks.append(_by_level(measured.target, each, list(dict.fromkeys(one.name for one in each)), _CLASSES))
    if classes and measured.confusion and len(measured.confusion.labels) <= _CLASSES:
        labels = [text_of(label) for label in measured.confusion.labels]
        blocks.append(
            Matrix(labels, measured.confusion.counts, "Confusion", "How often each class was taken for each.")
        )
    return blocks


def _groups(measured: Measurements) -> list[Block]:
    """Of every column that was measured by: its levels, how they compare, and what is of the column as a whole."""
    blocks: list[Block] = []
    rest: list[list[Cell]] = []
    for column in dict.fromkeys(one.column for one in measured.metrics if one.column not in (None, CLASS)):
        there = [one for one in measured.metrics if one.column == column]
        each = [one for one in there if one.level is not None]
        if each:
            known = dict.fromkeys(one.name for one in each if one.name != "rows")
            short = [name for name in _GROUPS.get(measured.task, ()) if name in known]
            blocks.append(_by_level(str(column), each, ["rows", *(short or known)], _LEVELS))
        whole = {one.name: one for one in there if one.level is None}
        bases = dict.fromkeys(name.rpartition("_")[0] for name in whole if name.endswith(_KINDS))
        rows: list[list[Cell]] = [[base, *(_found(whole.get(f"{base}_{kind}")) for kind in _KINDS)] for base in bases]
        if rows:
            blocks.append(Table([f"compared by {column}", *_KINDS], rows))
        rest += [[f"{name}[{column}]", _value(one)] for name, one in whole.items() if not name.endswith(_KINDS)]
    return [*blocks, Table(["of a column", "value"], rest)] if rest else blocks


def _by_level(column: str, each: Sequence[Metric], names: Sequence[str], most: int) -> Table:
    """A line for each level, at most so many; how many rows it has where no metric of its own says it."""
    found = {(one.level, one.name): one for one in each}
    levels = list(dict.fromkeys(one.level for one in each))
    sizes = {one.level: one.n for one in each}
    rows: list[list[Cell]] = []
    for level in levels[:most]:
        cells: list[Cell] = [
            sizes[level] if name == "rows" and (level, name) not in found else _found(found.get((level, name)))
            for name in names
        ]
        rows.append([level or "", *cells])
    if len(levels) > most:
        rows.append([f"and {len(levels) - most} more", *(None for _ in names)])
    return Table([column, *names], rows)


def _found(metric: Metric | None) -> Measure | None:
    return None if metric is None else _value(metric)


def _value(metric: Metric) -> Measure:
    return Measure(wording.value(metric), wording.interval(metric))
