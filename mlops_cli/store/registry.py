"""The registry: immutable objects, and append-only numbered records that name them; no lock, no index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Busy, Corrupt, InputUnusable, Integrity, Missing, MlopsError
from mlops_cli.store import artefact, manifest, records, workspace
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.bucket import Bucket, LocalBucket
from mlops_cli.store.records import Evidence, Move, R, Version

DIRECTORY = "mlops-registry"
_FORMAT = 1

Decide = Callable[[Move | None], tuple[int, str, dict[str, Any]]]
"""From an alias's newest move to the version it is to name, why, and the verdict; it may be asked again."""


class Entry(msgspec.Struct, frozen=True):
    """What is to be registered: a model, the manifests of its ancestors, evidence, and who says so."""

    model: Artefact
    lineage: list[dict[str, Any]]
    evidence: list[Artefact]
    owner: str
    note: str
    by: str


class Registry(msgspec.Struct, frozen=True):
    """All reading and writing of a registry goes through its bucket."""

    bucket: Bucket

    def models(self) -> list[str]:
        """The names of all models, sorted; one whose first version was never finished is none."""
        names = self.bucket.names("models")
        return [name for name in names if self.bucket.exists(_record(f"models/{name}/versions", 1))]

    def aliases(self, name: str) -> list[str]:
        """The aliases that a model has ever had, sorted."""
        return self.bucket.names(f"models/{name}/aliases")

    def newest(self, name: str) -> int:
        """The number of a model's newest version, 0 when it has none."""
        return self._newest(f"models/{name}/versions")

    def version(self, name: str, number: int) -> Version:
        """The record of a version; Missing when there is none."""
        record = self._read(_record(f"models/{name}/versions", number), Version)
        if record is None:
            newest = self.newest(name)
            has = f"its newest version is {newest}" if newest else "the registry has no such model"
            raise Missing(f"{name}@{number}: no such version; {has}", f"mlops list {name if newest else ''}".strip())
        return record

    def evidence(self, name: str, number: int) -> list[Evidence]:
        """All evidence for a version: what came with it and what was added later, oldest first."""
        folder = f"models/{name}/evidence/{number:06d}"
        return self.version(name, number).evidence + [record for _, record in self._all(folder, Evidence)]

    def moves(self, name: str, alias: str) -> list[Move]:
        """The history of an alias, oldest first; empty when it never named anything."""
        return [move for _, move in self._all(f"models/{name}/aliases/{alias}", Move)]

    def current(self, name: str, alias: str) -> tuple[int, Move | None]:
        """The number and record of an alias's newest move; (0, None) when it never named anything."""
        folder = f"models/{name}/aliases/{alias}"
        number = self._newest(folder)
        return number, self._read(_record(folder, number), Move) if number else None

    def at(self, name: str, alias: str, stamp: str) -> Move | None:
        """What an alias named at a time."""
        before = [move for move in self.moves(name, alias) if move.at <= stamp]
        return before[-1] if before else None

    def resolve(self, name: str, which: str | None) -> int:
        """The version number that `NAME`, `NAME@7` or `NAME@alias` means; Missing when it means none."""
        if which is None:
            newest = self.newest(name)
            if newest == 0:
                raise Missing(f"{name}: neither a path nor a model in the registry {self.bucket.url}", "mlops list")
            return newest
        if which.isascii() and which.isdigit():
            self.version(name, int(which))
            return int(which)
        records.check_name(which, "version or alias")
        _, move = self.current(name, which)
        if move is None:
            known = ", ".join(self.aliases(name)) or "none"
            if self.newest(name) == 0:
                raise Missing(f"{name}@{which}: the registry has no model {name}", "mlops list")
            raise Missing(f"{name}@{which}: no such alias (there is: {known})", f"mlops list {name}")
        return move.version

    def object(self, digest: str) -> Artefact:
        """The stored artefact with that `self` digest."""
        stored = artefact.open_artefact(self.bucket.tree(f"objects/{manifest.dirname(digest)}"))
        if stored.manifest.self_ != digest:
            raise Integrity(f"{stored.path}: its manifest is not the one that was registered")
        return stored

    def register(self, name: str, entry: Entry, *, force: bool = False) -> tuple[int, bool]:
        """Store a model as the next version of `name`; its number, and False when it already was the newest one.

        Stage, fsync, rename to `objects/`; then create the record under the next free number: the commit point.
        """
        records.check_name(name)
        folder = f"models/{name}/versions"
        objects: list[str] = []
        while True:
            number = self._newest(folder)
            before = self.bucket.get(_record(folder, number)) if number else None
            previous = records.decode(before, Version, name) if before else None
            if previous and previous.id == entry.model.id and not force:
                self.bucket.settle(_record(folder, number))
                for item in entry.evidence:
                    self.add_evidence(name, number, item, entry.by)
                return number, False
            objects = objects or [self._store(item) for item in (entry.model, *entry.evidence)]
            at = _not_before(previous.at if previous else "")
            evidence = [
                Evidence(digest, item.kind, at, entry.by)
                for digest, item in zip(objects[1:], entry.evidence, strict=True)
            ]
            record = Version(
                objects[0],
                entry.model.id,
                entry.lineage,
                evidence,
                entry.owner,
                entry.note,
                at,
                entry.by,
                manifest.sha256(before) if before else None,
            )
            if self.bucket.create(_record(folder, number + 1), records.encode(record)):
                for item in (entry.model, *entry.evidence):
                    key = f"objects/{manifest.dirname(item.manifest.self_)}"
                    if not self.bucket.exists(key):  # a collector took it just before the commit
                        self.bucket.put_tree(item.path, key)
                return number + 1, True

    def add_evidence(self, name: str, number: int, item: Artefact, by: str) -> bool:
        """Add an artefact to the evidence of a version; False when it is there already."""
        self.version(name, number)  # Missing, before anything is stored for it
        digest = self._store(item)
        folder = f"models/{name}/evidence/{number:06d}"
        while True:
            newest = self._newest(folder)  # asked before what is known, so that what comes between takes the number
            known = self.evidence(name, number)
            if any(one.object == digest for one in known):
                if newest:
                    self.bucket.settle(_record(folder, newest))
                return False
            record = Evidence(digest, item.kind, _not_before(known[-1].at if known else ""), by)
            if self.bucket.create(_record(folder, newest + 1), records.encode(record)):
                return True

    def move(self, name: str, alias: str, decide: Decide, by: str) -> Move:
        """Move an alias to the version that `decide(current)` answers, with why and verdict.

        When another writer moved it meanwhile, decide again against the new champion, three times at most; then Busy.
        """
        records.check_alias(alias)
        folder = f"models/{name}/aliases/{alias}"
        for _ in range(3):
            number = self._newest(folder)
            before = self.bucket.get(_record(folder, number)) if number else None
            current = records.decode(before, Move, alias) if before else None
            version, why, verdict = decide(current)
            at = _not_before(current.at if current else "")
            record = Move(version, why, verdict, at, by, manifest.sha256(before) if before else None)
            if self.bucket.create(_record(folder, number + 1), records.encode(record)):
                return record
        raise Busy(f"{name}@{alias} is being moved by others", "run it again")

    def settle(self, name: str, alias: str) -> None:
        """Make an alias's newest move durable: who made it may have been killed before it was."""
        folder = f"models/{name}/aliases/{alias}"
        self.bucket.settle(_record(folder, self._newest(folder)))

    def damage(self, name: str) -> list[str]:
        """Gaps and edits in a model's records, and objects that are not what was registered, a line each."""
        folders = [f"models/{name}/versions"] + [f"models/{name}/aliases/{alias}" for alias in self.aliases(name)]
        return [line for folder in folders for line in self._chain(folder)] or list(self._lost(name))

    def _chain(self, folder: str) -> Iterator[str]:
        """Check one series of records: each carries the digest of the one before it."""
        before: bytes | None = None
        for position, file in enumerate(self.bucket.names(folder), start=1):
            data = self.bucket.get(f"{folder}/{file}") or b""
            if file != f"{position:06d}.json":
                yield f"{folder}: {position:06d}.json is missing"
                return
            try:
                previous = msgspec.json.decode(data)["previous"]
            except (*manifest.UNREADABLE, KeyError, TypeError):
                yield f"{folder}/{file}: not a record"
                return
            if previous != (manifest.sha256(before) if before else None):
                yield f"{folder}/{file}: the record before it was changed"
            before = data

    def _lost(self, name: str) -> Iterator[str]:
        """What records name and is not there, or is another; payloads are not read."""
        for number, record in self._all(f"models/{name}/versions", Version):
            try:
                found = [self.object(record.object)] + [self.object(one.object) for one in self.evidence(name, number)]
            except MlopsError as error:
                yield f"{name}@{number}: {error.message}"
                continue
            if found[0].id != record.id:
                yield f"{name}@{number}: {found[0].path} is {found[0].id}, {record.id} was registered"

    def _store(self, item: Artefact) -> str:
        """Store an artefact under its `self` digest, once its payload has been checked."""
        artefact.check(item)
        self.bucket.put_tree(item.path, f"objects/{manifest.dirname(item.manifest.self_)}")
        return item.manifest.self_

    def _read(self, key: str, type: type[R]) -> R | None:
        """A record, None when there is none."""
        data = self.bucket.get(key)
        return None if data is None else records.decode(data, type, key)

    def _all(self, folder: str, type: type[R]) -> list[tuple[int, R]]:
        """All records of a series with their numbers."""
        found = []
        for name in self.bucket.names(folder):
            record = self._read(f"{folder}/{name}", type)
            if record is not None and name[:-5].isdigit():
                found.append((int(name[:-5]), record))
        return found

    def _newest(self, folder: str) -> int:
        """The highest number of a series, by doubling and bisecting on existence: numbers are contiguous."""
        if not self.bucket.exists(_record(folder, 1)):
            return 0
        low, high = 1, 2
        while self.bucket.exists(_record(folder, high)):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.bucket.exists(_record(folder, middle)) else (low, middle)
        return low


def locate(url: str | None, *, create: bool = False) -> Registry:
    """The registry at `url`, `$MLOPS_REGISTRY`, or the nearest `mlops-registry/` upward.

    Missing when there is none, unless `create`: then it is made there, else in the current directory.
    """
    where = url or os.environ.get("MLOPS_REGISTRY")
    if where and "://" in where and not where.startswith("file://"):
        raise Missing(f"{where}: only directories can hold a registry in this version", "--registry DIRECTORY")
    root = Path(where.removeprefix("file://")).absolute() if where else _nearest()
    bucket = LocalBucket(root)
    data = bucket.get("registry.json")
    if data is None:
        if not create:
            raise Missing(f"no registry at {root}", "mlops register makes one; --registry or MLOPS_REGISTRY names one")
        if workspace.NAME in root.parts or root.is_relative_to(workspace.locate().root):
            raise InputUnusable(f"{root} is in the workspace, which is a cache", "choose another --registry")
        bucket.make()
        bucket.create("registry.json", b'{"format": 1}\n')
    else:
        _check_format(data, root)
    return Registry(bucket)


def _check_format(data: bytes, root: Path) -> None:
    """Refuse a registry of a later format."""
    try:
        number = msgspec.json.decode(data)["format"]
    except (*manifest.UNREADABLE, KeyError, TypeError):
        raise Corrupt(f"{root}/registry.json is not the head of a registry") from None
    if not isinstance(number, int) or number > _FORMAT:
        raise Corrupt(f"{root}: format {number} is newer than this mlops reads ({_FORMAT})", "upgrade mlops-cli")


def _nearest() -> Path:
    """The nearest `mlops-registry/` upward, else where one would be made: in the current directory."""
    here = Path.cwd().absolute()
    for folder in (here, *here.parents):
        if (folder / DIRECTORY / "registry.json").is_file():
            return folder / DIRECTORY
    return here / DIRECTORY


def _record(folder: str, number: int) -> str:
    """The key of a numbered record."""
    return f"{folder}/{number:06d}.json"


def _not_before(earlier: str) -> str:
    """Now, or the earlier moment when the clock has run backwards."""
    return max(records.stamp(), earlier)
