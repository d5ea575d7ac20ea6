"""How far answers move when rows come in another order, numbers are noisy, or columns are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlops_cli.errors import Usage
from mlops_cli.metrics import grouped, per_row, wording
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.intervals import generator
from mlops_cli.reports.html import Bar, Cell, Measure, Section, Table
from mlops_cli.runtime.columns import Batch, Column
from mlops_cli.runtime.predictors import Prediction
from mlops_cli.steps import batches, evaluate_sample
from mlops_cli.steps.evaluate_sample import Sample

CHANGED, FLIPPED = "changed_answers", "flip_rate"
CHECKS = ("order", "batch")
IMPLIED = tuple(f"{CHANGED}[{check}]<=0" for check in CHECKS)
"""Gates that --robustness brings: an answer may not depend on the rows beside it."""

NOISE = (0.01, 0.05, 0.1)
UNSEEN = "(never seen)"
_ODD = 997  # rows of the batches that are compared with one large one
_SHUFFLE, _NOISE, _DROP = 210, 211, 220  # streams of random numbers
_SHOWN = 16


def refuse_images(pictures: bool) -> None:
    """Usage for a model of images, which has no columns to leave out."""
    if pictures:
        raise Usage("evaluate --robustness is for models of tables", "of images there are no columns to leave out")


def suffix(name: str) -> str:
    """The name of how much worse a metric becomes: `roc_auc_drop`, `rmse_rise`."""
    return f"{name}_drop" if name in per_row.HIGHER else f"{name}_rise"


def measure(sample: Sample, seed: int) -> list[Metric]:
    """All metrics of robustness: `changed_answers[order|batch]`, and for each change of the rows `flip_rate` and how
    much worse the main metric becomes; undefined where the model refuses the rows."""
    found = [
        Metric(CHANGED, float(_differs(sample, order)), None, None, len(sample.rows), check)
        for check, order in zip(CHECKS, (generator(seed, _SHUFFLE).permutation(len(sample.rows)), None), strict=True)
    ]
    for number, (kind, level, changed) in enumerate(_changes(sample, seed)):
        answer = sample.ask(changed)
        found += _moved(sample, kind, level, answer, seed, _DROP + number)
    return found


def _differs(sample: Sample, order: np.ndarray | None) -> int:
    """How many answers are not the very same, bit by bit, in another order or in batches of an odd size."""
    rows = np.arange(len(sample.rows)) if order is None else order
    differs = np.zeros(len(rows), bool)
    step = _ODD if order is None else len(rows)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        again = batches.predict(sample.predictor, evaluate_sample.picked(sample.batch, some), "the same rows")
        differs[some] = again.values != sample.answer.values[some]
        if again.proba is not None and sample.answer.proba is not None:
            differs[some] |= (again.proba != sample.answer.proba[some]).any(axis=1)
    return int(differs.sum())


def _changes(sample: Sample, seed: int) -> Iterator[tuple[str, str, Batch]]:
    """What is done to the rows: its kind, its level, and the columns that take the place of others."""
    columns = {name: sample.batch[name] for name in sample.signature.names}
    types = {column.name: column.type for column in sample.signature.columns}
    for share in NOISE:
        rng = generator(seed, _NOISE)  # the same directions at every size
        noisy = {name: _noisy(c, share, rng) for name, c in columns.items() if types[name] in ("int", "float")}
        if noisy:
            yield "noise", f"{share:g}", noisy
    for name, column in columns.items():
        yield "missing", name, {name: evaluate_sample.missing(column)}
    for name, column in columns.items():
        if column.levels is not None and types[name] == "string":
            yield "unseen", name, {name: Column(np.zeros(len(column), np.int32), None, [UNSEEN])}


def _noisy(column: Column, share: float, rng: np.random.Generator) -> Column:
    """Numbers moved by normal noise of that share of their standard deviation (inter-quartile range / 1.349, which
    outliers do not move); whole numbers stay whole, and none leaves the range of the column."""
    noise = rng.standard_normal(len(column))
    there = evaluate_sample.there(column)
    values = column.values[there].astype(np.float64)
    if not len(values):
        return column
    low, high = np.quantile(values, (0.25, 0.75))
    spread = (high - low) / 1.349 or float(values.std())
    moved = np.clip(values + share * spread * noise[there], values.min(), values.max())
    if column.values.dtype.kind != "f":
        moved = np.round(moved)
    made = column.values.astype(np.float64 if column.values.dtype.kind == "f" else np.int64)
    made[there] = moved
    return Column(made, column.null)


def _moved(sample: Sample, kind: str, level: str, answer: Prediction | None, seed: int, stream: int) -> list[Metric]:
    """The two metrics of one change."""
    n, name = len(sample.rows), suffix(sample.metric)
    if answer is None:
        return [Metric(each, None, None, None, n, kind, level) for each in (FLIPPED, name)]
    flips = per_row.share(_flipped(sample, answer), sample.groups)
    worse = per_row.worsening(sample.metric, sample.before, sample.numbers(answer)[None], seed, stream, sample.groups)
    found = [metric(each, *ended, n, kind, level) for each, ended in ((FLIPPED, flips), (name, worse))]
    return grouped.alone(found, sample.groups)


def _flipped(sample: Sample, answer: Prediction) -> np.ndarray:
    """Which answers change: another class, or a value that moves by more than a tenth of what the answers vary."""
    if sample.signature.classes is not None:
        return np.asarray(answer.values != sample.answer.values)
    return np.asarray(np.abs(answer.values - sample.answer.values) > 0.1 * float(sample.answer.values.std()))


def section(metrics: Sequence[Metric], name: str, rows: int) -> Section:
    """The section of the page."""
    by_kind: dict[tuple[str, str], dict[str, Metric]] = {}
    for each in metrics:
        if each.column is not None and each.level is not None:
            by_kind.setdefault((each.column, each.level), {})[each.name] = each
    changed = sum(int(each.value or 0) for each in metrics if each.name == CHANGED)
    worst = suffix(name)
    noise = [key for key in by_kind if key[0] == "noise"]
    others = sorted((key for key in by_kind if key[0] != "noise"), key=lambda key: _rank(by_kind[key][worst]))
    ends = [one.high for each in by_kind.values() for one in each.values() if one.name == worst and one.high]
    most = max(ends, default=0.0) or 1.0
    cells: list[list[Cell]] = [
        [_said(*key), _shown(by_kind[key][FLIPPED], 1.0), _shown(by_kind[key][worst], most)]
        for key in [*noise, *others[:_SHOWN]]
    ]
    text = (
        f"{'No answer' if not changed else f'{changed:,} answers'} of {rows:,} changed when rows came in another order "
        "and in other batches. Below: the share of answers that change, and how much worse the main metric becomes, "
        "when the rows are changed so."
    )
    if len(others) > _SHOWN:
        text += f" Shown are the {_SHOWN} worst of {len(others)}; metrics.json has all."
    head = ("What is changed", "Answers that change", f"{wording.title(name)} {worst.rsplit('_', 1)[1]}")
    return Section("Robustness", [Table(head, cells)], text)


def _rank(one: Metric) -> float:
    return float("-inf") if one.value is None else -one.value


def _said(kind: str, level: str) -> str:
    if kind == "noise":
        return f"numbers moved by {float(level):.0%} of their spread"
    return f"{level} missing" if kind == "missing" else f"{level}: a level never seen"


def _shown(one: Metric, most: float) -> Measure:
    if one.value is None:
        return Measure("refused")
    bar = Bar(one.value, one.low or 0.0, one.high or 0.0, min(0.0, one.low or 0.0), most)
    return Measure(wording.value(one), wording.interval(one), bar)
