"""How a model treats the groups of a column: what is measured of them, and that as a part of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlops_cli.errors import listed
from mlops_cli.metrics import fairness, wording
from mlops_cli.metrics.base import Measurements, Metric, text_of
from mlops_cli.metrics.fairness import Clustered
from mlops_cli.metrics.intervals import Ints, generator
from mlops_cli.reports.html import Bar, Cell, Measure, Section, Table, Text
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps.evaluate_rows import Answers, Slice

_STREAM = 400  # of random numbers
_SHOWN = 20  # groups on the page
_FIFTHS = 0.8

_COLUMNS = {
    "binary": ("selection_rate", "recall", "fpr", "precision", "calibration_gap"),
    "multiclass": ("accuracy",),
    "regression": ("mean_prediction", "mae", "bias"),
}
_HEADS = {"fpr": "False positives", "calibration_gap": "Gap"}
_QUESTIONS = {
    "demographic_parity": "Are members of every group chosen as often?",
    "equal_opportunity": "Are those who are {positive} found as often in every group?",
    "equalized_odds": "That, and is a mistaken choice of the others as common in every group? The worse of the two.",
    "precision": "Is a choice right as often in every group?",
    "accuracy": "Is an answer right as often in every group?",
    "mae": "Are errors as large in every group?",
    "mean_prediction": "Are predictions as high in every group?",
}


def measure(answers: Answers, signature: Signature, by: Slice, seed: int) -> list[Metric]:
    """The metrics of each group of a column that only fairness needs, and the comparisons of the groups."""
    rng, groups = generator(seed, _STREAM), len(by.levels)
    if signature.classes is None:
        numbers = answers.actual.astype(np.float64), answers.predicted.astype(np.float64)
        return fairness.regression(*numbers, by.codes, by.levels, by.column, rng, answers.groups)
    if signature.task == "multiclass":
        right = np.asarray(answers.actual == answers.predicted, dtype=np.int64)
        hits, rows = (np.bincount(by.codes, weights, groups).astype(np.int64) for weights in (right, None))
        rows_of = _clustered(answers, by.codes * 2 + right, by.codes, right)
        return fairness.shares("accuracy", hits, rows, by.levels, by.column, rng, rows_of=rows_of)
    positive = signature.positive_index()
    truth, named = (np.asarray(codes == positive, dtype=np.int64) for codes in (answers.actual, answers.predicted))
    place = by.codes * 4 + truth * 2 + named
    cells = np.bincount(place, minlength=groups * 4).reshape(groups, 2, 2)
    found = fairness.binary(cells, by.levels, by.column, rng, _clustered(answers, place, by.codes, named))
    if answers.proba is not None:
        score = answers.proba[:, positive]
        for code in np.flatnonzero(cells.sum(axis=(1, 2))):
            chosen = np.flatnonzero(by.codes == code)
            part = None if answers.groups is None else answers.groups.part(chosen)
            found.append(fairness.gap(score[chosen], truth[chosen], by.column, by.levels[code], rng, part))
    return found


def _clustered(answers: Answers, place: Ints, levels: Ints, values: Ints) -> Clustered | None:
    """The rows as they belong together; None where each is alone."""
    if answers.groups is None:
        return None
    return Clustered(answers.groups, place, levels, values.astype(np.float64))


def left_out(by: Slice) -> str:
    """Which groups are measured and not compared, in one sentence; nothing when all are."""
    rows = np.bincount(by.codes, minlength=len(by.levels))
    small = _small(by.levels, rows)
    return f"by {by.column}, measured but not compared with other groups: {small}" if small else ""


def section(measured: Measurements, by: Slice) -> Section:
    """What a person should see of the groups: one row each, and the comparisons."""
    there = [one for one in measured.metrics if one.column == by.column]
    rows = np.bincount(by.codes, minlength=len(by.levels))
    tables = _groups(there, by.levels, rows, measured.task), _comparisons(there, measured)
    shown = [table for table in tables if table.rows]
    return Section(f"Fairness by {by.column}", shown, _text(measured, by, rows))


def _groups(there: Sequence[Metric], levels: Sequence[str], rows: Ints, task: str) -> Table:
    """One row for each group, with bars on a scale that the column shares."""
    each = {(one.level, one.name): one for one in there if one.level is not None}
    names = [name for name in _COLUMNS[task] if any(name == other for _, other in each)]
    cells: list[list[Cell]] = []
    for code in range(min(len(levels), _SHOWN)):
        if rows[code]:
            measured = [_cell(each.get((levels[code], name))) for name in names]
            cells.append([levels[code], int(rows[code]), *measured])
    return Table(("Group", "Rows", *(_HEADS.get(name) or wording.title(name) for name in names)), cells, frozenset({1}))


def _comparisons(there: Sequence[Metric], measured: Measurements) -> Table:
    """One row for each comparison: ratio with the four-fifths mark, difference, and what is asked."""
    found = {one.name: one for one in there if one.level is None}
    positive = f"{measured.target}={text_of(measured.positive)}" if measured.positive is not None else ""
    rows: list[list[Cell]] = []
    for name, question in _QUESTIONS.items():
        ratio, difference = (found.get(f"{name}_{kind}") for kind in ("ratio", "difference"))
        if difference is not None:
            asked = Text(question.format(positive=positive))
            rows.append([wording.title(name), _cell(ratio, _FIFTHS if positive else None), _cell(difference), asked])
    return Table(("Compared", "Ratio", "Difference", "The question"), rows)


def _cell(one: Metric | None, mark: float | None = None) -> Measure | None:
    """A number with its interval, and a bar where it is a share."""
    if one is None or one.value is None:
        return None
    bar = None
    share = one.name in wording.SHARES or one.name.endswith("_ratio")
    if share and one.low is not None and one.high is not None:
        bar = Bar(one.value, one.low, one.high, 0.0, 1.0, mark)
    return Measure(wording.value(one), wording.interval(one), bar)


def _text(measured: Measurements, by: Slice, rows: Ints) -> str:
    """How to read the two tables."""
    parts = []
    if measured.positive is not None:
        positive = f"{measured.target}={text_of(measured.positive)}"
        parts.append(
            f"A row is chosen when {positive} is predicted. A ratio is the lowest rate over the highest: 1 is equal "
            "treatment, and the line stands at four fifths, below which US practice asks for reasons; it is meant for "
            "a choice that one wishes for. A model cannot satisfy all of these at once where the groups differ in how "
            "often the outcome is so (Kleinberg et al. 2016; Chouldechova 2017): decide which error hurts, and whom. "
            "Gap: mean probability less how often it came true."
        )
    parts.append("Intervals of comparisons allow for the groups having been picked as the lowest and the highest.")
    small = _small(by.levels, rows)
    if small:
        parts.append(f"Measured but not compared: {small}.")
    return " ".join(parts)


def _small(levels: Sequence[str], rows: Ints) -> str:
    """The groups that are not compared, each with why."""
    kept = fairness.comparable(rows, levels)
    names = [
        f"{levels[code]} ({'no group of its own' if levels[code] in fairness.LUMPED else f'{rows[code]:,} rows'})"
        for code in map(int, np.flatnonzero(~kept & (rows > 0)))
    ]
    least = f"; {fairness.LEAST} rows are needed" if any(name.endswith("rows)") for name in names) else ""
    return f"{listed(names, 8)}{least}" if names else ""
