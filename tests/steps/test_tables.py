"""Tables are written the one way: order kept, row groups of a fixed size, bytes that follow from the rows alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from mlops_cli.steps import tables


@pytest.fixture
def numbers(tmp_path: Path) -> pl.LazyFrame:
    """400,000 rows in several row groups."""
    pl.DataFrame({"i": range(400_000)}).write_parquet(tmp_path / "numbers.parquet", row_group_size=50_000)
    return pl.scan_parquet(tmp_path / "numbers.parquet")


def test_rows_keep_their_order_even_when_all_outputs_are_literals(numbers: pl.LazyFrame, tmp_path: Path) -> None:
    """polars 2.1 swaps row groups here unless one of its optimisations is off."""
    frame = numbers.select(pl.when(pl.col("i") >= 200_000).then(2).otherwise(0).alias("x"))
    for attempt in range(10):
        assert frame.collect()["x"].is_sorted()
        tables.write_table(frame, tmp_path / str(attempt))
        assert pl.read_parquet(tmp_path / str(attempt) / "part-00000.parquet")["x"].is_sorted()


def test_row_groups_do_not_follow_how_the_data_was_read(numbers: pl.LazyFrame, tmp_path: Path) -> None:
    """The same rows give the same bytes, read in large groups or in small ones."""
    tables.write_table(numbers, tmp_path / "a")
    numbers.collect().write_parquet(tmp_path / "other.parquet", row_group_size=777)
    tables.write_table(pl.scan_parquet(tmp_path / "other.parquet"), tmp_path / "b")
    a, b = (tmp_path / name / "part-00000.parquet" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    groups = pq.ParquetFile(a).metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [131_072] * 3 + [6_784]


def test_lists_are_written_alike_too(tmp_path: Path) -> None:
    """With polars' own writer the bytes of a list column would follow the chunks."""
    frame = pl.DataFrame({"i": range(300_000)}).select(pl.concat_list("i", "i").alias("l"))
    chunked = pl.concat([frame[:1000], frame[1000:250_000], frame[250_000:]], rechunk=False)
    tables.write_table(frame.lazy(), tmp_path / "a")
    tables.write_table(chunked.lazy(), tmp_path / "b")
    a, b = (tmp_path / name / "part-00000.parquet" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert pl.read_parquet(a).equals(frame)


@pytest.mark.parametrize(("columns", "rows"), [(3, 131_072), (1_000, 16_384), (20_000_000, 1)])
def test_wide_tables_have_smaller_groups(columns: int, rows: int) -> None:
    """From the schema alone."""

    class Wide(dict):
        def __len__(self) -> int:
            return columns

        def dtypes(self) -> list[pl.DataType]:
            return [pl.Int64()]

    assert tables.rows_per_group(Wide()) == rows  # type: ignore[arg-type]


def test_a_row_that_a_filter_leaves_does_not_keep_its_batch_in_memory() -> None:
    """Without `sparse` what polars leaves of a batch, a single row, is a slice of it."""
    whole = pl.DataFrame({"n": range(100_000), "x": [0.5] * 100_000})
    left = tables.sparse(whole.lazy().filter(pl.col("n") == 77)).collect(engine="streaming")
    assert left.rows() == [(77, 0.5)]
    for name in whole.columns:
        assert not np.shares_memory(left[name].to_numpy(), whole[name].to_numpy())
