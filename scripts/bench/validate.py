"""Rows against eight rules: `mlops validate` beside the same checks as bare polars expressions, imports apart.

    python scripts/bench/validate.py [--rows N] [--repeat N]

Each side is a process of its own that imports first and then takes the time; they run in turn, the least of the
repeats counts. The first row is what the target is about: the checks alone. The others are the whole command beside a
script that leaves the same files, synced and digested: all rows pass (they are copied), and one row in a thousand
fails (both parts are written). pandera alone and pointblank (where it is installed) do the same checks in memory,
DuckDB on the file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import _run

RULES = """
columns:
  id: {dtype: int64, checks: {greater_than_or_equal_to: 0}}
  delay: {dtype: int64, checks: {in_range: {min_value: -60, max_value: LIMIT}}}
  distance: {dtype: float64, nullable: true, checks: {greater_than: 0}}
  temperature: {dtype: float64, nullable: true, checks: {less_than: 60}}
  carrier: {dtype: string, checks: {isin: [UA, AA, B6, DL, EV, MQ]}}
  tailnum: {dtype: string, nullable: true, checks: {str_matches: 'N[0-9]+'}}
  month: {dtype: int64, nullable: true, checks: {in_range: {min_value: 1, max_value: 12}}}
  origin: {dtype: string, nullable: true, checks: {str_length: {min_value: 3, max_value: 3}}}
"""

CHECKS = """
def rules(limit):
    col = pl.col
    return [
        col("id").is_null() | (col("id") < 0),
        col("delay").is_null() | ~col("delay").is_between(-60, limit),
        (col("distance") <= 0).fill_null(False),
        (col("temperature") >= 60).fill_null(False),
        col("carrier").is_null() | ~col("carrier").is_in(["UA", "AA", "B6", "DL", "EV", "MQ"]),
        (~col("tailnum").str.contains("^N[0-9]+")).fill_null(False),
        (~col("month").is_between(1, 12)).fill_null(False),
        (col("origin").str.len_chars() != 3).fill_null(False),
    ]
"""

BARE = """
import hashlib, json, os, shutil, sys, time
from pathlib import Path
import polars as pl
what, data, limit, out = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
CHECKS
def digest(path):
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
start = time.perf_counter(), time.process_time()
files = sorted(data.glob("*.parquet"))
frame, failing = pl.scan_parquet(files), rules(limit)
counts = frame.select([fail.sum().alias(str(n)) for n, fail in enumerate(failing)] + [pl.len()])
total = counts.collect(engine="streaming").row(0)
if what == "clean":
    for path in files:
        shutil.copyfile(path, out / path.name)
        digest(out / path.name)
if what == "bad":
    bad = pl.any_horizontal(failing)
    told = [pl.when(fail).then(pl.lit(f"rule {n}")) for n, fail in enumerate(failing)]
    reasons = pl.concat_list(told).list.drop_nulls()
    frame.filter(~bad).sink_parquet(out / "good.parquet", engine="streaming")
    frame.filter(bad).with_columns(reasons.alias("_errors")).sink_parquet(out / "bad.parquet", engine="streaming")
    digest(out / "good.parquet"), digest(out / "bad.parquet")
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1], peak]))
"""

OURS = """
import json, sys, time
from pathlib import Path
import polars as pl
from mlops_cli.steps import tables, validate, validate_asked, validate_rows
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Output
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules import plan, read
from mlops_cli.store.workspace import Workspace
what, data, rules, home = sys.argv[1:]
start = time.perf_counter(), time.process_time()
if what == "checks":
    frame = pl.scan_parquet(sorted(Path(data).glob("*.parquet")))
    made = validate_asked.plan_for(read.load(Path(rules)), frame.collect_schema(), "the table")
    failures = made.failures(made.bad_values(frame))
    frame.select(validate_rows.counts(failures)).collect(engine="streaming").row(0)
else:
    context = Context(force=True, workspace=Workspace(Path(home)))
    validate.run(context, Given(data), validate.Options(rules, "1%"), Output())
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1], peak]))
"""


PEERS = {  # with the same eight rules, on the table in memory but for DuckDB, as they want it
    "pandera": """
import pandera.polars as pa
def col(type, *checks, nullable=False):
    return pa.Column(type, list(checks), nullable=nullable)
made = pa.DataFrameSchema({
    "id": col(pl.Int64, pa.Check.ge(0)),
    "delay": col(pl.Int64, pa.Check.in_range(-60, limit)),
    "distance": col(pl.Float64, pa.Check.gt(0), nullable=True),
    "temperature": col(pl.Float64, pa.Check.lt(60), nullable=True),
    "carrier": col(pl.String, pa.Check.isin(["UA", "AA", "B6", "DL", "EV", "MQ"])),
    "tailnum": col(pl.String, pa.Check.str_matches("N[0-9]+"), nullable=True),
    "month": col(pl.Int64, pa.Check.in_range(1, 12), nullable=True),
    "origin": col(pl.String, pa.Check.str_length(3, 3), nullable=True),
})
def check(frame):
    try:
        made.validate(frame, lazy=True)
    except pa.errors.SchemaErrors:
        pass
""",
    "pointblank": """
import pointblank as pb
def check(frame):
    found = pb.Validate(frame).col_vals_ge("id", 0).col_vals_between("delay", -60, limit)
    found = found.col_vals_gt("distance", 0, na_pass=True).col_vals_lt("temperature", 60, na_pass=True)
    found = found.col_vals_in_set("carrier", ["UA", "AA", "B6", "DL", "EV", "MQ"])
    found = found.col_vals_regex("tailnum", "^N[0-9]+", na_pass=True).col_vals_between("month", 1, 12, na_pass=True)
    found = found.col_vals_regex("origin", "^.{3}$", na_pass=True)
    found.interrogate(collect_extracts=False)
""",
    "duckdb": """
import duckdb
FAILS = ["id is null or id < 0", "delay is null or not delay between -60 and {limit}", "distance <= 0",
         "temperature >= 60", "carrier is null or carrier not in ('UA', 'AA', 'B6', 'DL', 'EV', 'MQ')",
         "not regexp_matches(tailnum, '^N[0-9]+')", "not month between 1 and 12", "length(origin) <> 3"]
def check(files):
    counts = ", ".join(f"count(*) filter (where {fail})" for fail in FAILS).replace("{limit}", str(limit))
    duckdb.sql(f"select {counts} from read_parquet({[str(file) for file in files]})").fetchall()
""",
}
READ = {"duckdb": "files"}
"""What the others take: files, or the table in memory."""

PEER = """
import json, sys, time
from pathlib import Path
import polars as pl
data, limit = Path(sys.argv[1]), int(sys.argv[2])
SETUP
start = time.perf_counter(), time.process_time()
files = sorted(data.glob("*.parquet"))
check(READ)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1], peak]))
"""


def peers(dataset: Path, limit: int, rows: int, ours: _run.Took) -> None:
    """Print what the others take that are installed, beside ours."""
    for name, setup in PEERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed", flush=True)
            continue
        given = READ.get(name, "pl.read_parquet(files)")
        took = inside(PEER.replace("SETUP", setup).replace("READ", given), dataset, limit)
        print(
            f"{f'{name}, {rows:,} rows, eight checks':<46} {took.wall:7.2f} s, ours {ours.wall:.2f} s:"
            f"  x {took.wall / ours.wall:.1f}  ({took.peak:,.0f} / {ours.peak:,.0f} MiB)",
            flush=True,
        )


def make(path: Path, rows: int) -> None:
    """Rows of ten columns, delays from -25 on, one in a thousand above 900; the same every time."""
    import numpy as np
    import polars as pl

    path.mkdir()
    dice = np.random.default_rng(0)
    delay = dice.integers(-25, 900, rows)
    frame = pl.LazyFrame({
        "id": np.arange(rows),
        "delay": np.where(dice.random(rows) < 0.001, 1000, delay),
        "distance": dice.gamma(2, 500, rows) + 1,
        "temperature": dice.normal(10, 8, rows).clip(-40, 55),
        "carrier": np.array(["UA", "AA", "B6", "DL", "EV", "MQ"])[dice.integers(0, 6, rows)],
        "month": dice.integers(1, 13, rows),
        "origin": np.array(["EWR", "JFK", "LGA"])[dice.integers(0, 3, rows)],
        "tail": dice.integers(10_000, 14_000, rows),
        "noise": dice.normal(size=rows),
    })  # fmt: skip
    tail = pl.format("N{}", pl.col("tail")).alias("tailnum")
    frame.with_columns(tail).sink_parquet(path / "rows.parquet", row_group_size=131_072)


def inside(code: str, *arguments: object) -> _run.Took:
    """What a process took after its imports, by its own watch, and the most memory it had."""
    words = [_run.PYTHON, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return _run.Took(*json.loads(done.stdout.splitlines()[-1]))


def compare(what: str, folder: Path, dataset: Path, limit: int, repeat: int) -> tuple[_run.Took, _run.Took]:
    """Both sides in turn, each with an empty place for what it leaves."""
    rules = folder / "rules.yaml"
    rules.write_text(RULES.replace("LIMIT", str(limit)))
    pairs = []
    for _ in range(repeat):
        for name in ("home", "out"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "out").mkdir()
        bare = inside(BARE.replace("CHECKS", CHECKS), what, dataset, limit, folder / "out")
        pairs.append((inside(OURS, what, dataset, rules, folder / "home"), bare))
    return min((a for a, _ in pairs), key=lambda t: t.wall), min((b for _, b in pairs), key=lambda t: t.wall)


def main() -> int:
    """Measure and print the rows; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlops-bench-"))
    try:
        make(folder / "rows", arguments.rows)
        source = folder / "rows" / "rows.parquet"
        ingest = [_run.MLOPS, "ingest", str(source), "-q", "-o", str(folder / "dataset")]
        subprocess.run(ingest, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        met = True
        for what, limit, target in (("checks", 900, 1.5), ("clean", 1000, 1.5), ("bad", 900, 1.5)):
            ours, bare = compare(what, folder, folder / "dataset", limit, arguments.repeat)
            _run.row(f"validate, {arguments.rows:,} rows, {SHOWN[what]}", ours, bare, target)
            if what == "checks":
                peers(folder / "dataset", limit, arguments.rows, ours)
            met = met and (what != "checks" or ours.wall <= target * bare.wall)
        return 0 if met else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


SHOWN = {"checks": "eight checks", "clean": "all pass", "bad": "1 in 1,000 fails"}


if __name__ == "__main__":
    sys.exit(main())
