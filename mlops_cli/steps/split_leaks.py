"""What parts of a split know of each other: exact copies, groups in two of them, and times that overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from mlops_cli.errors import SchemaMismatch
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_hash, split_images, split_time, tables

AT_ONCE = 1 << 23
"""Hashes that are compared in one go: about half a gigabyte."""

MANY = 0.1
"""From this share of the rows of the later parts on, copies but for their key are a leak, if rows are not COARSE."""
COARSE = 3
"""Rows that are there so often on average without their key are alike by nature."""
UNEVEN = 1.5
"""So are rows of which a few are there much more often than the others: one loaded twice has each twice."""


class Rekeyed(msgspec.Struct):
    """Rows of later parts that an earlier part has under another key, by a hash of their other columns."""

    key: list[str]
    rows: int
    of: int  # all rows of later parts
    occur: float  # how often a row of train is there without its key, on average, estimated
    leak: bool

    def lines(self) -> list[str]:
        """What was found, for people."""
        how = f"rows of a later part are in an earlier one under another {', '.join(self.key)}"
        return [f"{self.rows:,} of {self.of:,} {how}"] if self.rows else []


class Copies(msgspec.Struct):
    """Rows of train that are there more than once, where equal rows stay together."""

    rows: int  # all rows of train
    different: int  # different ones among them

    def lines(self) -> list[str]:
        """What may be wrong with that, for people."""
        copies = self.rows - self.different
        if copies < max(1, MANY * self.rows):
            return []
        return [
            f"{copies:,} of {self.rows:,} rows of train are copies of others, and copies stay in one part: if they are "
            "different cases that look alike, parts may contradict each other; --key COLUMN that tells them apart"
        ]


class Leaks(msgspec.Struct):
    """Each a number of rows or groups; None where no column was named to look at."""

    duplicate_rows: int  # rows of a later part that an earlier part has too, value for value
    group_overlap: int | None = None  # groups that are in more than one part
    time_overlap: int | None = None  # rows of an earlier part that are not before the next one begins
    rekeyed: Rekeyed | UnsetType = UNSET  # with --key
    copies: Copies | UnsetType = UNSET  # where the whole row decides, if there are any

    def lines(self) -> list[str]:
        """What was found, for people."""
        told = []
        if self.duplicate_rows:
            told.append(f"{self.duplicate_rows} rows of a later part are exact copies of rows of an earlier one")
        if self.group_overlap:
            told.append(f"{self.group_overlap} groups are in more than one part")
        if self.time_overlap:
            told.append(f"{self.time_overlap} rows of an earlier part are not before the next one begins")
        return told + (self.rekeyed.lines() if self.rekeyed and self.rekeyed.leak else [])

    def kindred(self) -> list[str]:
        """What was found and may be so by nature, for people."""
        return self.rekeyed.lines() if self.rekeyed and not self.rekeyed.leak else []


def find(
    parts: Mapping[str, pl.LazyFrame],
    scratch: Path,
    *,
    group: str | None = None,
    time: str | None = None,
    within: str | None = None,
    key: Sequence[str] = (),
    copies: bool = False,
) -> Leaks:
    """Compare parts, given from the earliest to the latest, in the columns that all of them have.

    No value of `group` may be in two parts; times may not overlap, `within` each group of that column when it is given.
    With a `key` rows are compared without it too, in the same pass; with `copies` those within train are counted.
    SchemaMismatch when they have no column in common.
    Hashes of rows are kept in `scratch`; memory grows with the number of rows that have a copy, not of all rows.
    """
    names = shared(parts)
    frames = {name: frame.select([exactly(one) for one in names]) for name, frame in parts.items()}
    sums = _sums(frames, names)
    rest = [name for name in names if name not in key] if key else []
    hashes = _hashes(frames, sums, _sums(frames, rest, "rest") if rest else sums, scratch)
    return Leaks(
        _copies(frames, names, sums, hashes),
        None if group is None else _groups(frames, group),
        None if time is None else _times(frames, time, within),
        _rekeyed(hashes, key) if rest else UNSET,
        _copied(hashes[0]) if copies else UNSET,
    )


def shared(parts: Mapping[str, pl.LazyFrame]) -> list[str]:
    """The columns that all parts have, without the bytes of images; SchemaMismatch when there is none."""
    schemas = [frame.collect_schema() for frame in parts.values()]
    names = [name for name in schemas[0] if all(name in schema for schema in schemas)]
    if not names:
        raise SchemaMismatch("the parts have no column in common", "they are not parts of one table")
    return split_images.compared(schemas[0], names)


def _sums(frames: Mapping[str, pl.LazyFrame], names: Sequence[str], called: str = "hash") -> list[pl.Expr]:
    """A hash of some columns of each frame, the same for the same values, `called` so."""
    schemas = [frame.collect_schema() for frame in frames.values()]
    if all(schema == schemas[0] for schema in schemas):
        return [split_hash.quick(names).alias(called) for _ in schemas]
    return [split_hash.hashed(schema, names, 0).alias(called) for schema in schemas]


def _hashes(
    frames: Mapping[str, pl.LazyFrame], sums: Sequence[pl.Expr], rest: Sequence[pl.Expr], scratch: Path
) -> list[pl.LazyFrame]:
    """The hashes of all rows of each frame, kept in `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    paths = [scratch / f"hashes-{name}.parquet" for name in frames]
    for path, frame, whole, other in zip(paths, frames.values(), sums, rest, strict=True):
        frame.select([whole] if other is whole else [whole, other]).sink_parquet(path, compression="lz4")
    return [pl.scan_parquet(path, glob=False) for path in paths]


def _rekeyed(hashes: Sequence[pl.LazyFrame], key: Sequence[str]) -> Rekeyed:
    """Compare rows without their key."""
    found = of = 0
    for some in _shares(hashes, "rest"):
        for number, late in enumerate(some[1:], 1):
            common = pl.concat(some[:number]).join(late, on="rest", how="semi").unique()
            found += int(late.join(common, on="rest", how="semi").select(pl.len()).collect(engine="streaming").item())
            of += int(late.select(pl.len()).collect(engine="streaming").item())
    rows, different, squares = _repeated(hashes[0], "rest")
    occur = rows / max(1, different)
    alike = occur >= COARSE or squares >= UNEVEN * occur * rows
    return Rekeyed(sorted(key), found, of, round(occur, 2), found >= max(1, MANY * of) and not alike)


def _copied(hashes: pl.LazyFrame) -> Copies | UnsetType:
    """The copies within a part, if there are any."""
    rows, different, _ = _repeated(hashes, "hash")
    return Copies(rows, different) if different < rows else UNSET


def _repeated(hashes: pl.LazyFrame, column: str) -> tuple[int, int, int]:
    """The rows, the different ones among them, and the sum over these of how often each is there, squared."""
    times = pl.col("times")
    total = [0, 0, 0]
    for (some,) in _shares([hashes], column):
        counted = some.group_by(column).agg(pl.len().cast(pl.Int64).alias("times"))
        found = counted.select(times.sum(), pl.len().alias("different"), (times**2).sum().alias("squares"))
        total = [old + new for old, new in zip(total, found.collect(engine="streaming").row(0), strict=True)]
    return total[0], total[1], total[2]


def _copies(
    frames: Mapping[str, pl.LazyFrame],
    names: Sequence[str],
    sums: Sequence[pl.Expr],
    hashes: Sequence[pl.LazyFrame],
) -> int:
    """Rows of later parts that an earlier part has too: by hash first, the suspects then value for value."""
    suspects = _suspects(hashes)
    if suspects.is_empty():
        return 0
    found: list[tuple[int, pl.DataFrame]] = []
    for number, frame in enumerate(frames.values()):
        hashed = frame.select(split_hash.encoded(frame.collect_schema(), names), sums[number])
        rows = hashed.filter(pl.col("hash").is_in(pl.lit(suspects).implode())).select("row")
        found.append((number, rows.collect(engine="streaming")))
    return sum(
        late.filter(pl.col("row").is_in(pl.concat([early for _, early in found[:number]])["row"].implode())).height
        for number, late in found[1:]
    )


def _suspects(hashes: Sequence[pl.LazyFrame]) -> pl.Series:
    """Hashes that two parts have in common, looked for in one share of all hashes after the other."""
    found = []
    for some in _shares(hashes, "hash"):
        pairs = [late.join(early, on="hash", how="semi").unique() for early, late in itertools.combinations(some, 2)]
        found += [frame.collect(engine="streaming") for frame in pairs]
    return pl.concat(found).unique().to_series()


def _shares(hashes: Sequence[pl.LazyFrame], column: str) -> Iterator[list[pl.LazyFrame]]:
    """The same share of all frames, by the remainder of a hash, and then the next: as many as fit into memory."""
    rows = sum(part.select(pl.len()).collect(engine="streaming").item() for part in hashes)
    shares = max(1, -(-rows // AT_ONCE))
    for share in range(shares):
        yield [part.select(column).filter(pl.col(column) % shares == share) for part in hashes]


def _groups(frames: Mapping[str, pl.LazyFrame], group: str) -> int:
    """Groups that are in more than one part; rows without one belong to none."""
    seen = [
        frame.select(split_hash.encoded(frame.collect_schema(), [group]), exactly(group).is_null().alias("none"))
        .filter(pl.col("none").not_())
        .select(pl.col("row").unique())
        for frame in frames.values()
    ]
    counted = pl.concat(seen).group_by("row").len("parts").filter(pl.col("parts") > 1)
    return int(counted.select(pl.len()).collect(engine="streaming").item())


def _times(frames: Mapping[str, pl.LazyFrame], time: str, within: str | None) -> int:
    """Rows of each part that are not before the first time of the next one, in each group of the column `within`."""
    same_clock({name: frame.collect_schema()[time] for name, frame in frames.items()}, time)
    total = 0
    for (name, early), (_, late) in itertools.pairwise(frames.items()):
        ours, theirs = (_timed(frame, time, within, name) for frame in (early, late))
        begins = theirs.group_by("group").agg(pl.col("time").min().alias("begins"))
        joined = ours.join(begins, on="group", nulls_equal=True)
        total += int(joined.select((pl.col("time") >= pl.col("begins")).sum()).collect(engine="streaming").item())
    return total


def same_clock(kinds: Mapping[str, pl.DataType], time: str) -> None:
    """SchemaMismatch when a column holds times in one part and numbers in another, or only one of them has a zone."""
    (first, one), *others = kinds.items()
    for part, kind in others:
        numbers = one.is_temporal() != kind.is_temporal()
        if numbers or (getattr(one, "time_zone", None) is None) != (getattr(kind, "time_zone", None) is None):
            found = tables.described(pl.Schema({first: one, part: kind}))
            told = ", ".join(f"{type_} in {name}" for name, type_ in found.items())
            raise SchemaMismatch(f"column {time!r} is {told}: they cannot be compared", "give both a zone, or none")


def _timed(frame: pl.LazyFrame, time: str, within: str | None, name: str) -> pl.LazyFrame:
    """The times of a part, and the group that each is in."""
    group = exactly(within) if within else pl.lit(0)
    return frame.select(
        split_time.axis(time, frame.collect_schema()[time], name).value.alias("time"), group.alias("group")
    )
