"""Charts as static SVG: Vega-Lite specifications drawn by vl-convert, without script and without network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from mlops_cli.errors import MissingExtra
from mlops_cli.reports.style import FIRST, GRID, INK, MUTED, SECOND

Numbers = Sequence[float]
WIDTH, HEIGHT, SQUARE = 380, 250, 310

_AXIS = {
    "domainColor": MUTED,
    "tickColor": GRID,
    "gridColor": GRID,
    "labelColor": MUTED,
    "titleColor": MUTED,
    "titleFontWeight": "normal",
    "titleFontSize": 12,
    "labelFontSize": 11,
    "titlePadding": 8,
    "labelFlush": False,
}
_CONFIG = {
    "background": None,
    "aria": False,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {"labelColor": MUTED, "labelFontSize": 11.5, "columnPadding": 18},
}


def roc(false: Numbers, true: Numbers) -> str:
    """The ROC curve from rates at falling thresholds, beside the diagonal of guessing."""
    x, y = _share("x", "false positive rate"), _share("y", "true positive rate")
    return draw(_diagonal(x, y), layer(_points(x=false, y=true), marks("line", FIRST, strokeWidth=2.2), x, y))


def precision_recall(recall: Numbers, precision: Numbers, base: float) -> str:
    """Precision against recall at falling thresholds, above the share of positives."""
    level = layer([{"y": base}], marks("rule", MUTED, strokeDash=[4, 4]), _share("y", "precision"))
    curve = marks("line", FIRST, strokeWidth=2.2, interpolate="step-before")
    return draw(level, layer(_points(x=recall, y=precision), curve, _share("x", "recall"), _share("y", "precision")))


def calibration(
    predicted: Numbers, observed: Numbers, names: tuple[str, str] = ("predicted probability", "observed frequency")
) -> str:
    """Observed frequencies against predicted probabilities, beside the diagonal where both agree."""
    points = _points(x=predicted, y=observed)
    x, y = _share("x", names[0]), _share("y", names[1])
    return draw(
        _diagonal(x, y),
        layer(points, marks("line", FIRST, strokeWidth=1.6, opacity=0.6), x, y),
        layer(points, marks("circle", FIRST, opacity=1, size=46), x, y),
    )


def scores(
    edges: Numbers,
    positive: Numbers,
    negative: Numbers,
    names: tuple[str, str],
    threshold: float | None,
    title: str = "score",
) -> str:
    """How the scores of the two classes lie, each class adding up to 1, with the threshold of the decision if any."""
    rows = [
        {"from": low, "to": high, "share": share, "class": name}
        for name, shares in zip(names, (positive, negative), strict=True)
        for low, high, share in zip(edges, edges[1:], shares, strict=False)
    ]
    colour = {
        "color": {
            "field": "class",
            "type": "nominal",
            "title": None,
            "scale": {"domain": list(names), "range": [FIRST, MUTED]},
            "legend": {"orient": "top", "symbolType": "square"},
        }
    }
    bars = {"type": "bar", "opacity": 0.55, "binSpacing": 0}
    layers = [layer(rows, bars, _between("from", "to", title, [0, 1]), _count("share", "share of the class"), colour)]
    if threshold is not None:
        layers.append(layer([{"x": threshold}], marks("rule", INK, strokeDash=[4, 4]), _share("x", title)))
    return draw(*layers)


def thresholds(at: Numbers, precision: Sequence[float | None], recall: Numbers, threshold: float) -> str:
    """Precision and recall against the threshold."""
    rows = [{"x": x, "y": y, "what": "precision"} for x, y in zip(at, precision, strict=True) if y is not None]
    rows += [{"x": x, "y": y, "what": "recall"} for x, y in zip(at, recall, strict=True)]
    colour = {
        "color": {
            "field": "what",
            "type": "nominal",
            "title": None,
            "scale": {"domain": ["precision", "recall"], "range": [FIRST, SECOND]},
            "legend": {"orient": "top", "symbolType": "stroke"},
        }
    }
    line = {"type": "line", "strokeWidth": 2.2}
    return draw(
        layer(rows, line, _share("x", "threshold"), _share("y", "share"), colour),
        layer([{"x": threshold}], marks("rule", INK, strokeDash=[4, 4]), _share("x", "threshold")),
    )


def cost(at: Numbers, spent: Numbers, threshold: float, title: str) -> str:
    """What a row costs against the threshold."""
    rows = [{"x": x, "y": y} for x, y in zip(at, spent, strict=True)]
    y = {"y": {"field": "y", "type": "quantitative", "title": title, "axis": {"tickCount": 5}}}
    return draw(
        layer(rows, marks("line", FIRST, strokeWidth=2.2), _share("x", "threshold"), y),
        layer([{"x": threshold}], marks("rule", INK, strokeDash=[4, 4]), _share("x", "threshold")),
    )


def histogram(edges: Numbers, counts: Numbers, title: str, mark: float | None = None) -> str:
    """A histogram, with a dashed line at `mark`."""
    rows = [{"from": low, "to": high, "n": n} for low, high, n in zip(edges, edges[1:], counts, strict=False)]
    bars = marks("bar", FIRST, opacity=0.75, binSpacing=1)
    layers = [layer(rows, bars, _between("from", "to", title, None), _count("n", "rows", ",.0f"))]
    if mark is not None:
        x = {"x": {"field": "x", "type": "quantitative"}}
        layers.append(layer([{"x": mark}], marks("rule", INK, strokeDash=[4, 4]), x))
    return draw(*layers, height=SQUARE)


def density(edges: Numbers, counts: Sequence[Sequence[int]], names: tuple[str, str]) -> str:
    """How many rows lie in each cell of a square grid, x being the first name; the diagonal is where both agree."""
    rows = [
        {"x": left, "X": right, "y": low, "Y": high, "n": counts[i][j]}
        for i, (left, right) in enumerate(itertools.pairwise(edges))
        for j, (low, high) in enumerate(itertools.pairwise(edges))
        if counts[i][j]
    ]
    ends = [edges[0], edges[-1]]
    colour = {
        "opacity": {
            "field": "n",
            "type": "quantitative",
            "scale": {"type": "symlog", "range": [0.08, 1]},
            "legend": None,
        }
    }
    y = {
        "y": {"field": "y", "type": "quantitative", "title": names[1], "scale": {"domain": ends, "nice": False}},
        "y2": {"field": "Y"},
    }
    line = [{"x": end, "y": end} for end in ends]
    xy = {axis: {"field": axis, "type": "quantitative"} for axis in ("x", "y")}
    return draw(
        layer(rows, marks("rect", FIRST, clip=True), _between("x", "X", names[0], ends), y, colour),
        layer(line, marks("line", INK, strokeDash=[4, 4], strokeWidth=1), xy),
        height=SQUARE,
    )


def gains(share: Numbers, found: Numbers) -> str:
    """The share of positives found in the first rows by falling score, beside the diagonal of a random order."""
    points = _points(x=share, y=found)
    x, y = _share("x", "share of the rows, highest scores first"), _share("y", "share of the class found")
    return draw(
        _diagonal(x, y),
        layer(points, marks("line", FIRST, strokeWidth=2.2), x, y),
        layer(points[1:], marks("circle", FIRST, opacity=1, size=40), x, y),
    )


def residuals(predicted: Numbers, quantiles: Sequence[Numbers], mean: Numbers, title: str) -> str:
    """Errors along the predictions: bands of the middle 90 % and 50 %, and their mean; the dashed line is 0."""
    rows = [
        {"x": float(x), "low": low, "q1": q1, "q3": q3, "high": high, "mean": float(each)}
        for x, (low, q1, _, q3, high), each in zip(predicted, quantiles, mean, strict=True)
    ]
    x: dict[str, Any] = {"field": "x", "type": "quantitative", "title": title, "scale": {"zero": False, "nice": False}}
    name = "predicted minus actual"

    def band(low: str, high: str, opacity: float) -> dict[str, Any]:
        y = {"y": {"field": low, "type": "quantitative", "title": name}, "y2": {"field": high}}
        return layer(rows, marks("area", FIRST, opacity=opacity), {"x": x}, y)

    def line(field: str) -> dict[str, Any]:
        return {"y": {"field": field, "type": "quantitative", "title": name}}

    return draw(
        band("low", "high", 0.18),
        band("q1", "q3", 0.35),
        layer([{"y": 0}], marks("rule", INK, strokeDash=[4, 4], strokeWidth=1), line("y")),
        layer(rows, marks("line", SECOND, strokeWidth=2), {"x": x}, line("mean")),
        layer(rows, marks("circle", SECOND, opacity=1, size=36), {"x": x}, line("mean")),
        height=SQUARE,
    )


def quantiles(theory: Numbers, observed: Numbers) -> str:
    """Quantiles of the errors against those of a normal distribution, which lie on the diagonal."""
    points = _points(x=theory, y=observed)
    ends = [min(points[0]["x"], points[0]["y"]), max(points[-1]["x"], points[-1]["y"])]
    names = {"x": "normal quantile", "y": "error, in standard deviations from its mean"}
    xy = {axis: {"field": axis, "type": "quantitative", "title": name} for axis, name in names.items()}
    line = [{"x": end, "y": end} for end in ends]
    return draw(
        layer(line, marks("line", INK, strokeDash=[4, 4], strokeWidth=1), xy),
        layer(points, marks("circle", FIRST, opacity=0.9, size=26), xy),
        height=SQUARE,
    )


def engine() -> Any:
    """The library that draws; MissingExtra when it is not installed. Asked before long work, too."""
    try:
        import vl_convert
    except ModuleNotFoundError:
        raise MissingExtra.of("vl-convert-python", "report") from None
    return vl_convert


def draw(*layers: dict[str, Any], height: int = HEIGHT) -> str:
    """The SVG of some layers."""
    spec = {"width": WIDTH, "height": height, "config": _CONFIG, "layer": list(layers)}
    return str(engine().vegalite_to_svg(spec))


def layer(rows: list[dict[str, Any]], mark: dict[str, Any], *encodings: dict[str, Any]) -> dict[str, Any]:
    """Rows drawn by a mark under some encodings."""
    encoding = {name: channel for each in encodings for name, channel in each.items()}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def marks(kind: str, colour: str, **more: Any) -> dict[str, Any]:
    """A mark of one colour."""
    return {"type": kind, "color": colour, **more}


def _points(**columns: Numbers) -> list[dict[str, Any]]:
    """Columns as rows, numbered so that lines keep their order."""
    return [
        {"n": number, **dict(zip(columns, map(float, values), strict=True))}
        for number, values in enumerate(zip(*columns.values(), strict=True))
    ]


def _share(axis: str, title: str | None) -> dict[str, Any]:
    """A scale from 0 to 1."""
    channel = {
        "field": axis,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 1]},
        "axis": {"tickCount": 5},
    }
    return {axis: channel, "order": {"field": "n"}} if axis == "x" else {axis: channel}


def _between(low: str, high: str, title: str, domain: list[float] | None) -> dict[str, Any]:
    """Bars from one field to another on the x axis."""
    scale: dict[str, Any] = {"domain": domain, "nice": False} if domain else {"nice": False, "zero": False}
    return {
        "x": {
            "field": low,
            "type": "quantitative",
            "title": title,
            "scale": scale,
            "bin": "binned",
            "axis": {"tickCount": 7},
        },
        "x2": {"field": high},
    }


def _count(field: str, title: str, form: str = "~g") -> dict[str, Any]:
    axis = {"tickCount": 4, "format": form}
    return {"y": {"field": field, "type": "quantitative", "title": title, "stack": None, "axis": axis}}


def _diagonal(*axes: dict[str, Any]) -> dict[str, Any]:
    return layer(_points(x=[0, 1], y=[0, 1]), marks("line", MUTED, strokeDash=[4, 4], strokeWidth=1), *axes)
