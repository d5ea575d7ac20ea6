"""Near-duplicates kept in one part: placed together or left out of the earlier part; and counted when written."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from mlops_cli.sources.names import exactly
from mlops_cli.steps import near, split_images, split_time
from mlops_cli.steps.near import Labels
from mlops_cli.steps.split_images import Near
from mlops_cli.steps.split_time import Axis

LARGE = 0.05
"""A cluster of more than this share of the rows is train as a whole: in a smaller part it would be most of it."""
WINDOW = "1m"
"""How near in time images are neighbours when no --embargo says it."""
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio, odd: a product with it has another order


class Clusters(msgspec.Struct, frozen=True):
    """How many clusters of two rows and more there are, and the rows of the largest."""

    clusters: int = 0
    largest: int = 0


class Alike(msgspec.Struct):
    """Near-duplicates in the certificate; `apart`: the parts were to have none in common, so that one is a leak."""

    column: str
    distance: int
    apart: bool
    in_train: dict[str, int]  # rows of each later part that look like one of train
    unknown: int = 0  # rows without a hash, which are like none
    left_out: int = 0  # rows of earlier parts that looked like one of a later part
    clusters: int | None = None
    largest: int | None = None

    def lines(self) -> list[str]:
        """What was found, for people."""
        how = f"look like one of train ({self.column} within {self.distance} bits)"
        return [f"{count:,} rows of {part} {how}" for part, count in self.in_train.items() if count]


class Neighbours(msgspec.Struct):
    """Rows taken shortly before or after one of train, in the certificate; `apart` as in `Alike`."""

    column: str
    group: str | None
    within: str
    apart: bool
    in_train: dict[str, int]
    unknown: int = 0  # rows without a time

    def lines(self) -> list[str]:
        """What was found, for people."""
        how = f"are within {self.within} of one of train" + (f" of the same {self.group}" if self.group else "")
        return [f"{count:,} rows of {part} {how}" for part, count in self.in_train.items() if count]


def together(hashes: NDArray[np.uint64], frame: pl.LazyFrame, wanted: Near) -> tuple[NDArray[np.uint64], Clusters]:
    """Each row's hash of the cluster that it is in, which decides for all of it: that of one of its rows.

    Rows with the same hash are of one cluster too. The row is chosen by its hash times an odd constant, so a row that
    is added decides in the place of n others with a chance of 1 in n + 1. A LARGE cluster gets the largest hash: train.
    """
    values, known = split_images.hashes(frame, wanted.column)
    parent = np.arange(len(hashes), dtype=np.int64)
    rows = np.flatnonzero(known)
    if len(rows):
        _join(parent, rows, near.clusters(values[rows], wanted.distance))
    _join(parent, np.arange(len(hashes)), hashes)
    order = np.lexsort((hashes * _MIX, parent))
    first = np.flatnonzero(np.r_[True, np.diff(parent[order]) != 0]) if len(order) else np.empty(0, np.intp)
    sizes = np.diff(np.r_[first, len(order)])
    place = hashes[order[first]]
    if len(order):
        several = np.minimum.reduceat(hashes[order], first) != np.maximum.reduceat(hashes[order], first)
        place[several & (sizes > LARGE * len(hashes))] = np.iinfo(np.uint64).max
    placed = np.empty_like(hashes)
    placed[order] = np.repeat(place, sizes)
    return placed, Clusters(int((sizes > 1).sum()), int(sizes.max(initial=0)))


def _join(parent: Labels, rows: NDArray[np.intp], labels: NDArray[np.int64] | NDArray[np.uint64]) -> None:
    """Merge in `parent` the rows that have the same label."""
    order = np.argsort(labels, kind="stable")
    same = np.flatnonzero(labels[order[1:]] == labels[order[:-1]])
    near.merge(parent, rows[order[same]], rows[order[same + 1]])


def left_out(codes: NDArray[np.uint8], frame: pl.LazyFrame, wanted: Near, parts: int) -> NDArray[np.bool_]:
    """Which rows look like a row of a later part than theirs; `codes` 0 to `parts` - 1 are the parts in their order."""
    values, known = split_images.hashes(frame, wanted.column)
    gone = np.zeros(len(codes), dtype=bool)
    for part in reversed(range(parts - 1)):
        later = known & ~gone & (codes > part) & (codes < parts)
        ours = np.flatnonzero(known & (codes == part))
        gone[ours] = near.among(values[ours], values[later], wanted.distance)
    return gone


def alike(parts: Mapping[str, pl.LazyFrame], wanted: Near, left_out: int, found: Clusters | None) -> Alike:
    """Near-duplicates of the first part in each later one; `left_out` and `found` are what is known from before."""
    (train, known), *later = [split_images.hashes(frame, wanted.column) for frame in parts.values()]
    unknown = int((~known).sum()) + sum(int((~there).sum()) for _, there in later)
    counts = {
        name: int(near.among(values[there], train[known], wanted.distance).sum())
        for name, (values, there) in zip(list(parts)[1:], later, strict=True)
    }
    sizes = (found.clusters, found.largest) if found else (None, None)
    return Alike(wanted.column, wanted.distance, wanted.apart, counts, unknown, left_out, *sizes)


def neighbours(
    parts: Mapping[str, pl.LazyFrame], time: str, group: str | None, embargo: str | None
) -> Neighbours | UnsetType:
    """Rows of later parts with one of the first part, of the same group, at most `embargo` (else WINDOW) from them.

    Rows without a time have no neighbours; those without a group are a group. UNSET for numbers without an embargo.
    """
    axes = {name: split_time.axis(time, frame.collect_schema()[time], name) for name, frame in parts.items()}
    axis = next(iter(axes.values()))
    if not (embargo or axis.temporal):
        return UNSET
    gap = split_time.embargo(axis, embargo or WINDOW)
    first, *later = [_timed(frame, axes[name], group) for name, frame in parts.items()]
    train = first.with_columns(train=pl.col("time"))
    counts = {}
    for name, rows in zip(list(parts)[1:], later, strict=True):
        joined = rows.join_asof(train, on="time", by="group", strategy="nearest", check_sortedness=False)
        counts[name] = int(joined.select(((pl.col("time") - pl.col("train")).abs() <= gap).sum()).item())
    rows = sum(frame.select(pl.len()).collect().item() for frame in parts.values())
    unknown = rows - sum(one.height for one in (first, *later))
    return Neighbours(time, group, embargo or WINDOW, bool(embargo), counts, unknown)


def _timed(frame: pl.LazyFrame, axis: Axis, group: str | None) -> pl.DataFrame:
    """Time on its axis and group of the rows that have a time, in the order of time."""
    of = exactly(group).cast(pl.String) if group else pl.lit(None, dtype=pl.String)
    rows = frame.select(axis.value.alias("time"), of.fill_null("").alias("group")).drop_nulls("time")
    return rows.collect(engine="streaming").sort("time")
