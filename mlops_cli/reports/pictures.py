"""Pictures on a page: small JPEGs inside it, each with what is said of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

SIDE = 112
"""Pictures are shown as squares of this many pixels."""


@dataclass(frozen=True)
class Picture:
    """One or more views of an image, the bytes of JPEG files; what it is said to show, and lines of small print."""

    views: Sequence[bytes]
    title: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Pictures:
    """Pictures in rows, as many as there is room for."""

    pictures: Sequence[Picture]
    title: str = ""
    text: str = ""


def render(block: Pictures) -> str:
    """The block as HTML."""
    heading = f"<h3>{escape(block.title)}</h3>" if block.title else ""
    text = f"<p>{escape(block.text)}</p>" if block.text else ""
    each = "".join(map(_picture, block.pictures))
    return f'<div class="gallery">{heading}{text}<div class="pictures">{each}</div></div>'


def _picture(picture: Picture) -> str:
    views = "".join(
        f'<img alt="{escape(picture.title)}" width="{SIDE}" height="{SIDE}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(view).decode()}">'
        for view in picture.views
    )
    lines = "".join(f"<span>{escape(line)}</span>" for line in picture.lines)
    return f'<div class="picture"><div class="views">{views}</div><b>{escape(picture.title)}</b>{lines}</div>'
