"""Lines of text, none of them so long that it would fill the memory of what parses it."""

from __future__ import annotations

import mmap

from mlops_cli.errors import InputUnusable
from mlops_cli.sources.base import File

LONGEST = 64 << 20
"""Bytes of a line at most."""


def check(file: File) -> None:
    """Refuse a file with a line of more than `LONGEST` bytes; little of it is read to see that there is none."""
    size = file.path.stat().st_size
    if size <= LONGEST:
        return
    with file.path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = 0
        while start + LONGEST < size:
            end = data.rfind(b"\n", start, start + LONGEST + 1)
            if end < 0:
                what = f"{file.name} has a line of more than {LONGEST >> 20} MiB, from byte {start:,} on"
                raise InputUnusable(what, "look whether its lines end with LF, and what wrote it")
            start = end + 1
