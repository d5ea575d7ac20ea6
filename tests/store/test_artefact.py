"""Artefacts: complete or absent, and not one byte may change unseen."""

from __future__ import annotations

import os
import random
from pathlib import Path

import msgspec
import pytest
from makers import SMALL, sealed, tree, write

from mlops_cli.errors import Corrupt, Integrity, Missing, MlopsError, WrongKind
from mlops_cli.store import artefact, files

PAYLOAD = {
    "model.txt": bytes(range(256)) * 8,
    "train/part-00000.parquet": b"PAR1" + b"\0" * 400 + b"PAR1",
    "signature.json": b'{"format":1,"x":[1,2,3]}',
    "empty": b"",
}


def test_the_manifest_is_written_last_and_all_is_synced_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        if synced[-1] != "a/manifest.json":
            assert synced[-1] == "a" or not (tmp_path / "a" / "manifest.json").exists()
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    sealed(tmp_path / "a", payload=PAYLOAD)
    assert synced[-2:] == ["a/manifest.json", "a"]
    assert {f"a/{name}" for name in PAYLOAD} | {"a/train"} <= set(synced)


def test_a_directory_without_manifest_is_no_artefact(tmp_path: Path) -> None:
    write(tmp_path / "a", SMALL)
    assert not artefact.is_artefact(tmp_path / "a")
    with pytest.raises(Missing, match=r"no manifest\.json"):
        artefact.open_artefact(tmp_path / "a")
    with pytest.raises(Missing, match="no such file"):
        artefact.open_artefact(tmp_path / "b")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Missing, match="not an artefact"):
        artefact.open_artefact(tmp_path / "file")
    (tmp_path / "c" / "manifest.json").mkdir(parents=True)
    with pytest.raises(Missing, match="not an artefact"):
        artefact.open_artefact(tmp_path / "c")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    sealed(tmp_path / "a")
    with pytest.raises(WrongKind, match="is a model, not a dataset or split"):
        artefact.open_artefact(tmp_path / "a", ("dataset", "split"))


def test_200_flipped_bits_are_all_detected(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", payload=PAYLOAD)
    names = [*(name for name, data in PAYLOAD.items() if data), "manifest.json"]
    chance = random.Random(1)
    for _ in range(200):
        path = made.path / chance.choice(names)
        good = path.read_bytes()
        bad = bytearray(good)
        bad[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        try:
            wrong = artefact.verify(artefact.open_artefact(made.path))
        except MlopsError as error:
            wrong = [error.message]
        # white space of the manifest for another white space is the one change that changes nothing
        same = path.name == "manifest.json" and [*good.split()] == [*bytes(bad).split()]
        assert wrong or same, f"{path.name} was changed and nobody saw it"
        path.write_bytes(good)
    assert artefact.verify(artefact.open_artefact(made.path)) == []


@pytest.mark.parametrize("name", PAYLOAD)
def test_missing_cut_and_grown_files_are_named(tmp_path: Path, name: str) -> None:
    made = sealed(tmp_path / "a", payload=PAYLOAD)
    path = made.path / name
    good = path.read_bytes()
    for change in (path.unlink, lambda: path.write_bytes(good + b"x"), lambda: path.write_bytes(good[:-1])):
        if change() is not None and not good:
            continue  # an empty file cannot be cut
        assert not made.whole
        with pytest.raises(Integrity, match=name):
            made.file(name)
        with pytest.raises(Integrity, match=name):
            made.read(name)
        with pytest.raises(Integrity, match=name):
            artefact.check(made)
        path.write_bytes(good)
        assert made.whole


def test_what_is_checked_is_what_is_returned(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", payload=PAYLOAD)
    path = made.path / "signature.json"
    path.write_bytes(path.read_bytes().replace(b"3", b"4"))  # the same size
    assert made.whole
    with pytest.raises(Integrity, match="digest"):
        made.read("signature.json")
    with pytest.raises(Integrity, match="digest"):
        made.json("signature.json", dict)


def test_files_that_the_manifest_does_not_know_are_ignored(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", payload=PAYLOAD)
    (made.path / "notes.txt").write_text("mine")
    (made.path / "train" / "other.parquet").write_text("mine")
    assert artefact.verify(artefact.open_artefact(made.path)) == []
    assert [path.name for path in made.tables("train")] == ["part-00000.parquet"]
    with pytest.raises(Corrupt, match=r"no file notes\.txt"):
        made.read("notes.txt")


def test_tables_are_those_of_the_part(tmp_path: Path) -> None:
    names = ["b.parquet", "a.parquet", "train/z.parquet", "train/deeper/x.parquet", "training/y.parquet", "x.json"]
    made = sealed(tmp_path / "a", payload=dict.fromkeys(names, b"1"))
    assert [path.name for path in made.tables()] == ["a.parquet", "b.parquet"]
    assert [path.name for path in made.tables("train")] == ["z.parquet"]
    assert made.tables("valid") == []


def test_json_that_is_none_is_corrupt(tmp_path: Path) -> None:
    class Wanted(msgspec.Struct):
        x: int

    payload = {"a.json": b'{"x": "text"}', "b.json": b'{"x": 1, "y": 2}', "c.json": b'{"x": "\xff"}', "d.json": b"{"}
    made = sealed(tmp_path / "a", payload=payload)
    assert made.json("b.json", Wanted).x == 1
    for name in ("a.json", "c.json", "d.json"):
        with pytest.raises(Corrupt, match=name):
            made.json(name, Wanted)


@pytest.mark.parametrize("kind", ["link", "link to a directory", "pipe", "name"])
def test_only_plain_files_with_plain_names_are_sealed(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "a", SMALL)
    (tmp_path / "elsewhere").mkdir()
    strange = tmp_path / "a" / "strange"
    if kind == "link":
        strange.symlink_to("/etc/passwd")
    elif kind == "link to a directory":
        strange.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(strange)
    else:
        (tmp_path / "a" / os.fsdecode(b"\xff\n")).write_text("x")
    with pytest.raises(Corrupt, match="plain"):
        sealed(tmp_path / "a", payload={})
    assert not (tmp_path / "a" / "manifest.json").exists()


def test_a_sealed_directory_is_not_sealed_again(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a")
    before = tree(made.path)
    with pytest.raises(FileExistsError):
        sealed(tmp_path / "a")
    assert tree(made.path) == before


def test_copies_have_every_byte_and_no_pipes(tmp_path: Path) -> None:
    made = sealed(tmp_path / "a", payload=PAYLOAD)
    os.mkfifo(made.path / "pipe")
    files.copy_tree(made.path, tmp_path / "b")
    copy = artefact.open_artefact(tmp_path / "b")
    assert artefact.verify(copy) == []
    assert tree(tmp_path / "b") == tree(tmp_path / "a")
