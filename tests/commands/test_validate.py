"""mlops validate: rows that pass, rows that do not with their reasons, the verdict, and the same in a pipe."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from mlops_cli.store import artefact

Cli = Callable[..., "object"]

CSV = "id,delay,carrier\n1,5,AA\n2,999,AA\n3,,UA\n4,7,??\n4,8,UA\n"
RULES = """
columns:
  id: {dtype: int64, unique: true}
  delay: {dtype: int64, nullable: true, checks: {in_range: {min_value: -60, max_value: 600}}}
  carrier: {dtype: str, checks: {str_matches: '[A-Z]{2}$'}}
"""


@pytest.fixture
def flights(work: Path) -> Path:
    (work / "flights.csv").write_text(CSV)
    (work / "rules.yaml").write_text(RULES)
    return work


def rows(path: Path) -> list[tuple[object, ...]]:
    return pl.read_parquet(sorted(path.glob("*.parquet"))).rows()


def test_good_rows_out_bad_rows_with_reasons(cli: Cli, flights: Path) -> None:
    done = cli("validate", "flights.csv", "--schema", "rules.yaml", "--reject", "bad", "--max-bad", "4", "-o", "good")
    assert done.ref == "good"
    assert rows(flights / "good") == [(1, 5, "AA"), (3, None, "UA")]
    assert rows(flights / "bad") == [
        (2, 999, "AA", ["delay: in_range(-60, 600)"]),
        (4, 7, "??", ["id: unique", "carrier: str_matches('[A-Z]{2}$')"]),
        (4, 8, "UA", ["id: unique"]),
    ]
    assert "5 rows in = 2 out + 3 rejected, within --max-bad 4" in done.err
    assert re.search(r" 1  20.00%  error  delay: in_range\(-60, 600\) +999\n", done.err)
    made = artefact.open_artefact(flights / "good")
    assert (made.kind, artefact.open_artefact(flights / "bad").kind) == ("dataset", "dataset")
    assert made.manifest.inputs[0].kind == "file"
    report = json.loads((flights / "good" / "validation.json").read_bytes())
    assert (report["rows"], report["accepted"], report["rejected"]) == (5, 2, 3)
    assert {one["rule"]: (one["rows"], one["examples"]) for one in report["checks"] if one["rows"]} == {
        "id: unique": (2, ["4"]),
        "delay: in_range(-60, 600)": (1, ["999"]),
        "carrier: str_matches('[A-Z]{2}$')": (1, ["??"]),
    }


@pytest.mark.parametrize(
    ("limit", "code"),
    [("0", 1), ("2", 1), ("3", 0), ("0.59", 1), ("0.6", 0), (".6", 0), ("60%", 0), ("59.9%", 1), ("100%", 0), ("1", 1)],
)
def test_limit_is_a_share_or_a_number(cli: Cli, flights: Path, limit: str, code: int) -> None:
    done = cli("validate", "flights.csv", "--schema", "rules.yaml", "--max-bad", limit)
    assert done.code == code
    assert ("the result is in" in done.err) == bool(code)


@pytest.mark.parametrize("limit", ["", "x", "-1", "1.5", "101%", "1e3", "nan"])
def test_a_limit_that_is_none(cli: Cli, flights: Path, limit: str) -> None:
    assert cli("validate", "flights.csv", f"--max-bad={limit}").code == 2


def test_a_finding_leaves_the_target_and_a_hit_ends_the_same(cli: Cli, flights: Path) -> None:
    given = ("validate", "flights.csv", "--schema", "rules.yaml", "-o", "good", "--reject", "bad.parquet")
    first = cli(*given)
    assert (first.code, first.out) == (1, "")
    assert not (flights / "good").exists()
    assert pl.read_parquet("bad.parquet").height == 3
    Path("bad.parquet").unlink()
    again = cli(*given)
    assert again.code == 1 and "cached" in again.err
    assert pl.read_parquet("bad.parquet").height == 3
    assert cli(*given, "--max-bad", "50%").code == 1
    assert cli(*given, "--max-bad", "3").ref == "good"


def test_comments_and_limits_do_not_ask_again_rules_do(cli: Cli, flights: Path) -> None:
    given = ("validate", "flights.csv", "--schema", "rules.yaml", "--max-bad", "3")
    first = cli(*given).ref
    (flights / "rules.yaml").write_text("# said again\n" + RULES)
    again = cli(*given, "--max-bad", "4")
    assert again.ref == first and "cached" in again.err
    (flights / "rules.yaml").write_text(RULES.replace("600", "6"))
    assert "cached" not in cli(*given, "--max-bad", "4").err
    (flights / "flights.csv").write_text(CSV + "6,7,UA\n")
    assert "cached" not in cli(*given).err


def test_json(cli: Cli, flights: Path) -> None:
    done = cli("validate", "flights.csv", "--schema", "rules.yaml", "--json")
    told = json.loads(done.out)
    assert (done.code, told["exit"], told["rows"], told["rejected"]) == (1, 1, 5, 3)
    assert told["verdict"] == {"passed": False, "limit": "0", "rejected": 3, "rows": 5}
    assert Path(told["rejects"]).is_dir()


def test_without_rules_the_structure_passes(cli: Cli, flights: Path) -> None:
    dataset = cli("ingest", "flights.csv", "-o", "data").ref
    done = cli("validate", dataset, "-o", "same")
    assert done.code == 0 and "5 rows in = 5 out + 0 rejected" in done.err
    before, after = artefact.open_artefact(Path("data")), artefact.open_artefact(Path("same"))
    assert before.entry("part-00000.parquet") == after.entry("part-00000.parquet")
    assert before.id != after.id
    assert after.manifest.inputs[0].id == before.id


def test_same_payload_from_a_file_a_dataset_and_a_stream(cli: Cli, flights: Path) -> None:
    dataset = cli("ingest", "flights.csv", "-o", "data").ref
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    ids = {
        artefact.open_artefact(Path(cli("validate", *given, "--schema", "rules.yaml", "--max-bad", "3", **more).ref)).id
        for given, more in ((("flights.csv",), {}), ((dataset,), {}), ((), {"stdin": stream}))
    }
    assert len(ids) == 1


def test_a_dataset_that_was_damaged_does_not_pass(cli: Cli, flights: Path) -> None:
    cli("ingest", "flights.csv", "-o", "data")
    path = Path("data/part-00000.parquet")
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    done = cli("validate", "data", "-o", "out")
    assert done.code == 5 and "the digest does not match" in done.err
    assert not Path("out").exists()


def test_a_stream_passes_rows_on(cli: Cli, flights: Path) -> None:
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    given = ("validate", "--schema", "rules.yaml", "-o", "-", "--reject", "bad.parquet")
    done = cli(*given, "--max-bad", "3", stdin=stream)
    assert done.code == 0, done.err
    assert pa.ipc.open_stream(io.BytesIO(done.raw)).read_all().column("id").to_pylist() == [1, 3]
    assert done.raw.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")
    assert pl.read_parquet("bad.parquet")["_errors"].to_list()[0] == ["delay: in_range(-60, 600)"]
    failed = cli(*given, stdin=stream)
    assert failed.code == 1
    assert failed.raw.endswith(b"mlops:stop:1:validate\n")


def test_a_stream_tells_and_keeps_what_a_dataset_does(cli: Cli, flights: Path) -> None:
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    done = cli("validate", "--schema", "rules.yaml", "-o", "-", "--json", stdin=stream)
    told = json.loads(done.err.splitlines()[[line[0] for line in done.err.splitlines()].index("{")])
    assert (told["exit"], told["rejected"], told["checks"][0]["rule"]) == (1, 3, "id: not_nullable")
    assert "the rejected rows are in" in done.err


@pytest.mark.parametrize("streamed", [False, True])
def test_all_rows_good_leaves_an_empty_reject(cli: Cli, flights: Path, streamed: bool) -> None:
    (flights / "rules.yaml").write_text("columns: {id: {dtype: int64}}")
    Path("bad.parquet").write_bytes(b"of the last run")
    more = ("-o", "-") if streamed else ()
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    assert cli("validate", "--schema", "rules.yaml", "--reject", "bad.parquet", *more, stdin=stream).code == 0
    found = pl.read_parquet("bad.parquet")
    assert (found.height, found.columns) == (0, ["id", "delay", "carrier", "_errors"])


def test_conversion_and_defaults_reach_the_good_rows(cli: Cli, flights: Path) -> None:
    (flights / "rules.yaml").write_text(
        "columns: {delay: {dtype: float, coerce: true, default: 0}, id: {dtype: str, coerce: true}}"
    )
    cli("validate", "flights.csv", "--schema", "rules.yaml", "-o", "good")
    assert pl.read_parquet("good/*.parquet").schema == {"id": pl.String, "delay": pl.Float64, "carrier": pl.String}
    assert rows(flights / "good")[2] == ("3", 0.0, "UA")


def test_rejected_rows_can_be_validated_again(cli: Cli, flights: Path) -> None:
    cli("validate", "flights.csv", "--schema", "rules.yaml", "--reject", "bad")
    (flights / "rules.yaml").write_text(RULES.replace("unique: true", "unique: false").replace("600", "1000"))
    done = cli("validate", "bad", "--schema", "rules.yaml", "-o", "good", "--reject", "still", "--max-bad", "1")
    assert done.code == 0, done.err
    assert rows(flights / "good") == [(2, 999, "AA"), (4, 8, "UA")]
    assert rows(flights / "still") == [(4, 7, "??", ["carrier: str_matches('[A-Z]{2}$')"])]


def test_infer_then_pass(cli: Cli, flights: Path) -> None:
    printed = cli("validate", "flights.csv", "--infer")
    assert printed.code == 0
    (flights / "inferred.yaml").write_text(printed.out)
    assert cli("validate", "flights.csv", "--schema", "inferred.yaml").code == 0
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    assert cli("validate", "--infer", stdin=stream).out == printed.out
    assert cli("validate", "flights.csv", "--infer", "--schema", "rules.yaml").code == 2


BAD_INPUT = {
    "no rules file": (("flights.csv", "--schema", "none.yaml"), 4, "no such rules file"),
    "no data": (("none.csv",), 4, "none.csv"),
    "unknown column": (("flights.csv", "--schema", "column.yaml"), 4, "did you mean delay?"),
    "unknown key": (("flights.csv", "--schema", "key.yaml"), 4, "did you mean nullable?"),
    "other type": (("flights.csv", "--schema", "type.yaml"), 4, "carrier is String, not int64"),
    "header only": (("empty.csv",), 4, "rows"),
    "empty file": (("nothing.csv",), 4, "empty"),
    "data as rules": (("flights.csv", "--schema", "flights.csv"), 4, "flights.csv"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line(cli: Cli, flights: Path, name: str) -> None:
    (flights / "column.yaml").write_text("columns: {dely: {}}")
    (flights / "key.yaml").write_text("columns: {delay: {nulable: true}}")
    (flights / "type.yaml").write_text("columns: {carrier: {dtype: int64}}")
    (flights / "empty.csv").write_text("id,delay,carrier\n")
    (flights / "nothing.csv").write_text("")
    given, code, words = BAD_INPUT[name]
    done = cli("validate", *given, "-o", "out", "--reject", "bad")
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert len(done.err.strip().splitlines()) <= 2, done.err
    assert not (flights / "out").exists() and not (flights / "bad").exists()


def test_in_a_real_pipe(shell: Cli, flights: Path) -> None:
    for out in ("", "-o -"):
        done = shell(
            f"mlops ingest flights.csv -q {out} | mlops validate --schema rules.yaml {out} | mlops split | cat"
        )
        assert done.code == 1
        assert done.out == "mlops:stop:1:validate\n" or done.out == "mlops:stop:1:split\n"
        assert "split" not in done.err  # the command behind has nothing to add
    streamed = shell(
        "mlops ingest flights.csv -q -o - | mlops validate -q --schema rules.yaml --max-bad 3 -o - | mlops validate"
    )
    assert streamed.code == 0, streamed.err
    assert "2 rows in = 2 out + 0 rejected" in streamed.err
