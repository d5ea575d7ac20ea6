"""What a model's answers cost, in an evaluation and in a watch: the metric `cost`, and its figures."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from msgspec import UNSET

from mlops_cli.metrics import cost, slices
from mlops_cli.metrics.base import Decided, Label, Measurements, Metric, text_of
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import Floats, Ints
from mlops_cli.reports import charts
from mlops_cli.reports.html import Cell, Columns, Figure, Section, Table
from mlops_cli.runtime import decision
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.decision import USUAL
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import costs as tables
from mlops_cli.steps.costs import Stated
from mlops_cli.steps.evaluate_measure import counts
from mlops_cli.steps.evaluate_rows import Answers
from mlops_cli.store.artefact import Artefact

_SHOWN = 12  # kinds of errors


def found(stated: Stated | None, model: Artefact, signature: Signature, usual: Costs | None = None) -> Costs | None:
    """The costs to measure with: those of a file, else `usual`, else the model's own; None without any.

    Errors: those of `costs.matched`, and Corrupt for a damaged decision.
    """
    if stated is not None:
        return tables.matched(stated, signature.classes)
    return usual or tables.of_model(model, signature)


def decided(model: Artefact, signature: Signature) -> Decided | None:
    """How the model decides, None in the usual way; its threshold as one of the positive class of `signature`."""
    own = signatures.decode(model.read(signatures.FILE))
    made = decision.read(model.read, model.has, own)
    if made is None or not made.changes:
        return None
    method = None if made.calibration is None else made.calibration.method
    if made.threshold is None or own.positive is None or own.positive == signature.positive:
        return Decided(method, made.threshold, made.chosen)
    turned = 1 - made.threshold
    given = made.chosen == f"{made.threshold:g}"
    return Decided(method, turned, f"{turned:g}" if given else f"{made.chosen} of {text_of(own.positive)}")


def told(measured: Measurements, made: Decided | None) -> Measurements:
    """The same with how the model decides."""
    return measured if made is None else msgspec.structs.replace(measured, decided=made)


def added(measured: Measurements, answers: Answers, costs: Costs | None, seed: int) -> Measurements:
    """The same with `cost`: overall, of each class, and of each level of the slices."""
    if costs is None:
        return measured
    rows = np.arange(len(answers.actual))
    metrics = _metrics(answers, costs, rows, seed)
    for each in answers.slices:
        metrics += slices.by_level(
            each.codes, each.levels, each.column, lambda part: _metrics(answers, costs, part, seed)
        )
    return msgspec.structs.replace(measured, metrics=[*measured.metrics, *metrics], costs=costs)


def _metrics(answers: Answers, costs: Costs, rows: Ints, seed: int) -> list[Metric]:
    """The cost of some rows, overall and of each class, by whole groups where rows belong together."""
    groups = None if answers.groups is None else answers.groups.part(rows)
    if costs.table is None:
        spent = cost.of_values(*_values(answers, rows), costs)
        return cost.together(cost.values(spent, seed=seed), spent, groups, seed=seed)
    part = Answers(answers.actual[rows], answers.predicted[rows], None, answers.labels, 0)
    price = cost.table(costs, answers.labels)
    found = cost.classes(counts(part), price, answers.levels, seed=seed)
    actual = part.actual.astype(np.int64)
    spent = price[actual, part.predicted.astype(np.int64)]
    overall, classes = cost.together(found[:2], spent, groups, seed=seed), found[2:]
    for code, one in enumerate(classes):
        own = np.flatnonzero(actual == code)
        together = groups.part(own) if groups and len(own) else None
        overall += cost.together([one], spent[own], together, seed=seed)
    return overall


def _values(answers: Answers, rows: Ints) -> tuple[Floats, Floats]:
    return answers.actual[rows].astype(np.float64), answers.predicted[rows].astype(np.float64)


def difference(
    one: Measurements, other: Measurements, mine: pl.DataFrame, theirs: pl.DataFrame, groups: Groups | None, seed: int
) -> list[Metric]:
    """How much more a row costs with one model than with another, on the same rows; nothing with other costs."""
    if one.costs is UNSET or one.costs != other.costs:
        return []
    columns = mine["actual"], mine["prediction"], theirs["prediction"]
    if one.costs.table is None:
        actual, first, second = (each.cast(pl.Float64).to_numpy() for each in columns)
        spent = [cost.of_values(actual, answered, one.costs) for answered in (first, second)]
        found = cost.paired_values(spent[0], spent[1], seed=seed)
        return cost.together([found], spent[0] - spent[1], groups, seed=seed)
    labels: list[Label] = pl.concat([each.unique() for each in columns]).unique().sort().to_list()
    old = pl.Series(labels)
    places = list(range(len(labels)))
    was, mine_said, theirs_said = (
        each.replace_strict(old, places, return_dtype=pl.Int64).to_numpy() for each in columns
    )
    price = cost.table(one.costs, labels)
    if len(labels) < 2 or np.isnan(price).any():
        return []
    spent = [price[was, mine_said], price[was, theirs_said]]
    found = cost.paired_classes(was, mine_said, theirs_said, price, seed=seed)
    return cost.together([found], spent[0] - spent[1], groups, seed=seed)


def threshold(measured: Measurements) -> float:
    """The threshold in use."""
    made = measured.decided
    return USUAL if made is UNSET or made.threshold is None else made.threshold


def facts(measured: Measurements) -> list[tuple[str, str]]:
    """How the model decides, for the head of the page."""
    lines = []
    made = measured.decided
    if made is not UNSET and made.calibration is not None:
        lines.append(("Probabilities", f"calibrated ({made.calibration})"))
    if made is not UNSET and made.threshold is not None:
        how = "as given" if made.chosen == f"{made.threshold:g}" else f"chosen on the valid rows for {made.chosen}"
        how = "of least cost" if made.chosen == "cost" else how
        lines.append(("Threshold", f"{made.threshold:.4g}, {how}"))
    elif made is not UNSET and made.chosen is not None:
        lines.append(("Answer", "the class of least expected cost"))
    if measured.costs is not UNSET and measured.costs.currency:
        lines.append(("Costs in", measured.costs.currency))
    return lines


def sections(measured: Measurements, answers: Answers) -> list[Section]:
    """What errors cost, and of two classes what another threshold would; nothing without costs."""
    costs = measured.costs
    if costs is UNSET:
        return []
    parts = [_paid(costs, answers)]
    figure = _by_threshold(measured, costs, answers)
    text = "What each kind of answer costs together, the dearest first. Rows that cost nothing are left out."
    return [Section("What errors cost", [Columns([figure, *parts]) if figure else parts[0]], text)]


def _paid(costs: Costs, answers: Answers) -> Table:
    """How many rows cost how much, by kind of error."""
    rows: list[list[Cell]]
    if costs.table is None:
        spent = cost.of_values(*_values(answers, np.arange(len(answers.actual))), costs)
        error = answers.predicted.astype(np.float64) - answers.actual.astype(np.float64)
        kinds = (("too high", error > 0, costs.over), ("too low", error < 0, costs.under))
        rows = [[name, int(of.sum()), f"{each:,g}", f"{spent[of].sum():,.6g}"] for name, of, each in kinds]
        return Table(("Predicted", "Rows", "A unit costs", "Together"), rows, frozenset({1, 2, 3}))
    price, number = cost.table(costs, answers.labels), counts(answers)
    total = np.nan_to_num(price) * number
    order = np.argsort(-total, axis=None, kind="stable")
    places = [(int(at) // len(price), int(at) % len(price)) for at in order]
    rows = [
        [f"{answers.levels[i]} → {answers.levels[j]}", int(number[i, j]), f"{price[i, j]:,g}", f"{total[i, j]:,.6g}"]
        for i, j in places
        if total[i, j]
    ]
    return Table(("Actual → predicted", "Rows", "Each costs", "Together"), rows[:_SHOWN], frozenset({1, 2, 3}))


def _by_threshold(measured: Measurements, costs: Costs, answers: Answers) -> Figure | None:
    """What a row would cost with another threshold."""
    if measured.positive is None or answers.proba is None or costs.table is None:
        return None
    index = answers.labels.index(measured.positive)
    order = [answers.labels[1 - index], measured.positive]
    at = np.linspace(0.0, 1.0, 101)
    truth = np.asarray(answers.actual == index, dtype=np.int64)
    spent = cost.by_threshold(np.ascontiguousarray(answers.proba[:, index]), truth, cost.table(costs, order), at)
    best = float(at[spent.argmin()])
    text = f"What a row would cost with another threshold, {best:.2g} least; the dashed line is the one in use."
    line = charts.cost(at.tolist(), spent.tolist(), threshold(measured), f"cost {costs.unit}")
    return Figure(line, "Cost by threshold", text)
