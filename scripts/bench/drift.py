#!/usr/bin/env python3
"""Drift of 1 M rows × 15 columns beside bare polars, whole processes.

    python scripts/bench/drift.py [--rows N] [--reference N] [--repeat N]

Floors: bare polars that reads both tables and bins them by the reference's quantiles, and bare polars that has the
edges and counts of the reference stored. Ours: `profile.build` of the reference and `profile_live.against` with PSI,
and the same with the stored profile.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import _run
import numpy as np

SEED = 7


def make(folder: Path, rows: int, reference: int) -> None:
    """Two tables of 15 columns: 8 floats (one with nulls), 3 integers, 3 texts, 1 time."""
    import polars as pl

    rng = np.random.default_rng(SEED)
    for name, count in (("live", rows), ("reference", reference)):
        columns: dict[str, object] = {f"f{i}": rng.normal(size=count) * 10**i for i in range(8)}
        columns |= {f"i{i}": rng.integers(0, 10 ** (i + 1), count) for i in range(3)}
        columns |= {f"s{i}": rng.choice(np.array([f"level{j}" for j in range(20 * (i + 1))]), count) for i in range(3)}
        frame = pl.DataFrame(columns).with_columns(
            pl.Series("t", rng.integers(0, 10**15, count)).cast(pl.Datetime("us")),
            pl.when(pl.Series(rng.random(count) > 0.02)).then("f0").alias("f0"),
        )
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd")


def bare(folder: Path, stored: bool) -> None:
    """What one would write by hand with polars and numpy: quantile bins, counts, PSI."""
    import polars as pl

    live, reference = pl.scan_parquet(folder / "live.parquet"), pl.scan_parquet(folder / "reference.parquet")
    schema = live.collect_schema()
    texts = [name for name, kind in schema.items() if kind == pl.String]
    numbers = [name for name in schema if name not in texts]
    sketch = folder / "sketch.json"
    if stored:
        known = json.loads(sketch.read_text())
        edges, expected = known["edges"], known["counts"]
    else:
        shares = [i / 20 for i in range(1, 20)]
        cast = reference.select(pl.col(name).to_physical() for name in numbers).collect()
        edges = {name: np.unique(np.quantile(cast[name].drop_nulls().to_numpy(), shares)).tolist() for name in numbers}
        expected = _bare_counts(reference, numbers, texts, edges)
        sketch.write_text(json.dumps({"edges": edges, "counts": expected}))
    actual = _bare_counts(live, numbers, texts, edges)
    for name, counts in expected.items():
        cells = sorted(set(counts) | set(actual[name]))
        e, a = (np.array([one.get(cell, 0) + 0.5 for cell in cells]) for one in (counts, actual[name]))
        e, a = e / e.sum(), a / a.sum()
        float(((a - e) * np.log(a / e)).sum())


def _bare_counts(frame: object, numbers: list[str], texts: list[str], edges: dict[str, list[float]]) -> dict[str, dict]:
    import polars as pl

    assert isinstance(frame, pl.LazyFrame)
    physical = frame.select(pl.col(name).to_physical() for name in numbers)
    below = physical.select(
        expression
        for name in numbers
        for expression in (
            *((pl.col(name) < edge).sum().alias(f"{name} {i}") for i, edge in enumerate(edges[name])),
            pl.col(name).null_count().alias(f"{name} null"),
            pl.col(name).count().alias(f"{name} all"),
        )
    )
    groups = [frame.group_by(name).len() for name in texts]
    first, *levels = pl.collect_all([below, *groups], engine="streaming")
    row, found = first.row(0, named=True), {}
    for name in numbers:
        steps = [0, *(row[f"{name} {i}"] for i in range(len(edges[name]))), row[f"{name} all"]]
        found[name] = {str(i): steps[i + 1] - steps[i] for i in range(len(steps) - 1)} | {"null": row[f"{name} null"]}
    for name, counted in zip(texts, levels, strict=True):
        found[name] = {str(level): count for level, count in counted.iter_rows()}
    return found


def ours(folder: Path, stored: bool) -> None:
    """The same with mlops."""
    import msgspec
    import polars as pl

    from mlops_cli.drift import psi
    from mlops_cli.drift.base import Profile
    from mlops_cli.steps import profile, profile_live

    live, sketch = pl.scan_parquet(folder / "live.parquet"), folder / "profile.json"
    if stored:
        reference = msgspec.json.decode(sketch.read_bytes(), type=Profile)
    else:
        table = pl.scan_parquet(folder / "reference.parquet")
        reference = profile.build(table, table.collect_schema().names())
        sketch.write_bytes(msgspec.json.encode(reference))
    counted = profile_live.against(live, reference.columns)
    for one, other in zip(reference.columns, counted.columns, strict=True):
        psi.compare(one, other)


VARIANTS = {
    "bare": (bare, False),
    "bare-stored": (bare, True),
    "ours": (ours, False),
    "ours-stored": (ours, True),
}


def main() -> None:
    """Make the tables and run the variants in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--reference", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", metavar="VARIANT", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run, stored = VARIANTS[arguments.child]
        run(Path.cwd(), stored)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), arguments.rows, arguments.reference)
        child = [_run.PYTHON, str(Path(__file__).absolute()), "--child"]
        for name, what in (("", "both tables"), ("-stored", "stored profile")):
            sides = [[*child, f"ours{name}"], [*child, f"bare{name}"]]
            took = _run.side_by_side(*sides, Path(folder), arguments.repeat)
            _run.row(f"drift {arguments.rows:,} x 15, {what}", *took, 1.5)


if __name__ == "__main__":
    main()
