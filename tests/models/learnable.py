"""A small table with a column of every kind, and targets that can be learned from it."""

import datetime as dt

import numpy as np
import polars as pl

from mlops_cli.store import artefact

ROWS = 600


def table(rows=ROWS, seed=0):
    """Columns to use, columns to leave out, and the targets yes, kind, price, stars, code."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    letter = random.choice(["a", "b", "ü"], rows)
    signal = x + (letter == "a") + random.normal(size=rows) * 0.3
    day = dt.date(2020, 1, 1)
    frame = pl.DataFrame(
        {
            "id": [f"r{index}" for index in range(rows)],
            "x": x,
            "count": random.integers(0, 50, rows),
            "letter": letter,
            "flag": random.random(rows) < 0.5,
            "day": [day + dt.timedelta(days=int(days)) for days in random.integers(0, 700, rows)],
            "at": [dt.datetime(2020, 1, 1) + dt.timedelta(minutes=int(m)) for m in random.integers(0, 700_000, rows)],
            "constant": [1] * rows,
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
            "list": [[1]] * rows,
        }
    )
    some = pl.Series(random.random(rows) < 0.1)
    frame = frame.with_columns(pl.when(~some).then(pl.col(name)).alias(name) for name in ("x", "letter", "at"))
    return frame.with_columns(
        yes=pl.Series(signal > 0.3),
        kind=pl.Series(np.where(signal > 1, "hi", np.where(signal > 0, "mid", "lo"))),
        price=pl.Series(signal),
        stars=pl.Series((signal > 0).astype(int) + (signal > 1) + 3),
        code=pl.Series(random.integers(0, 1000, rows)),
    )


INPUTS = ["id", "x", "count", "letter", "flag", "day", "at", "constant", "empty", "list"]
USED = ["x", "count", "letter", "flag", "day", "at"]


def split_without_valid(folder, frame):
    """A split that has a train part alone, as another program may make one."""
    seal(folder, "split", frame, "train/part-00000.parquet")


def seal(folder, kind, frame, name="part-00000.parquet"):
    """An artefact of one table."""
    (folder / name).parent.mkdir(parents=True)
    frame.write_parquet(folder / name)
    artefact.seal(folder, kind=kind, created="", tool="", command=[], inputs=[])
