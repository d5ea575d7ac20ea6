"""Folds: the train part divided again and again into rows to fit on and rows to measure on, as a table beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.steps import split_hash, split_time, tables
from mlops_cli.steps.split_time import Axis

FILE = "folds.parquet"
ORDER = "order"
_MIX = 0x9E3779B97F4A7C15  # 2^64 / the golden ratio, odd: a product with it has another order


class Fold(msgspec.Struct):
    """Rows of the train part that a fold fits on, measures on, and leaves out."""

    train: int
    valid: int
    left_out: int
    cut_off: Any = None  # where its measured rows begin, when time decides for all rows alike


class Folds(msgspec.Struct):
    """What the certificate says of `folds.parquet`: one column `fold_1` … for each fold, one row for each of train.

    False: fit on the row. True: measure on it. Missing: neither.
    """

    folds: list[Fold]
    file: str = FILE


def order() -> pl.Expr:
    """What decides about the fold of a row: its hash in another order, so that the parts say nothing of it.

    The hash times 2^64 / the golden ratio, modulo 2^64. As spread as the hash itself, also over the train part alone,
    whose hashes are all large ones (multiplicative hashing: Knuth, *The Art of Computer Programming* 3, 6.4).
    """
    return (pl.col("hash") * pl.lit(_MIX, pl.UInt64)).alias(ORDER)


def by_hash(train: pl.LazyFrame, count: int) -> pl.LazyFrame:
    """The table of folds of rows with an ORDER: fold k has those from (k - 1) / `count` of all numbers on."""
    number = pl.col(ORDER) // pl.lit(-(-split_hash.ALL // count), pl.UInt64)
    return train.select([(number == fold).alias(_name(fold)) for fold in range(count)])


def by_rank(train: pl.LazyFrame, count: int) -> pl.LazyFrame:
    """The table of folds of rows with an ORDER and a stratum: the same share of each stratum in each fold.

    Rows of the same hash (exact copies) stay together. Memory: some 30 bytes a row.
    """
    rows = train.select(ORDER, "stratum").collect(engine="streaming")
    before = pl.col(ORDER).rank("min").over("stratum").cast(pl.Int64) - 1
    numbers = rows.select((before * count // pl.len().over("stratum").cast(pl.Int64)).alias("fold")).lazy()
    return numbers.select([(pl.col("fold") == fold).alias(_name(fold)) for fold in range(count)])


def by_time(train: pl.LazyFrame, count: int, axis: Axis, embargo: str | None) -> tuple[pl.LazyFrame, list[Any] | None]:
    """The table of folds of rows with a time and a group (null: all are one), and the cut-offs when all are one.

    The times of a group are cut into `count` + 1 blocks of about as many rows, whole timestamps each. Fold k measures
    on block k + 1 and fits on all that is before it (an expanding window), less the embargo.
    Memory grows with the number of distinct times of all groups.
    """
    gap = split_time.embargo(axis, embargo)
    times = train.group_by("group", "time").len("rows").collect(engine="streaming").sort("group", "time")
    rows, time = pl.col("rows").cast(pl.Int64), pl.col("time")
    block = (rows.cum_sum() - rows).over("group") * (count + 1) // rows.sum().over("group")
    begins = [time.filter(pl.col("block") >= fold).min().alias(f"begin {fold}") for fold in range(1, count + 1)]
    cuts = times.with_columns(block.alias("block")).group_by("group", maintain_order=True).agg(begins)
    joined = train.join(cuts.lazy(), on="group", how="left", nulls_equal=True, maintain_order="left")
    told = None
    if cuts.height == 1 and cuts["group"][0] is None:
        told = [None if value is None else axis.shown(value) for value in cuts.drop("group").row(0)]
    return joined.select([_window(fold, count, gap) for fold in range(1, count + 1)]), told


def _window(fold: int, count: int, gap: float) -> pl.Expr:
    """A row's place in one fold by time: measured from its cut to the next one, fitted on before it and the gap."""
    time, cut = pl.col("time"), pl.col(f"begin {fold}")
    measured = time >= cut
    if fold < count:
        measured &= (time < pl.col(f"begin {fold + 1}")).fill_null(True)
    fitted = (time < cut - gap).fill_null(True)  # a group that is over before the cut is fitted on whole
    place = pl.when(measured.fill_null(False)).then(True).when(fitted).then(False)
    return place.otherwise(pl.lit(None, pl.Boolean)).alias(_name(fold - 1))


def write(found: pl.LazyFrame, told: list[Any] | None, rows: int, payload: Path, name: str) -> Folds:
    """Write the table beside the train part, of as many rows; InputUnusable when a fold has nothing on one side."""
    if tables.write_table(found, payload, FILE).rows != rows:
        raise RuntimeError("the folds have other rows than train")  # a bug, in polars or here: no certificate
    written = pl.scan_parquet(payload / FILE, glob=False)
    columns = list(written.collect_schema())
    sums = [each for column in columns for each in (pl.col(column).sum(), pl.col(column).count().alias(f"{column} in"))]
    counts = written.select(sums).collect(engine="streaming").row(0, named=True)
    made = []
    for number, column in enumerate(columns):
        valid, inside = counts[column], counts[f"{column} in"]
        if not valid or valid == inside:
            hint = "ask for fewer --folds, or bring more rows, groups or times"
            raise InputUnusable(f"{name}: fold {number + 1} of {len(columns)} would have nothing on one side", hint)
        made.append(Fold(inside - valid, valid, rows - inside, told[number] if told else None))
    return Folds(made)


def _name(fold: int) -> str:
    return f"fold_{fold + 1}"
