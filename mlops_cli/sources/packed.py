"""Compressed files: recognised by their first bytes, unpacked as a stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from mlops_cli.errors import Corrupt, InputUnusable

MOST_BYTES, RATIO = 1 << 30, 500
"""A file may unpack to so many bytes, or to so many times its own: beyond that it was made to fill a disk."""

_CHUNK = 1 << 20


def _zstd(path: Path) -> Any:
    """A zstd file, all its frames one after the other."""
    return pa.input_stream(str(path), compression="zstd")


_PACKERS: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_OTHERS = {b"PK\x03\x04": ("a zip archive", "unzip -p"), b"\x1f\x9d": ("compressed with compress", "zcat")}


def packing(head: bytes) -> str | None:
    """How a file that begins with `head` is compressed; None when it is not."""
    return next((name for magic, (name, _) in _PACKERS.items() if head.startswith(magic)), None)


def refuse(name: str, quoted: str, head: bytes) -> None:
    """Refuse what would have to be unpacked by other means."""
    for magic, (what, command) in _OTHERS.items():
        if head.startswith(magic):
            raise InputUnusable(f"{name} is {what}", f"{command} {quoted} | mlops ingest -")


def unpack(path: Path, name: str, head: bytes, target: Path, most: int | None = None) -> None:
    """Write what a compressed file holds to `target`, in constant memory.

    Corrupt when it is damaged or cut short, or holds more than `most` bytes (as a table far more than itself).
    """
    most = most or max(MOST_BYTES, RATIO * path.stat().st_size)
    packer, opened = next(found for magic, found in _PACKERS.items() if head.startswith(magic))
    with target.open("wb") as sink:
        try:
            with opened(path) as source:
                shutil.copyfileobj(source, _Bounded(sink, name, most), _CHUNK)
        except (EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise Corrupt(f"{name} is damaged: its {packer} data cannot be unpacked ({str(error)[:120]})") from None


class _Bounded:
    """A file that takes no more than `most` bytes."""

    def __init__(self, sink: IO[bytes], name: str, most: int) -> None:
        self._sink, self._name, self._left = sink, name, most

    def write(self, data: bytes) -> int:
        """Write, or refuse what would grow without bounds."""
        self._left -= len(data)
        if self._left < 0:
            what = f"{self._name} is a bomb: it unpacks to far more than its own size"
            raise Corrupt(what, "unpack it yourself if you trust it")
        return self._sink.write(data)
