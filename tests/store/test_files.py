"""Durable file operations: whole or not at all, with and without the system's help."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from makers import sealed, tree

from mlops_cli.errors import Outside
from mlops_cli.store import artefact, files


def test_create_is_only_if_absent(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    target = tmp_path / "record"
    assert files.create(target, b"one", tmp_path / "staging")
    assert not files.create(target, b"two", tmp_path / "staging")
    assert target.read_bytes() == b"one"
    assert os.listdir(tmp_path / "staging") == []
    assert target.stat().st_nlink == 1


def test_one_of_many_threads_creates(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    won: list[int] = []

    def attempt(number: int) -> None:
        if files.create(tmp_path / "record", str(number).encode(), tmp_path / "staging"):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "record").read_text() == str(won[0])


@pytest.mark.parametrize("number", [errno.EIO, errno.EEXIST, errno.ESTALE])
def test_a_link_that_nfs_reports_as_failed_but_happened_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "staging").mkdir()
    real = os.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    assert files.create(tmp_path / "record", b"one", tmp_path / "staging")
    assert (tmp_path / "record").read_bytes() == b"one"


def test_create_leaves_nothing_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "staging").mkdir()

    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        files.create(tmp_path / "record", b"one", tmp_path / "staging")
    with pytest.raises(OSError, match="No space"):
        files.replace(tmp_path / "record", b"one")
    assert tree(tmp_path) == {}


def test_replace_keeps_the_old_until_the_new_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pointer"
    files.replace(path, b"old")
    real = os.fsync

    def fsync(fd: int) -> None:
        assert path.read_bytes() in (b"old", b"new")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["pointer"]


def test_a_long_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    files.write_new(tmp_path / "x", b"0123456789" * 10)
    assert (tmp_path / "x").read_bytes() == b"0123456789" * 10


@pytest.fixture(params=["exchange", "two renames"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the system call that swaps two names, and where there is none."""
    if request.param == "two renames":
        monkeypatch.setattr(files, "exchange", lambda one, other: False)
    return str(request.param)


def test_a_directory_is_put_in_place_of_another(tmp_path: Path, swap: str) -> None:
    sealed(tmp_path / "out", payload={"a": b"old"})
    new = sealed(tmp_path / "stage" / "new", payload={"b": b"new"})
    files.put_directory(new.path, tmp_path / "out")
    found = artefact.open_artefact(tmp_path / "out")
    assert found.read("b") == b"new"
    assert artefact.verify(found) == []
    assert os.listdir(tmp_path / "stage") == []
    assert sorted(os.listdir(tmp_path)) == ["out", "stage"]


def test_a_directory_is_put_where_nothing_was(tmp_path: Path, swap: str) -> None:
    new = sealed(tmp_path / "stage" / "new")
    files.put_directory(new.path, tmp_path / "out")
    assert artefact.verify(artefact.open_artefact(tmp_path / "out")) == []


def test_readers_recover_from_a_crash_between_two_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "exchange", lambda one, other: False)
    old = sealed(tmp_path / "out", payload={"a": b"old"})
    new = sealed(tmp_path / "stage" / "new", payload={"b": b"new"})
    real, calls = os.rename, []

    def rename(source: object, target: object) -> None:
        calls.append(source)
        if len(calls) == 3:  # after the attempt to do it in one, and the rename aside
            raise KeyboardInterrupt
        real(source, target)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            files.put_directory(new.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert artefact.open_artefact(tmp_path / "out").id == old.id
    files.put_directory(new.path, tmp_path / "out")
    assert artefact.open_artefact(tmp_path / "out").read("b") == b"new"
    assert not (tmp_path / ".out.old").exists()


def test_the_exchange_works_here(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("b")
    if not files.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot swap names")
    assert (tmp_path / "b").is_dir() and (tmp_path / "a").read_text() == "b"
    with pytest.raises(OSError, match="No such file"):
        files.exchange(tmp_path / "a", tmp_path / "nothing")


@pytest.mark.parametrize("name", [".", "/", "..", ""])
def test_recovering_what_has_no_name_of_its_own_does_nothing(name: str) -> None:
    files.recover(Path(name))
    assert not artefact.is_artefact(Path("/")) and not (Path(name) / "manifest.json").exists()


def test_staging_leaves_nothing_not_even_directories_above(tmp_path: Path) -> None:
    with files.staging_directory(tmp_path / "a" / "b", "out") as stage:
        (stage / "x").write_text("x")
        assert stage.parent == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == []
    with files.staging_directory(tmp_path / "a" / "b", "out") as stage:
        (stage / "x").mkdir()
        (stage / "x").rename(tmp_path / "a" / "b" / "out")
    assert os.listdir(tmp_path / "a" / "b") == ["out"]


def test_staging_of_killed_processes_goes_after_a_week(tmp_path: Path) -> None:
    old, young = tmp_path / ".out.0123456789abcdef.tmp", tmp_path / ".out.fedcba9876543210.tmp"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 8 * 86400,) * 2)
    with files.staging_directory(tmp_path, "out"):
        assert not old.exists()
        assert young.exists()


def test_what_cannot_be_written_is_said_at_once_and_nothing_is_tried(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "a" / "b" / "c")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Outside, match="not a directory"):
        files.check_writable(tmp_path / "file" / "x")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("flags", "reason"), [(0, "Permission denied"), (os.ST_RDONLY, "Read-only file system")])
def test_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, reason: str) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=flags))
    with pytest.raises(Outside, match=reason):
        files.check_writable(tmp_path)


def test_directories_are_made_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    assert files.make_dirs(tmp_path / "a" / "b") == [tmp_path / "a", tmp_path / "a" / "b"]
    assert synced == [".", "a"]
    assert files.make_dirs(tmp_path / "a" / "b") == []
    assert stat.S_ISDIR((tmp_path / "a" / "b").stat().st_mode)
