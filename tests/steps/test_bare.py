"""Bare data files where a dataset is wanted."""

import gzip
import io
from pathlib import Path

import polars as pl
import pytest

from mlops_cli.errors import InputUnusable
from mlops_cli.sources import csv_table
from mlops_cli.steps import bare
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Stdin

FRAME = pl.DataFrame({"n": range(500), "s": [f"v{number % 7}" for number in range(500)]})


@pytest.fixture
def folder(work: Path) -> Path:
    FRAME.write_csv("x.csv")
    Path("x.csv.gz").write_bytes(gzip.compress(Path("x.csv").read_bytes()))
    FRAME.write_ndjson("x.ndjson")
    FRAME.write_parquet("x.parquet")
    FRAME.write_ipc("x.arrow")
    FRAME.write_ipc_stream("x.arrows")
    return work


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.ndjson", "x.parquet", "x.arrow", "x.arrows"])
def test_every_format_again_and_again(folder: Path, name: str) -> None:
    frame = bare.scan(Context(), Path(name))
    assert frame.collect().equals(FRAME)
    assert frame.select("s").head(3).collect(engine="streaming").equals(FRAME.select("s").head(3))


def test_a_misfit_far_down_is_found_before_the_frame_is_used(folder: Path) -> None:
    Path("y.csv").write_bytes(b"a,b\n" + b"1,2\n" * (csv_table.SAMPLE + 10) + b"x,3\n")
    told: list[str] = []
    assert bare.scan(Context(note=told.append), Path("y.csv")).collect_schema() == {"a": pl.String, "b": pl.Int64}
    assert any("reading it as text" in line for line in told)


def test_a_ragged_file_is_refused_at_once(folder: Path) -> None:
    Path("y.csv").write_bytes(b"a,b\n1,2\n3\n")
    with pytest.raises(InputUnusable, match=r"y.csv:3: 1 field"):
        bare.scan(Context(), Path("y.csv"))


@pytest.mark.parametrize(("kind", "name"), [("feather", "x.arrow"), ("parquet", "x.parquet"), ("ndjson", "x.ndjson")])
def test_standard_input(folder: Path, kind: str, name: str) -> None:
    frame = bare.scan_stdin(Stdin(kind, io.BytesIO(Path(name).read_bytes())))
    assert frame.collect().equals(FRAME)
    assert frame.collect(engine="streaming").equals(FRAME)
