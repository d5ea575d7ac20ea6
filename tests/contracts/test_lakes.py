"""What every kind of lake table must do: every writer × every rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lakes
import polars as pl
import pytest
from test_sources import FRAME

from mlops_cli import extensions
from mlops_cli.errors import EmptyInput, Missing, MlopsError, Usage
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import Options
from mlops_cli.steps import tables

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")


def _delta(folder: Path, *frames: pl.DataFrame) -> str:
    return lakes.delta(folder / "t", *frames)


def _iceberg(folder: Path, *frames: pl.DataFrame) -> str:
    lakes.iceberg(folder, *frames)
    return str(folder / "n" / "t")


WRITERS: dict[str, Callable[..., str]] = {"delta": _delta, "iceberg": _iceberg}

every = pytest.mark.parametrize("kind", list(WRITERS))


def scanned(kind: str, name: str, folder: Path, at: str | None = None) -> Any:
    return extensions.load("places", kind).find(name, Asked(at=at)).scan(Options(folder))


def read(kind: str, name: str, folder: Path, at: str | None = None) -> pl.DataFrame:
    found = scanned(kind, name, folder, at)
    with tables.reading(name):
        frame = found.frame.collect(engine="streaming")
    if found.check:
        assert found.check(lambda: False) == frame.height
    return frame


@every
def test_reads_what_was_written(tmp_path: Path, kind: str) -> None:
    frame = read(kind, WRITERS[kind](tmp_path, FRAME), tmp_path)
    assert frame.equals(FRAME)
    assert frame.schema == FRAME.schema


@every
def test_can_be_collected_again_in_part_and_in_order(tmp_path: Path, kind: str) -> None:
    frame = scanned(kind, WRITERS[kind](tmp_path, FRAME), tmp_path).frame
    assert frame.select("text", "whole").collect(engine="streaming").equals(FRAME.select("text", "whole"))
    assert frame.head(2).collect(engine="streaming").equals(FRAME.head(2))
    assert frame.filter(pl.col("flag")).collect(engine="streaming").equals(FRAME.filter(pl.col("flag")))


@every
def test_commits_follow_one_another_and_each_can_be_read(tmp_path: Path, kind: str) -> None:
    frames = [pl.DataFrame({"n": [number, number + 100]}) for number in range(5)]
    name = WRITERS[kind](tmp_path, *frames)
    assert read(kind, name, tmp_path).equals(pl.concat(frames))
    versions = _versions(kind, name)
    assert len(versions) == 5
    for number, version in enumerate(versions, 1):
        assert read(kind, name, tmp_path, version).equals(pl.concat(frames[:number]))
        assert read(kind, f"{name}@{version}", tmp_path).height == 2 * number


def _versions(kind: str, name: str) -> list[str]:
    if kind == "delta":
        return [str(number) for number in range(len(list(Path(name, "_delta_log").glob("*.json"))))]
    from pyiceberg.table import StaticTable

    newest = max(Path(name, "metadata").glob("*.metadata.json"))
    return [str(one.snapshot_id) for one in StaticTable.from_metadata(f"file://{newest}").metadata.snapshots]


@every
def test_more_rows_than_a_batch(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"n": range(200_000), "s": [f"v{number % 97}" for number in range(200_000)]})
    assert read(kind, WRITERS[kind](tmp_path, frame), tmp_path).equals(frame)


@every
def test_no_rows(tmp_path: Path, kind: str, cli: Callable[..., Any]) -> None:
    name = WRITERS[kind](tmp_path, pl.DataFrame(schema={"n": pl.Int64}))
    ended = cli("ingest", name)
    assert (ended.code, ended.out) == (EmptyInput.exit, "")
    assert "there are no rows" in ended.err


@every
def test_no_table_there(tmp_path: Path, kind: str) -> None:
    with pytest.raises(Missing, match="there is no"):
        read(kind, f"{kind}://{tmp_path}/nothing", tmp_path)


@every
@pytest.mark.parametrize(("at", "error"), [("77", Missing), ("1999-12-31", Missing), ("yesterday", Usage)])
def test_a_version_that_is_not_there(tmp_path: Path, kind: str, at: str, error: type[MlopsError]) -> None:
    name = WRITERS[kind](tmp_path, FRAME)
    with pytest.raises(error) as caught:
        read(kind, name, tmp_path, at)
    assert at in caught.value.message
    assert read(kind, name, tmp_path, "2999-01-01T00:00+01:00").equals(FRAME)


@every
def test_a_data_file_that_is_gone_cut_or_damaged(tmp_path: Path, kind: str, cli: Callable[..., Any]) -> None:
    name = WRITERS[kind](tmp_path, pl.concat([FRAME] * 50))
    (file,) = Path(name).rglob("*.parquet")
    data = file.read_bytes()
    for bad in (None, data[:-20], data[: len(data) // 2] + b"\0" * 40 + data[len(data) // 2 + 40 :], b""):
        if bad is None:
            file.unlink()
        else:
            file.write_bytes(bad)
        ended = cli("ingest", name, "-o", "out")
        assert (ended.code, ended.out) == (4, ""), ended.err
        assert len(ended.err.strip().splitlines()) <= 3, ended.err
        assert not Path("out").exists()


@every
def test_its_files_are_not_taken_for_the_table(tmp_path: Path, kind: str, cli: Callable[..., Any]) -> None:
    name = WRITERS[kind](tmp_path, FRAME)
    for pattern in ("**/*.parquet", "*.parquet" if kind == "delta" else "d*/*.parquet"):
        ended = cli("ingest", f"{name}/{pattern}")
        assert (ended.code, f"mlops ingest {name}" in ended.err) == (4, True), ended.err
    (file,) = Path(name).rglob("*.parquet")
    assert cli("ingest", file).ref  # one file by its name is what it is


@every
def test_lineage_names_the_version_and_a_pinned_one_is_found_again(
    tmp_path: Path, kind: str, cli: Callable[..., Any], work: Path
) -> None:
    name = WRITERS[kind](tmp_path, FRAME.head(2), FRAME.tail(2))
    first, last = _versions(kind, name)
    newest = cli("ingest", name, "-o", "newest")
    assert newest.ref == "newest"
    assert f" {last} of 20" in newest.err
    from mlops_cli.store.artefact import open_artefact

    (source,) = open_artefact(Path("newest")).manifest.inputs
    assert (source.kind, source.ref) == (kind, f"{name}@{last}")
    assert "cached" in cli("ingest", name, "--at", last).err
    assert "cached" not in cli("ingest", name, "--at", first, "-o", "first").err
    (older,) = open_artefact(Path("first")).manifest.inputs
    assert older.id != source.id
    for file in Path(name).rglob("*.parquet"):
        file.unlink()
    again = cli("ingest", name, "--at", first)
    assert again.code == 0
    assert "cached" in again.err


def test_every_lake_has_a_writer_here() -> None:
    assert set(WRITERS) <= set(extensions.PLACES)
