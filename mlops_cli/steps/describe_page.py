"""The page about a table as HTML: suspicions first, then every column in a line, the target, and shapes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from mlops_cli.errors import MissingExtra
from mlops_cli.models.kinds import IMAGES
from mlops_cli.reports import html, small_charts
from mlops_cli.reports.html import Bar, Block, Cell, Columns, Figure, Measure, Page, Section, Table, Text
from mlops_cli.reports.pictures import Picture, Pictures
from mlops_cli.sources.names import exactly
from mlops_cli.steps import tables
from mlops_cli.steps.describe_suspects import Suspect
from mlops_cli.steps.describe_table import Column, Description
from mlops_cli.steps.describe_target import Association

BINS, LEVELS, CHARTS, PICTURES = 30, 10, 60, 12
_SHORT = 60


def render(
    found: Description,
    target: str | None,
    linked: Sequence[Association],
    doubts: Sequence[Suspect],
    shown: Sequence[Picture] = (),
) -> str:
    """The page, the same for the same table. MissingExtra without vl-convert."""
    sections = [_doubts(doubts), _columns(found)]
    if target is not None:
        sections.append(_target(found, target, linked))
    sections.append(_shapes(found, target))
    if shown:
        sections.append(Section("Pictures", [Pictures(shown)], "A few of the images, from the whole table."))
    return html.render(
        Page(
            title=found.name,
            text="What is in this table.",
            facts=_facts(found, target),
            sections=sections,
            foot=[_foot(found)],
        )
    )


def pictures(frame: pl.LazyFrame, schema: pl.Schema) -> list[Picture]:
    """A few images of a table of images, spread over it; those that do not decode are left out."""
    name = next((column for column, dtype in schema.items() if dtype in IMAGES), None)
    if name is None:
        return []
    try:
        from mlops_cli.runtime.images import Undecodable  # Pillow is an extra that tables do not need
        from mlops_cli.steps.evaluate_pictures import thumbnail
    except ImportError as error:
        raise MissingExtra.of("pillow", "images") from error
    rows = frame.select(pl.len()).collect().item()
    label = exactly("label").cast(pl.String) if "label" in schema else pl.lit("")
    data, path = exactly(name).struct.field("bytes"), exactly(name).struct.field("path")
    wanted = frame.select(data.alias("bytes"), path.alias("path"), label.alias("label"))
    found = []
    for row in wanted.gather_every(max(1, rows // PICTURES)).head(PICTURES).collect(engine="streaming").iter_rows():
        try:
            found.append(Picture([thumbnail(row[0] or b"")], _short(row[2] or ""), [_short(row[1] or "")]))
        except Undecodable:
            continue
    return found


def _facts(found: Description, target: str | None) -> list[tuple[str, str]]:
    cells = found.rows * len(found.columns)
    missing = sum(column.missing for column in found.columns)
    facts = [("Rows", f"{found.rows:,}"), ("Columns", f"{len(found.columns):,}")]
    facts.append(("Missing", f"{missing / cells:.2%} of all values" if cells else "–"))
    return [*facts, ("Target", target)] if target else facts


def _foot(found: Description) -> str:
    if found.whole:
        return "All numbers are of all rows."
    return (
        f"Rows, missing values, least, greatest, mean and deviation are of all rows; distinct values are estimated "
        f"(HyperLogLog). Quantiles, shapes, the target and suspicions are from {found.sample.height:,} rows, chosen by "
        f"a hash of their number."
    )


def _doubts(doubts: Sequence[Suspect]) -> Section:
    if not doubts:
        return Section("To look at", [], "No column looks suspicious.")
    rows: list[list[Cell]] = [[_short(one.column), one.what, Text(one.why)] for one in doubts]
    return Section("To look at", [Table(["Column", "What", "Why"], rows)], "None of this is an error for sure.")


def _columns(found: Description) -> Section:
    head = ["Column", "Type", "Missing", "Distinct", "Least", "25 %", "Median", "75 %", "Greatest", "Mean", "Deviation"]
    rows = [_line(found, column) for column in found.columns]
    return Section("Columns", [Table(head, rows, frozenset(range(2, len(head))))])


def _line(found: Description, column: Column) -> list[Cell]:
    """One column in numbers."""
    share = column.missing / found.rows
    quarters: list[Cell] = [None, None, None]
    if column.kind in ("number", "time") and column.least is not None:
        values = found.values(column.name)
        quarters = [_value(values.quantile(q, "nearest"), column.kind) for q in (0.25, 0.5, 0.75)]
    return [
        _short(column.name),
        _type(column),
        f"{share:.1%}" if column.missing else "0",
        None if column.distinct is None else f"{'' if found.whole else '≈ '}{column.distinct:,}",
        _extreme(column.least, column),
        *quarters,
        _extreme(column.greatest, column),
        None if column.mean is None else f"{column.mean:.4g}",
        None if column.deviation is None else f"{column.deviation:.4g}",
    ]


def _type(column: Column) -> str:
    return "image" if column.kind == "image" else tables.described(pl.Schema({"": column.dtype}))[""]


def _extreme(value: object, column: Column) -> str | None:
    text = _value(value, column.kind)
    return text.removesuffix(" 00:00") if text and column.dtype == pl.Date else text


def _value(value: object, kind: str) -> str | None:
    """A number, or a time in µs, for people."""
    if not isinstance(value, int | float):
        return None if value is None else _short(str(value))
    if kind != "time":
        whole = float(value).is_integer() and abs(value) < 1e15
        return f"{int(value):,}" if whole else f"{value:.5g}"
    return _time(value / 1e6)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "after the year 9999" if seconds > 0 else "before the year 1"


def _target(found: Description, target: str, linked: Sequence[Association]) -> Section:
    rows: list[list[Cell]] = []
    for one in linked:
        value = one.value
        strength = (
            None
            if value is None
            else Measure(f"{value:+.3f}" if "ρ" in one.measure else f"{value:.3f}", "", _bar(abs(value)))
        )
        alone = None if one.alone is None else Measure(f"{one.alone:.3f}", "", _bar(one.alone))
        rows.append([_short(one.column), one.measure, strength, alone])
    text = (
        "Spearman's ρ (1904), the correlation ratio η (Pearson 1905) or Cramér's V (bias corrected, Bergsma 2013), by "
        "the kinds of the two columns. Alone: what a table of the column's values takes away from the error of "
        "guessing the target, on rows that it was not learnt from (Goodman and Kruskal's λ, 1954; R² where the target "
        "is a number)."
    )
    return Section(
        f"What each column says of {_short(target)}", [Table(["Column", "Measure", "Value", "Alone"], rows)], text
    )


def _bar(value: float) -> Bar:
    return Bar(value, 0.0, value)


def _shapes(found: Description, target: str | None) -> Section:
    figures: list[Block] = []
    drawn = [column for column in found.columns if column.kind not in ("image", "other")]
    drawn.sort(key=lambda column: column.name != target)
    for column in drawn[:CHARTS]:
        if (figure := _figure(found, column)) is not None:
            figures.append(figure)
    text = "" if len(drawn) <= CHARTS else f"The first {CHARTS} of {len(drawn)} columns."
    return Section("How values lie", [Columns(figures)] if figures else [], text)  # type: ignore[arg-type]


def _figure(found: Description, column: Column) -> Figure | None:
    values = found.values(column.name)
    if not len(values):
        return None
    if column.kind in ("number", "time"):
        return _histogram(column, values.to_numpy())
    counts = values.value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    top = counts.head(LEVELS)
    names = [_short(name) or "(empty)" for name in top["value"]]
    others = int(counts["rows"].sum()) - int(top["rows"].sum())
    text = f"The commonest; {counts.height - LEVELS:,} others have {others:,} rows." if others else ""
    return Figure(small_charts.levels(names, top["rows"].to_list()), _short(column.name), text)


def _histogram(column: Column, values: np.ndarray) -> Figure | None:
    values = values[np.isfinite(values)]
    if not len(values) or not np.isfinite(values.max() - values.min()):
        return None
    low, high = float(values.min()), float(values.max())
    text = ""
    inner = np.quantile(values, [0.005, 0.995])
    if inner[1] > inner[0] and (high - low) / 4 > inner[1] - inner[0]:  # few far away would leave one bar of all others
        low, high = map(float, inner)
        values = values[(values >= low) & (values <= high)]
        text = "Without the 0.5 % at either end."
    finest = max(math.ulp(max(abs(low), abs(high))), sys.float_info.min)  # the least width of a bar, about
    whole = column.dtype.is_integer() and high - low < BINS and finest < 0.5
    if not whole and high - low <= BINS * finest:
        room = max(0.5 if low == high else 0.0, BINS * finest)
        low, high = max(low - room, -sys.float_info.max), min(high + room, sys.float_info.max)
    counts, edges = np.histogram(
        values, np.arange(low - 0.5, high + 1) if whole else BINS, None if whole else (low, high)
    )
    times = column.kind == "time"
    scale = 1e-6 if times else 1.0
    return Figure(
        small_charts.distribution((edges * scale).tolist(), counts.tolist(), times=times), _short(column.name), text
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
