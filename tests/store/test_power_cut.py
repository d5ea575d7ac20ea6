"""The power is cut: whatever was acknowledged is there and whole. Without fsync this test fails, as it must."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from makers import context, entry, job, sealed
from power import LOST, METADATA_KEPT, Acknowledge, Disk, disk_in, work_until_cut

from mlops_cli.errors import MlopsError
from mlops_cli.steps import memo
from mlops_cli.steps.memo import Output
from mlops_cli.store import artefact, files, registry
from mlops_cli.store.workspace import Workspace


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of one's own."""
    with disk_in(tmp_path) as made:
        yield made


def storm(root: Path, acknowledge: Acknowledge) -> None:
    """Register, promote and write with -o, for ever; every deed is told when it is done."""
    store = registry.locate(str(root / "registry"), create=True)
    for count in range(100_000):
        text = f"{count}"
        made = sealed(root / "made" / text, payload={"model.txt": text.encode() * 2000})
        number, _ = store.register("m", entry(made, by=text))
        acknowledge(f"version {number} {text}")
        store.move("m", "live", lambda current, number=number: (number, "", {}), text)  # type: ignore[misc]
        acknowledge(f"move {number} {text}")
        for out in ("out", f"outs/{text}/out"):
            memo.perform(context(root), job({"x": text.encode() * 3000}, key=text), Output(str(root / out)))
            acknowledge(f"{out} {count} {text}")


def lost(root: Path, acknowledged: list[str]) -> list[str]:
    """What was acknowledged and is not there, or not whole."""
    wrong: list[str] = []
    store = registry.Registry(registry.LocalBucket(root / "registry"))
    moves: list[str] = []
    try:
        registry.locate(store.bucket.url)
        wrong += store.damage("m")
        moves = [move.by for move in store.moves("m", "live")]
    except MlopsError as error:
        wrong.append(error.message)
    newest = max((int(line.split()[1]) for line in acknowledged if line.startswith("out ")), default=-1)
    for line in acknowledged:
        what, number, text = line.split(" ")
        try:
            if what == "version":
                record = store.version("m", int(number))
                assert record.by == text
                artefact.check(store.object(record.object))
            elif what == "move":
                assert text in moves
            else:
                found = artefact.open_artefact(root / what)
                artefact.check(found)
                content = found.read("x")
                written = content[: len(content) // 3000]
                assert content == written * 3000
                assert int(written) >= newest if what == "out" else written == text.encode()
        except (MlopsError, AssertionError) as error:
            wrong.append(f"{line}: {error}")
    return wrong


@pytest.mark.parametrize("how", [LOST, METADATA_KEPT])
def test_nothing_that_was_acknowledged_is_lost(disk: Disk, how: int) -> None:
    for cut in range(6):
        root = disk.mount / f"{cut}"
        root.mkdir()
        files.fsync_dir(disk.mount)
        acknowledged = work_until_cut(disk, how, lambda tell, root=root: storm(root, tell), 9 + 7 * cut)  # type: ignore[misc]
        assert len(acknowledged) >= 9
        assert lost(root, acknowledged) == [], f"cut {cut}"
        store = registry.locate(str(root / "registry"))
        number = store.newest("m")
        made = sealed(root / "after", payload={"model.txt": b"after"})
        assert store.register("m", entry(made)) == (number + 1, True), "the next writer is not held up"
        shutil.rmtree(root)


def one(what: str, root: Path, acknowledge: Acknowledge) -> None:
    """One deed, and then nothing that could sync it by chance."""
    store = registry.locate(str(root / "registry"))
    if what == "out":
        memo.perform(context(root), job({"x": b"0" * 3000}, key=None), Output(str(root / "out")))
        acknowledge("out 0 0")
    elif what == "version":
        number, _ = store.register("m", entry(artefact.open_artefact(root / "two"), by="0"))
        acknowledge(f"version {number} 0")
    else:
        store.move("m", "live", lambda current: (1, "", {}), "0")
        acknowledge("move 1 0")
    os.read(os.pipe()[0], 1)


@pytest.mark.parametrize("mutant", ["", "no fsync", "no fsync of directories"])
@pytest.mark.parametrize("what", ["version", "move", "out"])
def test_mutant_without_fsync_loses(disk: Disk, monkeypatch: pytest.MonkeyPatch, what: str, mutant: str) -> None:
    root = disk.mount / "root"
    store = registry.locate(str(root / "registry"), create=True)
    for name in ("one", "two"):
        sealed(root / name, payload={"model.txt": name.encode()})
    store.register("m", entry(artefact.open_artefact(root / "one"), by="0"))
    (root / ".mlops").mkdir()
    os.sync()
    if mutant == "no fsync":
        monkeypatch.setattr(os, "fsync", lambda fd: None)
    elif mutant:
        monkeypatch.setattr(files, "fsync_dir", lambda path: None)
        monkeypatch.setattr(Workspace, "_point", lambda *_: None)  # which would sync the journal by chance
    acknowledged = work_until_cut(disk, LOST, lambda tell: one(what, root, tell), 1)
    assert bool(lost(root, acknowledged)) == bool(mutant)


def test_mutant_without_fsync_has_files_of_no_length(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    acknowledged = work_until_cut(disk, METADATA_KEPT, lambda tell: storm(disk.mount, tell), 12)
    assert lost(disk.mount, acknowledged)
