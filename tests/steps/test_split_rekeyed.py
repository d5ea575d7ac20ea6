"""Rows that are in two parts under two keys: a leak where rows are mostly different, else told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_cli.steps import split_leaks

Cli = Callable[..., Any]
ROWS = 1000


def doubled(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows twice, each with an id of its own."""
    return pl.concat([frame, frame]).with_columns(id=pl.int_range(2 * frame.height))


def table(rows: int = ROWS) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return pl.DataFrame({"id": range(rows), "x": rng.normal(size=rows), "kind": rng.choice(["a", "b"], rows)})


def certificate(done: Any) -> Any:
    return json.loads(Path(json.loads(done.out)["ref"], "certificate.json").read_bytes())


@pytest.mark.parametrize("flags", [(), ("--stratify", "kind")])
def test_data_doubled_under_fresh_ids_is_a_leak(cli: Cli, flags: tuple[str, ...]) -> None:
    doubled(table()).write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--key", "id", *flags, "-o", "parts", "--json")
    found = certificate(done)
    parts = {part: pl.read_parquet(path) for part in ("train", "valid", "test") for path in [
        Path(json.loads(done.out)["ref"], part, "part-00000.parquet")]}  # fmt: skip
    late = [parts["valid"]["x"].is_in(parts["train"]["x"].implode())]
    late.append(parts["test"]["x"].is_in(pl.concat([parts["train"], parts["valid"]])["x"].implode()))
    rows = sum(int(one.sum()) for one in late)
    told = found["leaks"]["rekeyed"]
    assert (done.code, found["clean"], found["leaks"]["duplicate_rows"]) == (1, False, 0)
    assert told["key"] == ["id"] and told["rows"] == rows > 300 and told["leak"] is True
    assert f"leak: {rows:,} of {told['of']:,} rows of a later part are in an earlier one under another id" in done.err


def test_few_of_them_and_rows_that_are_alike_by_nature_are_told(cli: Cli) -> None:
    pl.concat([table(), table(30).with_columns(pl.col("id") + ROWS)]).write_parquet("few.parquet")
    table().drop("x").write_parquet("coarse.parquet")
    for name in ("few", "coarse"):
        done = cli("split", f"{name}.parquet", "--key", "id", "-o", name, "--json")
        told = certificate(done)["leaks"]["rekeyed"]
        assert (done.code, told["leak"]) == (0, False), done.err
        assert told["rows"] > 0 and "are in an earlier one under another id" in done.err and "leak:" not in done.err


def test_rows_of_which_a_few_are_very_common_are_alike_by_nature(cli: Cli) -> None:
    """Cases of few columns: most are there once, some very often; loaded twice, each is there twice."""
    common = pl.DataFrame({"x": np.repeat([0.0, 1.0], 150), "kind": "a"}).with_columns(id=pl.int_range(300) + ROWS)
    pl.concat([table(), common.select("id", "x", "kind")]).write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--key", "id", "--json")
    told = certificate(done)["leaks"]["rekeyed"]
    assert (done.code, told["leak"]) == (0, False) and told["rows"] > 0.2 * told["of"] and told["occur"] < 3


def test_copies_that_stay_together_are_told_with_what_to_do(cli: Cli) -> None:
    cases = table().drop("x", "id").with_columns(age=pl.int_range(ROWS) % 40)
    cases.write_parquet("cases.parquet")
    done = cli("split", "cases.parquet", "--json")
    told = certificate(done)["leaks"]["copies"]
    assert (done.code, told["different"]) == (0, pl.read_parquet(done_part(done, "train")).n_unique())
    assert f"{told['rows'] - told['different']} of {told['rows']} rows of train are copies of others" in done.err
    assert "--key COLUMN" in done.err
    table().write_parquet("t.parquet")
    for flags in ((), ("--key", "id"), ("--group", "id")):
        done = cli("split", "t.parquet", *flags, "--json")
        assert "are copies of others" not in done.err and "copies" not in certificate(done)["leaks"]


def done_part(done: Any, part: str) -> Path:
    return Path(json.loads(done.out)["ref"], part, "part-00000.parquet")


def test_without_copies_and_without_a_key_nothing_is_told(cli: Cli) -> None:
    table().write_parquet("t.parquet")
    keyed = cli("split", "t.parquet", "--key", "id", "--json")
    assert certificate(keyed)["leaks"]["rekeyed"]["rows"] == 0 and "another id" not in keyed.err
    for flags in ((), ("--key", "id", "--key", "x", "--key", "kind")):
        assert "rekeyed" not in certificate(cli("split", "t.parquet", *flags, "--json"))["leaks"]


def test_the_audit_compares_without_the_key_too(cli: Cli) -> None:
    frame = table()
    frame[:500].write_parquet("train.parquet")
    frame[400:].with_columns(pl.col("id") + ROWS, pl.col("x")).write_parquet("test.parquet")
    assert cli("split", "--audit", "train.parquet", "test.parquet").code == 0
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--key", "id", "--json")
    told = json.loads(done.out)["verdict"]["leaks"]
    assert done.code == 1 and (told["duplicate_rows"], told["rekeyed"]["rows"], told["rekeyed"]["of"]) == (0, 100, 600)
    assert cli("split", "--audit", "train.parquet", "test.parquet", "--key", "ident").code == 4


def test_hashes_are_compared_a_share_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"id": range(1000), "x": [number % 700 for number in range(1000)]})
    parts = {"train": frame.head(600).lazy(), "test": pl.concat([frame.head(50), frame.tail(400)]).lazy()}
    whole = split_leaks.find(parts, tmp_path / "a", key=["id"])
    monkeypatch.setattr(split_leaks, "AT_ONCE", 97)
    assert split_leaks.find(parts, tmp_path / "b", key=["id"]) == whole
    assert whole.duplicate_rows == 50
    repeated = {"train": pl.LazyFrame({"x": [1, 1, 1, 2]}), "test": pl.LazyFrame({"x": [3]})}
    assert split_leaks.find(repeated, tmp_path / "c", copies=True).copies == split_leaks.Copies(4, 2)
