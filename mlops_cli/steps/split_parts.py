"""Which part each row of a table belongs to, as a column of codes beside the table: one pass decides for all parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_folds, split_hash, split_images, split_near, split_options, split_strata, split_time
from mlops_cli.steps.split_images import Near
from mlops_cli.steps.split_near import Clusters
from mlops_cli.steps.split_options import Options
from mlops_cli.steps.split_strata import Strata
from mlops_cli.steps.split_time import Axis

PARTS = ("train", "valid", "test")  # the codes 0, 1 and 2
EMBARGOED = 3
ALIKE = 4  # left out since it looks like a row of a later part
CODE = "part"


@dataclass(frozen=True)
class Assignment:
    """`codes` has one number per row of the table, of PARTS, EMBARGOED or ALIKE; the rest is for the certificate.

    With --folds `codes` has columns more, from which the folds are made.
    """

    codes: pl.LazyFrame
    columns: list[str]
    cut_offs: dict[str, Any] | None = None
    clusters: Clusters | None = None
    strata: Strata | None = None

    @property
    def parts(self) -> pl.LazyFrame:
        """The numbers alone."""
        return self.codes.select(CODE)

    def folds(self, options: Options, axis: Axis | None) -> tuple[pl.LazyFrame, list[Any] | None]:
        """The table of folds of the train part, and the cut-offs of folds by time."""
        assert options.folds is not None
        train = self.codes.filter(pl.col(CODE) == 0)
        if axis is not None:
            return split_folds.by_time(train, options.folds, axis, options.embargo)
        made = split_folds.by_rank if options.stratify else split_folds.by_hash
        return made(train, options.folds), None


def assign(frame: pl.LazyFrame, options: Options, near: Near | None, scratch: Path, name: str) -> Assignment:
    """Decide for every row of `frame`; the codes are written to `scratch`, which has to stay while they are used.

    Near-duplicates go together where a hash decides; where it is time or a group, or strata divide them, those of an
    earlier part are left out. InputUnusable when the column that decides has missing values.
    """
    schema = frame.collect_schema()
    apart = near if near and near.apart else None
    if options.time:
        found = _by_time(frame, schema, options, scratch, name)
    elif options.stratify:
        found = _by_stratum(frame, schema, options, apart, scratch, name)
    else:
        found = _by_hash(frame, schema, options, apart, scratch, name)
    if apart is None or options.method in ("key", "row"):
        return found
    codes = found.codes.collect(engine="streaming")
    gone = pl.Series(split_near.left_out(codes[CODE].to_numpy(), frame, apart, len(PARTS)))
    return changed(found, codes=codes.with_columns(codes[CODE].set(gone, ALIKE)).lazy())


def _by_hash(
    frame: pl.LazyFrame,
    schema: Mapping[str, pl.DataType],
    options: Options,
    near: Near | None,
    scratch: Path,
    name: str,
) -> Assignment:
    names = [options.group] if options.group else list(options.key) or split_images.identity(schema)
    if len(names) < len(schema):  # where all columns decide some value may be missing
        _complete(frame, schema, names, options.method, name)
    test, valid = _shares(options)
    bounds = [int(test * split_hash.ALL), int((test + valid) * split_hash.ALL)]
    number = pl.col("hash")
    hashes = frame.select(split_hash.hashed(schema, names, options.seed))
    clusters = None
    if near and not options.group:
        hashes, clusters = _clustered(hashes, frame, near)
    codes = _coded(number < pl.lit(bounds[0], pl.UInt64), number < pl.lit(bounds[1], pl.UInt64))
    more = [split_folds.order()] if options.folds else []
    return Assignment(kept(hashes.select(codes, *more), scratch / "codes.parquet"), sorted(names), clusters=clusters)


def _clustered(hashes: pl.LazyFrame, frame: pl.LazyFrame, near: Near) -> tuple[pl.LazyFrame, Clusters]:
    """The hashes of rows, those of near-duplicates made the same; the other columns of `hashes` stay."""
    rows = hashes.collect(engine="streaming")
    placed, clusters = split_near.together(rows["hash"].to_numpy(), frame, near)
    return rows.with_columns(pl.Series("hash", placed)).lazy(), clusters


def _coded(test: pl.Expr, valid: pl.Expr) -> pl.Expr:
    """The code of a row from whether it is in test, and else in valid."""
    # Not when/then over literals: selected alone they make polars 2.1 forget the order of a scan's row groups.
    return (test.cast(pl.UInt8) + (test | valid).cast(pl.UInt8)).alias(CODE)


def _shares(options: Options) -> tuple[Fraction, Fraction]:
    test, valid = split_options.share(options.test), split_options.share(options.valid)
    assert test is not None and valid is not None  # split_options.check has seen to that
    return test, valid


def kept(frame: pl.LazyFrame, path: Path) -> pl.LazyFrame:
    """The frame, computed once and kept on disk, row by row beside what it was computed from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = pl.QueryOptFlags(check_order_observe=False)  # see _coded: maintain_order alone is not enough
    frame.sink_parquet(path, compression="lz4", maintain_order=True, engine="streaming", optimizations=ordered)
    return pl.scan_parquet(path, glob=False)


def _by_time(
    frame: pl.LazyFrame, schema: Mapping[str, pl.DataType], options: Options, scratch: Path, name: str
) -> Assignment:
    assert options.time is not None
    axis = split_time.axis(options.time, schema[options.time], name)
    if options.group:
        return _by_time_in_groups(frame, schema, axis, options, scratch, name)
    _complete(frame, schema, [options.time], "time", name)
    cuts = split_time.cuts(frame, axis, options, name)
    time = pl.col("time")
    codes = _coded(time >= cuts.test, time >= cuts.valid)
    if cuts.embargo:
        gap = _within(time, cuts.valid, cuts.embargo) | _within(time, cuts.test, cuts.embargo)
        codes = pl.when(gap).then(EMBARGOED).otherwise(codes).cast(pl.UInt8).alias(CODE)
    more = [time, pl.lit(None, pl.String).alias("group")] if options.folds else []
    placed = kept(frame.select(axis.value.alias("time")).select(codes, *more), scratch / "codes.parquet")
    told = {"column": options.time, "valid": axis.shown(cuts.valid), "test": axis.shown(cuts.test)}
    return Assignment(placed, [options.time], told)


def _by_time_in_groups(
    frame: pl.LazyFrame,
    schema: Mapping[str, pl.DataType],
    axis: Axis,
    options: Options,
    scratch: Path,
    name: str,
) -> Assignment:
    """Each group's own timeline cut at its own times; a group with too few of them is train."""
    assert options.time is not None and options.group is not None
    _complete(frame, schema, [options.time], "time", name)
    _complete(frame, schema, [options.group], "group", name)
    cuts, gap = split_time.group_cuts(frame, axis, options, name), split_time.embargo(axis, options.embargo)
    rows = frame.select(exactly(options.group).alias("group"), axis.value.alias("time"))
    joined = rows.join(cuts.lazy(), on="group", how="left", maintain_order="left")
    time, valid, test = pl.col("time"), pl.col("valid"), pl.col("test")
    codes = _coded((time >= test).fill_null(False), (time >= valid).fill_null(False))
    if gap:
        close = (_within(time, valid, gap) | _within(time, test, gap)).fill_null(False)
        codes = pl.when(close).then(EMBARGOED).otherwise(codes).cast(pl.UInt8).alias(CODE)
    placed = kept(joined.select(codes, *(("time", "group") if options.folds else ())), scratch / "codes.parquet")
    whole = cuts["test"].null_count()
    told = [
        {"group": str(group), "valid": axis.shown(first), "test": axis.shown(second)}
        for group, first, second in cuts.drop_nulls().rows()
    ]
    cut_offs = {"column": options.time, "group": options.group, "groups": told, "groups_in_train": whole}
    return Assignment(placed, sorted([options.time, options.group]), cut_offs)


def _within(time: pl.Expr, cut: float | pl.Expr, gap: float) -> pl.Expr:
    """Rows in the gap just before a cut."""
    return (time < cut) & (time >= cut - gap)


def _by_stratum(
    frame: pl.LazyFrame,
    schema: Mapping[str, pl.DataType],
    options: Options,
    near: Near | None,
    scratch: Path,
    name: str,
) -> Assignment:
    """The rows with the smallest hashes of each stratum are test, the next ones valid: the shares are exact.

    Rows with the same hash (exact copies) stay together, so a stratum of copies may miss its share.
    """
    assert options.stratify is not None
    if options.key:
        _complete(frame, schema, options.key, "key", name)
    strata = split_strata.of(frame, options.stratify, options.bins)
    names = list(options.key) or split_images.identity(schema)
    hashes, clusters = frame.select(strata.value, split_hash.hashed(schema, names, options.seed)), None
    if near:
        hashes, clusters = _clustered(hashes, frame, near)
    hashes = kept(hashes, scratch / "hashes.parquet")
    test, valid = _shares(options)
    grouped = hashes.group_by("stratum").agg(pl.len().alias("rows"), pl.col("hash").sort())
    limits = grouped.select(
        "stratum",
        "rows",
        _limit(test).alias("test"),
        _limit(test + valid).alias("valid"),
    ).collect()
    split_strata.few(limits.height, int(limits["rows"].sum()), options.stratify, name, "stratify")
    joined = hashes.join(limits.lazy(), on="stratum", how="left", nulls_equal=True, maintain_order="left")
    codes = _coded(pl.col("hash") < pl.col("test"), pl.col("hash") < pl.col("valid"))
    more = [split_folds.order(), pl.col("stratum")] if options.folds else []
    placed = kept(joined.select(codes, *more), scratch / "codes.parquet")
    return Assignment(placed, sorted(names), clusters=clusters, strata=strata)


def _limit(share: Fraction) -> pl.Expr:
    """The hash below which `share` of a stratum's rows lie (its hashes sorted); the largest number when all do."""
    size = pl.col("hash").list.len().cast(pl.Int64)
    wanted = (size * share.numerator * 2 + share.denominator) // (2 * share.denominator)
    return pl.col("hash").list.get(wanted, null_on_oob=True).fill_null(pl.lit(split_hash.ALL - 1, pl.UInt64))


def _complete(frame: pl.LazyFrame, schema: Mapping[str, pl.DataType], names: Any, method: str, table: str) -> None:
    """InputUnusable when a column that decides about a row has no value there."""
    missing = [_missing(exactly(name), schema[name]).sum().alias(str(number)) for number, name in enumerate(names)]
    for name, count in zip(names, frame.select(missing).collect(engine="streaming").row(0), strict=True):
        if count:
            raise InputUnusable(
                f"{table}: {count} rows have no value in {name!r}, the column of --{method}",
                "leave them out first: mlops validate with nullable: false, or mlops ingest --sql",
            )


def _missing(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return value.is_null() | value.is_nan().fill_null(False) if dtype.is_float() else value.is_null()
