"""mlops split: flags, what is told, memo, pipes, and the audit of parts made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlops_cli.store import artefact

Cli = Callable[..., "object"]


@pytest.fixture
def flights(work: Path) -> Path:
    rows = [
        f"{number},{number % 7},{'UA' if number % 3 else 'AA'},2013-{1 + number % 12:02}-01" for number in range(400)
    ]
    (work / "flights.csv").write_text("id,delay,carrier,day\n" + "\n".join(rows) + "\n")
    return work


def ids(path: str) -> set[int]:
    return set(pl.read_parquet(f"{path}/*.parquet")["id"])


def test_a_split_has_three_parts_and_a_certificate(cli: Cli, flights: Path) -> None:
    done = cli("split", "flights.csv", "-o", "parts")
    assert done.ref == "parts"
    made = artefact.open_artefact(flights / "parts")
    assert made.kind == "split" and made.manifest.seed == 0
    assert sorted(entry.path for entry in made.manifest.files) == [
        "certificate.json", "test/part-00000.parquet", "train/part-00000.parquet", "valid/part-00000.parquet",
    ]  # fmt: skip
    assert ids("parts/train") | ids("parts/valid") | ids("parts/test") == set(range(400))
    counts = json.loads((flights / "parts" / "certificate.json").read_bytes())["parts"]
    assert f"400 rows in = {counts['train']['rows']} train + " in done.err


def test_the_same_again_is_cached_and_flags_ask_again(cli: Cli, flights: Path) -> None:
    first = cli("split", "flights.csv").ref
    again = cli("split", "flights.csv")
    assert again.ref == first and "cached" in again.err and "400 rows in" in again.err
    for flags in (("--seed", "1"), ("--test", "0.3"), ("--key", "id"), ("--group", "delay"), ("--stratify", "carrier")):
        assert "cached" not in cli("split", "flights.csv", *flags).err


def test_same_split_from_a_file_a_dataset_and_a_stream(cli: Cli, flights: Path) -> None:
    dataset = cli("ingest", "flights.csv", "-o", "data").ref
    stream = cli("ingest", "flights.csv", "-o", "-").raw
    refs = [cli("split", "flights.csv").ref, cli("split", dataset).ref, cli("split", stdin=stream).ref]
    assert len({artefact.open_artefact(Path(ref)).id for ref in refs}) == 1


def test_time_tells_its_cut_offs(cli: Cli, flights: Path) -> None:
    done = cli("split", "flights.csv", "--time", "day", "--test", "2013-11-01", "--embargo", "1d", "--json")
    told = json.loads(done.out)
    assert told["method"] == "time" and told["verdict"]["clean"]
    assert told["cut_offs"]["test"] == "2013-11-01"
    assert "cut-offs in day: valid from" in done.err


def test_json_and_several_keys(cli: Cli, flights: Path) -> None:
    told = json.loads(cli("split", "flights.csv", "--key", "id", "--key", "day", "--json").out)
    assert told["kind"] == "split" and sum(part["rows"] for part in told["parts"].values()) == 400


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--test", "1.5"), 2, "leave no rows"),
        (("--test", "many"), 2, "not a share"),
        (("--seed", "x"), 2, "--seed"),
        (("--group", "carier"), 4, "did you mean carrier?"),
        (("--group", "carrier"), 4, "too few groups"),
        (("--time", "carrier"), 4, "not of times"),
        (("--audit", "flights.csv"), 2, "--audit"),
    ],
)
def test_refused_in_one_line_with_nothing_left(
    cli: Cli, flights: Path, flags: tuple[str, ...], code: int, words: str
) -> None:
    done = cli("split", "flights.csv", "-o", "out", *flags)
    assert (done.code, done.out) == (code, "")
    assert words in done.err and not (flights / "out").exists()


def test_audit_finds_copies_groups_and_times(cli: Cli, flights: Path) -> None:
    frame = pl.read_csv("flights.csv", try_parse_dates=True)
    frame.filter(pl.col("id") < 300).write_parquet("train.parquet")
    frame.filter(pl.col("id") >= 290).write_parquet("test.parquet")
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--group", "carrier", "--time", "day", "--json")
    told = json.loads(done.out)
    assert done.code == 1
    assert told["verdict"]["leaks"] == {"duplicate_rows": 10, "group_overlap": 2, "time_overlap": 300}
    assert told["kind"] == "report"
    frame.filter(pl.col("id") >= 300).write_csv("test.csv")
    assert cli("split", "--audit", "train.parquet", "test.csv").code == 0
    assert cli("split", "--audit", "train.parquet", "test.csv").err.count("cached") == 1


def test_audit_compares_values_not_types_or_order_of_columns(cli: Cli, flights: Path) -> None:
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet("train.parquet")
    pl.DataFrame({"b": ["x", "z"], "a": [1.0, 2.0]}).write_parquet("test.parquet")
    done = cli("split", "--audit", "train.parquet", "test.parquet")
    assert done.code == 1 and "1 rows of a later part are exact copies" in done.err
    frame = pl.DataFrame({"a": range(10), "v": range(10)})
    frame.write_parquet("train.parquet")
    frame.with_columns(pl.col("v").cast(pl.Decimal(10, 2))).write_parquet("test.parquet")
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--group", "v", "--json")
    assert json.loads(done.out)["verdict"]["leaks"]["duplicate_rows"] == 10
    assert json.loads(done.out)["verdict"]["leaks"]["group_overlap"] == 10


def test_audit_of_the_parts_of_a_split(cli: Cli, flights: Path) -> None:
    cli("split", "flights.csv", "--group", "delay", "-o", "parts", "--test", "0.3", "--seed", "2")
    assert cli("split", "--audit", "parts/train", "parts/test", "--group", "delay").code == 0
    assert cli("split", "--audit", "parts/train", "parts/train", "--group", "delay").code == 1


@pytest.mark.parametrize(
    ("first", "second", "flags", "words"),
    [
        ("none.csv", "flights.csv", (), "none.csv"),
        ("flights.csv", "other.csv", (), "no column in common"),
        ("flights.csv", "flights.csv", ("--group", "delai"), "did you mean delay?"),
        ("flights.csv", "empty.parquet", (), "no rows"),
    ],
)
def test_audit_of_what_cannot_be_compared(
    cli: Cli, flights: Path, first: str, second: str, flags: tuple[str, ...], words: str
) -> None:
    (flights / "other.csv").write_text("x,y\n1,2\n")
    pl.DataFrame({"id": pl.Series([], dtype=pl.Int64)}).write_parquet("empty.parquet")
    done = cli("split", "--audit", first, second, *flags)
    assert done.code == 4 and words in done.err, done.err


def test_stops_pass_through(cli: Cli, flights: Path) -> None:
    assert cli("split", "mlops:stop:3:validate").code == 3
    done = cli("split", stdin=b"mlops:stop:1:validate\n")
    assert (done.code, done.err) == (1, "")


def test_in_a_real_pipe(shell: Cli, flights: Path) -> None:
    one = shell("mlops ingest -q flights.csv | mlops validate -q | mlops split -q --key id")
    other = shell("mlops ingest -q flights.csv -o - | mlops validate -q -o - | mlops split -q --key id")
    assert one.ref == other.ref
    cut = shell("mlops ingest -q flights.csv -o - | head -c 2000 | mlops split -q -o never")
    assert cut.code == 4 or "cut off" in cut.err
    assert not (flights / "never").exists()
