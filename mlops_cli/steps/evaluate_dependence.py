"""Partial dependence of the most important columns, with the spread of single rows and where rows lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from mlops_cli.metrics.base import text_of
from mlops_cli.metrics.intervals import Floats, generator
from mlops_cli.reports import charts
from mlops_cli.reports.html import Columns, Figure, Section
from mlops_cli.reports.style import FIRST, MUTED
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import evaluate_sample
from mlops_cli.steps.evaluate_sample import Sample

COLUMNS, ROWS, POINTS, LEVELS = 6, 500, 20, 10
"""Columns that are drawn, rows that are asked for each point, points of a number's grid, levels of a category."""
_STREAM = 240
_TIMES = ("date", "datetime")


class Point(msgspec.Struct, frozen=True):
    """The mean answer when all rows have this value, the 10th and 90th percentile of single rows' curves, each
    moved to the mean level of all, and the share of rows whose value is nearest to it."""

    at: float | str
    mean: float
    low: float
    high: float
    share: float


class Dependence(msgspec.Struct, frozen=True):
    """The curve of one column; `label` is the class whose probability it is of, None of a regression."""

    column: str
    type: str
    points: list[Point]
    label: str | None = None


def measure(sample: Sample, columns: Sequence[str], seed: int) -> list[Dependence]:
    """The partial dependence (Friedman 2001) of the first of some columns: the mean answer of up to 500 rows when a
    column has each of some values; with quantiles of the single rows' curves (Goldstein et al. 2015).

    Of numbers and times at quantiles, of categories at the commonest levels. Times are seconds since 1970 UTC.
    """
    some = np.arange(len(sample.rows))
    if len(some) > ROWS:
        some = np.sort(generator(seed, _STREAM).choice(len(some), ROWS, replace=False))
    found = []
    for name in columns[:COLUMNS]:
        grid = _grid(sample.batch[name])
        if len(grid) > 1 and (made := _curve(sample, name, grid, some)) is not None:
            found.append(made)
    return found


def _grid(column: Column) -> list[tuple[Any, float]]:
    """Values to ask about, each with the share of rows nearest to it."""
    if column.levels is not None:
        counts = np.bincount(column.values[column.values >= 0], minlength=len(column.levels))
        order = np.argsort(-counts, kind="stable")[:LEVELS]
        return [(int(code), counts[code] / len(column)) for code in order if counts[code]]
    there = evaluate_sample.there(column)
    values = column.values[there]
    if not len(values):
        return []
    distinct = np.unique(values)
    if len(distinct) > POINTS:
        wanted = np.linspace(0.01, 0.99, POINTS)
        distinct = np.unique(np.quantile(values, wanted, method="nearest"))
    middle = (distinct[1:].astype(np.float64) + distinct[:-1].astype(np.float64)) / 2
    counts = np.bincount(np.searchsorted(middle, values.astype(np.float64)), minlength=len(distinct))
    return [(value, count / len(column)) for value, count in zip(distinct, counts.tolist(), strict=True)]


def _curve(sample: Sample, name: str, grid: Sequence[tuple[Any, float]], some: np.ndarray) -> Dependence | None:
    column, signature = sample.batch[name], sample.signature
    rows = np.tile(some, len(grid))
    batch = evaluate_sample.picked(sample.batch, rows)
    values = np.repeat(np.array([value for value, _ in grid], column.values.dtype), len(some))
    answer = sample.ask(batch | {name: Column(values, None, column.levels)})
    if answer is None:
        return None
    label, curves = None, answer.values.astype(np.float64).reshape(len(grid), -1)
    if signature.classes is not None:
        if answer.proba is None:
            return None
        by_class = answer.proba.reshape(len(grid), len(some), -1)
        moved = int(np.ptp(by_class.mean(axis=1), axis=0).argmax())
        chosen = signature.positive_index() if signature.task == "binary" else moved
        label, curves = text_of(signature.classes[chosen]), by_class[:, :, chosen]
    type_ = next(one.type for one in signature.columns if one.name == name)
    level = curves.mean(axis=0)
    curves = curves - level + level.mean()  # how far a row's answer moves, whatever its level
    points = [
        _point(_at(value, column, type_), curve, share) for (value, share), curve in zip(grid, curves, strict=True)
    ]
    return Dependence(name, type_, points, label)


def _at(value: Any, column: Column, type_: str) -> float | str:
    if column.levels is not None:
        return column.levels[int(value)]
    if type_ == "bool":
        return "true" if value else "false"
    return _short(float(value) / (1e6 if type_ in _TIMES else 1.0))


def _point(at: float | str, curve: Floats, share: float) -> Point:
    low, high = np.quantile(curve, (0.1, 0.9))
    return Point(at, *(_short(float(each)) for each in (curve.mean(), low, high, share)))


def section(found: Sequence[Dependence], signature: Signature) -> Section:
    """The charts."""
    text = (
        "The mean answer if all rows had this value of the column and kept the rest; the band is how "
        "differently the middle 80 % of single rows move. Where points are faint few rows lie, and it is a guess. "
        "It says what the model does, not what causes what."
    )
    figures = [Figure(_chart(one, signature), one.column, _title(one, signature)) for one in found]
    return Section("How the answer goes with a column", [Columns(figures)], text)


def _title(one: Dependence, signature: Signature) -> str:
    return f"mean {signature.target}" if one.label is None else f"mean probability of {signature.target}={one.label}"


def _chart(one: Dependence, signature: Signature) -> str:
    """The curve with its band over a line, or points with bars for categories; the size of points is where rows lie."""
    rows = [
        {"n": number, "x": point.at, "y": point.mean, "low": point.low, "high": point.high, "share": point.share}
        for number, point in enumerate(one.points)
    ]
    words = isinstance(one.points[0].at, str)
    x: dict[str, Any] = {"field": "x", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": -40}}
    if not words:
        scale = {"nice": False, "zero": False}
        x = {"field": "x", "type": "quantitative", "title": one.column, "scale": scale, "axis": {"tickCount": 6}}
        if one.type in _TIMES:
            x["axis"]["labelExpr"] = "utcFormat(datum.value * 1000, '%d %b %Y')"
    y = {"field": "y", "type": "quantitative", "title": None, "scale": {"zero": False}}
    band = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    size = {
        "opacity": {"field": "share", "type": "quantitative", "legend": None,
                    "scale": {"domain": [0, max(p.share for p in one.points)], "range": [0.15, 1]}}
    }  # fmt: skip
    spread = (
        charts.marks("rule", FIRST, opacity=0.3, strokeWidth=8) if words else charts.marks("area", FIRST, opacity=0.15)
    )
    layers = [charts.layer(rows, spread, {"x": x}, band)]
    if not words:
        layers.append(charts.layer(rows, charts.marks("line", MUTED, strokeWidth=1), {"x": x, "y": y}))
    layers.append(charts.layer(rows, charts.marks("circle", FIRST, size=60), {"x": x, "y": y}, size))
    return charts.draw(*layers)


def _short(value: float) -> float:
    return float(f"{value:.12g}")
