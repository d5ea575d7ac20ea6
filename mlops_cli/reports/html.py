"""Self-contained HTML pages: no script, nothing from the network, every text escaped, readable in a minute."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TypeAlias

from mlops_cli.reports import pictures
from mlops_cli.reports.pictures import Pictures
from mlops_cli.reports.style import SHEET

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_ID = re.compile(r'\bid="([^"]*)"')
_USED = re.compile(r'(\bid="|url\(#|\bhref="#)([^")]*)')


@dataclass(frozen=True)
class Bar:
    """A value with its interval, drawn on a scale from `least` to `most`, with a line at `mark` to compare with."""

    value: float
    low: float
    high: float
    least: float = 0.0
    most: float = 1.0
    mark: float | None = None


@dataclass(frozen=True)
class Text:
    """Running text in a table, which may wrap."""

    text: str


@dataclass(frozen=True)
class Measure:
    """A number in a table, with its interval in small print and as a bar."""

    value: str
    interval: str = ""
    bar: Bar | None = None


Cell: TypeAlias = str | int | Measure | Text | None
"""What a table can hold: a text, a count, a measured number, running text, or nothing that is known."""


@dataclass(frozen=True)
class Card:
    """One headline number."""

    name: str
    value: str
    interval: str = ""
    text: str = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class Cards:
    """Headline numbers side by side."""

    cards: Sequence[Card]


@dataclass(frozen=True)
class Figure:
    """A chart with its title and how to read it. `svg` is markup that `charts` made, the one thing not escaped."""

    svg: str
    title: str
    text: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows; columns in `numbers` are written flush right."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix: how often each of `labels` (rows) was taken for each (columns)."""

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]
    title: str = ""
    text: str = ""


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where there is room."""

    blocks: Sequence[Figure | Matrix | Pictures | Table]


Block: TypeAlias = Cards | Columns | Figure | Matrix | Pictures | Table


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    blocks: Sequence[Block]
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page: facts are (what, value) pairs under the title, `foot` is the small print."""

    title: str
    text: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    foot: Sequence[str] = field(default=())


def render(page: Page) -> str:
    """The page as one HTML document, the same for the same content."""
    facts = "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in page.facts)
    body = "\n".join(_section(section, number) for number, section in enumerate(page.sections))
    foot = "<br>".join(escape(line) for line in page.foot)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<style>{SHEET}</style>
</head>
<body>
<main>
<header>
<h1>{escape(page.title)}</h1>
<p>{escape(page.text)}</p>
<ul class="facts">{facts}</ul>
</header>
{body}
<footer>{foot}</footer>
</main>
</body>
</html>
"""


def _section(section: Section, number: int) -> str:
    heading = f"<h2>{escape(section.title)}</h2>" if section.title else ""
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    blocks = "\n".join(_block(block, f"s{number}b{place}") for place, block in enumerate(section.blocks))
    return f"<section>\n{heading}{text}\n{blocks}\n</section>"


def _block(block: Block, name: str) -> str:
    if isinstance(block, Cards):
        return f'<div class="cards">{"".join(map(_card, block.cards))}</div>'
    if isinstance(block, Columns):
        each = (_block(part, f"{name}c{place}") for place, part in enumerate(block.blocks))
        return f'<div class="columns">{"".join(each)}</div>'
    if isinstance(block, Figure):
        return _figure(block, name)
    if isinstance(block, Pictures):
        return pictures.render(block)
    return _matrix(block) if isinstance(block, Matrix) else _table(block)


def _card(card: Card) -> str:
    interval = f'<div class="interval">{escape(card.interval)}</div>' if card.interval else ""
    bar = _bar(card.bar) if card.bar else ""
    text = f"<p>{escape(card.text)}</p>" if card.text else ""
    return (
        f'<div class="card"><div class="name">{escape(card.name)}</div>'
        f'<div class="value">{escape(card.value)}</div>{interval}{bar}{text}</div>'
    )


def _figure(figure: Figure, name: str) -> str:
    """A chart. Its ids are numbered anew: several charts on a page share theirs, and Vega counts on between charts."""
    ids = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(_ID.findall(figure.svg)))}
    svg = _USED.sub(lambda found: found[1] + ids.get(found[2], found[2]), figure.svg)
    named = escape(f"{figure.title}. {figure.text}".strip())
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{named}" ', 1)
    return f"<figure>{_caption(figure.title, figure.text)}{svg}</figure>"


def _caption(title: str, text: str) -> str:
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    below = f"<p>{escape(text)}</p>" if text else ""
    return f"<figcaption>{heading}{below}</figcaption>" if heading or below else ""


def _table(table: Table) -> str:
    kinds = (' class="number"' if place in table.numbers else "" for place in range(len(table.head)))
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, table.head, strict=True))
    rows = "\n".join(
        "<tr>" + "".join(_cell(cell, place, place in table.numbers) for place, cell in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    return f'<div class="sheet"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _cell(cell: Cell, place: int, number: bool) -> str:
    if isinstance(cell, Measure):
        bar = _bar(cell.bar) if cell.bar else ""
        return f'<td class="measure"><b>{escape(cell.value)}</b> <small>{escape(cell.interval)}</small>{bar}</td>'
    if isinstance(cell, Text):
        return f'<td class="text">{escape(cell.text)}</td>'
    if cell is None:
        return f'<td class="{"number " if number else ""}none">–</td>'
    text = escape(f"{cell:,}" if isinstance(cell, int) else cell)
    if place == 0:
        return f"<th>{text}</th>"
    return f'<td class="number">{text}</td>' if number else f"<td>{text}</td>"


def _matrix(matrix: Matrix) -> str:
    """Counts shaded by their share of the row: right answers in one colour, errors in the other."""
    head = "".join(f"<th>{escape(label)}</th>" for label in matrix.labels)
    rows = []
    for row, (label, counts) in enumerate(zip(matrix.labels, matrix.counts, strict=True)):
        total = sum(counts)
        cells = "".join(_shaded(count, total, row == column) for column, count in enumerate(counts))
        rows.append(f"<tr><th>{escape(label)}</th>{cells}</tr>")
    size = " few" if len(rows) < 4 else " many" if len(rows) > 6 else ""
    return (
        f'<figure class="wide{size}">{_caption(matrix.title, matrix.text)}'
        f'<table class="matrix"><thead><tr><th class="corner">actual ↓<br>predicted →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></figure>"
    )


def _shaded(count: int, total: int, right: bool) -> str:
    share = count / total if total else 0.0
    colour = "43,108,176" if right else "192,86,33"
    ink = ";color:#fff" if share > 0.8 else ""
    percent = f"{share:.1%}" if total else "–"
    style = f"background:rgba({colour},{0.04 + 0.96 * share:.3f}){ink}"
    return f'<td style="{style}"><b>{count:,}</b><span>{percent}</span></td>'


def _bar(bar: Bar) -> str:
    """The interval as a soft range, the value as a point, on a track of 200 units."""
    span = (bar.most - bar.least) or 1.0

    def at(value: float) -> float:
        return 4 + 192 * min(1.0, max(0.0, (value - bar.least) / span))

    low, high = at(bar.low), at(bar.high)
    mark = "" if bar.mark is None else f'<rect class="mark" x="{at(bar.mark) - 0.5:.2f}" y="0" width="1" height="14"/>'
    return (
        '<svg class="bar" viewBox="0 0 200 14" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="track" x1="4" y1="7" x2="196" y2="7" stroke-width="2"/>{mark}'
        f'<rect class="range" x="{low:.2f}" y="2" width="{max(1.0, high - low):.2f}" height="10" rx="2"/>'
        f'<rect class="point" x="{at(bar.value) - 1.5:.2f}" y="1" width="3" height="12" rx="1"/></svg>'
    )
