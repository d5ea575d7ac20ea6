"""The pages of `html` as Markdown: the same titles, facts and tables, as plain text that a person or git can read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlops_cli.reports.html import Block, Cards, Cell, Columns, Figure, Matrix, Measure, Page, Section, Text
from mlops_cli.reports.pictures import Pictures

_SPECIAL = re.compile(r"([\\`*\[\]|~])")
# Only an underscore or a sign at the edge of a word can mean anything.
_EDGES = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_START = re.compile(r"^(\d+(?=[.)])|)([.)](?=\s|$)|[#+=-](?=[\s#+=-]|$))")


def render(page: Page) -> str:
    """The page as one Markdown text (GitHub's tables), the same for the same content."""
    facts = [f"- {escaped(name)}: **{escaped(value)}**" for name, value in page.facts]
    parts = [f"# {escaped(page.title)}", escaped(page.text), "\n".join(facts)]
    for section in page.sections:
        parts += _section(section)
    parts += ["\n".join(f"*{escaped(line)}*  " for line in page.foot).rstrip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """A text that means nothing in Markdown or HTML, on one line."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _EDGES.sub(r"\\_", _SPECIAL.sub(r"\\\1", line))
    return _START.sub(r"\1\\\2", line)


def _section(section: Section) -> list[str]:
    heading = [f"## {escaped(section.title)}"] if section.title else []
    return [*heading, escaped(section.text), *(part for block in section.blocks for part in _block(block))]


def _block(block: Block) -> list[str]:
    if isinstance(block, Cards):
        cards: list[list[Cell]] = [
            [card.name, Measure(card.value, card.interval), card.text or None] for card in block.cards
        ]
        return [_table(["metric", "value", "meaning"], cards)]
    if isinstance(block, Columns):
        return [part for each in block.blocks for part in _block(each)]
    if isinstance(block, Figure):
        return [f"### {escaped(block.title)}" if block.title else "", escaped(block.text)]
    if isinstance(block, Matrix):
        head = ["actual ↓ predicted →", *block.labels]
        rows: list[list[Cell]] = [[label, *counts] for label, counts in zip(block.labels, block.counts, strict=True)]
        title = f"### {escaped(block.title)}" if block.title else ""
        return [title, escaped(block.text), _table(head, rows, frozenset(range(1, len(head))))]
    if isinstance(block, Pictures):
        shown: list[list[Cell]] = [[one.title, Text(", ".join(one.lines))] for one in block.pictures]
        return [
            f"### {escaped(block.title)}" if block.title else "",
            escaped(block.text),
            _table(["picture", ""], shown),
        ]
    return [_table(block.head, block.rows, block.numbers)]


def _table(head: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: frozenset[int] = frozenset()) -> str:
    rule = ["---:" if place in numbers else "---" for place in range(len(head))]
    lines = [[escaped(name) for name in head], rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Measure):
        return escaped(f"{cell.value} {cell.interval}".strip())
    if isinstance(cell, Text):
        return escaped(cell.text)
    return escaped(f"{cell:,}" if isinstance(cell, int) else cell)
