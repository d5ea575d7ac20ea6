"""Iceberg tables: schema evolution, deletes, partitions and catalogs; damage is told."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lakes
import polars as pl
import pytest

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import Options

pytest.importorskip("pyiceberg")

from pyiceberg.types import LongType

from mlops_cli.sources import iceberg

FRAME = pl.DataFrame({"k": [1, 2, 3], "s": ["a", None, "c"], "day": [datetime.date(2020, 1, day) for day in (1, 1, 2)]})


def read(name: object, at: str | None = None) -> pl.DataFrame:
    return iceberg.find(str(name), Asked(at=at)).scan(Options(Path())).frame.collect(engine="streaming")


def test_renamed_added_and_widened_columns(tmp_path: Path) -> None:
    table = lakes.iceberg(tmp_path, FRAME.with_columns(pl.col("k").cast(pl.Int32)))
    first = table.current_snapshot().snapshot_id
    with table.update_schema() as change:
        change.rename_column("s", "text")
        change.add_column("extra", LongType())
        change.update_column("k", LongType())
        change.delete_column("day")
    with table.update_schema() as change:
        change.add_column("s", LongType())  # the name is taken again by another column
    later = pl.DataFrame({"k": [2**40], "text": ["z"], "extra": [7], "s": [5]})
    table.append(lakes.arrow(later))
    found = read(tmp_path / "n" / "t")
    assert found.columns == ["k", "text", "extra", "s"]
    assert found["k"].to_list() == [1, 2, 3, 2**40]
    assert found["text"].to_list() == ["a", None, "c", "z"]
    assert found["s"].to_list() == [None, None, None, 5]
    assert found.select("s").equals(read(tmp_path / "n" / "t").select("s"))
    assert read(tmp_path / "n" / "t", str(first)).columns == ["k", "s", "day"]


def test_deleted_and_overwritten_rows(tmp_path: Path) -> None:
    table = lakes.iceberg(tmp_path, FRAME, FRAME.with_columns(pl.col("k") + 10))
    table.delete("k = 2")
    found = read(tmp_path / "n" / "t")["k"].to_list()
    assert sorted(found) == [1, 3, 11, 12, 13]
    table.overwrite(lakes.arrow(FRAME.head(1)))
    assert read(tmp_path / "n" / "t").equals(FRAME.head(1))


def test_partitions(tmp_path: Path) -> None:
    table = lakes.catalog(tmp_path).create_table("n.t", schema=lakes.arrow(FRAME).schema)
    with table.update_spec() as spec:
        spec.add_identity("day")
    table.append(lakes.arrow(FRAME))
    assert read(tmp_path / "n" / "t").sort("k").equals(FRAME)


def test_by_the_name_in_a_catalog(tmp_path: Path, shell: Callable[..., Any]) -> None:
    uri = f"sqlite:///{tmp_path}/c.db"
    lakes.iceberg(tmp_path / "w", FRAME, uri=uri)
    known = {"PYICEBERG_CATALOG__TEST__URI": uri, "PYICEBERG_CATALOG__TEST__TYPE": "sql"}
    made = shell("mlops ingest iceberg://test/n.t -o out", **known)
    assert made.ref == "out"
    assert pl.read_parquet("out/*.parquet").equals(FRAME)
    for name, code, word in (("test/n.u", 4, "no table n.u"), ("nobody/n.t", 2, "nobody is not configured")):
        ended = shell(f"mlops ingest iceberg://{name}", **known)
        assert (ended.code, word in ended.err) == (code, True), ended.err


def test_two_metadata_files_of_one_number_are_not_guessed_at(tmp_path: Path) -> None:
    lakes.iceberg(tmp_path, FRAME)
    place = tmp_path / "n" / "t"
    newest = max((place / "metadata").glob("*.metadata.json"))
    (place / "metadata" / "00001-0a.metadata.json").write_bytes(newest.read_bytes())
    with pytest.raises(Corrupt, match="2 metadata files"):
        read(place)
    assert read(newest).equals(FRAME)


def test_damaged_metadata(tmp_path: Path, cli: Callable[..., Any]) -> None:
    lakes.iceberg(tmp_path, FRAME)
    place = tmp_path / "n" / "t"
    for pattern in ("*.metadata.json", "snap-*.avro", "*-m0.avro"):
        file = max((place / "metadata").glob(pattern))
        data = file.read_bytes()
        for bad in (data[: len(data) // 2], b"", b"\xff" * 50):
            file.write_bytes(bad)
            with pytest.raises(InputUnusable) as caught:
                read(place)
            assert "\n" not in caught.value.message
        file.unlink()
        ended = cli("ingest", f"iceberg://{place}")
        if pattern != "*.metadata.json":  # the one before it, of the empty table, is the newest then
            assert ended.code == 4, ended.err
        file.write_bytes(data)


def test_a_table_to_which_nothing_was_written(tmp_path: Path, cli: Callable[..., Any]) -> None:
    lakes.catalog(tmp_path).create_table("n.t", schema=lakes.arrow(FRAME).schema)
    ended = cli("ingest", tmp_path / "n" / "t")
    assert ended.code == 4
    assert "nothing was ever written" in ended.err
