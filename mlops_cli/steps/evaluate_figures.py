"""The charts of an evaluation: what probabilities are worth, and how the errors of a regression lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_cli.metrics import ranking, shapes, wording
from mlops_cli.metrics.base import Measurements, Metric
from mlops_cli.metrics.intervals import Floats
from mlops_cli.reports import charts
from mlops_cli.reports.html import Cell, Columns, Figure, Section, Table
from mlops_cli.steps import evaluate_cost
from mlops_cli.steps.evaluate_rows import Answers


def scores(answers: Answers, measured: Measurements) -> tuple[Figure, list[Section]] | None:
    """What the probabilities of a binary model are worth; None when one of the classes has no rows."""
    assert measured.positive is not None
    index = answers.labels.index(measured.positive)
    truth = np.asarray(answers.actual == index)
    if answers.proba is None or truth.all() or not truth.any():
        return None
    score = np.ascontiguousarray(answers.proba[:, index])
    false, true, precision = ranking.curve(ranking.ranking(score, truth))
    known, cut = shapes.calibration(score, truth), evaluate_cost.threshold(measured)
    at, edges = np.linspace(0.0, 1.0, 101), np.linspace(0.0, 1.0, 41)
    name, other = (f"{measured.target}={answers.levels[place]}" for place in (index, 1 - index))
    half = shapes.shares(score[truth]), shapes.shares(score[~truth])
    decision = Figure(
        charts.thresholds(_list(at), *shapes.rates(score, truth, at), cut), "Another threshold",
        "What precision and recall would be with it; the dashed line is the one in use.",
    )  # fmt: skip
    ordered = [
        Figure(charts.roc(_list(false), _list(true)), "ROC curve",
               f"How many rows of {name} are found for how many false alarms. The dashed line is guessing."),
        Figure(charts.precision_recall(_list(true), _list(precision), float(truth.mean())), "Precision and recall",
               "What share of the alarms is right when so many are found. The dashed line is to name every row."),
    ]  # fmt: skip
    probable = [
        Figure(charts.calibration(_list(known.predicted), _list(known.observed)), "Calibration",
               f"On the dashed line a probability of 0.3 comes true in 3 of 10 rows.{_error(measured)}"),
        Figure(charts.scores(_list(edges), _list(half[0]), _list(half[1]), (name, other), cut), "Scores by what was so",
               "The further apart, the better. The dashed line is the threshold."),
    ]  # fmt: skip
    return decision, [
        Section("Ranking", [Columns(ordered)]),
        _gains(score, truth, name),
        Section("Probabilities", [Columns(probable)]),
    ]


def _gains(score: Floats, truth: NDArray[np.bool_], name: str) -> Section:
    """The gain table: what is found when rows are taken by falling score."""
    known = shapes.gains(score, truth)
    share = np.linspace(0.0, 1.0, len(known.rows) + 1)
    base = truth.mean()
    rows: list[list[Cell]] = []
    for place, (size, hits, found, least) in enumerate(zip(*known, strict=True)):
        lift = hits / size / base
        rows.append([
            f"{share[place]:.0%} to {share[place + 1]:.0%}", f"{size:,.0f}", f"{hits:,.0f}", f"{hits / size:.1%}",
            f"{lift:.2f}", f"{found:.1%}", f"{found / share[place + 1]:.2f}", f"{least:.3f}",
        ])  # fmt: skip
    head = ("Rows by score", "Rows", "Of the class", "Share", "Lift", "Found so far", "Lift so far", "Lowest score")
    figure = Figure(
        charts.gains(_list(share), [0.0, *_list(known.found)]),
        "Cumulative gain",
        f"How many of the rows of {name} are found in the first rows. The dashed line is a random order.",
    )
    text = "Lift is how many times more rows of the class there are than in as many rows at random."
    return Section("Gain and lift", [figure, Table(head, rows, frozenset(range(1, 8)))], text)


def confidence(answers: Answers, measured: Measurements) -> list[Section]:
    """What the confidence of a model of several classes is worth; nothing without probabilities."""
    if answers.proba is None:
        return []
    right = np.asarray(answers.actual == answers.predicted)
    sure = np.minimum(answers.proba[np.arange(len(answers.proba)), answers.predicted.astype(np.int64)], 1.0)
    known = shapes.calibration(sure, right)
    edges = np.linspace(0.0, 1.0, 41)
    half = shapes.shares(sure[right]), shapes.shares(sure[~right])
    names = ("confidence in the predicted class", "share that is right")
    figures = [
        Figure(charts.calibration(_list(known.predicted), _list(known.observed), names), "Calibration",
               f"On the dashed line 3 of 10 rows with a confidence of 0.3 are right.{_error(measured)}"),
        Figure(charts.scores(_list(edges), _list(half[0]), _list(half[1]), ("right", "wrong"), None, names[0]),
               "Confidence, right and wrong", "The further apart, the more the confidence tells."),
    ]  # fmt: skip
    return [Section("Probabilities", [Columns(figures)])]


def _error(measured: Measurements) -> str:
    """The expected calibration error in words."""
    found: list[Metric] = [one for one in measured.metrics if one.name == "ece" and one.column is None]
    if not found or found[0].value is None:
        return ""
    return f" Expected calibration error {wording.value(found[0])} {wording.interval(found[0])}."


def regression(answers: Answers, target: str) -> Section:
    """Predictions against what was so, and the errors."""
    actual, predicted = answers.actual.astype(np.float64), answers.predicted.astype(np.float64)
    edges, cells = shapes.density(predicted, actual)
    error = predicted - actual
    bins, heights = shapes.histogram(error)
    figures = [
        Figure(charts.density(edges, cells, (f"predicted {target}", f"actual {target}")), "Predicted and actual",
               "Darker cells hold more rows, the edges all beyond. On the dashed line the prediction is right."),
        Figure(charts.histogram(bins, heights, "predicted minus actual", 0.0), "Errors",
               "Left of the dashed line the prediction is too low. The farthest 1 % of rows are in the end bars."),
    ]  # fmt: skip
    shares = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    head = ("Share of the rows", *(f"{share:.0%}" for share in shares))
    below: list[Cell] = ["predicted minus actual is below", *map(_plain, np.quantile(error, shares))]
    return Section("Right and wrong", [Columns(figures), Table(head, [below], frozenset(range(1, 8)))])


def residuals(answers: Answers, target: str) -> list[Section]:
    """How errors lie along the predictions, and whether they are normal."""
    actual, predicted = answers.actual.astype(np.float64), answers.predicted.astype(np.float64)
    error = predicted - actual
    known = shapes.residuals(predicted, error)
    theory, observed = shapes.normal_quantiles(error)
    title = f"predicted {target}, mean of each tenth of the rows"
    bands = [_list(each) for each in known.quantiles]
    figures = [
        Figure(charts.residuals(_list(known.predicted), bands, _list(known.mean), title),
               "Errors along the predictions",
               "The line is the mean error, the bands hold the middle 50 % and 90 % of errors. A line off 0 is bias; "
               "bands that widen mean that large predictions are less sure."),
        Figure(charts.quantiles(_list(theory), _list(observed)), "Are errors normal?",
               "On the dashed line they are. Ends that bend away from it are errors far larger than most."),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [f"{place + 1}", int(size), *map(_plain, (mean, bias, deviation, *five[[0, 2, 4]]))]
        for place, (mean, size, bias, deviation, five) in enumerate(zip(*known, strict=True))
    ]  # fmt: skip
    head = ("Tenth", "Rows", "Mean prediction", "Bias", "Spread of errors", "5 % below", "Median error", "95 % below")
    text = "Rows by rising prediction; an error is predicted minus actual, its spread the standard deviation."
    return [Section("Residuals", [Columns(figures), Table(head, rows, frozenset(range(1, 8)))], text)]


def _plain(number: float) -> str:
    """A number in the target's unit with the digits that matter."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _list(values: Floats) -> list[float]:
    return [float(value) for value in values]
