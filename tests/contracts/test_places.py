"""What every place where tables lie must do: every kind that the tests can write to × every rule."""

from __future__ import annotations

import datetime
import itertools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from test_sources import FRAME

from mlops_cli import extensions
from mlops_cli.errors import MlopsError
from mlops_cli.sources.asked import Asked, Since
from mlops_cli.sources.base import Found, Options
from mlops_cli.steps import tables

NUMBER = itertools.count()
ELSEWHERE = {
    **dict.fromkeys(["delta", "iceberg"], "test_lakes.py"),
    "postgres": "postgresql",
    **dict.fromkeys(["snowflake", "bigquery"], "a driver that nobody has here"),
}
"""Places that are tested under another name, or cannot be written to."""


def of(request: pytest.FixtureRequest, name: str, frame: pl.DataFrame) -> tuple[str, str | None]:
    """The frame as a table of that place: how it is named, and the query or None."""
    return WRITERS[name](request, frame)


def _sqlite(request: pytest.FixtureRequest, frame: pl.DataFrame) -> tuple[str, str | None]:
    path = request.getfixturevalue("tmp_path") / f"t{next(NUMBER)}.db"
    kinds = {"Int64": "integer", "Float64": "real", "String": "text", "Boolean": "boolean", "Date": "date"}
    columns = ", ".join(f'"{name}" {kinds.get(str(kind), "timestamp")}' for name, kind in frame.schema.items())
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table t ({columns})")
        rows = [[v.isoformat() if isinstance(v, datetime.date) else v for v in row] for row in frame.rows()]
        connection.executemany(f"insert into t values ({', '.join('?' * frame.width)})", rows)
    connection.close()
    return f"sqlite:///{path}", None


def _duckdb(request: pytest.FixtureRequest, frame: pl.DataFrame) -> tuple[str, str | None]:
    duckdb = pytest.importorskip("duckdb")
    path = request.getfixturevalue("tmp_path") / f"t{next(NUMBER)}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("frame", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        connection.execute("create table t as select * from frame")
    return f"duckdb:///{path}", None


def _postgresql(request: pytest.FixtureRequest, frame: pl.DataFrame) -> tuple[str, str | None]:
    import adbc_driver_postgresql.dbapi as driver

    server = request.getfixturevalue("postgresql")
    name = f"t{next(NUMBER)}"
    with driver.connect(server.secret_url(), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return server.secret_url(), name


WRITERS: dict[str, Callable[[pytest.FixtureRequest, pl.DataFrame], tuple[str, str | None]]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
}


def every(name: str) -> Any:
    """The rule for every place that is written to here."""
    return pytest.mark.parametrize(name, list(WRITERS))


def found(place: str, where: str, query: str | None, since: Since | None = None) -> Found:
    table: Found = extensions.load("places", place).find(where, Asked(query=query, since=since))
    return table


def read(folder: Path, table: Found) -> pl.DataFrame:
    """All there is, the way that ingest reads it; whatever is wrong is one of our errors."""
    with tables.reading("the table"):
        return table.scan(Options(folder)).frame.collect(engine="streaming")


def test_every_place_has_a_writer_here() -> None:
    assert set(WRITERS) | set(ELSEWHERE) == set(extensions.PLACES)


@every("name")
def test_reads_what_was_written(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    frame = read(tmp_path, found(name, *of(request, name, FRAME)))
    assert frame.equals(FRAME)
    assert frame.schema == FRAME.schema


@every("name")
def test_can_be_collected_again_in_part_and_in_order(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    frame = found(name, *of(request, name, FRAME)).scan(Options(tmp_path)).frame
    assert frame.select("text", "whole").collect(engine="streaming").equals(FRAME.select("text", "whole"))
    assert frame.head(2).collect(engine="streaming").equals(FRAME.head(2))
    assert frame.filter(pl.col("flag")).collect(engine="streaming").equals(FRAME.filter(pl.col("flag")))


@every("name")
def test_more_rows_than_a_batch(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"n": range(150_000), "s": [f"v{number % 97}" for number in range(150_000)]})
    assert read(tmp_path, found(name, *of(request, name, frame))).equals(frame)


@every("name")
def test_no_rows_are_a_table_without_rows(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    frame = read(tmp_path, found(name, *of(request, name, FRAME.clear())))
    assert (frame.height, frame.columns) == (0, FRAME.columns)


@every("name")
def test_what_it_was_is_told_after_the_last_row(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    ids = []
    for frame in (FRAME, FRAME, FRAME.reverse(), FRAME.with_columns(whole=pl.lit(1))):
        table = found(name, *of(request, name, frame))
        read(tmp_path, table)
        (source,) = table.settled() if table.settled else table.inputs
        assert source.id.startswith("sha256:")
        ids.append(source.id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@every("name")
@pytest.mark.parametrize("column", ["whole", "real", "text", "day", "at"])
def test_a_hint_leaves_out_none_of_the_rows_since(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, column: str
) -> None:
    where = of(request, name, FRAME)
    for value in FRAME[column].drop_nulls():
        kept = read(tmp_path, found(name, *where, Since(column, value)))
        wanted = FRAME.filter((pl.col(column) >= value) | pl.col(column).is_null())
        assert wanted.join(kept, on=FRAME.columns, how="anti", nulls_equal=True).is_empty()
        assert kept.join(FRAME, on=FRAME.columns, how="anti", nulls_equal=True).is_empty()


@every("name")
def test_nothing_there_is_one_line_without_secrets(request: pytest.FixtureRequest, name: str) -> None:
    where, query = of(request, name, FRAME)
    wrong = [(where, "no such table"), (where + "nowhere", query)]
    for asked in wrong:
        with pytest.raises(MlopsError) as caught:
            found(name, *asked)
        told = json.dumps([caught.value.message, caught.value.hint])
        assert "\n" not in caught.value.message
        assert "s3kr" not in told, told
