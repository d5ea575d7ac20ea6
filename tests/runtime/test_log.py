"""The prediction log: what is written when, what a failing disk costs, and how it is read."""

import errno
import os
import re
import time
from datetime import date, timedelta

import pytest
from serving import eventually, logged

from mlops_cli.runtime import log, log_files

TODAY = date(2026, 11, 23)
ANSWER = {"prediction": True, "proba": [0.25, 0.75]}


@pytest.fixture
def trouble():
    """How many lines were lost, and what was said."""
    return [], []


@pytest.fixture
def open_log(tmp_path, trouble):
    made = []

    def make(**more):
        options = log.Options(tmp_path / "log", **({"flush_seconds": 0.05} | more))
        made.append(log.PredictionLog(options, trouble[0].append, trouble[1].append))
        return made[-1]

    yield make
    for one in made:
        if one._thread.is_alive():
            one.close()


def lines(tmp_path, count, request="r", **more):
    made = log.Lines(log.Options(tmp_path / "log", **more), "m", "1")
    return made.encode(request, [{"a": 1, "b": "x"}] * count, None, [ANSWER] * count, 0.5)


def test_lines_come_to_disk_by_time_and_at_the_end(tmp_path, open_log):
    one = open_log()
    one.append(lines(tmp_path, 2))
    eventually(lambda: len(logged(tmp_path / "log")) == 2)
    one.append(lines(tmp_path, 3))
    one.close()
    assert [entry["row"] for entry in logged(tmp_path / "log")] == [0, 1, 0, 1, 2]


def test_lines_come_to_disk_by_size(tmp_path, open_log):
    one = open_log(flush_seconds=3600.0)
    for _ in range(20):
        one.append(lines(tmp_path, 200))
    assert eventually(lambda: logged(tmp_path / "log"))


def test_files_are_named_and_never_reused(tmp_path, open_log):
    for _ in range(2):
        open_log().close()
    names = sorted(path.relative_to(tmp_path / "log").as_posix() for path in (tmp_path / "log").glob("*/*"))
    assert len(names) == 2
    for number, name in enumerate(names):
        assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d/[A-Za-z0-9._]+-{os.getpid()}-{number}\.ndjson", name)


def test_a_full_file_and_a_new_day_begin_a_new_file(tmp_path, open_log, monkeypatch):
    days = [TODAY]
    monkeypatch.setattr(log, "_today", lambda: days[0])
    one = open_log(file_bytes=1000)
    for size in (10, 10):
        one.append(lines(tmp_path, size))
        eventually(lambda: not one._buffer)
        time.sleep(0.1)
    days[0] = TODAY + timedelta(days=1)
    one.append(lines(tmp_path, 1))
    one.close()
    found = log_files.files(tmp_path / "log")
    assert [(path.parent.name, path.stem.rsplit("-")[-1]) for path in found] == [
        ("2026-11-23", "0"), ("2026-11-23", "1"), ("2026-11-24", "0"),
    ]  # fmt: skip
    assert [len(list(log_files.read(path))) for path in found] == [10, 10, 1]
    assert log_files.files(tmp_path / "log", since=date(2026, 11, 24)) == found[2:]
    assert log_files.files(tmp_path / "log", until=date(2026, 11, 23)) == found[:2]


def test_a_file_is_closed_when_its_writer_is_done(tmp_path, open_log):
    one = open_log()
    (path,) = log_files.files(tmp_path / "log")
    assert not log_files.is_closed(path)
    one.close()
    assert log_files.is_closed(path)


def test_a_full_disk_costs_lines_and_is_told_once(tmp_path, open_log, trouble, monkeypatch):
    lost, said = trouble
    one = open_log()
    one.append(lines(tmp_path, 1, "before"))
    eventually(lambda: len(logged(tmp_path / "log")) == 1)
    real = os.write
    one_line = len(lines(tmp_path, 1, "part"))
    room = []

    def write(descriptor, data):
        if room:
            return real(descriptor, data[: room.pop()])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log.os, "write", write)
    for fits, gone in ((20, 4), (one_line + 20, 3), (one_line * 3, 1)):
        lost.clear()
        room.append(fits)
        one.append(lines(tmp_path, 4, "part"))
        eventually(lambda: lost)
        assert lost == [gone]
    assert said == ["the prediction log loses lines: No space left on device; requests are answered all the same"]
    monkeypatch.setattr(log.os, "write", real)
    one.append(lines(tmp_path, 1, "after"))
    one.close()
    assert [entry["request_id"] for entry in logged(tmp_path / "log")] == ["before", *["part"] * 4, "after"]


def test_a_disk_that_cannot_even_cut_gets_a_new_file(tmp_path, open_log, trouble, monkeypatch):
    one = open_log()
    real, state = os.write, []

    def write(descriptor, data):
        state.append(1)
        if len(state) == 1:
            return real(descriptor, data[:20])
        raise OSError(errno.EIO, "Input/output error")

    def cut(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(log.os, "write", write)
    monkeypatch.setattr(log.os, "ftruncate", cut)
    one.append(lines(tmp_path, 1, "lost"))
    eventually(lambda: trouble[0] == [1])
    monkeypatch.setattr(log.os, "write", real)
    one.append(lines(tmp_path, 1, "after"))
    one.close()
    broken, good = log_files.files(tmp_path / "log")
    assert broken.stat().st_size == 20 and list(log_files.read(broken)) == []
    assert [entry.request_id for entry in log_files.read(good)] == ["after"]


def test_a_disk_that_hangs_costs_lines_not_memory(tmp_path, open_log, trouble, monkeypatch):
    monkeypatch.setattr(log, "_MOST_WAITING", 2000)
    one = open_log(flush_seconds=3600.0)
    for _ in range(100):
        one.append(lines(tmp_path, 1))
    assert len(one._buffer) <= 2000 and sum(trouble[0]) > 80 and len(trouble[1]) == 1


def test_unfinished_last_line(tmp_path):
    path = tmp_path / "x.ndjson"
    whole = bytes(lines(tmp_path, 3))
    for cut in (0, 1, 50):
        path.write_bytes(whole + whole[:cut])
        assert log_files.whole(path) == len(whole)
        assert len(list(log_files.read(path))) == 3
    path.write_bytes(b"x" * 200_000)
    assert log_files.whole(path) == 0 and list(log_files.read(path)) == []
    path.write_bytes(whole + b"x" * 200_000)
    assert log_files.whole(path) == len(whole)
    path.write_bytes(b"")
    assert list(log_files.read(path)) == []


def test_retention(tmp_path, open_log, monkeypatch):
    monkeypatch.setattr(log, "_today", lambda: TODAY)
    for day, name in (("2026-11-01", "a.ndjson"), ("2026-11-01", "a.parquet"), ("2026-11-12", "a.ndjson"),
                      ("2026-11-13", "a.ndjson"), ("2026-10-01", "notes.txt"), ("archive", "a.ndjson")):  # fmt: skip
        path = tmp_path / "log" / day / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    one = open_log(retain_days=10)
    eventually(lambda: not (tmp_path / "log" / "2026-11-12").exists())
    one.close()
    left = sorted(path.relative_to(tmp_path / "log").as_posix() for path in (tmp_path / "log").glob("*/*"))
    assert left[:2] == ["2026-10-01/notes.txt", "2026-11-13/a.ndjson"] and left[-1] == "archive/a.ndjson"
    assert not (tmp_path / "log" / "2026-11-01").exists()


def test_retention_leaves_what_is_written_to(tmp_path, open_log, monkeypatch):
    monkeypatch.setattr(log, "_today", lambda: TODAY)
    one = open_log()
    assert log_files.remove_older(tmp_path / "log", TODAY + timedelta(days=1)) == 0
    one.close()
    assert log_files.remove_older(tmp_path / "log", TODAY + timedelta(days=1)) == 1


def test_times_are_utc_with_microseconds():
    before = time.time()
    told = log._now()
    from datetime import datetime

    assert before - 0.001 <= datetime.fromisoformat(told).timestamp() <= time.time() + 0.001
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told)
