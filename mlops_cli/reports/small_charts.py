"""Small charts of one column each: how numbers and times lie, and which levels are commonest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlops_cli.reports import charts
from mlops_cli.reports.charts import Numbers
from mlops_cli.reports.style import FIRST

HEIGHT, ROW = 130, 21
_LONGEST = 28


def distribution(edges: Numbers, counts: Sequence[int], *, times: bool = False) -> str:
    """A histogram; of `times` the edges are seconds since 1970 UTC."""
    rows = [{"from": low, "to": high, "n": n} for low, high, n in zip(edges, edges[1:], counts, strict=False)]
    axis: dict[str, Any] = {"tickCount": 6}
    if times:
        axis["labelExpr"] = f"utcFormat(datum.value * 1000, '{_form(edges[-1] - edges[0])}')"
    scale = {"nice": False, "zero": False}
    x = {"field": "from", "type": "quantitative", "title": None, "scale": scale, "axis": axis, "bin": "binned"}
    y = {"field": "n", "type": "quantitative", "title": "rows", "axis": {"tickCount": 3, "format": ",~r"}}
    bars = charts.marks("bar", FIRST, opacity=0.75, binSpacing=1)
    return charts.draw(charts.layer(rows, bars, {"x": x, "x2": {"field": "to"}, "y": y}), height=HEIGHT)


def _form(seconds: float) -> str:
    """How times are written on an axis of that length."""
    days = seconds / 86_400
    return "%Y" if days > 1_500 else "%b %Y" if days > 120 else "%d %b" if days > 3 else "%d %b %H:%M"


def levels(names: Sequence[str], counts: Sequence[int]) -> str:
    """Bars beside the names of levels, in the order given."""
    shown = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    rows = [
        {"place": f"{n:03d}", "n": count, "name": name}
        for n, (name, count) in enumerate(zip(shown, counts, strict=True))
    ]
    # Two levels may be shortened to one name: the place tells them apart.
    labels = {f"{n:03d}": name for n, name in enumerate(shown)}
    axis = {"labelExpr": f"({json.dumps(labels)})[datum.value]", "labelLimit": 190, "ticks": False}
    y = {"field": "place", "type": "nominal", "title": None, "sort": None, "axis": axis}
    x = {"field": "n", "type": "quantitative", "title": "rows", "axis": {"tickCount": 4, "format": ",~r"}}
    bars = charts.marks("bar", FIRST, opacity=0.75)
    return charts.draw(charts.layer(rows, bars, {"x": x, "y": y}), height=ROW * max(2, len(rows)))
