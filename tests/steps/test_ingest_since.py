"""`ingest --since`: rows that are new, once each, whenever it is repeated or killed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres import Server

from mlops_cli.store import artefact

Cli = Callable[..., Any]


def csv(path: str, *rows: str) -> None:
    Path(path).write_text("\n".join(["at,n", *rows]) + "\n")


def rows(folder: str | Path) -> list[tuple[object, ...]]:
    made = artefact.open_artefact(Path(folder))
    assert artefact.verify(made) == []
    return [(str(at), n) for at, n in pl.read_parquet(made.tables()).rows()]


def times(*folders: str) -> list[int]:
    """When each file there was last changed."""
    return [
        path.stat().st_mtime_ns for folder in folders for path in sorted(Path(folder).rglob("*")) if path.is_file()
    ] + [Path(f"{folder}.since.json").stat().st_mtime_ns for folder in folders]


def test_only_new_rows_are_added_behind_the_old_ones(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1", "2020-01-02,2")
    assert cli("ingest", "a.csv", "--since", "at", "-o", "d").ref == "d"
    first = (work / "d" / "part-00000.parquet").read_bytes()
    csv("a.csv", "2020-01-03,3", "2020-01-01,1", "2020-01-02,2")
    ended = cli("ingest", "a.csv", "--since", "at", "-o", "d", "--json")
    assert json.loads(ended.out)["rows"] == 3
    assert rows("d") == [("2020-01-01", 1), ("2020-01-02", 2), ("2020-01-03", 3)]
    assert (work / "d" / "part-00000.parquet").read_bytes() == first
    made = artefact.open_artefact(work / "d")
    assert made.manifest.params["since"]["watermark"] == "2020-01-03"
    assert [one.kind for one in made.manifest.inputs] == ["file", "dataset"]
    beside = json.loads((work / "d.since.json").read_text())
    assert (beside["dataset"], beside["since"]) == (made.id, made.manifest.params["since"])
    assert sorted(path.name for path in work.iterdir()) == [".mlops", "a.csv", "d", "d.since.json"]


@pytest.mark.parametrize("out", [("-o", "d"), ()])
def test_nothing_new_touches_nothing(cli: Cli, work: Path, out: tuple[str, ...]) -> None:
    csv("a.csv", "2020-01-02,2", "2020-01-02,2")
    made = cli("ingest", "a.csv", "--since", "at", *out).ref
    before = times("d") if out else [path.stat().st_mtime_ns for path in sorted(Path(made).iterdir())]
    for late in ("", "2020-01-01,9"):  # the same again; a row from before what was taken is no new one
        csv("a.csv", "2020-01-02,2", "2020-01-02,2", *([late] if late else []))
        ended = cli("ingest", "a.csv", "--since", "at", *out)
        assert (ended.ref, ended.err) == (made, "mlops ingest: no new rows since 2020-01-02\n")
        now = times("d") if out else [path.stat().st_mtime_ns for path in sorted(Path(made).iterdir())]
        assert now == before


def test_rows_of_the_same_time_that_come_late_are_taken_once(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1", "2020-01-02,2", "2020-01-02,2")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    csv("a.csv", "2020-01-02,3", "2020-01-01,1", "2020-01-02,2", "2020-01-02,2", "2020-01-02,2")
    for _ in range(2):
        assert cli("ingest", "a.csv", "--since", "at", "-o", "d").code == 0
        assert rows("d")[3:] == [("2020-01-02", 3), ("2020-01-02", 2)]


def test_without_an_output_the_workspace_keeps_it(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    one = cli("ingest", "a.csv", "--since", "at").ref
    csv("a.csv", "2020-01-01,1", "2020-01-02,2")
    two = cli("ingest", "a.csv", "--since", "at").ref
    assert (rows(one), rows(two)) == ([("2020-01-01", 1)], [("2020-01-01", 1), ("2020-01-02", 2)])
    assert len(artefact.open_artefact(Path(two)).tables()) == 2
    shutil.rmtree(two)
    ended = cli("ingest", "a.csv", "--since", "at")
    assert "starting anew" in ended.err
    assert rows(ended.ref) == rows(ended.ref)


def test_other_ways_than_before_are_refused_unless_forced(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    csv("b.csv", "2020-01-01,1")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    before = times("d")
    for words, part in [
        (("b.csv", "--since", "at"), "another source: a.csv, not b.csv"),
        (("a.csv", "--since", "n"), "--since at, not n"),
        (("a.csv", "--since", "at", "--sql", "select * from data"), "another sql"),
        (("a.csv", "--since", "at", "--columns", "at"), "another columns"),
    ]:
        ended = cli("ingest", *words, "-o", "d")
        assert (ended.code, "--force" in ended.err) == (4, True), ended.err
        assert part in ended.err
    csv("a.csv", "2020-01-01,1", "2020-01-02,1.5")
    ended = cli("ingest", "a.csv", "--since", "at", "-o", "d")
    assert (ended.code, "column n is float64, it was int64" in ended.err) == (4, True), ended.err
    assert times("d") == before
    assert cli("ingest", "a.csv", "--since", "at", "-o", "d", "--force").code == 0
    assert rows("d") == [("2020-01-01", 1.0), ("2020-01-02", 1.5)]


def test_a_dataset_made_without_it_is_refused_unless_forced(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    cli("ingest", "a.csv", "-o", "d")
    assert "not taken with --since" in cli("ingest", "a.csv", "--since", "at", "-o", "d").err
    cli("ingest", "a.csv", "--since", "at", "-o", "d", "--force")  # the same bytes: what is there stays as it is
    assert "no new rows" in cli("ingest", "a.csv", "--since", "at", "-o", "d").err


@pytest.mark.parametrize(
    ("row", "column", "code", "part"),
    [(",3", "at", 4, "null in 1 of"), ("2020-01-02,3", "flag", 4, "no column 'flag'")],
)
def test_rows_that_cannot_be_told_apart_are_refused(
    cli: Cli, work: Path, row: str, column: str, code: int, part: str
) -> None:
    csv("a.csv", "2020-01-01,1")
    csv("b.csv", "2020-01-01,1", row)
    ended = cli("ingest", "b.csv", "--since", column, "-o", "e")
    assert (ended.code, part in ended.err) == (code, True), ended.err
    assert not (work / "e").exists()
    if column == "at":
        cli("ingest", "a.csv", "--since", "at", "-o", "d")
        shutil.copy("b.csv", "a.csv")
        assert part in cli("ingest", "a.csv", "--since", "at", "-o", "d").err
        assert rows("d") == [("2020-01-01", 1)]


def test_what_does_not_go_together(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    Path("flags.csv").write_text("f\ntrue\nfalse\n")
    assert cli("ingest", "a.csv", "--since", "at", "--limit", "1").code == 2
    assert cli("ingest", "flags.csv", "--since", "f").code == 4


def test_the_manifest_is_the_truth_and_mends_the_file(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    right = Path("d.since.json").read_bytes()
    for wrong in (right.replace(b"2020-01-01", b"2999-01-01"), b"{", None):
        Path("d.since.json").unlink() if wrong is None else Path("d.since.json").write_bytes(wrong)
        assert cli("ingest", "a.csv", "--since", "at", "-o", "d").code == 0
        assert Path("d.since.json").read_bytes() == right
    Path("d.since.json").write_bytes(right.replace(b"2020-01-01", b"2999-01-01"))
    csv("a.csv", "2020-01-01,1", "2020-01-02,2")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    assert len(rows("d")) == 2


def test_a_damaged_old_part_is_not_taken_over(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    part = work / "d" / "part-00000.parquet"
    data = bytearray(part.read_bytes())
    data[6] ^= 1
    part.write_bytes(data)
    csv("a.csv", "2020-01-01,1", "2020-01-02,2")
    ended = cli("ingest", "a.csv", "--since", "at", "-o", "d")
    assert ended.code in (4, 5), ended.err
    assert sorted(path.name for path in (work / "d").iterdir()) == ["manifest.json", "part-00000.parquet"]


def test_two_at_once_are_refused(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1")
    hold = "import sys; from pathlib import Path; from mlops_cli.store import lock; from mlops_cli.errors import Busy\n"
    hold += "with lock.held(Path('.d.since.json.lock'), Busy('')): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        ended = cli("ingest", "a.csv", "--since", "at", "-o", "d")
        assert (ended.code, "being added to" in ended.err) == (6, True), ended.err
        other.kill()
    assert cli("ingest", "a.csv", "--since", "at", "-o", "d").code == 0  # who was killed holds nothing


def test_standard_input_adds_too(cli: Cli, work: Path) -> None:
    for data in (b"at,n\n2020-01-01,1\n", b"at,n\n2020-01-02,2\n", b"at,n\n2020-01-02,2\n"):
        assert cli("ingest", "-", "--since", "at", "-o", "d", stdin=data).code == 0
    assert rows("d") == [("2020-01-01", 1), ("2020-01-02", 2)]


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=4), min_size=1, max_size=3))
def test_what_is_taken_is_what_a_log_has_had(cli: Cli, work: Path, batches: list[list[tuple[int, int]]]) -> None:
    """A log to which rows are appended, each no older than the largest before: all are taken, none twice."""
    shutil.rmtree("d", ignore_errors=True)
    Path("d.since.json").unlink(missing_ok=True)
    log, low = [(0, 0)], 0
    for batch in [[], *batches]:
        log += [(low + at, n) for at, n in batch]
        low = max(at for at, _ in log)
        csv("log.csv", *(f"{at},{n}" for at, n in log))
        assert cli("ingest", "log.csv", "--since", "at", "-o", "d").code == 0
        made = artefact.open_artefact(work / "d")
        assert sorted(pl.read_parquet(made.tables()).rows()) == sorted(log)


@pytest.mark.parametrize("column", ["at", "price", "name", "n"])
def test_a_database_is_only_asked_for_what_is_new(
    postgresql: Server, cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3kr+et/x")
    query = "select * from log order by n"
    add = "insert into log select i, timestamptz '2020-01-01' + i * interval '1 hour', i / 4.0, 'é' || (1000 + i) "
    postgresql.run(
        "drop table if exists log",
        "create table log (n int, at timestamptz, price numeric(9, 2), name text)",
        add + "from generate_series(1, 100) t(i)",
    )
    ask = ("ingest", postgresql.url(), "--query", query, "--since", column, "-o", "d")
    assert cli(*ask).code == 0
    postgresql.run(add + "from generate_series(100, 130) t(i)")
    assert cli(*ask).code == 0
    assert "no new rows since" in cli(*ask).err
    frame = pl.read_parquet(artefact.open_artefact(work / "d").tables())
    assert frame["n"].to_list() == [*range(1, 101), *range(100, 131)]
    from mlops_cli.sources import database
    from mlops_cli.sources.asked import Asked, Since
    from mlops_cli.sources.base import Options

    found = database.find(postgresql.url(), Asked(query=query, since=Since(column, frame[column].max())))
    assert found.scan(Options(work)).frame.collect().height == 1


def test_files_of_databases_add_too(cli: Cli, work: Path) -> None:
    for rows_ in (["2020-01-01 10:00:00", "2020-01-02 10:00:00"], ["2020-01-02T09:00:00", "2020-01-02T11:00:00"]):
        with sqlite3.connect("t.db") as connection:
            connection.execute("create table if not exists t (at timestamp, n integer)")
            connection.executemany("insert into t values (?, 1)", [(row,) for row in rows_])
        connection.close()
        assert cli("ingest", "t.db", "--since", "at", "-o", "d").code == 0
    assert [at for at, _ in rows("d")] == ["2020-01-01 10:00:00", "2020-01-02 10:00:00", "2020-01-02 11:00:00"]


@pytest.mark.slow
@pytest.mark.parametrize("out", ["d", ""])
def test_killed_anywhere(work: Path, out: str) -> None:
    """In a process of its own, since what polars has started does not survive a fork."""
    driver = Path(__file__).with_name("since_killed.py")
    path = os.pathsep.join([str(Path(__file__).parents[1] / "store"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, driver, *([out] if out else [])],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == []
    assert told["points"] > 20


def test_a_dataset_that_has_grown_is_not_replaced_by_forgetting_the_flag(cli: Cli, work: Path) -> None:
    csv("a.csv", "2020-01-01,1", "2020-01-02,2")
    cli("ingest", "a.csv", "--since", "at", "-o", "d")
    csv("a.csv", "2020-01-03,3")
    told = cli("ingest", "a.csv", "--since", "at", "-o", "d")
    assert "3 rows, 2 columns" in told.err and "1 row of them new" in told.err
    forgotten = cli("ingest", "a.csv", "-o", "d")
    assert (forgotten.code, "d has grown by --since at" in forgotten.err) == (4, True)
    assert len(rows("d")) == 3
    assert cli("ingest", "a.csv", "-o", "d", "--force").ref == "d"
    assert rows("d") == [("2020-01-03", 3)] and not Path("d.since.json").exists()


def test_times_of_a_zone_and_beyond_the_calendar(cli: Cli, work: Path) -> None:
    at = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 4), "1d", eager=True)
    frame = pl.DataFrame({"at": at.dt.replace_time_zone("Europe/Berlin"), "n": range(4)})
    for count in (2, 4, 4):
        frame.head(count).write_parquet("a.parquet")
        assert cli("ingest", "a.parquet", "--since", "at", "-o", "d").ref == "d"
        assert artefact.open_artefact(Path("d")).manifest.params["rows"] == count
    far = pl.DataFrame({"at": [2**58]}).cast(pl.Datetime("us"))
    far.write_parquet("far.parquet")
    assert cli("ingest", "far.parquet", "--since", "at").code == 4
    cast = cli("ingest", "far.parquet", "--cast", "at=date")
    assert (cast.code, "row 1" in cast.err) == (4, True)
    pl.DataFrame({"x": [1.0, float("inf")]}).write_parquet("inf.parquet")
    assert "NaN or infinite" in cli("ingest", "inf.parquet", "--since", "x").err


def test_text_after_numbers_in_an_untyped_column(cli: Cli, work: Path) -> None:
    with sqlite3.connect("t.db") as connection:
        connection.execute("create table t (x)")
        connection.executemany("insert into t values (?)", [("1",), ("3",), (2,)])
    assert cli("ingest", "t.db", "--since", "x", "-o", "d").ref == "d"
    with sqlite3.connect("t.db") as connection:
        connection.execute("insert into t values (5)")
    assert cli("ingest", "t.db", "--since", "x", "-o", "d").ref == "d"
    assert pl.read_parquet("d/*.parquet")["x"].to_list() == ["1", "3", "2", "5"]
