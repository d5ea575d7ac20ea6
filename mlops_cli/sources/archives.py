"""Archives of images, tar and zip: listed and read where they lie, nothing is ever written by a name that they say."""

from __future__ import annotations

import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mlops_cli.errors import Corrupt
from mlops_cli.sources import image_files, packed
from mlops_cli.sources.image_files import MOST_BYTES, SIDECARS, Collection, Entry, Unreadable, hidden, suffix

_CLIMBS = re.compile(r"^[/\\]|^[a-zA-Z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")
_MOST_UNPACKED, _FREE_UNPACKED = 100, 1 << 30
"""A compressed tar archive may hold a GiB and this many times its own size; images do not shrink to a hundredth."""


class _Member(NamedTuple):
    """A file in an archive; `reason`, if any, says why it is not read."""

    name: str
    size: int
    read: Callable[[], bytes]
    reason: str


@contextmanager
def tar(path: Path, name: str, scratch: Path) -> Iterator[Collection]:
    """A tar archive; a compressed one is unpacked to a file in `scratch` first. Corrupt when it is damaged or cut."""
    with path.open("rb") as stream:
        head = stream.read(8)
    if packed.packing(head):
        target = scratch / "unpacked.tar"
        packed.unpack(path, name, head, target, most=_FREE_UNPACKED + _MOST_UNPACKED * path.stat().st_size)
        path = target
    with path.open("rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                found = [_tar_member(member, file.fileno()) for member in archive if not member.isdir()]
                end = archive.offset
        except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise Corrupt(f"{name} is a damaged tar archive: {str(error)[:120]}") from None
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0") or file.tell() < end + tarfile.BLOCKSIZE:
            raise Corrupt(f"{name} is a damaged tar archive: it has no end marker", "it was cut off; fetch it again")
        yield _collection(name, found)


def _tar_member(member: tarfile.TarInfo, fd: int) -> _Member:
    """A member and how its bytes are read, from any thread."""
    reason = "" if member.isfile() else "a link or a device, which is not followed"
    if member.issparse():
        reason = "a sparse member, which is not read"
    start, size = member.offset_data, member.size

    def read() -> bytes:
        data = b""
        while len(data) < size:  # a call may give less
            part = os.pread(fd, size - len(data), start + len(data))
            if not part:
                raise Unreadable("the archive ends within it")
            data += part
        return data

    return _Member(member.name, size, read, reason)


@contextmanager
def zip(path: Path, name: str, scratch: Path) -> Iterator[Collection]:
    """A zip archive. Corrupt when its directory is damaged."""
    del scratch
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, RuntimeError, ValueError) as error:
        raise Corrupt(f"{name} is a damaged zip archive: {str(error)[:120]}") from None
    with archive:
        yield _collection(name, [_zip_member(member, archive) for member in archive.infolist() if not member.is_dir()])


def _zip_member(member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> _Member:
    """A member and how its bytes are read, from any thread; never more of them than an image may have."""
    mode = member.external_attr >> 16
    reason = "" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "a link or a device, which is not followed"

    def read() -> bytes:
        try:
            with archive.open(member) as stream:
                data = stream.read(MOST_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
            raise Unreadable(f"it cannot be unpacked: {' '.join(str(error).split())[:120]}") from None
        except RuntimeError:
            raise Unreadable("it is encrypted, or compressed in a way that is not read") from None
        return image_files.bounded(data, len(data))

    return _Member(member.filename, member.file_size, read, reason)


def _collection(name: str, members: Sequence[_Member]) -> Collection:
    """The images among the members, sorted; an archive with a name that leads out of it is refused as a whole."""
    for member in members:
        if _CLIMBS.search(member.name):
            shown = member.name[:80].encode(errors="replace").decode()
            raise Corrupt(f"{name}: the name {shown!r} leads out of the archive", "do not trust where it came from")
    named = [(PurePosixPath(member.name).as_posix(), member) for member in members]
    images = sorted(
        ((path, member) for path, member in named if suffix(path) in image_files.IMAGES and not hidden(path)),
        key=lambda one: one[0],
    )
    wrapper = _wrapper([path for path, _ in images])
    entries: list[Entry] = []
    for path, member in images:
        reason = member.reason or _too_large(member)
        below = path[len(wrapper) :]
        if entries and entries[-1].file == below:
            reason = "a second member of that name"
        entries.append(Entry(below, member.size, image_files.refused(reason) if reason else member.read))
    sidecars = {
        path[len(wrapper) :]: image_files.refused(_too_large(member)) if _too_large(member) else member.read
        for path, member in named
        if PurePosixPath(path).name in SIDECARS and path.startswith(wrapper) and not (member.reason or hidden(path))
    }
    return Collection(name, entries, sidecars, len(members) - len(images) - len(sidecars), wrapper.rstrip("/"))


def _too_large(member: _Member) -> str:
    """Why a member is not read, when it is its size; else nothing."""
    return image_files.too_large(member.size) if member.size > MOST_BYTES else ""


def _wrapper(names: Sequence[str]) -> str:
    """The one directory that all names begin with, with its slash; empty when they do not."""
    tops = {name.partition("/")[0] + "/" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return top if names and all(name.startswith(top) for name in names) else ""
