"""`mlops ingest`, from the command line: what it makes, what it refuses, and that it leaves nothing behind."""

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from mlops_cli.sources import csv_table
from mlops_cli.store.artefact import open_artefact

CSV = b"a,b,c\n1,x,2.5\n2,,\n3,z,4\n"


def table(ref: str) -> pl.DataFrame:
    return pl.read_parquet(open_artefact(Path(ref)).tables())


def test_a_dataset_with_its_origin(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    ended = cli("ingest", "x.csv", "-o", "data")
    assert ended.ref == "data"
    assert ended.err == "mlops ingest: 3 rows, 3 columns\n"
    made = open_artefact(Path("data"))
    assert made.kind == "dataset"
    assert [(source.kind, source.ref) for source in made.manifest.inputs] == [("file", "x.csv")]
    assert made.manifest.inputs[0].id.startswith("sha256:")
    assert made.manifest.schema == {"a": "int64", "b": "string", "c": "float64"}
    assert table("data").rows() == [(1, "x", 2.5), (2, None, None), (3, "z", 4.0)]


def test_json_tells_rows_columns_schema_and_files(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    for cached in (False, True):
        told = json.loads(cli("ingest", "x.csv", "--json").out)
        assert (told["rows"], told["columns"], told["cached"], told["exit"]) == (3, 3, cached, 0)
        assert told["schema"]["c"] == "float64"
        assert told["files"][0]["ref"] == "x.csv"


def test_a_second_time_is_cached_and_touches_nothing(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    cli("ingest", "x.csv", "-o", "data")
    before = os.stat("data/manifest.json")
    Path("x.csv").touch()
    ended = cli("ingest", "x.csv", "-o", "data")
    assert "cached" in ended.err
    assert os.stat("data/manifest.json") == before


@pytest.mark.parametrize(
    "flags", [["--limit", "2"], ["--columns", "a"], ["--sql", "select a from data"], ["--format", "csv"]]
)
def test_flags_make_another_key(cli: Callable[..., Any], work: Path, flags: list[str]) -> None:
    Path("x.csv").write_bytes(CSV)
    cli("ingest", "x.csv")
    assert "cached" not in cli("ingest", "x.csv", *flags).err
    assert "cached" in cli("ingest", "x.csv", *flags).err


def test_the_same_data_has_the_same_id_whichever_way_it_came(cli: Callable[..., Any], work: Path) -> None:
    frame = pl.DataFrame({"n": range(1000), "s": [f"v{number % 7}" for number in range(1000)]})
    frame.write_csv("x.csv")
    Path("x.csv.gz").write_bytes(gzip.compress(Path("x.csv").read_bytes()))
    frame.write_csv("x.tsv", separator="\t", line_terminator="\r\n", quote_style="always")
    frame.write_ndjson("x.ndjson")
    frame.write_parquet("x.parquet", row_group_size=77)
    frame.write_ipc("x.arrow")
    for number in range(4):
        frame.slice(number * 250, 250).write_csv(f"part{number}.csv")
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    ways = [["x.csv"], ["x.csv.gz"], ["x.tsv"], ["x.ndjson"], ["x.parquet"], ["x.arrow"], ["part*.csv"]]
    ways += [[f"part{number}.csv" for number in range(4)], ["--sql", "select * from data", "x.csv"]]
    ids = {json.loads(cli("ingest", "--json", *way).out)["id"] for way in ways}
    for data in (Path("x.csv").read_bytes(), Path("x.parquet").read_bytes(), stream.getvalue()):
        ids.add(json.loads(cli("ingest", "--json", "-", stdin=data).out)["id"])
    assert len(ids) == 1


def test_columns_limit_and_query(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    assert table(cli("ingest", "x.csv", "--columns", "c, a", "--limit", "2").ref).rows() == [(2.5, 1), (None, 2)]
    query = "select b, a * 2 as twice from data where a > 1 order by a desc"
    assert table(cli("ingest", "x.csv", "--sql", query).ref).rows() == [("z", 6), (None, 4)]
    assert cli("ingest", "x.csv", "--sql", query, "--columns", "twice", "--limit", "1").code == 0


def test_an_answer_without_an_order_is_the_same_every_time(cli: Callable[..., Any], work: Path) -> None:
    frame = pl.DataFrame({"k": [number * 7919 % 5003 for number in range(20_000)], "v": range(20_000)})
    frame.write_csv("x.csv")
    query = "select k, sum(v) as v from data group by k"
    ids = {json.loads(cli("ingest", "x.csv", "--json", "--force", "--sql", query).out)["id"] for _ in range(4)}
    assert len(ids) == 1


def test_a_misfit_is_told_and_read_again(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(b"dep_time,n\n" + b"517,1\n" * (csv_table.SAMPLE + 20) + b"late,2\n")
    ended = cli("ingest", "x.csv")
    line = csv_table.SAMPLE + 22
    assert f'column dep_time: "late" at line {line} is not an integer; reading it as text' in ended.err
    assert table(ended.ref).schema == {"dep_time": pl.String, "n": pl.Int64}
    assert table(ended.ref).height == csv_table.SAMPLE + 21


def test_standard_input(cli: Callable[..., Any], work: Path) -> None:
    for data in (CSV, gzip.compress(CSV), b'{"a":1}\n{"a":2}\n', b'[{"a":1}]'):
        assert cli("ingest", "-", stdin=data).code == 0
    ended = cli("ingest", stdin=CSV)
    made = open_artefact(Path(ended.ref))
    assert [(source.kind, source.ref) for source in made.manifest.inputs] == [("stdin", "-")]
    assert "cached" not in cli("ingest", stdin=CSV).err
    assert cli("ingest", "-", "x.csv", stdin=CSV).code == 4


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", 4, "mlops ingest: empty: standard input is empty\n"),
        (b"a,b\n", 4, "mlops ingest: empty: standard input has a header and no rows\n"),
        (b"a,b\n1\n", 4, "mlops ingest: input: standard input:2: 1 field, the header has 2\nhint: see"),
        (b"mlops:stop:1:validate\n", 1, ""),
    ],
)
def test_bad_standard_input(cli: Callable[..., Any], work: Path, data: bytes, code: int, message: str) -> None:
    ended = cli("ingest", "-", stdin=data)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith(message)


def test_a_stream_in_and_out(cli: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    ended = cli("ingest", "x.csv", "-o", "-")
    assert ended.code == 0
    assert ended.raw.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    with pa.ipc.open_stream(ended.raw) as reader:
        lineage = json.loads(reader.schema.metadata[b"mlops"])
        assert reader.read_all().to_pylist()[0] == {"a": 1, "b": "x", "c": 2.5}
    assert lineage["inputs"][0]["kind"] == "dataset"
    again = cli("ingest", "-", stdin=ended.raw)
    assert table(again.ref).rows() == [(1, "x", 2.5), (2, None, None), (3, "z", 4.0)]
    renamed = cli("ingest", "-", "--columns", "a", stdin=ended.raw)
    kinds = [source.kind for source in open_artefact(Path(renamed.ref)).manifest.inputs]
    assert kinds == ["stdin", "dataset"]
    cut = cli("ingest", "-", stdin=ended.raw[:-8])
    assert cut.code == 4
    assert "no end marker" in cut.err
    stopped = cli("ingest", "-", stdin=ended.raw[:-8] + b"mlops:stop:3:evaluate\n")
    assert (stopped.code, stopped.err) == (3, "")


def test_a_pipe_of_real_processes(shell: Callable[..., Any], work: Path) -> None:
    Path("x.csv").write_bytes(CSV)
    ended = shell("mlops ingest x.csv -o - | mlops ingest - -o data && cat x.csv | mlops ingest --limit 1 -o one")
    assert (ended.code, ended.out) == (0, "data\none\n")
    ended = shell("mlops ingest missing.csv | mlops ingest -")
    assert (ended.code, ended.out.count("stop")) == (4, 1)
    assert ended.err.count("\n") == 1
    assert shell("mlops ingest x.csv -o - | head -c 10 >/dev/null").code in (0, 141)
