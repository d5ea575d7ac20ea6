"""Parquet files are read in batches that memory can hold: few rows where a row may be an image."""

import polars as pl
import pytest

from mlops_cli.sources import batches, parquet
from mlops_cli.sources.base import File


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        (pl.Struct({"bytes": pl.Binary, "path": pl.String}), batches.ROWS_OF_BYTES),
        (pl.Binary, batches.ROWS_OF_BYTES),
        (pl.String, batches.ROWS),
    ],
)
def test_images_are_read_few_at_a_time(tmp_path, kind, most):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"x": range(1000)}).with_columns(image=pl.lit(None, kind)).write_parquet(path)
    part = parquet._part(File(path, "t"), parquet._footer(File(path, "t")).schema_arrow)
    sizes = [batch.num_rows for batch in part.read(None)]
    assert sum(sizes) == 1000 and max(sizes) == min(most, 1000)
