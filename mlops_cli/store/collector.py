"""What can be removed from a workspace and a registry, and how it is removed without harm to anyone at work."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from mlops_cli.store import files, manifest
from mlops_cli.store.bucket import LocalBucket
from mlops_cli.store.registry import Registry
from mlops_cli.store.workspace import Workspace

DAY = 86400.0
GRACE = 14 * DAY


def workspace(found: Workspace, before: float, *, dry_run: bool) -> tuple[list[str], int]:
    """Remove artefacts, keys and digests not touched since `before`, and staging older than a day; names and bytes."""
    removed: list[str] = []
    size = 0
    kept = [(folder, before) for folder in ("artefacts", "keys", "digests", "checkpoints")]
    for folder, limit in (*kept, ("staging", time.time() - DAY)):
        for path in _entries(found.root / folder):
            if _last_use(path) >= limit:
                continue
            size += _size(path)
            removed.append(f"{folder}/{path.name}")
            if not dry_run:
                _remove(path)
    return removed, size


def registry(store: Registry, now: float, *, dry_run: bool) -> tuple[list[str], list[str]]:
    """Remove objects that were marked a grace ago and are still unreferenced; mark those that are so now.

    An object that is stored again is touched, which restarts its grace. Objects younger than the grace are left alone:
    their record may be on its way.
    """
    bucket = store.bucket
    used = _referenced(store)
    removed, marked = [], []
    for name in bucket.names("objects"):
        mark = f"gc/{name}.json"
        data = bucket.get(mark)
        if name in used:
            if data is not None and not dry_run:
                bucket.remove_tree(mark)
        elif now - bucket.age(f"objects/{name}") < GRACE:
            continue
        elif data is None:
            marked.append(name)
            if not dry_run:
                bucket.create(mark, msgspec.json.encode({"marked": now}))
        elif now - float(msgspec.json.decode(data)["marked"]) >= GRACE:
            removed.append(name)
            if not dry_run:
                bucket.remove_tree(f"objects/{name}")
                bucket.remove_tree(mark)
    if isinstance(bucket, LocalBucket) and not dry_run:
        for path in _entries(bucket.root / "staging"):
            if _last_use(path) < now - DAY:
                _remove(path)
    return removed, marked


def _referenced(store: Registry) -> set[str]:
    """The names of all objects that a version or its evidence names."""
    used = set()
    for name in store.models():
        for number in range(1, store.newest(name) + 1):
            used.add(manifest.dirname(store.version(name, number).object))
            used.update(manifest.dirname(item.object) for item in store.evidence(name, number))
    return used


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing when there is no folder."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _last_use(path: Path) -> float:
    """When something was last changed or put there."""
    with suppress(OSError):
        return path.lstat().st_mtime
    return time.time()


def _size(path: Path) -> int:
    """The bytes of a file or of a directory's files."""
    if path.is_file():
        return path.stat().st_size
    return sum(Path(folder, name).stat().st_size for folder, _, names in os.walk(path) for name in names)


def _remove(path: Path) -> None:
    """Remove a file, or a directory under another name first, so that nobody finds half of it."""
    if path.is_dir() and not path.is_symlink():
        aside = path.with_name(f".{path.name}.{files.token()}")
        path.rename(aside)
        files.remove_tree(aside)
    else:
        path.unlink(missing_ok=True)
