#!/usr/bin/env python3
"""Peak memory of ingest, validate and split as tables grow: it should not follow their size.

    python scripts/bench/memory.py [--rows N] [--times K]

The same commands on N rows and on K × N (10 million and 100 million: 5 GB of Parquet, 17 GB of CSV, an hour). Real
flights, repeated with jitter; eight rules; a split by the hash of a key.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import _run

RULES = """
columns:
  carrier: {dtype: string, checks: {str_length: {exact_value: 2}}}
  origin: {dtype: string, checks: {isin: [EWR, JFK, LGA]}}
  dest: {dtype: string, checks: {str_matches: '[A-Z]{3}'}}
  distance: {dtype: int64, checks: {greater_than: 0}}
  dep_delay: {dtype: int64, nullable: true, checks: {in_range: {min_value: -60, max_value: 1500}}}
  sched_dep_time: {dtype: int64, checks: {in_range: {min_value: 0, max_value: 2359}}}
  noise0: {dtype: float64, checks: {in_range: {min_value: -4.5, max_value: 4.5}}}
  delayed: {dtype: bool}
"""
COMMANDS = {
    "ingest CSV": "ingest rows.csv -o from-csv",
    "ingest Parquet": "ingest rows.parquet -o data",
    "validate": "validate data --schema rules.yaml --max-bad 1% -o valid",
    "split": "split valid --key noise0 -o parts",
}
MAKE = """
import sys; sys.path.insert(0, {here!r})
import pathlib, _run; _run.flights(pathlib.Path({path!r}), {rows})
"""
PIPE = (
    "set -o pipefail; $MLOPS ingest rows.parquet -o - | $MLOPS validate --schema rules.yaml --max-bad 1% -o - "
    "| $MLOPS split --key noise0 -o piped"
)


def measured(folder: Path, rows: int) -> dict[str, _run.Took]:
    """Each command on that many rows. What is not needed any more is deleted: the disk is not endless."""
    (folder / "rules.yaml").write_text(RULES)
    found = {}
    for kind in ("csv", "parquet"):
        made = MAKE.format(here=str(Path(__file__).parent), path=str(folder / f"rows.{kind}"), rows=rows)
        _run.measure([_run.PYTHON, "-c", made], folder)  # here, its memory would be counted as that of what it starts
        for name, command in COMMANDS.items():
            if (kind == "csv") == (name == "ingest CSV"):
                found[name] = _run.measure([_run.MLOPS, *command.split(), "-q"], folder)
        if kind == "csv":
            shutil.rmtree(folder / "from-csv")
            (folder / "rows.csv").unlink()
    for made in ("data", "valid", "parts", ".mlops"):
        shutil.rmtree(folder / made)
    found["the pipe, its hungriest process"] = _run.measure(["bash", "-c", PIPE], folder, MLOPS=_run.MLOPS)
    return found


def main() -> None:
    """Measure and print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=10)
    arguments = parser.parse_args()
    sizes = (arguments.rows, arguments.rows * arguments.times)
    found = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="mlops-bench-") as name:
            found.append(measured(Path(name), rows))
    print(f"{'peak MiB, seconds':<34} {sizes[0]:>16,} rows {sizes[1]:>16,} rows")
    for name, few in found[0].items():
        many = found[1][name]
        cells = [f"{took.peak:8,.0f} MiB {took.wall:7.1f} s" for took in (few, many)]
        print(f"{name:<34} {cells[0]:>21} {cells[1]:>21}  memory x {many.peak / few.peak:4.2f}", flush=True)


if __name__ == "__main__":
    main()
