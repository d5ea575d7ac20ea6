"""Durable file operations: written whole, fsynced, put in place by one call, or not there at all."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mlops_cli.errors import Outside

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP_MACOS = 2
_CHUNK = 1 << 20


def token() -> str:
    """A short random name for something temporary."""
    return secrets.token_hex(8)


def digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_file(path: Path) -> None:
    """Make a file's bytes durable. A failed fsync is never tried again: the pages may already be marked clean."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_dir(path: Path) -> None:
    """Make a directory's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_tree(root: Path) -> None:
    """Make every file and directory below `root` durable, `root` too."""
    for folder, _, names in os.walk(root):
        for name in names:
            fsync_file(Path(folder, name))
        fsync_dir(Path(folder))


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, durably."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes) -> None:
    """Write a file, or put a new one in place of the old one, in one durable step."""
    temporary = path.with_name(f".{path.name}.{token()}")
    try:
        write_new(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def create(path: Path, data: bytes, staging: Path) -> bool:
    """Create `path` with `data` only if it is absent, durably; False when it is there already.

    `staging` is a directory of the same file system. The link is the commit: it happens whole or not at all. NFS may
    report a failure of a link that happened; the link count of the temporary file tells.
    """
    temporary = staging / token()
    write_new(temporary, data)
    try:
        try:
            os.link(temporary, path)
        except OSError as error:
            if temporary.stat().st_nlink != 2:
                if error.errno == errno.EEXIST:
                    return False
                raise
        fsync_dir(path.parent)
        return True
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def exchange(one: Path, other: Path) -> bool:
    """Swap two directory entries in one step; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        result = libc.renamex_np(os.fsencode(one), os.fsencode(other), _RENAME_SWAP_MACOS)
    elif hasattr(libc, "renameat2"):
        result = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    else:
        return False
    if result == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(one))


def put_directory(staged: Path, target: Path) -> None:
    """Put a complete, fsynced directory at `target`, in place of what is there, whole or not at all.

    `staged` must be on the same file system. Where two entries cannot be swapped the old one is renamed aside first
    as `.NAME.old`, from where `recover` brings it back after a crash between the two renames.
    """
    if not target.exists():
        os.rename(staged, target)
        fsync_dir(target.parent)
        return
    aside = target.with_name(f".{target.name}.old")
    if exchange(staged, target):
        fsync_dir(target.parent)
        remove_tree(staged)
        return
    remove_tree(aside)
    os.rename(target, aside)
    os.rename(staged, target)
    fsync_dir(target.parent)
    remove_tree(aside)


def recover(target: Path) -> None:
    """Bring back what `put_directory` had renamed aside when it was killed before the second rename."""
    aside = target.with_name(f".{target.name}.old")
    if not target.exists() and aside.is_dir():
        with contextlib.suppress(OSError):
            os.rename(aside, target)


def remove_tree(path: Path) -> None:
    """Remove a directory that nothing refers to any more; what is absent already is fine."""
    shutil.rmtree(path, ignore_errors=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory's plain files durably into the new directory `target`."""
    for folder, names, files in os.walk(source):
        below = target / Path(folder).relative_to(source)
        below.mkdir()
        for name in sorted(files):
            with Path(folder, name).open("rb") as one, (below / name).open("xb") as other:
                shutil.copyfileobj(one, other, _CHUNK)
                other.flush()
                os.fsync(other.fileno())
        names.sort()
    for folder, _, _ in os.walk(target):
        fsync_dir(Path(folder))


@contextlib.contextmanager
def staging_directory(parent: Path, name: str) -> Iterator[Path]:
    """A new directory beside its later place, removed again when it has not been moved away."""
    path = parent / f".{name}.{token()}.tmp"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove_tree(path)


def check_writable(directory: Path) -> None:
    """Say early and in one line that nothing can be written below `directory`."""
    probe = directory
    while not probe.exists():
        probe = probe.parent
    if not probe.is_dir():
        raise Outside(f"{probe} is not a directory", "choose another place with -o")
    try:
        probe_file = probe / f".{token()}.tmp"
        write_new(probe_file, b"")
        probe_file.unlink()
    except OSError as error:
        raise Outside(f"cannot write in {probe}: {error.strerror}", "choose another place with -o") from None
