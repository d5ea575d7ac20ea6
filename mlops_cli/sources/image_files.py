"""Files that hold images, told by name and first bytes: pictures, archives and videos; and those of a directory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

_OFTEN = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff")
IMAGES = (*_OFTEN, ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif", ".avif", ".jp2")
"""Names that end so are images, read or rejected; nothing else in a directory or an archive is looked at."""
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".flv", ".ogv", ".3gp")
SIDECARS = ("metadata.csv", "metadata.jsonl")
"""Read for labels when they lie among images, as the Hugging Face hub has them."""
MOST_BYTES = 256 << 20
"""An image file of more is rejected unread."""

Kind = Literal["image", "video", "tar", "zip"]

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_TAR_AT, _TAR = 257, b"ustar"
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
_TAR_NAMES = re.compile(r"\.(?:tar|tgz|tzst|txz|tbz2?)(?:\.[a-z0-9]+)?$", re.IGNORECASE)


class Unreadable(Exception):
    """The bytes of an image cannot be had: the reason in one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An image that is to be read. `file` is where it lies below its source, `path` what it is called in the dataset;
    `size` its bytes, or about what they take; `read` raises Unreadable. `digest` is what its SHA-256 was when the
    source was listed, `time` µs since 1970 (UTC) where the source says it. An entry with `frames` is a video."""

    file: str
    size: int
    read: Callable[[], bytes]
    digest: str = ""
    time: int | None = None
    frame: str = ""
    frames: Callable[[], Iterator[Entry]] | None = None

    @property
    def path(self) -> str:
        """What the image is called below its source."""
        return self.file + self.frame


@dataclass(frozen=True)
class Collection:
    """The images of one source, sorted; `name` is what it is called, `wrapper` the one directory that all names of an
    archive begin with, left out of the entries. `sidecars` are files with labels, by where they lie below the source;
    `ignored` counts what is no image. `remote`: reading waits for a network."""

    name: str
    entries: list[Entry]
    sidecars: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    ignored: int = 0
    wrapper: str = ""
    remote: bool = False


Opener = Callable[[Path], AbstractContextManager[Collection]]
"""Opens a source; the argument is a directory for temporary files that outlives it."""


def suffix(name: str) -> str:
    """`.jpg` of `a/B.JPG`."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # of many thousand names


def kind(path: Path, name: str) -> Kind | None:
    """What a file is called, or begins like; None when it may be a table."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(b"PK\x03\x04"):
        return "zip" if _zip_has_images(path) else None
    if _is_tar(path, name, head):
        return "tar"
    if suffix(name) in IMAGES or head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    return "video" if suffix(name) in VIDEOS or container(head) else None


def container(head: bytes) -> str | None:
    """The container format of a video by its first bytes, as FFmpeg calls it; None for anything else.

    FFmpeg is always told the format: asked to guess, it would follow a playlist to other files and hosts.
    """
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") and head[8:12] not in (b"heic", b"mif1", b"avif"):
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for magic, name in ((b"\x1aE\xdf\xa3", "matroska"), (b"FLV\x01", "flv"), (b"OggS", "ogg"), (b"\0\0\1\xba", "mpeg")):
        if head.startswith(magic):
            return name
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47 and head[1] & 0x80 == 0:
        return "mpegts"
    return "mpegts" if len(head) > 388 and head[4] == head[196] == head[388] == 0x47 else None


def _is_tar(path: Path, name: str, head: bytes) -> bool:
    """Whether a file is a tar archive, compressed or not; one in zstd only by its name."""
    if head[_TAR_AT : _TAR_AT + 5] == _TAR:
        return True
    packed = next((module for magic, module in _PACKED.items() if head.startswith(magic)), None)
    if packed is not None:
        inner = _unpacked(path, packed)
        return bool(_TAR_NAMES.search(name)) if inner is None else inner[_TAR_AT : _TAR_AT + 5] == _TAR
    return head.startswith(b"\x28\xb5\x2f\xfd") and bool(_TAR_NAMES.search(name))


def _unpacked(path: Path, packed: str) -> bytes | None:
    """The first bytes of what is packed; None when it is damaged."""
    import bz2
    import gzip
    import lzma

    opened: Any = {"gzip": gzip.open, "bz2": bz2.open, "lzma": lzma.open}[packed]
    try:
        with opened(path) as stream:
            return bytes(stream.read(512))
    except (OSError, EOFError, lzma.LZMAError, ValueError):
        return None


def _zip_has_images(path: Path) -> bool:
    """Whether a zip archive names an image."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return any(suffix(name) in IMAGES for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError):
        return False


def hidden(name: str) -> bool:
    """Whether a file below a source is one that systems leave behind: `.DS_Store`, `__MACOSX/…`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def listed(folder: Path) -> tuple[list[str], list[str], int]:
    """Images and videos below a directory, sorted; sidecars; and how many other files there are.

    Links to directories are not followed, links to files are. Raises OSError for a directory that may not be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    found: list[str] = []
    sidecars: list[str] = []
    ignored = 0
    for parent, folders, names in os.walk(folder, onerror=refuse):
        ignored += sum(Path(parent, name).is_symlink() for name in folders)
        below = "" if parent == str(folder) else Path(parent).relative_to(folder).as_posix() + "/"
        for name in names:
            full = below + name
            wanted = suffix(name) in (*IMAGES, *VIDEOS)
            if hidden(full) or not (wanted or name in SIDECARS) or not Path(parent, name).is_file():
                ignored += 1
            elif wanted:
                found.append(full)
            else:
                sidecars.append(full)
    return sorted(found), sorted(sidecars), ignored


def read_file(path: Path) -> bytes:
    """The bytes of an image file; Unreadable when there are too many, or they cannot be read."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    return bounded(data, len(data))


def bounded(data: bytes, size: int) -> bytes:
    """The bytes, unless there are more than an image may have."""
    if size > MOST_BYTES:
        raise Unreadable(too_large(size))
    return data


def too_large(size: int) -> str:
    """Why an image of so many bytes is rejected."""
    return f"{size:,} bytes or more are more than {MOST_BYTES:,}"


def refused(reason: str) -> Callable[[], bytes]:
    """How an entry is read that is rejected whatever it holds."""

    def read() -> bytes:
        raise Unreadable(reason)

    return read
