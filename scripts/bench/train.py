#!/usr/bin/env python3
"""`mlops train` beside a bare `lightgbm.train` with the same settings, both again while another process holds a core;
and a grid beside joblib threads.

    python scripts/bench/train.py [--rows N] [--rounds N] [--repeat N]

Whole processes. The floor reads the same split, builds the same matrix by dictionary codes and fits the same rounds;
"spared" means that it is kept from importing scikit-learn and pandas, as `mlops` is. The peak memory of both is beside
what the train part's columns take in memory.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import _run

COMMON = """
import os, sys
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "spared" in sys.argv:  # what the package imports where it is there, and needs not here
    sys.modules.update(sklearn=None, pandas=None)
import lightgbm, numpy as np, polars as pl
TIME = ("month", "day", "weekday", "hour", "minute", "ordinal_day")

def matrix(part, levels):
    frame = pl.read_parquet(f"parts/{part}/*.parquet")
    columns = []
    for name, kind in frame.schema.items():
        if name == "delayed":
            continue
        if kind == pl.String:
            codes = frame[name].cast(pl.Enum(levels[name]), strict=False).to_physical()
            columns.append(codes.cast(pl.Float64).to_numpy())
        elif isinstance(kind, pl.Datetime):
            when = frame[name].dt
            parts = {p: getattr(when, p)().cast(pl.Float64).to_numpy() for p in TIME}
            parts["hour"] = parts["hour"] + parts.pop("minute") / 60
            for part, length in (("hour", 24), ("weekday", 7), ("ordinal_day", 365.25)):
                turn = 2 * np.pi * (parts.pop(part) if part == "ordinal_day" else parts[part]) / length
                columns += [np.sin(turn), np.cos(turn)]
            columns += parts.values()
            columns.append(frame[name].cast(pl.Int64).cast(pl.Float64).to_numpy() / 86_400e6)
        else:
            columns.append(frame[name].cast(pl.Float64).to_numpy())
    return np.column_stack(columns), frame["delayed"].to_numpy()

train = pl.scan_parquet("parts/train/*.parquet")
texts = [name for name, kind in train.collect_schema().items() if kind == pl.String]
levels = {name: train.select(pl.col(name).unique().sort()).collect()[name].to_list() for name in texts}
X, y = matrix("train", levels)
V, w = matrix("valid", levels)
names = []
for name, kind in train.collect_schema().items():
    if name != "delayed":
        names += [name] * (11 if isinstance(kind, pl.Datetime) else 1)
cat = [index for index, name in enumerate(names) if name in levels]
params = {"objective": "binary", "metric": "binary_logloss", "learning_rate": 0.1, "num_leaves": 31,
          "deterministic": True, "force_col_wise": True, "seed": 0, "verbosity": -1, "feature_pre_filter": False}
data = lightgbm.Dataset(X, y, params=params, categorical_feature=cat).construct()
valid = lightgbm.Dataset(V, w, params=params, reference=data, categorical_feature=cat).construct()
"""
FIT = (
    COMMON
    + """
booster = lightgbm.train(params | {"num_threads": os.cpu_count()}, data, int(sys.argv[1]), valid_sets=[valid])
booster.save_model("floor.txt")
"""
)
GRID = (
    COMMON
    + """
import itertools, joblib
rounds = int(sys.argv[1])
fold = np.random.default_rng(0).permutation(len(y)) % 3
parts = [(data.subset(np.flatnonzero(fold != k).tolist()).construct(),
          data.subset(np.flatnonzero(fold == k).tolist()).construct()) for k in range(3)]
def one(leaves, rate):
    for a, b in parts:
        tried = params | {"num_leaves": leaves, "learning_rate": rate, "num_threads": 1}
        lightgbm.train(tried, a, rounds, valid_sets=[b])
joblib.Parallel(os.cpu_count(), prefer="threads")(
    joblib.delayed(one)(l, r) for l, r in itertools.product((5, 7, 11, 15, 23, 31, 47, 63), (0.02, 0.05, 0.1)))
lightgbm.train(params | {"num_threads": os.cpu_count()}, data, rounds)
"""
)


def main() -> None:
    """Print a row for a fit and a row for a grid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        _prepare(folder, "flights.parquet", given.rows)
        took = _fits(folder, given.rounds, given.repeat)
        _run.row(f"train, {given.rows:,} rows, {given.rounds} rounds", *took, 1.10)
        _memory(folder, took[0].peak)
        _run.row("the same, the floor spared imports", *_fits(folder, given.rounds, given.repeat, "spared"), 1.10)
        _run.row(f"the same, {10 * given.rounds} rounds", *_fits(folder, 10 * given.rounds, 1, "spared"), 1.10)
        busy = subprocess.Popen([_run.PYTHON, "-c", "while True: pass"])
        try:
            took = _fits(folder, given.rounds, given.repeat), _fits(folder, given.rounds, given.repeat, "spared")
        finally:
            busy.kill()
            busy.wait()
        _run.row("beside a busy neighbour", *took[0], 1.10)
        _run.row("the same, the floor spared imports", *took[1], 1.10)
        _prepare(folder, "few.parquet", given.rows // 5)
        rounds = given.rounds // 2
        space = ["--space", "num_leaves=5,7,11,15,23,31,47,63", "--space", "learning_rate=0.02,0.05,0.1"]
        fixed = ["--set", f"num_iterations={rounds}", "--set", "early_stopping_round=0"]
        ours = [_run.MLOPS, "train", "parts", "--target", "delayed", "--force", "--search", "grid", "--cv", "3"]
        ours += [*space, *fixed]
        floor = [_run.PYTHON, "-c", GRID, str(rounds), "spared"]
        took = _run.side_by_side(ours, floor, folder, max(1, given.repeat - 1))
        _run.row(f"grid, {given.rows // 5:,} rows, 24 trials x 3 folds", *took, 1.05)


def _fits(folder: Path, rounds: int, repeat: int, *spared: str) -> tuple[_run.Took, _run.Took]:
    """A fit of so many rounds, ours and the floor's."""
    fixed = ["--set", "learning_rate=0.1", "--set", f"num_iterations={rounds}", "--set", "early_stopping_round=0"]
    ours = [_run.MLOPS, "train", "parts", "--target", "delayed", "--force", *fixed]
    return _run.side_by_side(ours, [_run.PYTHON, "-c", FIT, str(rounds), *spared], folder, repeat)


def _memory(folder: Path, peak: float) -> None:
    """Print what training took beyond its imports, and beyond training on 1,000 rows, which reads in the rest of the
    libraries' code; in times the columns of the train part as Arrow has them."""
    count = "import polars as pl; print(pl.read_parquet('parts/train/*.parquet').to_arrow().nbytes)"
    columns = int(subprocess.check_output([_run.PYTHON, "-c", count], cwd=folder)) / 2**20
    imports = "import mlops_cli.steps.train, mlops_cli.models.lightgbm_fit"
    _run.flights(folder / "thousand.parquet", 1_000)
    few = [_run.MLOPS, "train", "thousand.parquet", "--target", "delayed", "--force"]
    for what, command in (("its imports", [_run.PYTHON, "-c", imports]), ("training on 1,000 rows", few)):
        least = _run.measure(command, folder).peak
        ratio = (peak - least) / columns
        print(
            f"{f'memory beyond {what}':<46} {peak - least:,.0f} of {peak:,.0f} MiB, the columns"
            f" {columns:,.0f} MiB  x {ratio:4.2f}  target 2.50: {'met' if ratio <= 2.5 else 'missed'}",
            flush=True,
        )


def _prepare(folder: Path, name: str, rows: int) -> None:
    """A split of so many rows in `parts/`."""
    _run.flights(folder / name, rows)
    _run.measure([_run.MLOPS, "split", name, "--test", "0.05", "--valid", "0.1", "-o", "parts"], folder)


if __name__ == "__main__":
    main()
