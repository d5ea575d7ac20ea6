"""Several tables by name in one query: `mlops ingest --input NAME=SOURCE`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_cli.store.artefact import open_artefact

FLIGHTS = pl.DataFrame({"k": [1, 2, 2, 4], "year": [2013] * 4, "delay": [5, None, 7, 9]})
JOIN = "select k, f.year, delay, model from f left join p using (k)"
JOINED = [(1, 2013, 5, "a"), (2, 2013, 7, "b"), (2, 2013, None, "b"), (4, 2013, 9, None)]


@pytest.fixture
def place(work: Path) -> Path:
    FLIGHTS.write_parquet("f.parquet")
    Path("p.csv").write_text("k,year,model\n1,1999,a\n2,2001,b\n3,2002,c\n")
    return work


def rows(name: str) -> list[tuple[Any, ...]]:
    return pl.read_parquet(f"{name}/*.parquet").rows()


def test_the_other_words_are_inputs_too(place: Path, cli: Callable[..., Any]) -> None:
    cli("ingest", "--input", "f=f.parquet", "p=p.csv", "--sql", JOIN, "-o", "out")
    assert sorted(rows("out"), key=str) == sorted(JOINED, key=str)
    inputs = open_artefact(Path("out")).manifest.inputs
    assert [(source.kind, source.ref) for source in inputs] == [("file", "f.parquet"), ("file", "p.csv")]
    assert all(source.id.startswith("sha256:") for source in inputs)
    again = cli("ingest", "--input", "f=f.parquet", "--input", "p=p.csv", "--sql", JOIN)
    assert "cached" in again.err
    Path("p.csv").write_text("k,year,model\n1,1999,z\n")
    assert "cached" not in cli("ingest", "--input", "f=f.parquet", "p=p.csv", "--sql", JOIN).err


def test_a_source_without_a_name_is_the_table_data(place: Path, cli: Callable[..., Any]) -> None:
    sql = "select delay, model from data join p using (k) order by delay"
    assert cli("ingest", "f.parquet", "--input", "p=p.csv", "--sql", sql, "-o", "out").ref == "out"
    assert rows("out") == [(5, "a"), (7, "b"), (None, "b")]
    Path("mlops.toml").write_text(f'[ingest]\nsql = "{sql}"\ninput = ["p=p.csv"]\n')
    assert "cached" in cli("ingest", "f.parquet").err


def test_what_the_query_does_not_name_is_not_read(place: Path, cli: Callable[..., Any]) -> None:
    Path("p.csv").write_bytes(b"\0\0\0")
    assert cli("ingest", "f.parquet", "--input", "p=p.csv", "--sql", "select k from data", "-o", "out").ref
    assert [source.ref for source in open_artefact(Path("out")).manifest.inputs] == ["f.parquet"]


def test_datasets_standard_input_and_globs(place: Path, cli: Callable[..., Any]) -> None:
    assert cli("ingest", "f.parquet", "-o", "set").ref
    FLIGHTS.write_csv("g1.csv")
    FLIGHTS.write_csv("g2.csv")
    sql = "select count(*) as n from s cross join g cross join i"
    ended = cli(
        *("ingest", "--input", "s=set/manifest.json", "g=g*.csv", "i=-", "--sql", sql, "--json"), stdin=b"x\n1\n2\n3\n"
    )
    assert ended.code == 0, ended.err
    assert rows(json.loads(ended.out)["ref"]) == [(4 * 8 * 3,)]
    found = open_artefact(Path(json.loads(ended.out)["ref"])).manifest
    assert [source.kind for source in found.inputs] == ["dataset", "file", "file", "stdin"]
    assert found.inputs[0].id == open_artefact(Path("set")).id
    assert "cached" not in cli("ingest", "--input", "i=-", "--sql", "select x from i", stdin=b"x\n1\n").err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--input", "f=f.parquet", "p=p.csv"], 2, "no query that makes one table"),
        (["--input", "f.parquet"], 2, "has no name"),
        (["--input", "f=f.parquet", "f=p.csv", "--sql", JOIN], 2, "two inputs are called f"),
        (["--input", "f=f.parquet", "p=q.csv", "--sql", JOIN], 4, "q.csv: no such file"),
        (["--input", "f=f.parquet", "p=nobody@7", "--sql", JOIN], 4, "no registry"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select k from f join w using (k)"], 2, "tables are f, p"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select year from f join p using (k)"], 2, "ambiguous"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select modl from f join p using (k)"], 4, "mean model?"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select f.k from f join p on f.x = p.k"], 4, "no column 'x'"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select model from f, p"], 2, "pairs every row"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select model from f join p on true"], 2, "pairs every row"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "select model from f join p"], 2, "--sql"),
        (["--input", "f=f.parquet", "p=p.csv", "--sql", "insert into f select * from p"], 2, "not a query"),
        (["--input", "f=f.parquet", "--sql", "select 1 as one"], 2, "names none"),
        (["--input", "f=-", "p=-", "--sql", JOIN], 2, "only one"),
        (["--input", "f=f.parquet", "p=p.csv", "--at", "3", "--sql", JOIN], 2, "--at is about one source"),
        (["f.parquet", "--at", "3"], 2, "only Delta and Iceberg"),
        (["--input", "f=f.parquet", "--label", "none"], 2, "--label goes with images"),
    ],
)
def test_refusals(place: Path, cli: Callable[..., Any], arguments: list[str], code: int, words: str) -> None:
    ended = cli("ingest", *arguments, "-o", "out", stdin=b"k\n1\n")
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert words in ended.err
    assert "hint" in ended.err.splitlines()[-1] or len(ended.err.splitlines()) == 1
    assert not Path("out").exists()


def test_a_product_that_is_meant(place: Path, cli: Callable[..., Any]) -> None:
    for sql, expected in (("select model from f cross join p", 12), ("select model from f, p where f.k = p.k", 3)):
        cli("ingest", "--input", "f=f.parquet", "p=p.csv", "--sql", sql, "-o", "out")
        assert len(rows("out")) == expected


def test_the_answer_does_not_depend_on_threads(place: Path, shell: Callable[..., Any]) -> None:
    pl.DataFrame({"k": [n % 1000 for n in range(60_000)], "v": range(60_000)}).write_parquet("f.parquet")
    pl.DataFrame({"k": range(1000), "w": [n % 7 for n in range(1000)]}).write_parquet("p.parquet")
    line = "mlops ingest --input f=f.parquet p=p.parquet --sql 'select w, v from f join p using (k)' --json --force"
    ids = {json.loads(shell(line, POLARS_MAX_THREADS=threads).out)["id"] for threads in ("1", "2", "7")}
    assert len(ids) == 1
