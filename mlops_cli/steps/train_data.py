"""The rows that training learns from: a split's parts, or a table that holds out its own valid part."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.models import kinds
from mlops_cli.models.target import Target
from mlops_cli.models.terms import Terms, check_weights
from mlops_cli.models.terms import check as check_terms
from mlops_cli.sources.names import exactly
from mlops_cli.steps import references, split_folds, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.tables import Table
from mlops_cli.store.manifest import Input

HELD_OUT = 0.15
"""The share of the rows that becomes the valid part, where nobody has cut one."""

FEWEST = 10
"""Of fewer rows none are held out: one or two would say nothing."""

LOOKED_AT = 20_000
"""Of more rows no family asks whether a key repeats: they are not divided again."""

_CERTIFICATE = "certificate.json"
_HELD = "\0held"
_LIMIT = int(HELD_OUT * 2**64)  # of all hashes


class _Certificate(msgspec.Struct):
    """The one word of a certificate that needs no library of `split`."""

    clean: bool | None = None


class Cut(msgspec.Struct, frozen=True):
    """What decided the part of a row when a split was made: the flags of `mlops split`."""

    group: str | None = None
    time: str | None = None
    key: tuple[str, ...] = ()
    embargo: str | None = None


@dataclass(frozen=True)
class Source:
    """A train and a valid part; `valid` is None for a split without one, and for a table: they are divided later."""

    train: Table
    valid: Table | None
    whole: bool
    """Whether `train` is a whole table, whose valid part is still in it."""
    time: str | None = None
    """The column by which a split was cut: later rows always differ in it, so it says nothing of drift."""
    clean: bool | None = None
    """What the certificate of the split says."""
    group: str | None = None
    """The column whose groups a split kept together: later rows have other groups. None where it was cut by time."""
    cut: Cut = field(default_factory=Cut)
    """How the split was cut, and so folds are to be."""
    folds: Path | None = None
    """The folds that the split has made itself, a row for each of its train part."""

    @property
    def inputs(self) -> list[Input]:
        """What the model is made from."""
        return self.train.inputs

    @property
    def key(self) -> object | None:
        """The share of a memo key; None when the data cannot be keyed."""
        return None if self.train.key is None else [self.train.key, self.whole, self.cut]


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
    cut = _cut(found.artefact.manifest.params)
    clean = found.artefact.json(_CERTIFICATE, _Certificate).clean if found.artefact.has(_CERTIFICATE) else None
    group = None if cut.time else cut.group
    folds = found.artefact.file(split_folds.FILE) if found.artefact.has(split_folds.FILE) else None
    return Source(train, valid, whole=False, time=cut.time, clean=clean, group=group, cut=cut, folds=folds)


def _cut(params: Mapping[str, object]) -> Cut:
    """How a split was cut, as its manifest says; one that another program made says nothing."""
    try:
        return msgspec.convert(params, Cut)
    except msgspec.ValidationError:
        return Cut()


def usual_family(source: Source) -> str:
    """The family that learns from such a table when none is asked for."""
    schema = tables.schema_of(source.train.frame, source.train.name)
    return "cnn" if any(kinds.type_of(kind) == "image" for kind in schema.dtypes()) else "lightgbm"


@contextlib.contextmanager
def opened(source: Source, seed: int, target: str) -> Iterator[Parts]:
    """The parts of a source; what is not Parquet is spooled to it, since it is read many times."""
    if source.valid is not None:
        yield Parts(source.train.frame, source.valid.frame)
        return
    if not source.whole:
        yield _held_out(source.train, source.cut, seed, target)
        return
    parquet = source.train.name.endswith(".parquet") or source.train.inputs[0].kind in ("dataset", "predictions")
    with tables.replayable(replace(source.train, once=source.train.once or not parquet)) as table:
        yield _divided(table, seed, target, f"{HELD_OUT:.0%} of the rows", "; mlops split gives a test part too")


def _divided(table: Table, seed: int, target: str, share: str, hint: str = "") -> Parts:
    """A table as train and valid rows, by a stable hash of the whole row: copies stay together.

    The hash is worked out once and kept, a bit a row: it needs all columns, which later readings do not.
    """
    from mlops_cli.steps import train_alike

    hashes, alike = train_alike.hashed(table.frame, target, seed)
    mask = (hashes < _LIMIT).alias(_HELD)
    if len(mask) < FEWEST or mask.all() or not mask.any():
        note = f"no rows are held out to stop by: {len(mask):,} rows are too few, or too much alike"
        return Parts(table.frame, None, note, table.frame)
    both, chosen = pl.concat([table.frame, mask.to_frame().lazy()], how="horizontal"), pl.col(_HELD)
    train, valid = (both.filter(one).drop(_HELD) for one in (~chosen, chosen))
    cases = "; rows that are alike are taken for different cases, not for copies" if alike else ""
    return Parts(train, valid, f"{share} are held out to stop by{cases}{hint}", table.frame)


def _held_out(table: Table, cut: Cut, seed: int, target: str) -> Parts:
    """The train part of a split without a valid part: some of it is held out the way the split was cut."""
    note = "the split has no valid part"
    about = f"{note}: about {HELD_OUT:.0%} of train"
    names = (cut.group,) if cut.group else cut.key
    if cut.time is None and not names:
        return _divided(table, seed, target, about)
    if cut.time is None:
        from mlops_cli.steps import split_hash

        schema = tables.schema_of(table.frame, table.name)
        chosen, how = split_hash.hashed(schema, names, seed) < _LIMIT, f" by {', '.join(names)}"
        rest = ~chosen
    else:
        try:
            rest, chosen = _by_time(table, cut)
        except InputUnusable as error:
            return Parts(table.frame, None, f"{note}, and nothing is held out to stop by: {error.message}")
        how = f", the last by {cut.time}"
    note = f"{about} are held out to stop by{how}"
    return Parts(table.frame.filter(rest), table.frame.filter(chosen), note, table.frame)


def _by_time(table: Table, cut: Cut) -> tuple[pl.Expr, pl.Expr]:
    """Which rows are learnt from, and which held out: the last ones (of each group), less an embargo between them."""
    from mlops_cli.steps import split_options, split_time

    assert cut.time is not None
    axis = split_time.axis(cut.time, tables.schema_of(table.frame, table.name)[cut.time], table.name)
    # The cut of a test part stands for that of the valid part; the valid part in between is of no account.
    asked = split_options.Options(str(HELD_OUT), str(HELD_OUT), group=cut.group, time=cut.time)
    start: pl.Expr
    if cut.group is None:
        start = pl.lit(split_time.cuts(table.frame, axis, asked, table.name).test)
    else:
        cuts = split_time.group_cuts(table.frame, axis, asked, table.name)
        start = exactly(cut.group).replace_strict(cuts["group"], cuts["test"], default=None, return_dtype=pl.Float64)
    gap = split_time.embargo(axis, cut.embargo)
    late = (axis.value >= start).fill_null(False)
    return ~late & ~(axis.value >= start - gap).fill_null(False), late


def apart(cut: Cut, rows: Counted) -> bool:
    """Whether rows belong together or follow each other, so that chance must not divide them.

    A key that is different in every row names cases, and keeps none together.
    """
    keys = [exactly(key) for key in cut.key if key in rows.train.collect_schema()]
    if cut.group or cut.time or not keys or rows.rows > LOOKED_AT:
        return bool(cut.group or cut.time or cut.key)
    return bool(rows.train.select(pl.struct(keys).n_unique()).collect(engine="streaming").item() < rows.rows)


def check(rows: Counted, target: Target, asked: Terms) -> None:
    """The terms held against the rows: Usage, UnknownColumn, or InputUnusable for weights that are none."""
    check_terms(asked, target, rows.train.collect_schema())
    if asked.weight is None:
        return
    for part, frame in (("train", rows.train), ("valid", rows.valid)):
        if frame is not None:
            check_weights(frame, exactly(asked.weight), asked.weight, part)


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
