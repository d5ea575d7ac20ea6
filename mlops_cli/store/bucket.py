"""Where a registry lies: the few operations it needs, on a local file system; an object store can take its place."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mlops_cli.errors import Busy, Outside
from mlops_cli.store import files

_STAGING = "staging"


class Bucket(Protocol):
    """Keys are `/`-separated names. Nothing that was created is ever modified."""

    url: str

    def exists(self, key: str) -> bool:
        """Whether there is a record or a directory under that key."""

    def get(self, key: str) -> bytes | None:
        """The bytes of a record, None when there is none."""

    def create(self, key: str, data: bytes) -> bool:
        """Create a record durably, only if it is absent: the commit point. False when it is there already."""

    def settle(self, key: str) -> None:
        """Make a record durable that is there already: who created it may have been killed before it was."""

    def names(self, key: str) -> list[str]:
        """The names directly below a key, sorted; empty when there are none."""

    def put_tree(self, source: Path, key: str) -> None:
        """Store a sealed artefact's directory durably under a key; already there is fine."""

    def tree(self, key: str) -> Path:
        """A local directory with the tree of that key."""

    def remove_tree(self, key: str) -> None:
        """Remove a tree or a record that nothing refers to."""

    def age(self, key: str) -> float:
        """When the newest change below a key was made, seconds since the epoch."""


class LocalBucket:
    """A directory on a local or shared POSIX file system with hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def exists(self, key: str) -> bool:
        """Whether there is a record or a directory under that key."""
        return (self.root / key).exists()

    def get(self, key: str) -> bytes | None:
        """The bytes of a record, None when there is none."""
        try:
            return (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def create(self, key: str, data: bytes) -> bool:
        """Create a record durably, only if it is absent; Busy when it was created but may not be durable."""
        path = self.root / key
        self._mkdirs(path.parent)
        try:
            return files.create(path, data, self._staging(), self._as_root)
        except OSError as error:
            if path.exists():
                raise Busy(
                    f"{path}: {error.strerror} after the record was written: its state is unknown",
                    "run the same command again: it is harmless",
                ) from None
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise Outside(f"{self.root}: this file system has no hard links", "choose another --registry") from None
            raise

    def settle(self, key: str) -> None:
        """Make a record durable that is there already: who created it may have been killed before it was."""
        files.fsync_dir((self.root / key).parent)

    def names(self, key: str) -> list[str]:
        """The names directly below a key, sorted; empty when there are none."""
        try:
            return sorted(name for name in os.listdir(self.root / key) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def put_tree(self, source: Path, key: str) -> None:
        """Copy a directory into staging, make it durable, rename it into place; already there is fine."""
        target = self.root / key
        with suppress(FileNotFoundError):
            self._touch(target)  # so that a collector sees that it is wanted again
            self.settle(key)
            return
        self._mkdirs(target.parent)
        stage = self._staging() / files.token()
        try:
            files.copy_tree(source, stage)
            self._share(stage)
            try:
                os.rename(stage, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            files.remove_tree(stage)
        files.fsync_dir(target.parent)

    def tree(self, key: str) -> Path:
        """The directory itself."""
        return self.root / key

    def remove_tree(self, key: str) -> None:
        """Rename the tree (or record) into staging, then remove it there: never half of it under its name."""
        aside = self._staging() / files.token()
        os.rename(self.root / key, aside)
        self.settle(key)
        if aside.is_dir():
            files.remove_tree(aside)
        else:
            aside.unlink()

    def age(self, key: str) -> float:
        """When the newest change below a key was made, seconds since the epoch."""
        return (self.root / key).stat().st_mtime

    def make(self) -> None:
        """Make the root; refuse, in one line, a file system without hard links, and leave nothing there."""
        staging = self.root / _STAGING
        made = files.make_dirs(staging)
        self._as_root(staging)
        one, other = staging / files.token(), staging / files.token()
        files.write_new(one, b"")
        try:
            os.link(one, other)
            other.unlink()
            made = []
        except OSError:
            raise Outside(f"{self.root}: this file system has no hard links", "choose another --registry") from None
        finally:
            one.unlink()
            for folder in reversed(made):
                folder.rmdir()

    def _staging(self) -> Path:
        """Where things are made ready; anything in it may be deleted after a day."""
        folder = self.root / _STAGING
        if not folder.is_dir():
            self._mkdirs(folder)
        return folder

    def _mkdirs(self, folder: Path) -> None:
        """Make directories durably, with the root's mode and group so that a team can share them.

        Another writer may have made them a moment ago and not be done yet: while nothing is in there, all are synced.
        """
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            if next(entries, None):
                return
        below = folder.relative_to(self.root).parts
        for count in range(1, len(below) + 1):
            path = self.root.joinpath(*below[:count])
            with suppress(FileExistsError):
                path.mkdir()
                self._as_root(path)
            files.fsync_dir(path.parent)

    def _share(self, tree: Path) -> None:
        """Give a tree the root's mode and group."""
        for folder, _, names in os.walk(tree):
            for name in ("", *names):
                self._as_root(Path(folder, name))

    def _as_root(self, path: Path) -> None:
        """Give a directory or file the root's mode and group, as far as we may: files are not made executable."""
        like = self.root.stat()
        with suppress(PermissionError):
            if path.stat().st_gid != like.st_gid:
                os.chown(path, -1, like.st_gid)
            path.chmod(like.st_mode & (0o7777 if path.is_dir() else 0o666))

    def _touch(self, path: Path) -> None:
        """Note that something is used now, as far as we may."""
        with suppress(PermissionError):
            os.utime(path)
