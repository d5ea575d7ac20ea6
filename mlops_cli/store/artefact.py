"""Artefacts: directories of payload files in open formats, complete when their manifest is there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mlops_cli.errors import Corrupt, Integrity, Missing, WrongKind
from mlops_cli.store import files, manifest
from mlops_cli.store.manifest import FileEntry, Manifest

T = TypeVar("T")

KINDS = ("dataset", "split", "model", "evaluation", "package", "predictions", "report")


class Artefact(msgspec.Struct, frozen=True):
    """A complete artefact on disk. Its files are checked against the manifest when they are read."""

    path: Path
    manifest: Manifest

    @property
    def kind(self) -> str:
        """What it is: dataset, split, model, evaluation, package, predictions or report."""
        return self.manifest.kind

    @property
    def id(self) -> str:
        """The digest of its content, `sha256:…`."""
        return self.manifest.id

    def entry(self, name: str) -> FileEntry:
        """The manifest's line for a payload file; Corrupt when the artefact has no such file."""
        for entry in self.manifest.files:
            if entry.path == name:
                return entry
        raise Corrupt(f"{self.path}: the {self.kind} has no file {name}", "make it again with this version of mlops")

    def has(self, name: str) -> bool:
        """Whether the payload has a file of that name."""
        return any(entry.path == name for entry in self.manifest.files)

    def file(self, name: str) -> Path:
        """The path of a payload file whose size has been checked."""
        entry = self.entry(name)
        path = self.path / name
        try:
            size = path.stat().st_size
        except OSError:
            raise Integrity(f"{path}: missing, though the manifest has it", "restore it, or make it again") from None
        if size != entry.bytes:
            raise Integrity(f"{path}: {size} bytes, {entry.bytes} were written", "restore it, or make it again")
        return path

    def read(self, name: str) -> bytes:
        """The bytes of a payload file, checked against its digest: what is checked is what is returned."""
        data = self.file(name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.entry(name).sha256:
            raise Integrity(f"{self.path / name}: the digest does not match", "restore it, or make it again")
        return data

    def json(self, name: str, type: type[T]) -> T:
        """A JSON payload file, digest checked, as `type` (unknown keys are ignored)."""
        try:
            return msgspec.json.decode(self.read(name), type=type)
        except manifest.UNREADABLE as error:
            raise Corrupt(f"{self.path / name}: {error}") from None

    @property
    def whole(self) -> bool:
        """Whether every payload file is there in its size; their digests are not compared."""
        try:
            return all(self.file(entry.path) for entry in self.manifest.files)
        except Integrity:
            return False

    def tables(self, part: str = "") -> list[Path]:
        """The Parquet files of the payload, or of one part (`train`), in order, sizes checked."""
        prefix = f"{part}/" if part else ""
        names = [e.path for e in self.manifest.files if e.path.startswith(prefix) and e.path.endswith(".parquet")]
        return [self.file(name) for name in sorted(names) if "/" not in name[len(prefix) :]]


def is_artefact(path: Path) -> bool:
    """Whether a directory holds a complete artefact (one that was being replaced when killed is brought back)."""
    files.recover(path)
    return (path / manifest.NAME).is_file()


def open_artefact(path: Path, kinds: Collection[str] = ()) -> Artefact:
    """The artefact at `path`; Missing without a manifest, WrongKind when it is none of `kinds`."""
    files.recover(path)
    try:
        data = (path / manifest.NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        if not path.exists():
            raise Missing(f"{path}: no such file or directory") from None
        raise Missing(f"{path}: not an artefact, it has no manifest.json") from None
    found = Artefact(path, manifest.decode(data, path / manifest.NAME))
    if kinds and found.kind not in kinds:
        raise WrongKind(f"{path} is a {found.kind}, not a {' or '.join(kinds)}")
    return found


def verify(artefact: Artefact) -> list[str]:
    """Read every payload file and compare digests; what is wrong, a line for each file."""
    wrong = []
    for entry in artefact.manifest.files:
        try:
            path = artefact.file(entry.path)
            if files.digest(path) != entry.sha256:
                wrong.append(f"{path}: the digest does not match")
        except Integrity as error:
            wrong.append(error.message)
    return wrong


def check(artefact: Artefact) -> None:
    """Raise Integrity at the first payload file whose digest does not match."""
    for line in verify(artefact):
        raise Integrity(line, "restore it, or make it again")


def file_table(directory: Path) -> list[FileEntry]:
    """The payload files below `directory`, sorted by path, each fsynced and digested.

    Corrupt for links, for what is no plain file, and for names that are not UTF-8.
    """
    entries = []
    for folder, names, filenames in os.walk(directory):
        names.sort()
        for name in (*names, *filenames):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_dir() or path.is_file()) or not name.isprintable():
                raise Corrupt(f"{path}: only plain files with plain names can be part of an artefact")
        for name in filenames:
            path = Path(folder, name)
            relative = path.relative_to(directory).as_posix()
            if relative != manifest.NAME:
                files.fsync_file(path)
                entries.append(FileEntry(relative, path.stat().st_size, files.digest(path)))
        files.fsync_dir(Path(folder))
    return sorted(entries, key=lambda entry: entry.path)


def seal(directory: Path, *, kind: str, created: str, tool: str, **fields: Any) -> Artefact:
    """Finish the artefact whose payload lies in `directory`: fsync it, write the manifest last, fsync again.

    `fields` are the manifest's: command, inputs, params, seed, schema, environment.
    """
    table = file_table(directory)
    made = Manifest(
        format=manifest.FORMAT,
        kind=kind,
        id=manifest.content_id(kind, table),
        created=created,
        tool=tool,
        files=table,
        **fields,
    )
    data = manifest.encode(made)
    files.write_new(directory / manifest.NAME, data)
    files.fsync_dir(directory)
    return Artefact(directory, manifest.decode(data, directory / manifest.NAME))
