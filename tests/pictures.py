"""Image files for tests: sound ones, broken ones, and one that is a bomb."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """An image as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def noise(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """An image like no other of another seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def picture(seed: int = 0, format: str = "JPEG", **options: Any) -> bytes:
    """A small image file."""
    return encoded(noise(seed), format, **options)


def taken(date: str, offset: str | None = None) -> Image.Exif:
    """EXIF that says when the picture was taken."""
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "mlops"  # with inner tags alone Pillow takes it for empty, and leaves it out of PNG
    inner = tags.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = date
    if offset:
        inner[ExifTags.Base.OffsetTimeOriginal] = offset
    return tags


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few bytes that says it is enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def folder(root: Path, files: dict[str, bytes]) -> Path:
    """A directory of files."""
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


FRAMES = {
    "north/car/a.jpg": picture(1),
    "north/car/b.png": picture(2, "PNG"),
    "north/van/c.jpg": picture(3),
    "south/car/d.jpg": picture(4),
    "south/van/e.webp": picture(5, "WEBP"),
}
"""Images in camera/label/."""
