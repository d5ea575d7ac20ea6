"""Small files that unfold to a memory or a disk full: refused in one line, in a process with little memory."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_cli.errors import InputUnusable
from mlops_cli.sources import lines, packed, parquet_bomb
from mlops_cli.sources.base import File

LIMIT = "ulimit -v 3000000; "
"""Less than what the files would take."""
VALUE = "a" * 50_000


def dictionary(path: Path) -> None:
    """A value said once, and 65,536 times a number for it."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 65_536, pa.int32()), pa.array([VALUE]))
    pq.write_table(pa.table({"x": column}), path, store_schema=False)


def plain(path: Path) -> None:
    """The same value again and again, compressed."""
    rows = pa.table({"x": [VALUE] * 1024})
    with pq.ParquetWriter(path, rows.schema, compression="zstd", use_dictionary=False) as writer:
        for _ in range(64):
            writer.write_table(rows)


def sparse(path: Path, text: bytes) -> None:
    """A file with a gigabyte of zeros, which takes no place on a disk, after some text."""
    with path.open("wb") as file:
        file.write(text)
        file.truncate(1 << 30)


def long_json(path: Path) -> None:
    sparse(path, b'{"a":1}\n{"a":"')


def long_csv(path: Path) -> None:
    sparse(path, b"a,b\n1,2\n3," + b"x" * 100_000)


def deep(path: Path) -> None:
    path.write_bytes(b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n")


def deep_objects(path: Path) -> None:
    path.write_bytes(b'{"a":' * 300 + b"1" + b"}" * 300 + b"\n")


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (dictionary, "x.parquet", "x.parquet is a bomb: "),
        (plain, "x.parquet", "x.parquet is a bomb: "),
        (long_json, "x.ndjson", "x.ndjson has a line of more than 64 MiB, from byte 8 on"),
        (long_csv, "x.csv", "x.csv has a line of more than 64 MiB, from byte 8 on"),
        (deep, "x.ndjson", "x.ndjson:1: not a JSON object"),
        (deep_objects, "x.ndjson", "values are nested deeper than Parquet can hold"),
    ],
)
def test_are_refused_in_one_line(
    work: Path, shell: Callable[..., Any], make: Callable[[Path], None], name: str, message: str
) -> None:
    make(work / name)
    assert (work / name).stat().st_blocks * 512 < 5 << 20
    ended = shell(f"{LIMIT} mlops ingest {name} -o out")
    assert (ended.code, ended.out.strip()) == (4, "mlops:stop:4:ingest")
    assert len(ended.err.splitlines()) <= 2
    assert message in ended.err
    assert not Path("out").exists()


def test_what_unpacks_to_a_disk_full(cli: Callable[..., Any], work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST_BYTES", 1 << 20)
    (work / "x.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * (4 << 20)))
    ended = cli("ingest", "x.csv.gz")
    assert (ended.code, "x.csv.gz is a bomb: it unpacks to far more" in ended.err) == (4, True)
    (work / "y.csv.gz").write_bytes(gzip.compress(b"a\n" + "".join(f"{n}\n" for n in range(300_000)).encode()))
    assert cli("ingest", "y.csv.gz").code == 0


def test_one_long_value_among_short_ones_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_bomb, "MOST_BYTES", 1 << 20)
    frame = pl.DataFrame({"x": ["short"] * 60_000 + [VALUE]})
    frame.write_parquet(tmp_path / "x.parquet")
    parquet_bomb.refuse(File(tmp_path / "x.parquet", "x"), pq.ParquetFile(tmp_path / "x.parquet"))
    pl.DataFrame({"x": ["short"] * 60_000 + [VALUE] * 100}).write_parquet(tmp_path / "y.parquet")
    with pytest.raises(InputUnusable, match="y is a bomb"):
        parquet_bomb.refuse(File(tmp_path / "y.parquet", "y"), pq.ParquetFile(tmp_path / "y.parquet"))


def test_lines_are_measured_wherever_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 10)
    dice = random.Random(1)
    for _ in range(300):
        widths = [dice.choice([0, 1, 5, 9, 10, 11, 30]) for _ in range(dice.randrange(1, 6))]
        path = tmp_path / "x"
        path.write_bytes(b"\n".join(b"x" * width for width in widths) + dice.choice([b"", b"\n"]))
        if max(widths) > 10:
            with pytest.raises(InputUnusable, match="x has a line of more than"):
                lines.check(File(path, "x"))
        else:
            lines.check(File(path, "x"))
