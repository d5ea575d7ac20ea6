"""The registry: append-only, numbered without gaps, and every gap and edit shows."""

from __future__ import annotations

import errno
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from makers import context, entry, sealed, tree

from mlops_cli.errors import Busy, Corrupt, InputUnusable, Integrity, Missing, Outside, Usage, WrongKind
from mlops_cli.steps import references
from mlops_cli.steps.references import Given
from mlops_cli.store import files, manifest, records, registry
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.registry import Registry


@pytest.fixture
def store(work: Path) -> Registry:
    """A new registry in the current directory."""
    return registry.locate(None, create=True)


def model(work: Path, number: int = 1, **fields: object) -> Artefact:
    """A model like no other number's."""
    path = work / "models" / f"{number}-{len(fields)}"
    shutil.rmtree(path, ignore_errors=True)
    return sealed(path, payload={"model.txt": b"tree %d" % number}, **fields)


def evaluation(work: Path, number: int = 1) -> Artefact:
    """An evaluation like no other number's."""
    path = work / "evaluations" / str(number)
    shutil.rmtree(path, ignore_errors=True)
    return sealed(path, "evaluation", {"metrics.json": b"%d" % number})


def move(store: Registry, version: int, alias: str = "production", name: str = "m") -> records.Move:
    """Move an alias without a gate."""
    return store.move(name, alias, lambda current: (version, "why", {}), "me@here")


# --- finding it


def test_only_create_makes_one(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Missing, match="no registry") as caught:
        registry.locate(None)
    assert "mlops register" in caught.value.hint
    assert not (work / "mlops-registry").exists()
    registry.locate(None, create=True)
    assert json.loads((work / "mlops-registry" / "registry.json").read_text()) == {"format": 1}
    below = work / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert registry.locate(None).bucket.url == str(work / "mlops-registry")
    monkeypatch.setenv("MLOPS_REGISTRY", str(work / "other"))
    with pytest.raises(Missing):
        registry.locate(None)
    assert registry.locate(f"file://{work}/mlops-registry").bucket.url == str(work / "mlops-registry")
    with pytest.raises(Missing, match="directories"):
        registry.locate("s3://bucket/x")


@pytest.mark.parametrize("head", [b'{"format": 2}', b'{"format": "1"}', b"{}", b"", b"[]", b"\xff", b"null"])
def test_a_later_or_strange_registry_is_refused(work: Path, store: Registry, head: bytes) -> None:
    (work / "mlops-registry" / "registry.json").write_bytes(head)
    with pytest.raises(Corrupt):
        registry.locate(None)


def test_never_in_the_workspace(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (work / ".mlops" / "r", work / ".mlops"):
        with pytest.raises(InputUnusable, match="cache"):
            registry.locate(str(place), create=True)
    monkeypatch.chdir(work / ".mlops")
    with pytest.raises(InputUnusable, match="cache"):
        registry.locate(None, create=True)
    assert tree(work) == {}


def test_no_hard_links_no_registry(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(one: object, other: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(Outside, match="no hard links"):
        registry.locate("r", create=True)
    assert not (work / "r").exists(), "nothing is left of it"


# --- names


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "-a", ".a", "a" * 65, "ä", "a b", "a@1", "a\n", "m\0"])
def test_names_are_plain(work: Path, store: Registry, name: str) -> None:
    with pytest.raises(Usage):
        store.register(name, entry(model(work)))
    with pytest.raises(Usage):
        store.move("m", name, lambda current: (1, "", {}), "me")
    assert store.models() == []


@pytest.mark.parametrize("alias", ["7", "007"])
def test_an_alias_is_no_number(work: Path, store: Registry, alias: str) -> None:
    store.register("m", entry(model(work)))
    with pytest.raises(Usage, match="taken for a version"):
        move(store, 1, alias)


def test_what_references_mean(work: Path, store: Registry) -> None:
    for number in (1, 2, 3):
        assert store.register("m", entry(model(work, number))) == (number, True)
    move(store, 2)
    shutil.rmtree(work / "models")
    ctx = context(work)
    for ref, version in (
        ("m", 3), ("m@1", 1), ("m@production", 2), ("m@003", 3), ("models:/m", 3), ("models:/m/1", 1),
        ("models:/m@production", 2), ("m/1", 1),
    ):  # fmt: skip
        found = references.resolve(ctx, Given(ref), "model")
        assert (found.name, found.version, found.ref) == ("m", version, ref_of(version)), ref
        assert found.artefact.read("model.txt") == b"tree %d" % version
    for ref in ("m@4", "m@0", "m@staging", "n", "n@1", "models:/n/1", "M@1", "m@", "m@1@2", "models:/"):
        with pytest.raises(Missing):
            references.resolve(ctx, Given(ref))
    with pytest.raises(WrongKind):
        references.resolve(ctx, Given("m@1"), "split")
    sealed(work / "m", "dataset")
    assert references.resolve(ctx, Given("m")).artefact.kind == "dataset", "a path that exists wins"


def ref_of(version: int) -> str:
    """How a version is called."""
    return f"m@{version}"


# --- registering


def test_versions_count_up_and_carry_the_one_before(work: Path, store: Registry) -> None:
    for number in range(1, 13):
        assert store.register("m", entry(model(work, number)))[0] == number
        assert store.newest("m") == number
    names = sorted(os.listdir("mlops-registry/models/m/versions"))
    assert names == [f"{number:06d}.json" for number in range(1, 13)]
    before = None
    for name in names:
        data = Path("mlops-registry/models/m/versions", name).read_bytes()
        assert json.loads(data)["previous"] == before
        assert data == manifest.canonical(json.loads(data)) + b"\n"
        before = manifest.sha256(data)
    assert store.damage("m") == []
    assert os.listdir("mlops-registry/staging") == []


def test_what_already_is_the_newest_is_not_doubled(work: Path, store: Registry) -> None:
    one, twin = model(work), model(work, params={"later": 1})
    assert one.id == twin.id and one.manifest.self_ != twin.manifest.self_
    assert store.register("m", entry(one)) == (1, True)
    before = tree(work / "mlops-registry")
    assert store.register("m", entry(one)) == (1, False)
    assert store.register("m", entry(twin)) == (1, False)
    assert tree(work / "mlops-registry") == before, "and nothing is stored for it"
    assert store.register("m", entry(one), force=True) == (2, True)
    assert store.register("m", entry(model(work, 2))) == (3, True)
    assert store.register("m", entry(one)) == (4, True), "older than the newest is new again"
    assert store.register("other", entry(one)) == (1, True)


def test_evidence_comes_with_the_record_or_later(work: Path, store: Registry) -> None:
    one, first, second = model(work), evaluation(work, 1), evaluation(work, 2)
    store.register("m", entry(one, first))
    assert [item.object for item in store.version("m", 1).evidence] == [first.manifest.self_]
    assert not Path("mlops-registry/models/m/evidence").exists()
    assert store.register("m", entry(one, second)) == (1, False)
    assert store.register("m", entry(one, first, second)) == (1, False)
    assert [item.object for item in store.evidence("m", 1)] == [first.manifest.self_, second.manifest.self_]
    assert os.listdir("mlops-registry/models/m/evidence/000001") == ["000001.json"]
    assert store.object(second.manifest.self_).read("metrics.json") == b"2"
    assert not store.add_evidence("m", 1, second, "me")
    with pytest.raises(Missing):
        store.add_evidence("m", 2, second, "me")


def test_evidence_that_another_adds_meanwhile_is_not_doubled(
    work: Path, store: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.register("m", entry(model(work)))
    item = evaluation(work)
    real = Registry.evidence

    def evidence(self: Registry, name: str, number: int) -> list[records.Evidence]:
        known = real(self, name, number)
        monkeypatch.setattr(Registry, "evidence", real)
        assert self.add_evidence(name, number, item, "the other")
        return known

    monkeypatch.setattr(Registry, "evidence", evidence)
    assert not store.add_evidence("m", 1, item, "me")
    assert len(store.evidence("m", 1)) == 1


def test_a_damaged_model_is_not_registered(work: Path, store: Registry) -> None:
    one, bad = model(work), evaluation(work)
    (bad.path / "metrics.json").write_bytes(b"2")
    with pytest.raises(Integrity):
        store.register("m", entry(one, bad))
    (one.path / "model.txt").unlink()
    with pytest.raises(Integrity):
        store.register("m", entry(one))
    assert store.models() == [] and store.newest("m") == 0


def test_a_name_whose_first_version_was_never_finished_is_none(work: Path, store: Registry) -> None:
    Path("mlops-registry/models/half/versions").mkdir(parents=True)
    assert store.models() == []
    assert store.newest("half") == 0


# --- aliases


def test_the_history_of_an_alias(work: Path, store: Registry) -> None:
    for number in (1, 2):
        store.register("m", entry(model(work, number)))
    assert store.moves("m", "production") == [] and store.current("m", "production") == (0, None)
    for version in (1, 2, 1):
        assert move(store, version).version == version
    assert [record.version for record in store.moves("m", "production")] == [1, 2, 1]
    assert store.current("m", "production")[0] == 3
    assert store.resolve("m", "production") == 1
    assert store.aliases("m") == ["production"]
    assert store.damage("m") == []


def test_what_was_in_production_at_a_time(work: Path, store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(f"2026-03-0{day}T14:00:00.000000Z" for day in (1, 2, 3))
    monkeypatch.setattr(records, "stamp", lambda moment=None: next(clock) if moment is None else real(moment))
    store.register("m", entry(model(work)))
    for version in (1, 1):
        move(store, version)
    asked = [
        ("2026-03-02T13:59:59", None), ("2026-03-02T14:00", 1), ("2026-03-02T15:00+01:00", 1),
        ("2026-03-02T14:00:00Z", 1), ("2026-03-03", 1), ("2026-03-03T14:00", 2), ("9999-12-31T23:59", 2),
        ("0001-01-01", None), ("0999-01-01", None),
    ]  # fmt: skip
    for text, number in asked:
        found = store.at("m", "production", records.parse_time(text))
        assert found == (store.moves("m", "production")[number - 1] if number else None), text


real = records.stamp


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "14:00", "2026-03-02T25:00", "0001-01-01T00:00+05:00"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(Usage, match="not a time"):
        records.parse_time(text)


def test_stamps_sort_as_text() -> None:
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(999, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, UTC)]
    assert sorted(map(records.stamp, moments)) == [records.stamp(moment) for moment in moments]
    assert records.stamp(moments[2]) == "2026-01-01T00:00:00.000001Z"


def test_time_never_runs_backwards(work: Path, store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(f"2026-01-01T0{hour}:00:00.000000Z" for hour in (5, 3, 4, 2, 9, 1, 1, 1))
    monkeypatch.setattr(records, "stamp", lambda moment=None: next(clock))
    for number in (1, 2):
        store.register("m", entry(model(work, number)))
    assert [store.version("m", number).at[11:13] for number in (1, 2)] == ["05", "05"]
    for version in (1, 2, 1):
        move(store, version)
    assert [record.at[11:13] for record in store.moves("m", "production")] == ["04", "04", "09"]
    for number in (1, 2):
        store.add_evidence("m", 1, evaluation(work, number), "me")
    assert [item.at[11:13] for item in store.evidence("m", 1)] == ["01", "01"]


def test_a_move_that_lost_the_race_is_decided_again(work: Path, store: Registry) -> None:
    for number in (1, 2, 3):
        store.register("m", entry(model(work, number)))
    seen: list[int | None] = []

    def decide(current: records.Move | None) -> tuple[int, str, dict[str, object]]:
        seen.append(current.version if current else None)
        if len(seen) < 3:
            move(store, len(seen))
        return 3, "mine", {"after": len(seen)}

    assert store.move("m", "production", decide, "me").verdict == {"after": 3}
    assert seen == [None, 1, 2]
    assert [record.version for record in store.moves("m", "production")] == [1, 2, 3]
    assert store.damage("m") == []


def test_a_move_that_always_loses_is_busy(work: Path, store: Registry) -> None:
    store.register("m", entry(model(work)))

    def decide(current: records.Move | None) -> tuple[int, str, dict[str, object]]:
        move(store, 1)
        return 1, "mine", {}

    with pytest.raises(Busy) as caught:
        store.move("m", "production", decide, "me")
    assert caught.value.exit == 6
    assert {record.why for record in store.moves("m", "production")} == {"why"}


def test_a_record_whose_fate_is_unknown_is_busy(work: Path, store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    store.register("m", entry(model(work)))
    with monkeypatch.context() as patch:
        real_link = os.link

        def link(one: Path, other: Path) -> None:
            real_link(one, other)
            patch.setattr(files, "fsync_dir", failing)

        def failing(path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr(os, "link", link)
        with pytest.raises(Busy, match="unknown"):
            store.register("m", entry(model(work, 2)))
    assert store.register("m", entry(model(work, 2))) == (2, False), "running it again is harmless"


# --- damage


def damaged(store: Registry, change: object) -> list[str]:
    """What a change to a registry with three versions and three moves shows."""
    assert store.damage("m") == []
    change()  # type: ignore[operator]
    return store.damage("m")


@pytest.fixture
def three(work: Path, store: Registry) -> Registry:
    """Three versions, three moves, evidence."""
    for number in (1, 2, 3):
        store.register("m", entry(model(work, number)))
        move(store, number)
    store.add_evidence("m", 2, evaluation(work), "me")
    return store


RECORDS = Path("mlops-registry/models/m")


@pytest.mark.parametrize("series", ["versions", "aliases/production"])
def test_gaps_and_edits_show(three: Registry, series: str) -> None:
    path = RECORDS / series / "000002.json"
    good = path.read_bytes()

    def edited() -> None:
        path.write_bytes(good.replace(b"tester", b"TESTER").replace(b"why", b"WHY"))

    assert damaged(three, edited) == [f"models/m/{series}/000003.json: the record before it was changed"]
    path.write_bytes(good)
    assert damaged(three, path.unlink) == [f"models/m/{series}: 000002.json is missing"]
    for rubbish in (b"", b"\xff", b"[]", b"{}", b'"x"'):
        path.write_bytes(rubbish)
        assert f"models/m/{series}/000002.json: not a record" in three.damage("m")


def test_objects_that_are_not_what_was_registered_show(three: Registry) -> None:
    stored = three.object(three.version("m", 1).object)
    text = (stored.path / "manifest.json").read_text()

    def exchanged() -> None:
        (stored.path / "manifest.json").write_bytes(
            (three.object(three.version("m", 2).object).path / "manifest.json").read_bytes()
        )

    assert "not the one that was registered" in damaged(three, exchanged)[0]
    (stored.path / "manifest.json").write_text(text)
    assert "no such file" in damaged(three, lambda: shutil.rmtree(stored.path))[0]


def test_evidence_that_is_lost_shows(three: Registry) -> None:
    item = three.evidence("m", 2)[0]
    lost = damaged(three, lambda: shutil.rmtree(three.bucket.tree(f"objects/{manifest.dirname(item.object)}")))
    assert len(lost) == 1 and lost[0].startswith("m@2: ")


def test_every_changed_byte_of_a_record_but_the_newest_shows(three: Registry) -> None:
    path = RECORDS / "versions" / "000001.json"
    good = path.read_bytes()
    for position in range(0, len(good), 3):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        assert three.damage("m"), f"byte {position}"
    path.write_bytes(good)
    assert three.damage("m") == []


# --- sharing


def test_a_team_can_share_it(work: Path) -> None:
    root = work / "shared"
    root.mkdir()
    root.chmod(0o2770)
    group = 12345 if os.geteuid() == 0 else os.getgid()
    os.chown(root, -1, group)
    before = os.umask(0o077)
    try:
        store = registry.locate(str(root), create=True)
        store.register("m", entry(model(work), evaluation(work)))
        store.add_evidence("m", 1, evaluation(work, 2), "me")
        move(store, 1)
    finally:
        os.umask(before)
    for path in root.rglob("*"):
        status = path.stat()
        assert status.st_gid == group, path
        assert status.st_mode & 0o7777 == (0o2770 if path.is_dir() else 0o660), path


def test_an_object_that_was_there_is_touched_for_the_collector(work: Path, store: Registry) -> None:
    one = model(work)
    store.register("m", entry(one))
    place = store.bucket.tree(f"objects/{manifest.dirname(one.manifest.self_)}")
    os.utime(place, (1, 1))
    assert store.register("m", entry(one), force=True) == (2, True)
    assert place.stat().st_mtime > 1
