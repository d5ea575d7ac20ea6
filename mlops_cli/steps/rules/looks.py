"""What no expression can say of a row: whether an image decodes and is the one that was measured, whether it is new."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl

from mlops_cli.errors import InputUnusable, MissingExtra
from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps import near, processors
from mlops_cli.steps.rules.rule import Look, Rule

DIGEST = "sha256"
ROWS = 256
"""Images in memory at a time."""
LEAST = 32
"""Pixels of the shorter side that a decoder may reduce a JPEG to: all of its bytes are read all the same."""

Judge = Callable[[tuple[bytes | None, str | None]], tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class Decodes:
    """Every image of a column is decoded, and its bytes compared with the digest beside it, in a pool of threads."""

    column: str
    digest: str | None  # the column of sha256, in hex
    flags: tuple[str, ...]

    def answers(self, frame: pl.LazyFrame) -> list[pl.Series]:
        """For each row whether it does not decode, and whether its digest is another; missing images are neither."""
        judge, found = _judge(), []
        image = exactly(self.column)
        is_struct = frame.collect_schema()[self.column] != pl.Binary
        data = image.struct.field("bytes") if is_struct else image
        digest = exactly(self.digest) if self.digest else pl.lit(None, dtype=pl.String)
        asked = frame.select(data.alias("bytes"), digest.alias("digest"), image.is_null().alias("missing"))
        with ThreadPoolExecutor(processors.count(), "decode") as pool:
            for rows in asked.collect_batches(chunk_size=ROWS, maintain_order=True):
                for start in range(0, rows.height, ROWS):
                    part = rows.slice(start, ROWS)
                    bad = np.array(list(pool.map(judge, part.select("bytes", "digest").iter_rows())))
                    found.append(bad & ~part["missing"].to_numpy()[:, None])
        flags = np.concatenate(found) if found else np.empty((0, 2), dtype=bool)
        return [pl.Series(name, flags[:, number]) for number, name in enumerate(self.flags)]


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Rows whose hash is at most `distance` bits from that of a row before them which is none itself."""

    value: pl.Expr
    distance: int
    flags: tuple[str, ...]

    def answers(self, frame: pl.LazyFrame) -> list[pl.Series]:
        """For each row whether it is one; rows without a hash are none. Memory: some 100 bytes for each row."""
        hashes = frame.select(self.value.alias("hash")).collect(engine="streaming").to_series()
        known = np.flatnonzero(hashes.is_not_null().to_numpy())
        flags = np.zeros(len(hashes), dtype=bool)
        flags[known] = near.later(hashes.gather(known).to_numpy().astype(np.uint64), self.distance)
        return [pl.Series(self.flags[0], flags)]


def decodes(column: str, schema: Mapping[str, pl.DataType], where: str) -> tuple[Look, list[Rule]]:
    """The look at a column of images and its rules; InputUnusable, naming the place `where`, for one of no images."""
    if schema[column] != pl.Binary and schema[column] not in IMAGES:
        raise InputUnusable(f"{where}: the column is {schema[column]}, not of images")
    digest = DIGEST if schema.get(DIGEST) == pl.String else None
    flags = (_flag("decodes", column), _flag("digest", column))
    rules = [Rule(f"{column}: decodes", column, "decodes", exactly(flags[0]))]
    if digest:
        rules.append(Rule(f"{column}: is not the image of its {DIGEST}", column, "decodes", exactly(flags[1])))
    return Decodes(column, digest, flags), rules


def near_duplicates(
    column: str, value: pl.Expr, distance: int, schema: Mapping[str, pl.DataType], where: str
) -> tuple[Look, list[Rule]]:
    """The look at a column of hashes and its rule; InputUnusable, naming the place `where`, for one of no hashes."""
    if schema[column] not in (pl.UInt64, pl.Int64):
        raise InputUnusable(f"{where}: the column is {schema[column]}, not of 64-bit perceptual hashes")
    images = [name for name, dtype in schema.items() if dtype in IMAGES]
    flag = _flag("near", column)
    label = f"{column}: near_duplicates({distance})"
    rule = Rule(label, column, "near_duplicates", exactly(flag), shows=tuple(images[:1]))
    return NearDuplicates(value, distance, (flag,)), [rule]


def _flag(what: str, column: str) -> str:
    """The name of a column of answers, which no table has."""
    return f"\0{what} {column}"


def _judge() -> Judge:
    """Whether one image does not decode, and whether its digest is another than is said."""
    try:
        from mlops_cli.runtime import images  # Pillow is an extra that other rules do not need
    except ImportError as error:
        raise MissingExtra.of("pillow", "images") from error

    def judge(given: tuple[bytes | None, str | None]) -> tuple[bool, bool]:
        data, digest = given
        if data is None:
            return True, False
        other = digest is not None and hashlib.sha256(data).hexdigest() != digest.lower()
        try:
            images.opened(data, LEAST)
        except images.Undecodable:
            return True, other
        return False, other

    return judge
