"""The rows that training learns from: a split's parts, or a table that holds out its own valid part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mlops_cli.models import kinds
from mlops_cli.models.target import Target
from mlops_cli.steps import references, split_folds, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.tables import Table
from mlops_cli.store.manifest import Input

HELD_OUT = 0.15
"""The share of a table's rows that becomes the valid part."""

_CERTIFICATE = "certificate.json"


class _Certificate(msgspec.Struct):
    """The one word of a certificate that needs no library of `split`."""

    clean: bool | None = None


@dataclass(frozen=True)
class Source:
    """A train and a valid part; `valid` is None for a split without one, and for a table, which is divided later."""

    train: Table
    valid: Table | None
    whole: bool
    """Whether `train` is a whole table, whose valid part is still in it."""
    time: str | None = None
    """The column by which a split was cut: later rows always differ in it, so it says nothing of drift."""
    clean: bool | None = None
    """What the certificate of the split says."""
    cut: Mapping[str, Any] = field(default_factory=dict)
    """The flags of the split, which say how folds are to be cut: `group`, `time`, `embargo`, `key`."""
    folds: Path | None = None
    """The folds that the split has made itself, a row for each of its train part."""

    @property
    def inputs(self) -> list[Input]:
        """What the model is made from."""
        return self.train.inputs

    @property
    def key(self) -> object | None:
        """The share of a memo key; None when the data cannot be keyed."""
        return None if self.train.key is None else [self.train.key, self.whole]


@dataclass(frozen=True)
class Parts:
    """The rows of a source, each part readable many times; of a table `whole` has all, `note` says how it was cut."""

    train: pl.LazyFrame
    valid: pl.LazyFrame | None
    note: str = ""
    whole: pl.LazyFrame | None = None

    @property
    def all(self) -> pl.LazyFrame:
        """The rows that tell what the target is: a table's, or the train part of a split."""
        return self.train if self.whole is None else self.whole


@dataclass(frozen=True)
class Counted:
    """Rows of which the target is usable, and how many are left out for what reason."""

    train: pl.LazyFrame
    valid: pl.LazyFrame | None
    rows: int
    valid_rows: int
    note: str


def find(ctx: Context, given: Given) -> Source:
    """What was given, as parts; a model or an evaluation means the split that it was made from."""
    if given.stdin or references.is_file(given):
        return Source(tables.open_table(ctx, given), None, whole=True)
    found = references.resolve(ctx, given, "split", "dataset", "predictions")
    if found.artefact.kind != "split":
        return Source(tables.from_artefact(found.artefact, found.input), None, whole=True)
    train = tables.from_artefact(found.artefact, found.input, "train")
    has_valid = bool(found.artefact.tables("valid"))
    valid = tables.from_artefact(found.artefact, found.input, "valid") if has_valid else None
    cut = found.artefact.manifest.params
    time = cut.get("time")
    clean = found.artefact.json(_CERTIFICATE, _Certificate).clean if found.artefact.has(_CERTIFICATE) else None
    folds = found.artefact.file(split_folds.FILE) if found.artefact.has(split_folds.FILE) else None
    told = time if isinstance(time, str) else None
    return Source(train, valid, whole=False, time=told, clean=clean, cut=cut, folds=folds)


def usual_family(source: Source) -> str:
    """The family that learns from such a table when none is asked for."""
    schema = tables.schema_of(source.train.frame, source.train.name)
    return "cnn" if any(kinds.type_of(kind) == "image" for kind in schema.dtypes()) else "lightgbm"


@contextlib.contextmanager
def opened(source: Source, seed: int) -> Iterator[Parts]:
    """The parts of a source; what is not Parquet is spooled to it, since it is read many times."""
    if not source.whole:
        yield Parts(source.train.frame, source.valid.frame if source.valid else None)
        return
    parquet = source.train.name.endswith(".parquet") or source.train.inputs[0].kind in ("dataset", "predictions")
    with tables.replayable(replace(source.train, once=source.train.once or not parquet)) as table:
        yield _divided(table, seed)


def _divided(table: Table, seed: int) -> Parts:
    """A table as train and valid rows, by a stable hash of the whole row: equal rows stay together."""
    from mlops_cli.steps import split_hash

    schema = tables.schema_of(table.frame, table.name)
    chosen = split_hash.hashed(schema, schema.names(), seed) < int(HELD_OUT * split_hash.ALL)
    note = f"{HELD_OUT:.0%} of the rows are held out to stop by; mlops split gives a test part too"
    return Parts(table.frame.filter(~chosen), table.frame.filter(chosen), note, table.frame)


def sound(parts: Parts, target: Target) -> Parts:
    """The parts, or all rows of a table as its train part when holding some out would take every row of a class."""
    if parts.whole is None or target.classes is None:
        return parts
    there = parts.train.select(target.column.drop_nulls().n_unique()).collect(engine="streaming").item()
    if there == len(target.classes):
        return parts
    return Parts(parts.whole, None, "no rows are held out to stop by: that would take every row of a class")


def counted(parts: Parts, target: Target) -> Counted:
    """The rows that can be used: those with a target, and of the valid part those with a class that is known."""
    train, rows, missing = _with_target(parts.train, target)
    said = [f"{rows + missing:,} train rows in = {rows:,} used" + _dropped(missing, target)]
    if parts.valid is None:
        return Counted(train, None, rows, 0, "; ".join(said))
    valid, valid_rows, missing = _with_target(parts.valid, target)
    strange = 0
    if target.classes is not None:
        known = target.column.is_in(pl.lit(pl.Series(target.classes)).implode())
        strange = valid_rows - int(valid.select(known.sum()).collect().item())
        valid = valid.filter(known) if strange else valid
    used = valid_rows - strange
    unknown = f" + {strange:,} of a class that train has not" if strange else ""
    said.append(f"{valid_rows + missing:,} valid rows in = {used:,} used" + _dropped(missing, target) + unknown)
    return Counted(train, valid if used else None, rows, used, "; ".join(said))


def _with_target(frame: pl.LazyFrame, target: Target) -> tuple[pl.LazyFrame, int, int]:
    """The rows whose target is there, their number, and how many have none."""
    column = target.column
    there, missing = frame.select(column.count().alias("there"), column.null_count().alias("missing")).collect().row(0)
    return (frame.filter(column.is_not_null()) if missing else frame), there, missing


def _dropped(missing: int, target: Target) -> str:
    return f" + {missing:,} dropped without {target.name}" if missing else ""
