"""Databases from the command line: types, queries, secrets, and every way in which a server can fail."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from postgres import Server

from mlops_cli.store import artefact

Cli = Callable[..., Any]

TYPES = """select 1::int2 a, 2::int4 b, 3::int8 c, 1.5::float4 d, 2.5::float8 e, 3.25::numeric(10,2) f, 1.5::numeric g,
true h, 'x'::text i, 'y'::varchar(10) j, '\\xdead'::bytea k, date '2020-01-01' l, timestamp '2020-01-01 10:00' m,
timestamptz '2020-01-01 10:00+02' n, time '10:00' o, interval '1 day' p, '0-0-0-0-0'::text q, '{"a": 1}'::jsonb r,
array[array[1,2],array[3,4]] s, inet '1.2.3.4' t, null u, 4294967295::oid v, row(1,'a') w, 1.5::money x,
int4range(1,2) y, array['a']::text[] z, 'b8f0c9a0-0000-0000-0000-000000000001'::uuid aa"""


@pytest.fixture
def pg(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, its password in the environment."""
    monkeypatch.setenv("PGPASSWORD", "s3kr+et/x")
    return postgresql


def rows(reference: str) -> pl.DataFrame:
    return pl.read_parquet(artefact.open_artefact(Path(reference)).tables())


def failed(ended: Any, code: int, word: str, *parts: str) -> None:
    """One line of ours with that code, a hint at most, no secret, and nothing on standard output."""
    assert ended.code == code, ended.err
    lines = ended.err.splitlines()
    assert lines[0].startswith(f"mlops ingest: {word}: "), ended.err
    assert len(lines) <= 2, ended.err
    assert "s3kr" not in ended.err
    assert ended.out == ""
    for part in parts:
        assert part in ended.err, ended.err


def test_types_are_those_of_polars_or_text(pg: Server, cli: Cli) -> None:
    frame = rows(cli("ingest", pg.url(), "--query", TYPES).ref)
    assert dict(frame.schema) == {
        **dict.fromkeys("a", pl.Int16), **dict.fromkeys("b", pl.Int32), **dict.fromkeys("cv", pl.Int64),
        "d": pl.Float32, **dict.fromkeys("egx", pl.Float64), "f": pl.Decimal(10, 2), "h": pl.Boolean,
        **dict.fromkeys("ijpqrstuwyz", pl.String), "k": pl.Binary, "l": pl.Date, "m": pl.Datetime("us"),
        "n": pl.Datetime("us", "UTC"), "o": pl.Time, "aa": pl.String,
    }  # fmt: skip
    row = frame.row(0, named=True)
    assert {name: row[name] for name in "prstvwxyz"} == {
        "p": "1 day", "r": '{"a": 1}', "s": "[[1,2],[3,4]]", "t": "1.2.3.4/32", "v": 4294967295, "w": "(1,a)",
        "x": 1.5, "y": "[1,2)", "z": '["a"]',
    }  # fmt: skip
    assert (row["n"].hour, row["aa"]) == (8, "b8f0c9a0-0000-0000-0000-000000000001")


def test_types_of_ones_own_are_text_or_what_they_are_made_of(pg: Server, cli: Cli) -> None:
    pg.run("drop domain if exists dom", "drop type if exists mood", "create domain dom as numeric(5, 1)")
    pg.run("create type mood as enum ('good', 'bad')")
    frame = rows(cli("ingest", pg.url(), "--query", "select 'bad'::mood as m, 1.5::dom as d, xml '<a/>' as x").ref)
    assert [str(value) for value in frame.row(0)] == ["bad", "1.5", "<a/>"]


def test_the_manifest_says_what_was_asked_and_what_came(pg: Server, cli: Cli, work: Path) -> None:
    (work / "db.url").write_text(pg.secret_url() + "\n")
    query = "select i from generate_series(1, 3) t(i) -- all of them"
    made = artefact.open_artefact(Path(cli("ingest", "@db.url", "--query", query, "-o", "d").ref))
    (source,) = made.manifest.inputs
    shown = f"postgresql://postgres:***@127.0.0.1:{pg.port}/postgres"
    assert (source.kind, source.ref) == ("database", f"{shown} {query}")
    assert source.id.startswith("sha256:")
    assert made.manifest.params["query"] == query
    assert "s3kr" not in (work / "d" / "manifest.json").read_text()
    again = cli("ingest", "@db.url", "--query", query, "-o", "d")
    assert "cached" not in again.err  # a database is always asked


def test_a_table_by_name_or_the_only_one(pg: Server, cli: Cli) -> None:
    pg.run("create database alone")
    url = pg.url(database="alone")
    failed(cli("ingest", url), 4, "empty", "no tables")
    import adbc_driver_postgresql.dbapi as driver

    alone = pg.secret_url().removesuffix("/postgres") + "/alone"
    with driver.connect(alone, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute('create table "My table" as select 1 as x')
        assert rows(cli("ingest", url).ref)["x"].to_list() == [1]
        cursor.execute("create schema s")
        cursor.execute("create table s.other as select 2 as x")
    failed(cli("ingest", url), 2, "usage", "My table, s.other")
    assert rows(cli("ingest", url, "--query", "My table").ref)["x"].to_list() == [1]
    assert rows(cli("ingest", url, "--query", "s.other").ref)["x"].to_list() == [2]
    failed(cli("ingest", url, "--query", "s.othr"), 4, "missing", "did you mean s.other?")


@pytest.mark.parametrize(
    ("query", "code", "word", "part"),
    [
        ("select * from nope", 4, "missing", 'relation "nope" does not exist'),
        ("select nope from pg_class", 4, "column", 'column "nope" does not exist'),
        ("select from from", 2, "usage", "syntax error"),
        ("selec 1", 4, "missing", "neither a query nor a table"),
        ("drop table pg_class", 2, "usage", "not a query"),
        ("with x as (delete from keep returning 1) select * from x", 2, "usage", "would change something"),
        ("select nextval('counted')", 2, "usage", "would change something"),
        ("select 1; drop table keep", 2, "usage", "multiple commands"),
        ("select 1 as a, 2 as a", 4, "schema", "two columns are called 'a'"),
        ("select 1/(1000-i) from generate_series(1, 2000) t(i)", 4, "input", "division by zero"),
        ("select 'infinity'::timestamptz as t", 4, "input", "'infinity'"),
        ("select '-infinity'::date as t", 4, "input", "'infinity'"),
        ("select 'NaN'::numeric(5, 2) as t", 4, "input", "column t"),
        ("select 1 as x where false", 4, "empty", "no rows"),
        ("select pg_terminate_backend(pg_backend_pid())", 8, "outside", "terminating connection"),
        ("select * from secret", 8, "outside", "permission denied"),
    ],
)
def test_a_query_that_cannot_be_answered(pg: Server, cli: Cli, work: Path, query: str, code: int, word: str, part: str):
    pg.run(
        "create table if not exists keep as select 1 as x",
        "create sequence if not exists counted",
        "create table if not exists secret as select 1 as x",
        "do $$ begin create role reader login password 's3kr+et/x'; exception when others then null; end $$",
        "grant select on keep to reader",
        "grant all on sequence counted to reader",
        "grant delete on keep to reader",
        "do $$ begin grant pg_signal_backend to reader; end $$",
    )
    failed(cli("ingest", pg.url("reader"), "--query", query, "-o", "out"), code, word, part)
    assert not (work / "out").exists()
    assert pg.run("select count(*) from keep") == [(1,)]


def test_a_server_that_cannot_be_reached(pg: Server, cli: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = ("--query", "select 1 as x")
    failed(cli("ingest", "postgresql://postgres@127.0.0.1:1/x", *ask), 8, "outside", "refused")
    failed(cli("ingest", pg.url(database="nowhere"), *ask), 4, "missing", "nowhere")
    failed(cli("ingest", pg.url("nobody"), *ask), 8, "outside", "PGPASSWORD")
    (work / "wrong.url").write_text(pg.secret_url().replace("%2Fx", "%2Fs3kr"))
    monkeypatch.delenv("PGPASSWORD")
    failed(cli("ingest", "@wrong.url", *ask), 8, "outside", "postgres:***@", "PGPASSWORD")
    failed(cli("ingest", pg.url(), *ask), 8, "outside", "PGPASSWORD")


def test_a_password_that_everybody_can_see_is_refused(cli: Cli, work: Path) -> None:
    for url in ("postgresql://me:s3kret@h/db", "postgresql://h/db?password=s3kret", "snowflake://me:s3kret@account/db"):
        failed(cli("ingest", url, "--query", "select 1"), 2, "usage", "everybody", "@FILE")
    (work / "odd.url").write_text("postgresql://me:s3k/ret@h/db")
    failed(cli("ingest", "@odd.url"), 2, "usage", "%2F")
    (work / "odd.url").write_text("postgresql://me:s3kret@h:port/db")
    failed(cli("ingest", "@odd.url"), 2, "usage", "me:***@h")
    (work / "odd.url").write_text("postgresql://me:s3kr%zzet@h/db")  # which libpq repeats
    failed(cli("ingest", "@odd.url"), 2, "usage", "***")
    (work / "odd.url").write_text("s3kret")
    failed(cli("ingest", "@odd.url"), 2, "usage", "no URL")
    failed(cli("ingest", "@nowhere.url"), 4, "missing", "nowhere.url")


COPYING = "from pg_stat_activity where query like 'COPY%{0}%' and pid <> pg_backend_pid()"


def end_meanwhile(pg: Server, tag: str, end: Callable[[], Any]) -> Any:
    """A long answer is being read by a process of its own when something ends it."""
    query = f"select i, repeat('x', 500) as {tag} from generate_series(1, 4000000) t(i)"
    command = [sys.executable, "-m", "mlops_cli", "ingest", pg.url(), "--query", query, "-o", "out"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while pg.run(f"select count(*) {COPYING.format(tag)}") == [(0,)]:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    end()
    out, err = process.communicate(timeout=120)
    assert out == "mlops:stop:8:ingest\n"
    return SimpleNamespace(code=process.returncode, out="", err=err)


def test_a_connection_that_is_cut_in_the_middle(pg: Server, work: Path) -> None:
    cut = f"select pg_terminate_backend(pid) {COPYING.format('cut_off')}"
    failed(end_meanwhile(pg, "cut_off", lambda: pg.run(cut)), 8, "outside", "terminat")
    assert sorted(path.name for path in work.iterdir()) == [".mlops"]


def test_a_server_that_stops_in_the_middle(pg: Server, work: Path) -> None:
    try:
        failed(end_meanwhile(pg, "stopped", pg.stop), 8, "outside")
    finally:
        pg.start()
    assert sorted(path.name for path in work.iterdir()) == [".mlops"]


def test_rows_that_are_not_wanted_are_not_waited_for(pg: Server, cli: Cli) -> None:
    waits = "pg_sleep(case when i > 100000 then 3600 else 0 end)::text as w"
    query = f"select i, repeat('x', 500) as t, {waits} from generate_series(1, 100001) t(i)"
    assert cli("ingest", pg.url(), "--query", query, "--limit", "3").code == 0


# SQLite and DuckDB: files.


def sqlite(path: Path, *statements: str) -> Path:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


def test_a_database_file_is_told_by_its_first_bytes(cli: Cli, work: Path) -> None:
    sqlite(work / "a file", "create table t as select 1 as x")
    made = artefact.open_artefact(Path(cli("ingest", "a file").ref))
    assert (made.manifest.params["format"], made.manifest.inputs[0].kind) == ("sqlite", "database")
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(work / "other")) as connection:
        connection.execute("create table t as select 1 as x")
    made = artefact.open_artefact(Path(cli("ingest", "other").ref))
    assert made.manifest.params["format"] == "duckdb"


def test_sqlite_columns_have_the_types_of_all_their_values(cli: Cli, work: Path) -> None:
    sqlite(
        work / "t.db",
        "create table t (late, mixed numeric, flag boolean, day date, at datetime, note text, odd date, none integer)",
        *["insert into t (flag, day, at, note, odd) values (1, '2020-01-01', '2020-01-01 10:00:00', '2020-01-01', 1)"]
        * 3000,
        "insert into t values ('x', 1, 0, '2020-02-29', '2020-01-01T10:00:00.25', 'y', '2020-01-01', null)",
        "insert into t values (2, 1.5, null, null, null, null, null, null)",
    )
    frame = rows(cli("ingest", "t.db").ref)
    assert dict(frame.schema) == {
        "late": pl.String, "mixed": pl.Float64, "flag": pl.Boolean, "day": pl.Date, "at": pl.Datetime("us"),
        "note": pl.String, "odd": pl.String, "none": pl.Int64,
    }  # fmt: skip
    assert frame["late"].drop_nulls().to_list() == ["x", "2"]
    assert frame["mixed"].drop_nulls().to_list() == [1.0, 1.5]
    assert (frame["at"][3000].microsecond, frame["flag"].sum(), frame["day"].null_count()) == (250_000, 3000, 1)


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("select * from nope", 4, "missing"),
        ("select nope from t", 4, "column"),
        ("select 1; select 2", 2, "usage"),
        ("insert into t values (3)", 2, "usage"),
        ("select x'00' as a union all select 1", 4, "input"),
        ("select 1 as a, 2 as a", 4, "schema"),
    ],
)
def test_sqlite_refuses(cli: Cli, work: Path, query: str, code: int, word: str) -> None:
    before = sqlite(work / "t.db", "create table t as select 1 as x").read_bytes()
    failed(cli("ingest", "t.db", "--query", query, "-o", "out"), code, word)
    assert (work / "t.db").read_bytes() == before
    assert sorted(path.name for path in work.iterdir()) == [".mlops", "t.db"]


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("select * from nope", 4, "missing"),
        ("select nope from t", 4, "column"),
        ("select from from", 2, "usage"),
        ("select 1; select 2", 2, "usage"),
        ("select * from read_text('/etc/hostname')", 2, "usage"),
        ("select 'a'::int as x", 4, "input"),
        ("select 1 as a, 2 as a", 4, "schema"),
    ],
)
def test_duckdb_refuses(cli: Cli, work: Path, query: str, code: int, word: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(work / "t.duckdb")) as connection:
        connection.execute("create table t as select 1 as x")
    failed(cli("ingest", "t.duckdb", "--query", query, "-o", "out"), code, word)
    assert sorted(path.name for path in work.iterdir()) == [".mlops", "t.duckdb"]


def test_duckdb_types(cli: Cli, work: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(work / "t.duckdb")) as connection:
        connection.execute("create table t as select range::int as x from range(10)")
    query = """select sum(x) as s, uuid() as u, interval 1 day as i, 'a'::enum('a') as e, [1, 2] as l, {'a': 1} as r,
        timestamptz '2020-01-01 10:00:00+02' as w, 1.5::decimal(5,2) as d, map {'a': 1} as m, '{}'::json as j from t"""
    frame = rows(cli("ingest", "t.duckdb", "--query", query).ref)
    assert dict(frame.schema) == {
        "s": pl.Int64, "u": pl.String, "i": pl.String, "e": pl.String, "l": pl.List(pl.Int32),
        "r": pl.Struct({"a": pl.Int32}), "w": pl.Datetime("us", "UTC"), "d": pl.Decimal(5, 2), "m": pl.String,
        "j": pl.String,
    }  # fmt: skip
    assert frame["s"].item() == 45


def test_damaged_files_are_refused(cli: Cli, work: Path) -> None:
    whole = sqlite(work / "t.db", "create table t as select 1 as x", *["insert into t values (1)"] * 2000).read_bytes()
    (work / "cut.db").write_bytes(whole[:5000])
    failed(cli("ingest", "cut.db"), 4, "corrupt")
    failed(cli("ingest", "sqlite:///nowhere.db"), 4, "missing")
    failed(cli("ingest", "sqlite://t.db"), 2, "usage", "sqlite:///")


# Every other database.


def test_a_driver_that_is_missing_is_named(cli: Cli) -> None:
    ended = cli("ingest", "snowflake://me@account/db", "--query", "select 1")
    failed(ended, 7, "missing-extra", "pip install adbc-driver-snowflake")


def test_any_driver_that_is_installed_is_used(
    cli: Cli, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver of SQLite takes the part of one that is not known here; to it the URL is a path."""
    import adbc_driver_sqlite

    library = next(Path(adbc_driver_sqlite.__file__).parent.glob("libadbc_driver_sqlite.*"))
    package = tmp_path / "lib" / "adbc_driver_snowflake"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / f"libadbc_driver_snowflake{library.suffix}").symlink_to(library)
    monkeypatch.syspath_prepend(str(package.parent))
    (work / "me@account").mkdir()
    sqlite(work / "me@account" / "db", "create table t as select 1 as x")
    ended = cli("ingest", "snowflake://me@account/db", "--query", "select x + 1 as y from t", "--json")
    assert json.loads(ended.out)["schema"] == {"y": "int64"}, ended.err
    failed(cli("ingest", "snowflake://me@account/db"), 2, "usage", "--query")
    failed(cli("ingest", "snowflake://me@account/db", "--query", "select nope"), 2, "usage", "nope")


def test_what_asks_a_database_asks_nothing_else(cli: Cli, work: Path) -> None:
    (work / "x.csv").write_text("a\n1\n")
    failed(cli("ingest", "x.csv", "--query", "select 1"), 2, "usage", "--sql")
    failed(cli("ingest", "x.csv", "sqlite:///x.db"), 2, "usage", "of its own")


@pytest.mark.parametrize(
    ("query", "code"), [("sum(i::bigint)", 4), ("sum(i::bigint)::bigint", 0), ("max(1e20 + i)", 4)]
)
def test_integers_that_a_float_would_round_are_refused(pg: Server, cli: Cli, query: str, code: int) -> None:
    ended = cli("ingest", pg.url(), "--query", f"select {query} x from (values (9007199254740992), (1)) v(i)")
    assert ended.code == code, ended.err
    assert code == 0 or "an integer beyond 2^53 would be rounded" in ended.err


def test_a_password_that_is_not_encoded_is_not_told_in_part(cli: Cli, work: Path) -> None:
    Path("db.url").write_text("postgresql://me:p@s3kr99@127.0.0.1:1/db")
    failed(cli("ingest", "@db.url", "--query", "a"), 2, "usage", "has a /, an @ or a space in it")


def test_a_server_that_says_nothing_is_not_waited_for_without_end(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        ended = cli("ingest", f"postgresql://me@127.0.0.1:{port}/db?connect_timeout=2", "--query", "a")
    failed(ended, 8, "outside", "timeout expired")
    assert os.environ["PGCONNECT_TIMEOUT"] == "30"
