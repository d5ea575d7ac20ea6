"""What splitting knows of tables of images: what stands for their bytes, and which of them are near-duplicates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.errors import SchemaMismatch, Usage
from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps import near, split_options
from mlops_cli.steps.split_options import Options

IDENTITY, HASH, TIME, CAMERA = "sha256", "phash", "time", "camera"
OFF = "off"
"""Not a column: near-duplicates are not looked for."""


@dataclass(frozen=True, slots=True)
class Near:
    """Rows whose `column` differs in at most `distance` bits look alike; `apart`: no two of them in two parts."""

    column: str
    distance: int
    apart: bool


def images(schema: Mapping[str, pl.DataType]) -> list[str]:
    """The columns of images."""
    return [name for name, dtype in schema.items() if dtype in IMAGES]


def identity(schema: Mapping[str, pl.DataType]) -> list[str]:
    """The columns that say which row is which: all; of a table of images the digest of their bytes."""
    return [IDENTITY] if images(schema) and schema.get(IDENTITY) == pl.String else list(schema)


def times(schema: Mapping[str, pl.DataType]) -> tuple[str, str | None] | None:
    """The columns that say when and by which camera images were taken; None when it is not known when."""
    if not images(schema) or not isinstance(schema.get(TIME), pl.Datetime):
        return None
    return TIME, CAMERA if CAMERA in schema else None


def compared(schema: Mapping[str, pl.DataType], names: Sequence[str]) -> list[str]:
    """The columns in which rows are compared: those of `names`, without the bytes where their digest is among them."""
    left_out = images(schema) if IDENTITY in names and schema[IDENTITY] == pl.String else []
    return [name for name in names if name not in left_out]


def wanted(options: Options, schema: Mapping[str, pl.DataType], table: str) -> Near | None:
    """Which rows are near-duplicates: as --near says, else by the perceptual hash of a table of images.

    When nothing is said, parts by time only have them counted: a camera sees the same road tomorrow. Usage for a
    distance that is none, UnknownColumn, SchemaMismatch for a column of no hashes.
    """
    if options.near == OFF:
        return None
    if options.near is None:
        found = images(schema) and schema.get(HASH) == pl.UInt64
        return Near(HASH, near.DISTANCE, not options.time) if found else None
    column, _, bits = options.near.rpartition("=") if "=" in options.near else (options.near, "", str(near.DISTANCE))
    if not re.fullmatch(r"\d{1,2}", bits) or int(bits) > near.MOST:
        raise Usage(f"--near {options.near!r}: the distance is not 0 to {near.MOST} bits", f"--near {HASH}=6, or off")
    split_options.known([column], schema, table)
    if schema[column] not in (pl.UInt64, pl.Int64):
        message = f"{table}: --near {column} is a column of {schema[column]}, not of 64-bit perceptual hashes"
        raise SchemaMismatch(message, f"mlops ingest makes a column {HASH} of images")
    return Near(column, int(bits), apart=True)


def hashes(frame: pl.LazyFrame, column: str) -> tuple[near.Hashes, NDArray[np.bool_]]:
    """A column of hashes in the order of the rows, and which rows have one."""
    series = frame.select(exactly(column).alias("hash")).collect(engine="streaming").to_series()
    return series.fill_null(0).to_numpy().astype(np.uint64), series.is_not_null().to_numpy()
