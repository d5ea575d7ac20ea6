"""Tiny artefacts for tests that need one, whatever is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Verdict
from mlops_cli.store import artefact, manifest
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import FileEntry, Input
from mlops_cli.store.registry import Entry
from mlops_cli.store.workspace import Workspace

SMALL = {"model.txt": b"tree\n", "signature.json": b'{"format":1}'}


def sealed(
    directory: Path,
    kind: str = "model",
    payload: Mapping[str, bytes] | None = None,
    inputs: list[Input] | None = None,
    **fields: Any,
) -> Artefact:
    """A sealed artefact with those files in it."""
    write(directory, SMALL if payload is None else payload)
    given: dict[str, Any] = {"created": "2026-01-02T03:04:05Z", "tool": "mlops test", "command": ["mlops", "test"]}
    return artefact.seal(directory, kind=kind, inputs=inputs or [], **given | fields)


def write(directory: Path, payload: Mapping[str, bytes]) -> None:
    """The files of a payload."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in payload.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def forged(directory: Path, **changes: Any) -> None:
    """Rewrite a manifest with changed fields whose id and self are right again."""
    path = directory / manifest.NAME
    fields = manifest.decode(path.read_bytes(), path)
    import msgspec

    table = [FileEntry(**one) if isinstance(one, dict) else one for one in changes.pop("files", fields.files)]
    changed = msgspec.structs.replace(fields, files=table, **changes)
    changed = msgspec.structs.replace(changed, id=manifest.content_id(changed.kind, table))
    path.write_bytes(manifest.encode(changed))


def entry(model: Artefact, *evidence: Artefact, by: str = "tester@here", **fields: Any) -> Entry:
    """What to register."""
    given = {"lineage": [], "owner": "tester", "note": ""} | fields
    return Entry(model, evidence=list(evidence), by=by, **given)


def job(
    payload: Mapping[str, bytes] | Callable[[], Mapping[str, bytes]],
    *,
    key: object | None = "k",
    kind: str = "model",
    rejects: Mapping[str, bytes] | None = None,
    judge: Callable[[Artefact], Verdict] | None = None,
    libraries: tuple[str, ...] = (),
    command: str = "train",
    inputs: list[Input] | None = None,
    params: dict[str, Any] | None = None,
) -> Job:
    """Work that writes those files."""

    def build(directory: Path, refused: Path) -> Contents:
        write(directory, payload() if callable(payload) else payload)
        bad = None
        if rejects is not None:
            write(refused, rejects)
            bad = Contents("dataset", inputs or [])
        return Contents(kind, inputs or [], params or {}, rejects=bad)

    return Job(command, key, libraries, build, judge)


def context(root: Path, **fields: Any) -> Context:
    """A context whose workspace is `root/.mlops`."""
    return Context(workspace=Workspace(root / ".mlops"), **fields)


def tree(root: Path) -> dict[str, str]:
    """Every file below a directory with its digest: to see that nothing has changed."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
