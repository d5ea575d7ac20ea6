"""A large table is several files, cut where its rows say, and every reader takes all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pictures import FRAMES, folder

from mlops_cli.steps import ingest_image_table, parts, tables
from mlops_cli.store.artefact import open_artefact

TABLE = pl.DataFrame(
    {
        "n": range(20_000),
        "late": [number % 3 == 0 for number in range(20_000)],
        "text": [f"{number * 7919 % 20_011:x}" for number in range(20_000)],
    }
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files of 12,000 bytes at most, of row groups of 1,000 rows."""
    monkeypatch.setattr(parts, "MOST_BYTES", 12_000)
    monkeypatch.setattr(tables, "ROWS", 1_000)
    return 12_000


def written(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


@pytest.mark.parametrize("listed", [False, True])
def test_the_same_rows_give_the_same_files_whichever_way_they_came(tmp_path: Path, small: int, listed: bool) -> None:
    """With a list they are written by pyarrow."""
    frame = TABLE.with_columns(pl.col("n").reshape((-1, 1)).arr.to_list().alias("list")) if listed else TABLE
    found = tables.write_table(frame.lazy(), tmp_path / "a")
    assert found.rows == 20_000
    files = written(tmp_path / "a")
    assert [path.name for path in files] == [parts.name(number) for number in range(len(files))]
    assert len(files) > 5
    assert all(path.stat().st_size <= small for path in files)
    assert sum(path.stat().st_size for path in files) / small > len(files) * 0.6  # they are filled
    assert pl.read_parquet(files).equals(frame)
    frame.write_parquet(tmp_path / "other.parquet", row_group_size=77)
    tables.write_table(pl.scan_parquet(tmp_path / "other.parquet"), tmp_path / "b")
    assert [path.read_bytes() for path in written(tmp_path / "b")] == [path.read_bytes() for path in files]


def test_a_row_group_that_is_too_large_is_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST_BYTES", 10)
    monkeypatch.setattr(tables, "ROWS", 8_192)
    assert tables.write_table(TABLE.lazy(), tmp_path / "a").rows == 20_000
    assert [pl.read_parquet(path).height for path in written(tmp_path / "a")] == [8_192, 8_192, 3_616]


def test_a_file_with_a_name_stays_one(tmp_path: Path, small: int) -> None:
    tables.write_table(TABLE.lazy(), tmp_path / "a", "predictions.parquet")
    assert [path.name for path in written(tmp_path / "a")] == ["predictions.parquet"]


def test_every_command_reads_all_files(cli: Callable[..., Any], work: Path, small: int) -> None:
    TABLE.write_csv("a.csv")
    data = cli("ingest", "a.csv", "-o", "data")
    assert len(open_artefact(work / "data").tables()) > 5
    assert "20,000 rows" in data.err
    checked = open_artefact(Path(cli("validate", "data").ref))
    assert pl.read_parquet(checked.tables()).equals(TABLE)
    Path("rules.yaml").write_text("columns:\n  n:\n    checks:\n      less_than: 15000\n")
    some = cli("validate", "data", "--schema", "rules.yaml", "--max-bad", "5000", "--reject", "bad.parquet")
    assert pl.read_parquet(open_artefact(Path(some.ref)).tables())["n"].to_list() == list(range(15_000))
    assert pl.read_parquet("bad.parquet").height == 5_000
    halves = open_artefact(Path(cli("split", "data", "--test", "0.5", "--valid", "0.1").ref))
    assert len(halves.tables("train")) > 1
    rows = pl.concat([pl.read_parquet(halves.tables(part)) for part in ("train", "valid", "test")])
    assert rows.sort("n").equals(TABLE)
    streamed = cli("ingest", "a.csv", "-o", "-")
    assert pl.read_ipc_stream(streamed.raw).equals(TABLE)


def test_images(cli: Callable[..., Any], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder(work / "frames", FRAMES)
    whole = open_artefact(Path(cli("ingest", images, "--force").ref))
    monkeypatch.setattr(ingest_image_table, "ROWS", 1)
    monkeypatch.setattr(parts, "MOST_BYTES", 9_000)
    cut = open_artefact(Path(cli("ingest", images, "--force").ref))
    assert len(cut.tables()) > 1
    assert pl.read_parquet(cut.tables()).equals(pl.read_parquet(whole.tables()))
    some = cli("ingest", images, "--columns", "label,width", "--force").ref
    assert pl.read_parquet(open_artefact(Path(some)).tables()).height == len(FRAMES)
