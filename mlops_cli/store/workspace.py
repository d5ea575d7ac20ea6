"""The workspace `.mlops/`: artefacts made here, keys of work already done, and remembered digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from mlops_cli.errors import Busy, Integrity, MlopsError, WrongKind
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


class Workspace(msgspec.Struct, frozen=True):
    """A cache of finished work; deleting it loses nothing but time."""

    root: Path

    def _folder(self, name: str) -> Path:
        """A folder of the workspace, made when it is first needed; git is told to look away."""
        folder = self.root / name
        if not folder.is_dir():
            files.make_dirs(folder)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                with suppress(FileExistsError):
                    files.write_new(ignore, b"*\n")
        return folder

    @contextmanager
    def staging(self, out: Path | None) -> Iterator[Path]:
        """An empty directory to build an artefact in, on the file system of its later place; removed if unused."""
        parent = out.parent if out else self._folder("staging")
        with files.staging_directory(parent, out.name if out else "new") as path:
            yield path

    def checkpoint(self, key: str) -> Path:
        """Where the work of a key keeps what it has reached, for itself alone; it need not exist."""
        return self.root / "checkpoints" / key

    def since(self, key: str) -> Path:
        """Where it is kept how far a source has been taken; it need not exist."""
        return self._folder("since") / f"{key}.json"

    def place(self, staged: Artefact, out: Path | None) -> Artefact:
        """Move a sealed artefact to where it belongs; what is there already with the same content is left untouched."""
        if out is None:
            return self._keep(staged)
        there = replaceable(out, staged.kind)
        if there is None or there.id != staged.id or artefact.verify(there):
            files.put_directory(staged.path, out)
        self._point(staged.id, out)
        return artefact.open_artefact(out)

    def _keep(self, staged: Artefact) -> Artefact:
        """Move a sealed artefact into the workspace, unless it is there or where `-o` has put it."""
        target = self._folder("artefacts") / manifest.dirname(staged.id)
        for attempt in range(3):
            there = self.find(staged.id)
            if there and not artefact.verify(there):
                return there
            if attempt:  # nobody else was quicker: it is a pointer that no longer counts, or a damaged directory
                self._clear(target)
            if _move(staged.path, target):
                return artefact.open_artefact(target)
        raise Busy(f"{target} is being written by others", "run it again")

    def provide(self, found: Artefact, out: Path | None) -> Artefact:
        """A finished artefact at `out` too: copied there unless it is there already."""
        if out is None or _same(found.path, out):
            return found
        there = replaceable(out, found.kind)
        if there is None or there.id != found.id or not there.whole:
            with files.staging_directory(out.parent, out.name) as stage:
                copy = stage / "copy"
                files.copy_tree(found.path, copy)
                files.put_directory(copy, out)
        return artefact.open_artefact(out)

    def find(self, content_id: str) -> Artefact | None:
        """The artefact of that id, here or where `-o` put it while it still is that one, no file missing or cut."""
        place = self.root / "artefacts" / manifest.dirname(content_id)
        try:
            path = place
            if place.is_file():
                path = self.root.parent / place.read_text().strip()
            found = artefact.open_artefact(path)
        except (MlopsError, OSError, ValueError):
            return None
        return found if found.id == content_id and found.whole else None

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
        for used in (self.root / "keys" / key, self.root / "artefacts" / manifest.dirname(made)):
            with suppress(OSError):
                os.utime(used)  # a collector goes by the last use
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
            with suppress(OSError):  # it will be read again
                files.replace(memory, msgspec.json.encode(msgspec.structs.replace(now, sha256=value)))
        return value

    def digests(self, folder: Path, names: Sequence[str]) -> list[str]:
        """The SHA-256 of files below a directory, in that order; remembered as `digest` does, all in one file."""
        full = folder.resolve()
        memory = self._folder("digests") / hashlib.sha256(b"tree\0" + os.fsencode(full)).hexdigest()[:32]
        known: dict[str, _Seen] = {}
        with suppress(OSError, msgspec.MsgspecError):
            known = {seen.path: seen for seen in msgspec.json.decode(memory.read_bytes(), type=list[_Seen])}
        found = [_seen(full, name, known.get(_text(name))) for name in names]
        old = [seen for seen in found if time.time_ns() - seen.mtime_ns > _YOUNG_NS]
        if any(known.get(seen.path) is not seen for seen in old):
            with suppress(OSError):  # they will be read again
                files.replace(memory, msgspec.json.encode(old))
        return [seen.sha256 for seen in found]

    def _point(self, content_id: str, out: Path) -> None:
        """Note where `-o` put an artefact, unless the workspace has it itself."""
        place = self._folder("artefacts") / manifest.dirname(content_id)
        if not place.is_dir():
            with suppress(IsADirectoryError):  # it has since a moment ago
                files.replace(place, (os.path.relpath(out.resolve(), self.root.parent.resolve()) + "\n").encode())

    def _clear(self, place: Path) -> None:
        """Make way for an artefact; somebody else may just have done so."""
        with suppress(FileNotFoundError):
            if place.is_dir():
                aside = self._folder("staging") / files.token()
                os.rename(place, aside)
                files.remove_tree(aside)
            else:
                place.unlink()


def _seen(folder: Path, name: str, known: _Seen | None) -> _Seen:
    """A file of a directory as it is now: what is known of it, if nothing has changed, else its digest is taken."""
    path = folder / name
    status = path.stat()
    now = _Seen(_text(name), status.st_size, status.st_mtime_ns, status.st_ino, known.sha256 if known else "")
    return known if known == now else msgspec.structs.replace(now, sha256=files.digest(path))


def _text(name: str) -> str:
    """A name as text, also one that is not UTF-8."""
    return name.encode(errors="backslashreplace").decode()


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


def replaceable(out: Path, kind: str | None) -> Artefact | None:
    """The artefact at `out` that may be replaced by one of `kind`; anything else that lies there is refused."""
    files.recover(out, writing=True)
    if not out.exists() and not out.is_symlink():
        return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    if not (out / manifest.NAME).is_file():
        raise WrongKind(f"{out} exists and is not an artefact: it is left as it is", "choose another path for -o")
    try:
        there = artefact.open_artefact(out)
    except Integrity:
        raise WrongKind(f"{out} is a damaged artefact: it is left alone", "remove it, or choose another path") from None
    if kind and there.kind != kind:
        raise WrongKind(f"{out} is a {there.kind}, not a {kind}: it is left as it is", "choose another path for -o")
    return there


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same directory."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _move(source: Path, target: Path) -> bool:
    """Rename a complete directory to `target`, copy it when that is another file system; False when one is there."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        if error.errno != errno.EXDEV:
            raise
        with files.staging_directory(target.parent, target.name) as stage:
            files.copy_tree(source, stage / "copy")
            return _move(stage / "copy", target)
    files.fsync_dir(target.parent)
    return True
