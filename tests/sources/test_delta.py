"""Delta tables: what is in their log is what is read, compared with deltalake's own engine; damage is told."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lakes
import polars as pl
import pyarrow as pa
import pytest

from mlops_cli.errors import InputUnusable, Missing, SchemaMismatch
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import Options

deltalake = pytest.importorskip("deltalake")

from mlops_cli.sources import delta  # noqa: E402

FRAME = pl.DataFrame(
    {
        "p": ["a b", "c/d%=", None, "a b"],
        "day": [datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1), datetime.date(2020, 1, 1)],
        "n": [1, 2, 3, None],
    }
)


def read(place: Path, at: str | None = None) -> pl.DataFrame:
    return delta.find(str(place), Asked(at=at)).scan(Options(place)).frame.collect(engine="streaming")


def theirs(place: Path) -> pl.DataFrame:
    """What deltalake's own engine reads."""
    return pl.DataFrame(pl.from_arrow(pa.table(deltalake.DeltaTable(str(place)).scan())))


def same(place: Path) -> pl.DataFrame:
    """What we read, after it has been found to be what deltalake reads."""
    ours, other = read(place), theirs(place)
    keys = ours.columns
    assert ours.sort(keys).equals(other.select(keys).sort(keys))
    return ours


def test_partitions_whose_values_need_escapes(tmp_path: Path) -> None:
    place = tmp_path / "t"
    lakes.delta(place, FRAME, partition_by=["p", "day"])
    ours = same(place)
    assert ours.sort("n").equals(FRAME.select(ours.columns).sort("n"))
    only = delta.find(str(place), Asked()).scan(Options(place)).frame.select("p").collect()
    assert sorted(only["p"].to_list(), key=str) == sorted(FRAME["p"].to_list(), key=str)


def test_columns_that_came_later_and_wider_types(tmp_path: Path) -> None:
    place = tmp_path / "t"
    lakes.delta(place, FRAME, FRAME.with_columns(extra=pl.lit(2.5)), schema_mode="merge")
    ours = same(place)
    assert ours["extra"].to_list() == [None] * 4 + [2.5] * 4
    assert "extra" not in read(place, "0").columns


def test_rows_that_were_deleted_updated_and_compacted(tmp_path: Path) -> None:
    place = tmp_path / "t"
    lakes.delta(place, *[FRAME.with_columns(n=pl.lit(number)) for number in range(4)])
    table = deltalake.DeltaTable(str(place))
    table.delete("n = 2")
    table.update(updates={"n": "n + 10"}, predicate="n = 3")
    assert sorted(same(place)["n"].to_list()) == [0] * 4 + [1] * 4 + [13] * 4
    table.optimize.compact()
    table.create_checkpoint()
    assert sorted(same(place)["n"].to_list()) == [0] * 4 + [1] * 4 + [13] * 4
    assert sorted(read(place, "3")["n"].to_list()) == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_deletion_vectors(tmp_path: Path) -> None:
    place, frame = tmp_path / "t", pl.DataFrame({"n": range(150_000)})
    lakes.delta(place, frame)
    gone = [0, 7, 65_535, 65_536, 70_001, 149_999]
    lakes.delete_rows(place, 1, gone)
    ours = same(place)
    assert ours["n"].to_list() == [number for number in range(150_000) if number not in gone]
    assert read(place, "0").height == 150_000
    found = delta.find(str(place), Asked()).scan(Options(place))
    assert found.check is not None
    assert found.check(lambda: False) == 150_000 - len(gone)


def mapped(place: Path, mode: str = "name") -> dict[str, Any]:
    """A table whose file has other names than its columns, by hand."""
    file = place / "part-0.parquet"
    (place / "_delta_log").mkdir(parents=True)
    FRAME.select(pl.col("n").alias("col-1"), pl.col("p").alias("col-2")).write_parquet(file)
    fields = [
        {
            "name": name,
            "type": kind,
            "nullable": True,
            "metadata": {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"},
        }
        for number, (name, kind) in enumerate([("count", "long"), ("place", "string")], 1)
    ]
    features = {"readerFeatures": ["columnMapping"], "writerFeatures": ["columnMapping"]}
    meta = {
        "id": "x",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "2"},
        "createdTime": 1,
    }
    add = {"path": file.name, "partitionValues": {}, "size": file.stat().st_size, "modificationTime": 1}
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    lakes.commit(place, 0, {"protocol": protocol}, {"metaData": meta}, {"add": {**add, "dataChange": True}})
    return meta


def test_columns_that_were_renamed(tmp_path: Path) -> None:
    place = tmp_path / "t"
    meta = mapped(place)
    assert same(place)["count"].to_list() == FRAME["n"].to_list()
    renamed = meta["schemaString"].replace('"count"', '"number"')
    lakes.commit(place, 1, {"metaData": {**meta, "schemaString": renamed}})
    assert same(place).columns == ["number", "place"]
    assert read(place)["number"].to_list() == FRAME["n"].to_list()


def test_what_we_cannot_read_is_refused(tmp_path: Path) -> None:
    mapped(tmp_path / "ids", "id")
    with pytest.raises(SchemaMismatch, match="by id"):
        read(tmp_path / "ids")
    place = tmp_path / "t"
    lakes.delta(place, FRAME)
    features = {"readerFeatures": ["fromTheFuture"], "writerFeatures": ["fromTheFuture"]}
    lakes.commit(place, 1, {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}})
    with pytest.raises(InputUnusable) as caught:
        read(place)
    assert "\n" not in caught.value.message
    assert read(place, "0").height == 4


def test_damaged_logs(tmp_path: Path) -> None:
    place = tmp_path / "t"
    lakes.delta(place, FRAME, FRAME, FRAME)
    log = Path("_delta_log")
    for number, harm in enumerate(
        [
            lambda folder: (folder / log / f"{1:020}.json").unlink(),
            lambda folder: (folder / log / f"{2:020}.json").write_text("{bad"),
            lambda folder: os.truncate(folder / log / f"{2:020}.json", 300),
            lambda folder: [file.unlink() for file in (folder / log).iterdir()],
            lambda folder: (folder / log / f"{0:020}.json").write_bytes(b"\xff\xfe\0\0"),
        ]
    ):
        copy = lakes.moved(place, tmp_path / f"bad{number}")
        harm(copy)
        with pytest.raises(InputUnusable) as caught:
            read(copy)
        assert "\n" not in caught.value.message
        assert "\x1b" not in caught.value.message


def test_a_version_that_was_vacuumed_away(tmp_path: Path, cli: Callable[..., Any]) -> None:
    place = tmp_path / "t"
    lakes.delta(place, FRAME)
    deltalake.write_deltalake(str(place), lakes.arrow(FRAME), mode="overwrite")
    deltalake.DeltaTable(str(place)).vacuum(0, dry_run=False, enforce_retention_duration=False)
    ended = cli("ingest", place, "--at", "0")
    assert ended.code == 4
    assert "is gone" in ended.err
    assert cli("ingest", place).ref


def test_a_copy_of_a_table_is_the_same_table(tmp_path: Path) -> None:
    place = tmp_path / "t"
    lakes.delta(place, FRAME)
    other = lakes.moved(place, tmp_path / "other")
    assert delta.find(str(place), Asked()).key == delta.find(str(other), Asked()).key
    shutil.rmtree(place)
    assert read(other).equals(FRAME)
    with pytest.raises(Missing):
        read(place)
