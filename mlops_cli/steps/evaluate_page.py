"""The page of an evaluation: what was measured, to be read in a minute. Measurements only, no verdict, no dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from mlops_cli.metrics import shapes, wording
from mlops_cli.metrics.base import CLASS, Measurements, Metric, text_of
from mlops_cli.reports import html
from mlops_cli.reports.html import Bar, Card, Cards, Cell, Columns, Figure, Matrix, Measure, Page, Section, Table, Text
from mlops_cli.steps import evaluate_cost, evaluate_fairness, evaluate_figures
from mlops_cli.steps.evaluate_measure import counts
from mlops_cli.steps.evaluate_rows import Answers

HEADLINES = {
    "binary": ("roc_auc", "average_precision", "precision", "recall", "f1", "accuracy"),
    "multiclass": ("accuracy", "f1", "precision", "recall", "roc_auc", "log_loss"),
    "regression": ("pinball_loss", "poisson_deviance", "rmse", "mae", "r2", "median_absolute_error", "bias", "mape"),
}
_TASKS = {"binary": "Binary classification", "multiclass": "Classification", "regression": "Regression"}
_SHOWN = 20  # levels of a slice
_READABLE = 14  # a confusion matrix of more classes is told by its commonest errors


@dataclass
class More:
    """Sections that other steps add to the page, by where they stand on it."""

    comparison: Sequence[Section] = ()
    pictures: Sequence[Section] = ()
    slices: Sequence[Section] = ()
    last: Sequence[Section] = ()


def headlines(task: str) -> tuple[str, ...]:
    """The metrics that are shown first, as far as they are measured: what it costs before all others."""
    return ("cost", *HEADLINES[task])


def render(measured: Measurements, answers: Answers, more: More | None = None) -> str:
    """The page as HTML. MissingExtra without vl-convert."""
    overall = {metric.name: metric for metric in measured.metrics if metric.column is None}
    return html.render(
        Page(
            title=f"{measured.target}: {_TASKS[measured.task].lower()}",
            text="What a model was right and wrong about, on rows whose outcome is known.",
            facts=_facts(measured, answers),
            sections=_sections(measured, answers, overall, more or More()),
            foot=_foot(measured),
        )
    )


def _sections(measured: Measurements, answers: Answers, overall: dict[str, Metric], more: More) -> list[Section]:
    """All of the page, in the order in which it is read: this is the place to add a section."""
    cards = [_card(overall[name], measured) for name in headlines(measured.task) if name in overall]
    worth: list[Section] = []
    if measured.task == "regression":
        right = [evaluate_figures.regression(answers, measured.target)]
        worth = evaluate_figures.residuals(answers, measured.target)
    elif measured.task == "binary":
        decision, worth = evaluate_figures.scores(answers, measured) or (None, [])
        right = [_confusion(answers, decision)]
    else:
        right, worth = [_confusion(answers, None)], evaluate_figures.confidence(answers, measured)
    return [
        Section("", [Cards(cards)]),
        *more.comparison,
        *right,
        *([] if measured.task == "regression" else [_classes(measured)]),
        *more.pictures,
        *evaluate_cost.sections(measured, answers),
        *more.slices,
        *(_slices(measured, overall, each.column, each.levels) for each in answers.slices),
        *(evaluate_fairness.section(measured, each) for each in answers.slices),
        *worth,
        *more.last,
        _everything(overall),
    ]


def _facts(measured: Measurements, answers: Answers) -> list[tuple[str, str]]:
    facts = [("Target", measured.target), ("Rows", f"{measured.rows:,}")]
    if measured.positive is not None and measured.confusion is not None:
        share = sum(measured.confusion.counts[measured.confusion.labels.index(measured.positive)]) / measured.rows
        facts += [("Positive class", text_of(measured.positive)), ("of all rows", f"{share:.1%}")]
    elif measured.classes is not None:
        facts.append(("Classes", f"{len(measured.classes)}"))
    if answers.groups is not None:
        facts.append(("Groups of rows that belong together", f"{answers.groups.count:,}"))
    if answers.dropped:
        facts.append(("Left out, outcome unknown", f"{answers.dropped:,}"))
    return facts + evaluate_cost.facts(measured)


def _foot(measured: Measurements) -> list[str]:
    """What was measured on what, and how to read an interval."""
    ids = [(what, subject.id) for what, subject in (("Model", measured.model), ("Data", measured.data)) if subject]
    together = any(metric.groups is not UNSET for metric in measured.metrics)
    what_varies = "groups of rows that belong together" if together else "rows"
    return [
        *(f"{what} {identity}" for what, identity in ids if identity),
        f"Numbers in brackets are 95 % intervals by bootstrap: where other samples of as many {what_varies} would "
        "mostly lie.",
    ]


def _card(metric: Metric, measured: Measurements) -> Card:
    about = wording.MEANINGS.get(metric.name, "")
    if measured.positive is not None:
        about = about.replace("the class", f"{measured.target}={text_of(measured.positive)}")
    elif metric.name in ("precision", "recall", "f1"):
        about = f"mean over the classes: {about}"
    about = about[:1].upper() + about[1:]
    bar = _bar(metric, 0.0, 1.0) if metric.name in wording.SHARES else None
    return Card(wording.title(metric.name), wording.value(metric), wording.interval(metric), about, bar)


def _confusion(answers: Answers, decision: Figure | None) -> Section:
    """The confusion matrix beside the figure about the threshold; the commonest errors when classes are many."""
    table, levels = counts(answers), answers.levels
    if len(levels) <= _READABLE:
        text = "Each row is what was so, each column what was predicted; the share is of the row."
        matrix = Matrix(levels, table.tolist(), "Confusion matrix", text)
        return Section("Right and wrong", [Columns([matrix, decision]) if decision else matrix])
    support = table.sum(axis=1)
    rows: list[list[Cell]] = [
        [levels[actual], levels[predicted], n, f"{n / support[actual]:.1%}"]
        for actual, predicted, n in shapes.confused(table)
    ]
    head = ("Actual", "Predicted", "Rows", "Of the actual class")
    return Section("Commonest errors", [Table(head, rows, frozenset({2, 3}))])


def _classes(measured: Measurements) -> Section:
    """One row for each class."""
    by_level: dict[str, dict[str, Metric]] = {}
    for metric in measured.metrics:
        if metric.column == CLASS and metric.level is not None:
            by_level.setdefault(metric.level, {})[metric.name] = metric
    names = ["precision", "recall", "f1"] + (["roc_auc"] if measured.task == "multiclass" else [])
    return Section("Class by class", [_levels("Class", by_level, names, "support")])


def _slices(measured: Measurements, overall: dict[str, Metric], column: str, levels: Iterable[str]) -> Section:
    """One row for each level of a column, the headline metrics beside one another."""
    by_level: dict[str, dict[str, Metric]] = {level: {} for level in levels}
    for metric in measured.metrics:
        if metric.column == column and metric.level in by_level:
            by_level[metric.level][metric.name] = metric
    names = [name for name in headlines(measured.task)[:5] if name in overall][:4]
    marks = {name: overall[name].value for name in names}
    text = "The thin line is the value of all rows. Among many levels some are extreme by chance: see the intervals."
    shown = dict(list(by_level.items())[:_SHOWN])
    if len(shown) < len(by_level):
        text += f" Shown are the {len(shown)} levels with the most rows of {len(by_level)} in metrics.json."
    return Section(f"By {column}", [_levels(column, shown, names, "rows", marks)], text)


def _levels(
    head: str,
    by_level: dict[str, dict[str, Metric]],
    names: Sequence[str],
    size: str,
    marks: Mapping[str, float | None] | None = None,
) -> Table:
    """A table of metrics by level, each with its interval on a scale that its column shares.

    With `marks`, the values to compare with, that scale is no longer than needed, else it is from 0 to 1.
    """
    whole = (0.0, 1.0)
    scales = {name: _scale([each[name] for each in by_level.values() if name in each]) for name in names}
    rows: list[list[Cell]] = []
    for level, metrics in by_level.items():
        row: list[Cell] = [level, int(metrics[size].value or 0) if size in metrics else None]
        for name in names:
            row.append(_measure(metrics.get(name), scales[name] if marks else whole, (marks or {}).get(name)))
        rows.append(row)
    return Table((head, "Rows", *map(wording.title, names)), rows, frozenset({1}))


def _measure(metric: Metric | None, scale: tuple[float, float], mark: float | None) -> Measure | None:
    if metric is None or metric.value is None:
        return None
    return Measure(wording.value(metric), wording.interval(metric), _bar(metric, *scale, mark))


def _bar(metric: Metric, least: float, most: float, mark: float | None = None) -> Bar | None:
    if metric.value is None or metric.low is None or metric.high is None:
        return None
    return Bar(metric.value, metric.low, metric.high, least, most, mark)


def _scale(metrics: Sequence[Metric]) -> tuple[float, float]:
    """From the least low end to the greatest high end of the levels that do not have very few rows."""
    most = max((metric.n for metric in metrics), default=0)
    ends = [(m.low, m.high) for m in metrics if m.low is not None and m.high is not None and m.n >= most / 50]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 1.0)


def _everything(overall: dict[str, Metric]) -> Section:
    rows: list[list[Cell]] = [
        [wording.title(name), wording.value(metric), wording.interval(metric), Text(wording.MEANINGS.get(name, ""))]
        for name, metric in overall.items()
    ]
    return Section("All metrics", [Table(("Metric", "Value", "95 % interval", "Meaning"), rows, frozenset({1, 2}))])
