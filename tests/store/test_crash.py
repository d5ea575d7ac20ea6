"""Killed anywhere: the whole old or the whole new, and nobody after is held up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from crashing import crashes, leftovers
from makers import context, entry, job, sealed, tree

from mlops_cli.errors import Missing
from mlops_cli.steps import memo, promote, register
from mlops_cli.steps.memo import Output
from mlops_cli.steps.references import Given
from mlops_cli.store import artefact, files, records, registry
from mlops_cli.store.records import Evidence, Move, Version

OLD, NEW = {"a": b"old"}, {"b": b"new" * 100, "deep/c": b""}


def restored(folder: Path, backup: Path) -> None:
    """A directory as it was."""
    shutil.rmtree(folder, ignore_errors=True)
    if backup.exists():
        shutil.copytree(backup, folder)


def sound(root: Path) -> list[str]:
    """What is wrong with a registry: files that should not be there, records and objects that are not whole."""
    wrong = []
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if path.is_dir() or parts[0] == "staging":
            continue
        if parts[0] == "objects":
            wrong += artefact.verify(artefact.open_artefact(root / parts[0] / parts[1]))
        elif parts[0] == "models":
            kind = {"versions": Version, "aliases": Move, "evidence": Evidence}[parts[2]]
            records.decode(path.read_bytes(), kind, str(path))
        elif parts != ("registry.json",):
            wrong.append(f"{path} should not be there")
    store = registry.locate(str(root))
    return wrong + [line for name in store.models() for line in store.damage(name)]


@pytest.mark.parametrize("state", ["no registry", "no model", "a version"])
def test_register_killed_anywhere(work: Path, state: str) -> None:
    root, backup = work / "mlops-registry", work / "backup"
    one = sealed(work / "one", payload=OLD)
    two = sealed(work / "two", payload=NEW)
    judged = sealed(work / "judged", "evaluation", {"metrics.json": b"1"}, inputs=[_input(two)])
    if state != "no registry":
        store = registry.locate(None, create=True)
        if state == "a version":
            store.register("m", entry(one))
        shutil.copytree(root, backup)
    before = 1 if state == "a version" else 0
    options = register.Options("m", alias="live")
    points = 0
    seen = set()
    for point in crashes(lambda: register.run(context(work), Given(str(judged.path)), options)):
        points += 1
        newest = 0
        if (root / "registry.json").exists():
            assert sound(root) == [], point
            store = registry.locate(None)
            newest = store.newest("m")
            assert newest in (before, before + 1)
            assert store.models() == (["m"] if newest else [])
            if newest > before:
                record = store.version("m", newest)
                assert record.id == two.id and len(record.evidence) == 1
            if store.current("m", "live")[1]:
                assert store.resolve("m", "live") == before + 1 == newest
        seen.add(newest - before)
        outcome = register.run(context(work), Given(str(judged.path)), options)
        assert outcome.ref == f"m@{before + 1}", "the next one is not held up, and it is not doubled"
        assert sound(root) == []
        assert len(registry.locate(None).moves("m", "live")) == 1
        if point:
            restored(root, backup)
    assert seen == {0, 1} and points > 40


def _input(of: artefact.Artefact) -> artefact.manifest.Input:
    """A line of lineage."""
    return artefact.manifest.Input(of.kind, of.id, str(of.path))


@pytest.mark.parametrize("first", [True, False])
def test_promote_killed_anywhere(work: Path, first: bool) -> None:
    root, backup = work / "mlops-registry", work / "backup"
    store = registry.locate(None, create=True)
    for number, payload in enumerate((OLD, NEW), start=1):
        store.register("m", entry(sealed(work / f"{number}", payload=payload)))
    if not first:
        promote.run(context(work), "m@1", promote.Options("production"))
    shutil.copytree(root, backup)
    old = 0 if first else 1
    seen = set()
    for point in crashes(lambda: promote.run(context(work), "m@2", promote.Options("production"))):
        assert sound(root) == [], point
        moves = [move.version for move in store.moves("m", "production")]
        assert moves in ([1][:old], [*[1][:old], 2])
        seen.add(len(moves))
        promote.run(context(work), "m@2", promote.Options("production"))
        assert [move.version for move in store.moves("m", "production")] == [*[1][:old], 2]
        if point:
            restored(root, backup)
    assert seen == {old, old + 1}


def _perform(work: Path, output: Output, *, force: bool = False) -> Callable[[], memo.Outcome]:
    """Work that makes the new artefact, and rejects."""
    task = job(NEW, rejects={"part-00000.parquet": b"bad"}, key="new")
    return lambda: memo.perform(context(work, force=force), task, output)


@pytest.mark.parametrize("swap", [True, False])
@pytest.mark.parametrize("state", ["nothing", "another", "cached", "cached and another"])
def test_out_killed_anywhere(work: Path, state: str, swap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not swap:
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    here, backup = work / "here", work / "backup"
    here.mkdir()
    monkeypatch.chdir(here)
    output = Output("deep/out", "bad.parquet")
    if "cached" in state:
        _perform(here, Output())()
    if "another" in state:
        memo.perform(context(here), job(OLD, key="old"), Output("deep/out"))
    shutil.copytree(here, backup)
    out = Path("deep/out")
    seen = set()
    for point in crashes(_perform(here, output)):
        holds = None
        if artefact.is_artefact(out):
            found = artefact.open_artefact(out)
            assert artefact.verify(found) == [], point
            holds = "new" if found.has("b") else "old"
        else:
            assert not out.exists(), "no half of it under its name"
        assert holds in ({"old", "new"} if "another" in state else {None, "new"})
        seen.add(holds)
        if Path("bad.parquet").exists():
            assert Path("bad.parquet").read_bytes() == b"bad"
        again = _perform(here, output)()
        assert again.ref == "deep/out" and artefact.verify(artefact.open_artefact(out)) == []
        assert artefact.open_artefact(out).has("b")
        assert Path("bad.parquet").read_bytes() == b"bad"
        assert leftovers(here, "bad.parquet", ".mlops", "deep") == []
        assert leftovers(here / "deep", "out") == []
        if point:
            monkeypatch.chdir(work)
            restored(here, backup)
            monkeypatch.chdir(here)
    assert len(seen) == 2


def test_the_workspace_killed_anywhere(work: Path) -> None:
    seen = set()
    for point in crashes(_perform(work, Output())):
        hit = _perform(work, Output())()
        assert hit.artefact is not None and hit.rejects is not None
        assert artefact.verify(hit.artefact) == artefact.verify(hit.rejects) == [], point
        seen.add(hit.cached)
        assert leftovers(work, ".mlops") == []
        for path in (work / ".mlops" / "artefacts").iterdir():
            assert path.is_file() or artefact.verify(artefact.open_artefact(path)) == []
        if point:
            shutil.rmtree(work / ".mlops")
    assert seen == {False, True}


def test_an_artefact_that_is_written_in_place_is_caught(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: the payload is built where it is to be, not aside."""

    def put(staged: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(staged, target)

    monkeypatch.setattr(files, "put_directory", put)
    memo.perform(context(work), job(OLD, key="old"), Output("out"))
    broken = 0
    for _ in crashes(_perform(work, Output("out"))):
        try:
            broken += bool(artefact.verify(artefact.open_artefact(Path("out"))))
        except Missing:
            broken += 1
        shutil.rmtree("out", ignore_errors=True)
        memo.perform(context(work, force=True), job(OLD, key="old"), Output("out"))
    assert broken


def test_a_registry_without_staging_is_caught(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: an object is copied to its place, and the record written there."""

    def put_tree(self: registry.LocalBucket, source: Path, key: str) -> None:
        if not (self.root / key).exists():
            (self.root / "objects").mkdir(exist_ok=True)
            files.copy_tree(source, self.root / key)

    monkeypatch.setattr(registry.LocalBucket, "put_tree", put_tree)
    one = sealed(work / "one", payload=NEW)
    wrong = 0
    for _ in crashes(lambda: registry.locate(None, create=True).register("m", entry(one))):
        store = registry.locate(None, create=True)
        try:
            store.register("m", entry(one))
            wrong += bool(sound(Path(store.bucket.url)))
        except Exception:
            wrong += 1
        shutil.rmtree("mlops-registry")
    assert wrong


@pytest.mark.slow
@pytest.mark.parametrize("command", ["ingest", "train"])
def test_the_commands_killed_anywhere(work: Path, command: str) -> None:
    """In a process of its own, since what polars has started does not survive a fork."""
    driver = Path(__file__).with_name("crashing_commands.py")
    done = subprocess.run([sys.executable, driver, command], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == []
    assert told["points"] > 20
    assert set(told["seen"]) == {"old", "new"}


def test_trees_are_compared(tmp_path: Path) -> None:
    sealed(tmp_path / "a")
    assert len(tree(tmp_path)) == 3
