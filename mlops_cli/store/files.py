"""Durable file operations: written whole, fsynced, put in place by one call, or not there at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlops_cli.errors import Outside

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP_MACOS = 2
_CHUNK = 1 << 20
LEFT_OVER = 7 * 86400.0
"""Seconds after which a staging directory was left by a killed process; a search for parameters may take days."""


def token() -> str:
    """A short random name for something temporary."""
    return os.urandom(8).hex()


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


def create(path: Path, data: bytes, staging: Path, prepare: Callable[[Path], None] | None = None) -> bool:
    """Create `path` with `data` only if it is absent, durably; False when it is there already.

    `staging` is a directory of the same file system. The link is the commit: it happens whole or not at all. NFS may
    report a failure of a link that happened; the link count of the temporary file tells. `prepare` sets its mode.
    """
    temporary = staging / token()
    try:
        write_new(temporary, data)
        if prepare:
            prepare(temporary)
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
    import ctypes  # most commands swap nothing

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
    if _rename_over(staged, target):
        fsync_dir(target.parent)
    elif exchange(staged, target):
        fsync_dir(target.parent)
        remove_tree(staged)
    else:
        aside = _aside(target)
        while True:
            remove_tree(aside)
            os.rename(target, aside)
            if _rename_over(staged, target):
                break  # else a reader has brought the old one back meanwhile
        fsync_dir(target.parent)
        remove_tree(aside)


def _rename_over(staged: Path, target: Path) -> bool:
    """Rename a directory to where nothing is, or an empty directory; False when another directory is there."""
    try:
        os.rename(staged, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) or not target.is_dir():
            raise
        return False
    return True


def recover(target: Path, *, writing: bool = False) -> None:
    """Bring back what `put_directory` had renamed aside when it was killed before the second rename.

    A writer also removes what it had not yet removed when it was killed after it, or that would come back one day.
    """
    if not target.name:
        return  # `.` and `/`, which cannot be renamed
    aside = _aside(target)
    if not aside.is_dir():
        return
    if not target.exists():
        with contextlib.suppress(OSError):
            os.rename(aside, target)
    elif writing:
        remove_tree(aside)


def _aside(target: Path) -> Path:
    """Where a directory waits that is being replaced."""
    return target.with_name(f".{target.name}.old")


def remove_tree(path: Path) -> None:
    """Remove a directory that nothing refers to any more; what is absent already is fine.

    Tried again, since after an interruption a thread may still be writing there.
    """
    for _ in range(5):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a directory's files durably into the new directory `target`; pipes, sockets and devices are left out."""
    for folder, names, files in os.walk(source):
        below = target / Path(folder).relative_to(source)
        below.mkdir()
        for name in sorted(files):
            if not Path(folder, name).is_file():
                continue
            with Path(folder, name).open("rb") as one, (below / name).open("xb") as other:
                shutil.copyfileobj(one, other, _CHUNK)
                other.flush()
                os.fsync(other.fileno())
        names.sort()
    for folder, _, _ in os.walk(target):
        fsync_dir(Path(folder))


def make_dirs(folder: Path) -> list[Path]:
    """Make a directory and those above it that are missing, durably; what was made, the highest first."""
    missing: list[Path] = []
    while not folder.is_dir():
        missing.insert(0, folder)
        folder = folder.parent
    for path in missing:
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        fsync_dir(path.parent)
    return missing


@contextlib.contextmanager
def staging_directory(parent: Path, name: str) -> Iterator[Path]:
    """A new directory beside its later place, removed again when it has not been moved away.

    Those that a killed process left here long ago are removed too, and so are directories above that had to be made,
    when nothing came to stay in them.
    """
    made = make_dirs(parent)
    for left in parent.iterdir():
        if left.name.startswith(f".{name}.") and left.name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFT_OVER:
                    remove_tree(left)
    path = parent / f".{name}.{token()}.tmp"
    path.mkdir()
    try:
        yield path
    finally:
        remove_tree(path)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def check_writable(directory: Path) -> None:
    """Say early and in one line that nothing can be written below `directory`. A trial file could be left behind."""
    probe = directory
    while not probe.exists():
        probe = probe.parent
    if not probe.is_dir():
        raise Outside(f"{probe} is not a directory", "choose another place with -o")
    if not os.access(probe, os.W_OK | os.X_OK):
        read_only = os.statvfs(probe).f_flag & os.ST_RDONLY
        reason = os.strerror(errno.EROFS if read_only else errno.EACCES)
        raise Outside(f"cannot write in {probe}: {reason}", "choose another place with -o")
