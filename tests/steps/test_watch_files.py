"""Compaction of a prediction log: never a row lost, never one twice, whatever is cut off or killed."""

import fcntl
import json
import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import watching as world
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.steps import watch_files, watch_log
from mlops_cli.steps.context import Context
from mlops_cli.store import files

YESTERDAY = datetime.now(UTC).replace(hour=12) - timedelta(days=1)


def read(directory: Path, window: str = "all", version: str = "1"):
    notes: list[str] = []
    span = watch_log.window(window, datetime.now(UTC))
    with watch_log.read(
        Context(notes.append), directory, span, watch_log.Answered("flights", version), world.COLUMNS
    ) as log:
        return log, log.frame.sort("request_id", "row").collect(), notes


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and path.name != ".lock")


def plainly(directory: Path) -> pl.DataFrame:
    """The rows of a log that nobody has compacted."""
    span = watch_log.window("all", datetime.now(UTC))
    spool = watch_log._Spool(directory, span, watch_log.Answered("flights", "1"))
    for part in watch_files.parts(directory, date.min):
        spool.add(part, world.COLUMNS)
    return spool.frame(world.COLUMNS).sort("request_id", "row").collect()


def rewritten(path: Path, change) -> None:
    """Change the entries of a file, which is as old as before."""
    stamp, entries = path.stat().st_mtime, [json.loads(line) for line in path.read_text().splitlines()]
    for number, entry in enumerate(entries):
        change(number, entry)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    os.utime(path, (stamp, stamp))


def test_closed_days_become_parquet_with_the_same_rows(tmp_path):
    asked = world.inputs(500, seed=1)
    world.log(tmp_path, asked, days=3)
    plain = plainly(tmp_path)
    log, compacted, _ = read(tmp_path)
    assert [name.rsplit(".", 1)[1] for name in names(tmp_path)].count("parquet") >= 4
    assert log.rows == 500 and log.damaged == 0 and not log.unlogged
    assert compacted.equals(plain)
    back = compacted.select(pl.col("^input[.].*$").name.map(lambda name: name.removeprefix("input.")), "request_id")
    order = pl.DataFrame({"request_id": [f"r{n}" for n in range(500)]}).join(back, on="request_id", how="left")
    assert order.drop("request_id").equals(asked)


@pytest.mark.parametrize("broken", [[[]], [[], ["hour: ge(0)"]], [None, ["a", "b"]]])
def test_the_rules_that_rows_break_are_kept(tmp_path, broken):
    world.log(tmp_path, world.inputs(40, seed=1), days=3)
    said = {}

    def breaking(number, entry):
        said[entry["request_id"]] = broken[number % len(broken)]
        if said[entry["request_id"]] is not None:  # else as a server without rules writes it
            entry["broken"] = said[entry["request_id"]]

    for path in tmp_path.rglob("*.ndjson"):
        rewritten(path, breaking)
    _, found, notes = read(tmp_path)
    assert dict(found.select("request_id", "broken").iter_rows()) == said and notes == []
    assert any(name.endswith(".parquet") for name in names(tmp_path))


def test_a_column_of_numbers_and_booleans_does_not_keep_a_file(tmp_path):
    world.log(tmp_path, world.inputs(40, seed=1), days=3)

    def mixed(number, entry):
        entry["inputs"]["aside"] = [1, 0.5, True, None][number % 4]

    for path in tmp_path.rglob("*.ndjson"):
        rewritten(path, mixed)
    plain = plainly(tmp_path)
    _, compacted, notes = read(tmp_path)
    assert notes == [] and sum(name.endswith(".parquet") for name in names(tmp_path)) >= 3
    assert compacted.equals(plain)


def test_what_is_being_written_stays(tmp_path):
    today = datetime.now(UTC)
    (path,) = world.log(tmp_path, world.inputs(20, seed=1), days=0.00001, now=today)
    read(tmp_path)
    assert names(tmp_path) == ["host-1-0.ndjson"]
    (path.parent / "host-1-1.ndjson").write_bytes(b"")
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        os.utime(path, (time.time() - 3600,) * 2)
        read(tmp_path)
        assert path.exists()
    os.utime(path)
    read(tmp_path)
    assert path.exists()
    os.utime(path, (time.time() - 3600,) * 2)
    log, _, _ = read(tmp_path)
    assert not path.exists() and log.rows == 20


def test_an_unfinished_last_line_is_ignored_and_stays_so(tmp_path):
    (path,) = world.log(tmp_path, world.inputs(10, seed=1), days=0.001, now=YESTERDAY, age=0)
    with path.open("ab") as writer:
        writer.write(b'{"at":"2026')
    assert read(tmp_path)[0].rows == 10
    os.utime(path, (time.time() - 3600,) * 2)
    log, _, notes = read(tmp_path)
    assert log.rows == 10 and not path.exists() and not notes


def test_damaged_lines_are_counted_and_their_file_is_kept(tmp_path):
    (path,) = world.log(tmp_path, world.inputs(10, seed=1), days=0.001, now=YESTERDAY)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\0\0\0rubbish\n", *lines[3:], b'{"at": 1}\n']))
    os.utime(path, (time.time() - 3600,) * 2)
    log, _, notes = read(tmp_path)
    assert (log.rows, log.damaged) == (10, 2)
    assert path.exists() and "damaged" in notes[0]


def test_a_name_that_a_server_takes_again_is_another_file(tmp_path):
    """A container's process has the same id after every start, so a freed name comes back."""
    for seed in (1, 2):
        world.log(tmp_path, world.inputs(10, seed=seed), days=0.001, now=YESTERDAY, prefix=f"s{seed}-")
        log, _, _ = read(tmp_path)
        assert log.rows == 10 * seed
    assert len(names(tmp_path)) == 2


def test_killed_between_parquet_and_removal(tmp_path, monkeypatch):
    (path,) = world.log(tmp_path, world.inputs(10, seed=1), days=0.001, now=YESTERDAY)
    whole = path.read_bytes()
    read(tmp_path)
    path.write_bytes(whole)  # as if it had never been removed
    assert read(tmp_path)[0].rows == 10
    os.utime(path, (time.time() - 3600,) * 2)
    assert read(tmp_path)[0].rows == 10
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("place", ["sink", "fsync_file", "replace", "fsync_dir", "unlink"])
def test_killed_anywhere_no_row_is_lost_or_doubled(tmp_path, monkeypatch, place):
    class Killed(BaseException):
        """As if by SIGKILL: nothing that comes after happens."""

    def die(*_: object, **__: object):
        raise Killed

    world.log(tmp_path, world.inputs(30, seed=1), days=0.001, now=YESTERDAY)
    with monkeypatch.context() as patch:
        if place == "sink":
            patch.setattr(pl.LazyFrame, "sink_parquet", die)
        elif place in ("fsync_file", "fsync_dir"):
            patch.setattr(files, place, die)
        else:
            patch.setattr(Path, place, die)
        with pytest.raises(Killed):
            watch_files.compact(tmp_path, lambda _: None)
    log, frame, _ = read(tmp_path)
    assert log.rows == 30 and frame["request_id"].n_unique() == 30
    assert [name.split(".")[-1] for name in names(tmp_path) if not name.startswith(".")] == ["parquet"]


def test_a_log_that_cannot_be_written_is_read_as_it_is(tmp_path, monkeypatch):
    world.log(tmp_path, world.inputs(10, seed=1), days=2)
    opened = os.open

    def refuse(path, flags, *more, **named):
        if str(path).endswith(".lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    log, _, _ = read(tmp_path)
    assert log.rows == 10 and all(name.endswith(".ndjson") for name in names(tmp_path))


def test_columns_that_are_left_out_or_redacted_have_no_drift(tmp_path):
    world.log(tmp_path, world.inputs(50, seed=1), hide=["stops"], redact=["x", "carrier"], days=2)
    log, frame, _ = read(tmp_path)
    assert log.unlogged == ["x", "carrier", "stops"]
    assert [column.name for column in log.logged] == ["late", "leaves"]
    assert frame["input.x"].null_count() == 50


def test_the_window_and_other_versions(tmp_path):
    world.log(tmp_path, world.inputs(100, seed=1), days=4)
    world.log(tmp_path, world.inputs(60, seed=2), days=4, version="2", process="host-2-0")
    world.log(tmp_path, world.inputs(5, seed=3), days=4, version=None, process="host-3-0")
    log, _, _ = read(tmp_path, "1d")
    assert 23 <= log.rows <= 26 and 13 <= log.others["flights", "2"] <= 16
    assert read(tmp_path, version="2")[0].rows == 60
    span = watch_log.window("all", datetime.now(UTC))
    with watch_log.read(Context(), tmp_path, span, watch_log.Answered(None, None), world.COLUMNS) as log:
        assert log.rows == 165


def test_nothing_logged_yet(tmp_path):
    log, frame, _ = read(tmp_path)
    assert log.rows == 0 and frame.height == 0 and frame.columns[0] == "at"


FINITE = st.floats(allow_nan=False, allow_infinity=False)
LINE = st.tuples(
    st.one_of(
        st.none(), st.integers(-(2**53), 2**53), st.text(max_size=4), st.floats(allow_nan=False, allow_infinity=False)
    ),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-1000, 1000)),
    st.one_of(st.none(), st.text(max_size=6)),
    st.one_of(st.none(), st.booleans()),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(LINE, min_size=1, max_size=12))
def test_any_rows_survive_compaction(tmp_path_factory, lines):
    directory = tmp_path_factory.mktemp("log")
    asked = pl.DataFrame(
        {
            "x": pl.Series([None if x is None else float(x) for _, x, _, _ in lines], dtype=pl.Float64),
            "carrier": pl.Series([c for _, _, c, _ in lines], dtype=pl.String),
            "stops": pl.Series(list(range(len(lines)))),
            "late": pl.Series([f for _, _, _, f in lines], dtype=pl.Boolean),
            "leaves": pl.Series([datetime(2020, 1, 1)] * len(lines)),
        }
    ).with_columns(pl.col("x").fill_null(0.0))
    world.log(directory, asked, days=0.001, now=YESTERDAY, keys=[key for key, *_ in lines], age=0)
    log, plain, _ = read(directory)
    assert log.rows == len(lines)
    for path in directory.rglob("*.ndjson"):
        os.utime(path, (time.time() - 3600,) * 2)
    again, compacted, _ = read(directory)
    assert not list(directory.rglob("*.ndjson"))
    assert again.rows == len(lines)
    assert plain.equals(compacted)
    assert [column.name for column in again.logged] == [column.name for column in log.logged]
