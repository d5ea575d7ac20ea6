"""The workspace `.mlops/`: artefacts made here, keys of work already done, and remembered digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlops_cli.errors import Integrity, MlopsError, WrongKind
from mlops_cli.store import artefact, files, manifest
from mlops_cli.store.artefact import Artefact

NAME = ".mlops"
_YOUNG_NS = 2_000_000_000


class _Seen(msgspec.Struct, frozen=True):
    """What a file was like when its digest was taken."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str


@dataclass(frozen=True)
class Workspace:
    """A cache of finished work; deleting it loses nothing but time."""

    root: Path

    def _folder(self, name: str) -> Path:
        """A folder of the workspace, made when it is first needed; git is told to look away."""
        folder = self.root / name
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                with suppress(FileExistsError):
                    files.write_new(ignore, b"*\n")
        return folder

    @contextmanager
    def staging(self, out: Path | None) -> Iterator[Path]:
        """An empty directory to build an artefact in, on the file system of its later place; removed if unused."""
        parent = out.parent if out else self._folder("staging")
        if out:
            parent.mkdir(parents=True, exist_ok=True)
        with files.staging_directory(parent, out.name if out else "new") as path:
            yield path

    def place(self, staged: Artefact, out: Path | None) -> Artefact:
        """Move a sealed artefact to where it belongs; what is there already with the same id is left untouched."""
        if out is None:
            there = self.find(staged.id)
            if there:
                return there
            target = self._folder("artefacts") / manifest.dirname(staged.id)
            self._clear(target)
            _move(staged.path, target)
        else:
            target = out
            there = replaceable(out, staged.kind)
            if there is None or there.id != staged.id:
                files.put_directory(staged.path, out)
            self._point(staged.id, out)
        return artefact.open_artefact(target)

    def provide(self, found: Artefact, out: Path | None) -> Artefact:
        """A finished artefact at `out` too: copied there unless it is there already."""
        if out is None or _same(found.path, out):
            return found
        there = replaceable(out, found.kind)
        if there is None or there.id != found.id:
            out.parent.mkdir(parents=True, exist_ok=True)
            with files.staging_directory(out.parent, out.name) as stage:
                copy = stage / "copy"
                files.copy_tree(found.path, copy)
                files.put_directory(copy, out)
        return artefact.open_artefact(out)

    def find(self, content_id: str) -> Artefact | None:
        """The artefact of that id, here or where `-o` put it while it still is that one."""
        place = self.root / "artefacts" / manifest.dirname(content_id)
        try:
            path = place
            if place.is_file():
                path = self.root.parent / place.read_text().strip()
            found = artefact.open_artefact(path)
        except (MlopsError, OSError, UnicodeDecodeError):
            return None
        return found if found.id == content_id else None

    def recall(self, key: str) -> tuple[Artefact, Artefact | None] | None:
        """What the work of that key has made: the artefact, and the rejected rows; None when it must be done."""
        try:
            made, rejects = (self.root / "keys" / key).read_text().split()
        except (OSError, ValueError):
            return None
        found = self.find(made)
        bad = None if rejects == "-" else self.find(rejects)
        if found is None or (bad is None and rejects != "-"):
            return None
        return found, bad

    def remember(self, key: str, made: Artefact, rejects: Artefact | None) -> None:
        """Note what the work of that key has made."""
        line = f"{made.id} {rejects.id if rejects else '-'}\n"
        files.replace(self._folder("keys") / key, line.encode())

    def digest(self, path: Path) -> str:
        """The SHA-256 of a file in hex, remembered by path, size, mtime and inode unless it is very young."""
        full = path.resolve()
        status = full.stat()
        memory = self._folder("digests") / hashlib.sha256(os.fsencode(full)).hexdigest()[:32]
        now = _Seen(str(full), status.st_size, status.st_mtime_ns, status.st_ino, "")
        with suppress(OSError, msgspec.MsgspecError):
            seen = msgspec.json.decode(memory.read_bytes(), type=_Seen)
            if msgspec.structs.replace(seen, sha256="") == now:
                return seen.sha256
        value = files.digest(full)
        after = full.stat()
        unchanged = (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        if unchanged and time.time_ns() - status.st_mtime_ns > _YOUNG_NS:
            files.replace(memory, msgspec.json.encode(msgspec.structs.replace(now, sha256=value)))
        return value

    def _point(self, content_id: str, out: Path) -> None:
        """Note where `-o` put an artefact, unless the workspace has it itself."""
        place = self._folder("artefacts") / manifest.dirname(content_id)
        if not place.is_dir():
            files.replace(place, (os.path.relpath(out.resolve(), self.root.parent.resolve()) + "\n").encode())

    def _clear(self, place: Path) -> None:
        """Make way for an artefact: a pointer that no longer counts, or a directory that was damaged."""
        if place.is_file():
            place.unlink()
        elif place.is_dir():
            aside = self._folder("staging") / files.token()
            os.rename(place, aside)
            files.remove_tree(aside)


def locate(start: Path | None = None) -> Workspace:
    """The nearest `.mlops/` upward from `start`, else `.mlops/` there; `$MLOPS_HOME` says another place."""
    home = os.environ.get("MLOPS_HOME")
    if home:
        return Workspace(Path(home).absolute())
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / NAME).is_dir():
            return Workspace(folder / NAME)
    return Workspace(here / NAME)


def replaceable(out: Path, kind: str) -> Artefact | None:
    """The artefact at `out` that may be replaced by one of `kind`; anything else that lies there is refused."""
    files.recover(out)
    if not out.exists() and not out.is_symlink():
        return None
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
        return None
    if not (out / manifest.NAME).is_file():
        raise WrongKind(f"{out} exists and is not an artefact: it is left as it is", "choose another path for -o")
    try:
        there = artefact.open_artefact(out)
    except Integrity:
        raise WrongKind(f"{out} is a damaged artefact: it is left as it is", "remove it, or choose another path") from None
    if there.kind != kind:
        raise WrongKind(f"{out} is a {there.kind}, not a {kind}: it is left as it is", "choose another path for -o")
    return there


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same directory."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _move(source: Path, target: Path) -> None:
    """Rename a complete directory to `target`; copy it when that is another file system."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return
        if error.errno != errno.EXDEV:
            raise
        with files.staging_directory(target.parent, target.name) as stage:
            files.copy_tree(source, stage / "copy")
            with suppress(FileExistsError):
                os.rename(stage / "copy", target)
    files.fsync_dir(target.parent)
