"""One image file as the values of a row: decoded, measured, and the time that it says it was taken."""

from __future__ import annotations

import hashlib
import io
from typing import NamedTuple

from PIL import ExifTags, Image

from mlops_cli.errors import InputUnusable
from mlops_cli.runtime import images
from mlops_cli.runtime.images import Undecodable
from mlops_cli.sources import image_names
from mlops_cli.sources.image_files import Entry, Unreadable

_HEAD = 1 << 16
_TAGGED = ("TIFF", "WEBP", "PNG")  # where tags may stand anywhere in the file


class Measured(NamedTuple):
    """What is read off an image; `time` is EXIF's, µs since 1970 (UTC)."""

    data: bytes
    sha256: str
    width: int
    height: int
    mode: str
    format: str
    phash: int
    statistics: tuple[float, ...]
    time: int | None


class Refused(NamedTuple):
    """An image that cannot be read: the digest of its bytes and their number where there are any, and the reason."""

    sha256: str | None
    bytes: int | None
    reason: str


def measure(entry: Entry) -> Measured | Refused:
    """Read and measure an image. InputUnusable when it is not the one that was listed."""
    try:
        data = entry.read()
    except Unreadable as error:
        return Refused(None, entry.size, str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    if entry.digest and entry.digest != sha256:
        raise InputUnusable(f"{entry.file} has changed while it was being read", "run it again when nobody writes it")
    try:
        picture = images.opened(data)
    except Undecodable as error:
        return Refused(sha256, len(data), str(error))
    statistics = tuple(images.statistics(picture).values())
    hashed = images.perceptual_hash(picture)
    time = _taken(data, picture.format)
    return Measured(data, sha256, picture.width, picture.height, picture.mode, picture.format, hashed, statistics, time)


def _taken(data: bytes, format: str) -> int | None:
    """The time of exposure in EXIF (DateTimeOriginal with its offset and fraction); None without one."""
    if b"Exif" not in data[:_HEAD] and format not in _TAGGED:
        return None
    if format == "PNG" and b"eXIf" not in data:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as image:
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except Exception:  # the image was read: its tags are damaged
        return None
    base = ExifTags.Base
    offset = tags.get(base.OffsetTimeOriginal) or tags.get(base.OffsetTime) or ""
    said = (tags.get(base.DateTimeOriginal) or "", offset, tags.get(base.SubsecTimeOriginal) or "")
    return image_names.exif(*(value if isinstance(value, str) else "" for value in said))
