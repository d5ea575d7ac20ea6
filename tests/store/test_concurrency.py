"""Many writers at once: nothing is lost, nothing is doubled, and an implementation that is not atomic is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from makers import context, entry, job, sealed
from racing import race

from mlops_cli.errors import Busy, Corrupt
from mlops_cli.steps import memo
from mlops_cli.steps.memo import Output
from mlops_cli.store import artefact, files, registry
from mlops_cli.store.registry import Registry

PROCESSES, EACH = 8, 50


def register(number: int, root: str, each: int) -> list[int]:
    """Register models of one's own; the versions they got."""
    store = registry.locate(root)
    got = []
    for count in range(each):
        name = f"{number}-{count}"
        made = sealed(Path(root).parent / "made" / name, payload={"model.txt": name.encode()})
        version, new = store.register("m", entry(made, by=name))
        assert new
        got.append(version)
    return got


def promote(number: int, root: str, each: int) -> list[tuple[int, int, int]]:
    """Move an alias; what was seen, what it was moved to, and how often it was somebody else's turn."""
    store = registry.locate(root)
    acknowledged, busy, seen = [], 0, [0]
    for count in range(each):
        target = 1 + (number + count) % 3

        def decide(current: Any, target: int = target) -> tuple[int, str, dict[str, Any]]:
            seen[0] = current.version if current else 0
            return target, f"{number}-{count}", {}  # noqa: B023

        try:
            store.move("m", "production", decide, "me")
        except Busy:
            busy += 1
        else:
            acknowledged.append((seen[0], target, count))
    return [(number, busy, 0), *acknowledged]


def lost(store: Registry, root: Path, got: list[list[int]]) -> list[str]:
    """What is wrong after everybody has registered."""
    every = sorted(version for versions in got for version in versions)
    wrong = [] if every == list(range(1, len(every) + 1)) else ["versions are doubled or missing"]
    for number, versions in enumerate(got):
        for count, version in enumerate(versions):
            record = store.version("m", version)
            if record.by != f"{number}-{count}":
                wrong.append(f"{version} was acknowledged to {number}-{count}, it is {record.by}'s")
            elif store.object(record.object).read("model.txt") != record.by.encode():
                wrong.append(f"{version} has another model")
    return wrong + store.damage("m")


def test_eight_processes_register_fifty_models_each(work: Path) -> None:
    store = registry.locate(None, create=True)
    got = race(PROCESSES, register, store.bucket.url, EACH)
    assert lost(store, work, got) == []
    assert store.newest("m") == PROCESSES * EACH
    assert all(versions == sorted(versions) for versions in got)
    assert store.bucket.names("staging") == []


def test_everybody_makes_the_registry_at_once(work: Path) -> None:
    def first(number: int) -> list[int]:
        store = registry.locate(None, create=True)
        return [store.register(f"m{number}", entry(sealed(work / f"{number}")))[0]]

    assert race(PROCESSES, first) == [[1]] * PROCESSES
    assert len(registry.locate(None).models()) == PROCESSES


def test_the_same_model_is_registered_once_by_many(work: Path) -> None:
    store = registry.locate(None, create=True)
    made = sealed(work / "made")

    def again(number: int) -> list[Any]:
        return list(store.register("m", entry(made)))

    answers = race(PROCESSES, again)
    assert sorted(answers) == [[1, False]] * (PROCESSES - 1) + [[1, True]]
    assert store.newest("m") == 1


def test_a_registry_that_looks_before_it_writes_loses(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that this test is for: exists, then write, instead of a link."""

    def create(path: Path, data: bytes, staging: Path, prepare: object = None) -> bool:
        if path.exists():
            return False
        path.write_bytes(data)
        return True

    store = registry.locate(None, create=True)
    monkeypatch.setattr(files, "create", create)
    try:
        found = lost(store, work, race(PROCESSES, register, store.bucket.url, EACH))
    except (AssertionError, Corrupt):
        return  # a record was read that was half written, or stayed so
    assert found


def test_many_promote_at_once(work: Path) -> None:
    store = registry.locate(None, create=True)
    for number in (1, 2, 3):
        store.register("m", entry(sealed(work / f"{number}", payload={"model.txt": b"%d" % number})))
    answers = race(PROCESSES, promote, store.bucket.url, 15)
    history = store.moves("m", "production")
    assert store.damage("m") == []
    acknowledged = {
        f"{number}-{count}": (seen, target)
        for number, answer in enumerate(answers)
        for seen, target, count in answer[1:]
    }
    assert {move.why for move in history} == set(acknowledged), "every acknowledged move is there, and no other"
    assert len(history) == len(acknowledged)
    before = 0
    for move in history:
        assert acknowledged[move.why] == (before, move.version), "each was decided against the one before it"
        before = move.version
    assert sum(answer[0][1] for answer in answers) + len(history) == PROCESSES * 15
    assert [move.at for move in history] == sorted(move.at for move in history)


def test_the_same_work_at_once(work: Path) -> None:
    def make(number: int) -> list[Any]:
        made = memo.perform(context(work), job({"x": b"y" * 1000}), Output("out" if number % 2 else None))
        assert made.artefact is not None
        return [artefact.verify(artefact.open_artefact(made.artefact.path))]

    for _ in range(5):
        assert race(PROCESSES, make) == [[[]]] * PROCESSES
        again = memo.perform(context(work), job({"x": b"y" * 1000}), Output())
        assert again.cached


def test_different_work_at_one_place(work: Path) -> None:
    def make(number: int) -> list[Any]:
        for count in range(5):
            memo.perform(context(work), job({"x": b"%d" % number * 1000}, key=[number, count]), Output("out"))
        return []

    race(PROCESSES, make)
    assert artefact.verify(artefact.open_artefact(Path("out"))) == []
    assert {path.name for path in work.iterdir()} == {"out", ".mlops"}
