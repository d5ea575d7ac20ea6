"""What the benchmarks share: real rows in any number, processes measured, rows of the table."""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

# What is measured is an installed program, whose modules have been compiled: a Python that was told to write no
# bytecode would compile them at every start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# polars has told its own allocator here what processes started from a shell are not told.
os.environ.pop("_RJEM_MALLOC_CONF", None)
PYTHON = sys.executable
MLOPS = str(Path(PYTHON).parent / "mlops")


@dataclass(frozen=True)
class Took:
    """Wall and CPU seconds of a process, and the most memory it had, in MiB."""

    wall: float
    cpu: float
    peak: float


def measure(command: Sequence[str], cwd: Path, **environment: str) -> Took:
    """Run a process that must end with 0."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    errors = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{errors}")
    return Took(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def model(folder: Path, rounds: int = 100) -> Path:
    """A LightGBM model of so many trees, trained on 100,000 rows, in `folder`."""
    flights(folder / "few.parquet", 100_000)
    fit = [MLOPS, "train", "few.parquet", "--target", "delayed", "-o", "model", "--set", f"num_iterations={rounds}"]
    measure([*fit, "--set", "early_stopping_round=0"], folder)
    return folder / "model"


def side_by_side(ours: Sequence[str], floor: Sequence[str], cwd: Path, repeat: int) -> tuple[Took, Took]:
    """Run both in turn; the least wall time of each counts."""
    pairs = [(measure(ours, cwd), measure(floor, cwd)) for _ in range(repeat)]
    return min((a for a, _ in pairs), key=lambda t: t.wall), min((b for _, b in pairs), key=lambda t: t.wall)


def row(what: str, ours: Took, floor: Took, target: float) -> None:
    """Print a row of the table."""
    ratio = ours.wall / floor.wall
    verdict = "met" if ratio <= target else "missed"
    print(
        f"{what:<46} {ours.wall:7.2f} s {floor.wall:7.2f} s  x {ratio:4.2f}  (CPU x {ours.cpu / floor.cpu:4.2f},"
        f" {ours.peak:,.0f} / {floor.peak:,.0f} MiB)  target {target:4.2f}: {verdict}",
        flush=True,
    )


BLOCK = 1_000_000


def flights(path: Path, rows: int) -> None:
    """The built-in real flights, repeated with jitter to so many rows, as Parquet or CSV; `delayed` is the target.

    In another process: what this one has taken would count as the peak of every process that it starts.
    """
    made = multiprocessing.get_context("spawn").Process(target=_written, args=(path, rows))
    made.start()
    made.join()
    if made.exitcode:
        raise SystemExit(f"{path.name} could not be made")


def _written(path: Path, rows: int) -> None:
    """Write them a million rows at a time, so that the number of them is bounded by the disk only."""
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    writer = None
    for start in range(0, rows, BLOCK):
        block = _block(start, min(BLOCK, rows - start)).to_arrow()
        if writer is None:
            made = csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
            writer = made(str(path), block.schema)
        writer.write_table(block.cast(writer.schema) if path.suffix != ".csv" else block)
    if writer is not None:
        writer.close()


def _block(seed: int, rows: int) -> pl.DataFrame:
    """Real flights, drawn with replacement, their numbers moved a little."""
    import numpy as np

    dice = np.random.default_rng(seed)
    many = _real()[dice.integers(0, _real().height, rows)]
    return many.with_columns(
        (pl.col("arr_delay") > 15).alias("delayed"),
        pl.col("dep_delay") + pl.Series(dice.integers(-3, 4, rows)),
        pl.col("distance") + pl.Series(dice.integers(-20, 21, rows)),
        *(pl.Series(f"noise{index}", dice.normal(size=rows)) for index in range(5)),
    ).drop("arr_delay", "tailnum", "flight")


@functools.cache
def _real() -> pl.DataFrame:
    """The flights that landed."""
    source = Path(__file__).parents[2] / "mlops_cli" / "demo" / "flights.csv.gz"
    real = pl.read_csv(source, null_values=["NA"], infer_schema_length=None, try_parse_dates=True)
    return real.drop_nulls("arr_delay")
