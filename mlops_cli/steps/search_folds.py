"""The folds that trials are judged on, cut as the split was: in time, by whole groups, else alike in classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models.base import Fold
from mlops_cli.models.target import Target
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_folds, split_hash, split_images, split_time, train_alike
from mlops_cli.steps.train_data import Cut

MOST = 100
_MOST_STRATA = 100
"""Groups are spread by classes up to so many; with more of them by their size alone."""


@dataclass(frozen=True)
class Folds:
    """The folds, and how they were cut in words."""

    folds: list[Fold]
    cut: str


def check(count: int) -> None:
    """Usage for a number of folds that is none."""
    if count and not 2 <= count <= MOST:
        raise Usage(f"--cv {count} is not between 2 and {MOST}")


def of(
    train: pl.LazyFrame,
    target: Target,
    count: int,
    cut: Cut,
    seed: int,
    name: str,
    made: pl.DataFrame | None = None,
) -> Folds:
    """`count` folds of the train rows; `cut` has the flags of the split. InputUnusable when a fold would be empty.

    `made` are the split's own folds of these rows, which are taken when there are as many.
    """
    time, group = cut.time, cut.group
    if made is not None and made.width == count:
        places, told = _places(made.lazy()), "of the split"
    elif time:
        places = _by_time(train, count, time, group, cut.embargo, name)
        told = f"forward in {time}" + (f", each {group} for itself" if group else "")
    elif group:
        places, told = _by_group(train, target, count, group, seed, name), f"of whole {group}"
    else:
        places, told = _by_row(train, target, count, cut, seed), "alike in classes" if target.classes else "of rows"
    folds = [Fold(*(np.flatnonzero(places[fold] == side) for side in (0, 1))) for fold in range(count)]
    _check(folds, _codes(train, target), count, target, name)
    return Folds(folds, told)


def made(path: Path | None, train: pl.LazyFrame, target: Target, rows: int) -> pl.DataFrame | None:
    """The folds that a split has made, of the rows of its train part that have a target; None when there are none.

    None too when there are other than `rows` of them: more was left out of the rows to learn from.
    """
    if path is None:
        return None
    there = train.select(target.column.is_not_null()).collect(engine="streaming").to_series()
    found = pl.read_parquet(path, glob=False)
    if len(found) != len(there):
        return None
    found = found.filter(there)
    return found if len(found) == rows else None


def _by_time(
    train: pl.LazyFrame, count: int, time: str, group: str | None, embargo: Any, name: str
) -> list[NDArray[np.int8]]:
    """Expanding windows: each fold learns from what is before its rows, as `split --time --folds` cuts them."""
    axis = split_time.axis(time, train.collect_schema()[time], name)
    groups = exactly(group) if group else pl.lit(None, pl.String)
    table, _ = split_folds.by_time(train.select(axis.value.alias("time"), groups.alias("group")), count, axis, embargo)
    return _places(table)


def _by_row(train: pl.LazyFrame, target: Target, count: int, cut: Cut, seed: int) -> list[NDArray[np.int8]]:
    """The same share of each class in each fold; rows that are copies, or of one --key, stay together."""
    schema = train.collect_schema()
    names = [key for key in cut.key if key in schema] or split_images.identity(schema)
    if len(names) < len(schema):
        hashes = train.select(split_hash.hashed(schema, names, seed)).collect(engine="streaming").to_series()
    else:
        hashes, _ = train_alike.hashed(train, target.name, seed)
    rows = pl.DataFrame({"hash": hashes, "stratum": _codes(train, target)}).lazy()
    return _places(split_folds.by_rank(rows.select(split_folds.order(), "stratum"), count))


def _by_group(
    train: pl.LazyFrame, target: Target, count: int, group: str, seed: int, name: str
) -> list[NDArray[np.int8]]:
    """Whole groups, the largest first, each to the fold that makes the folds most alike in classes and rows.

    As scikit-learn's StratifiedGroupKFold: the fold with the least sum of squared shares of each class.
    """
    schema = train.collect_schema()
    rows = train.select(exactly(group).alias("group"), split_hash.hashed(schema, [group], seed)).collect()
    hashes, codes = np.unique(rows["hash"].to_numpy(), return_inverse=True)
    if len(hashes) < count:
        raise InputUnusable(f"{name}: {len(hashes)} values of {group!r} are fewer than --cv {count}", "ask for fewer")
    strata = _codes(train, target)
    width = int(strata.max()) + 1 if strata.max() < _MOST_STRATA else 1
    counts = np.zeros((len(hashes), width))
    np.add.at(counts, (codes, strata if width > 1 else np.zeros_like(codes)), 1)
    counts /= counts.sum(axis=0).clip(1)
    filled = np.zeros((count, width))
    fold_of = np.empty(len(hashes), np.int64)
    for at in np.lexsort((hashes, -counts.sum(axis=1))):
        fold = int((2 * filled @ counts[at]).argmin())  # the growth of the sum of squares, what is common left out
        filled[fold] += counts[at]
        fold_of[at] = fold
    return [(fold_of[codes] == fold).astype(np.int8) for fold in range(count)]


def _places(table: pl.LazyFrame) -> list[NDArray[np.int8]]:
    """For each fold 0 for rows to learn from, 1 for rows to judge by, -1 for rows in neither."""
    return [column.cast(pl.Int8).fill_null(-1).to_numpy() for column in table.collect(engine="streaming")]


def _codes(train: pl.LazyFrame, target: Target) -> NDArray[np.int64]:
    """The class of each row; 0 for all when there are none."""
    values = train.select(target.column).collect(engine="streaming").to_series()
    return np.zeros(len(values), np.int64) if target.classes is None else target.codes(values).astype(np.int64)


def _check(folds: list[Fold], codes: NDArray[np.int64], count: int, target: Target, name: str) -> None:
    """InputUnusable for a fold with nothing on one side, or with rows of one class where there must be two."""
    for number, fold in enumerate(folds):
        for rows, side in ((fold.train, "learn from"), (fold.valid, "judge by")):
            where = f"{name}: fold {number + 1} of {count}"
            if not len(rows):
                raise InputUnusable(f"{where} would have no rows to {side}", "ask for fewer --cv, or bring more rows")
            one = target.classes is not None and len(np.unique(codes[rows])) < 2
            if one and (side == "learn from" or target.task == "binary"):
                raise InputUnusable(f"{where} would have one class to {side}", "ask for fewer --cv, or bring more rows")
