"""Look for leaks between parts that were made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from mlops_cli.errors import EmptyInput, Usage
from mlops_cli.steps import (
    memo,
    split_certificate,
    split_hash,
    split_images,
    split_leaks,
    split_near,
    split_options,
    split_predictors,
    split_target,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output
from mlops_cli.steps.references import Given
from mlops_cli.steps.split_certificate import Certificate
from mlops_cli.steps.split_images import Near
from mlops_cli.steps.split_near import Neighbours
from mlops_cli.steps.tables import Table
from mlops_cli.store import artefact
from mlops_cli.store.manifest import Input


@dataclass(frozen=True)
class Options:
    """The parts, the columns whose overlap is a leak, and the target that no column may tell alone."""

    train: str
    test: str
    group: str | None = None
    time: str | None = None
    embargo: str | None = None
    near: str | None = None
    target: str | None = None
    bins: int = 10
    valid: str | None = None
    key: tuple[str, ...] = ()

    @property
    def refs(self) -> dict[str, str]:
        """The parts, from the earliest to the latest; a `valid` that is a share names none."""
        valid = {"valid": self.valid} if self.valid and split_options.share(self.valid) is None else {}
        return {"train": self.train, **valid, "test": self.test}


def run(ctx: Context, options: Options, output: Output) -> Outcome:
    """Compare parts: exact copies of rows, groups in two, times of train that are not before test, a telling column.

    The report has the form of a split's certificate. A leak is a finding (1). Errors: those of opening a table,
    UnknownColumn, SchemaMismatch for parts without a common column, EmptyInput for one without rows.
    """
    if options.embargo and not options.time:
        raise Usage("--embargo is a gap in time", "say which column is the time with --time COLUMN")
    given = {part: _open(ctx, ref) for part, ref in options.refs.items()}
    for table in given.values():
        schema = tables.schema_of(table.frame, table.name)
        named = (options.group, options.time, options.target, *options.key)
        split_options.known([name for name in named if name], schema, table.name)
        near = split_images.wanted(split_options.Options(near=options.near), schema, table.name)
    _tell_compared(ctx, {part: table.frame for part, table in given.items()})
    keys = [table.key for table in given.values()]
    flags = msgspec.to_builtins(options)

    def build(payload: Path, _: Path) -> Contents:
        ctx.progress("audit", 0, None)
        with tables.reading(" or ".join(options.refs.values())):
            return _build(given, options, near, payload)

    job = Job(
        "split --audit",
        {"parts": keys, **flags},
        ("polars", "polars-hash"),
        build,
        split_certificate.judge,
        split_certificate.measured,
    )
    return memo.perform(ctx, job, output)


def _tell_compared(ctx: Context, frames: dict[str, pl.LazyFrame]) -> None:
    """Say which columns rows are compared in, when some part has others."""
    names = split_leaks.shared(frames)
    if any(len(frame.collect_schema()) > len(names) for frame in frames.values()):
        ctx.note(f"compared in the columns that all parts have: {', '.join(names)}"[:300])


def _open(ctx: Context, ref: str) -> Table:
    """A part: any table, or the folder of a part inside a split."""
    path = Path(ref)
    if path.is_dir() and not artefact.is_artefact(path) and artefact.is_artefact(path.parent):
        split = artefact.open_artefact(path.parent, ("split",))
        return tables.from_artefact(split, Input(split.kind, split.id, str(path.parent)), path.name)
    return tables.open_table(ctx, Given(ref))


def _build(given: dict[str, Table], options: Options, near: Near | None, payload: Path) -> Contents:
    frames = {name: table.frame for name, table in given.items()}
    rows = {name: _rows(table) for name, table in given.items()}
    scratch = payload.parent / "scratch"
    leaks = split_leaks.find(frames, scratch, group=options.group, time=options.time, key=options.key)
    total = sum(rows.values())
    made = Certificate(
        method="audit",
        parts={name: split_certificate.part(count, total) for name, count in rows.items()},
        leaks=leaks,
        clean=False,
        columns=split_leaks.shared(frames),
        encoding=split_hash.ENCODING,
        near_duplicates=split_near.alike(frames, near, 0, None) if near else UNSET,
        neighbours=_neighbours(frames, options),
    )
    if options.target:
        name = " or ".join(options.refs.values())
        strata = split_target.strata(frames["train"], options.target, options.bins, name)
        made.target = split_target.shares(frames, strata, name)
        made.predictors = split_predictors.find(frames["train"], frames["test"], strata)
    made.clean = not made.leaking
    made.write(payload)
    inputs = [source for table in given.values() for source in table.inputs]
    return Contents("report", inputs, msgspec.to_builtins(options))


def _neighbours(frames: dict[str, pl.LazyFrame], options: Options) -> Neighbours | UnsetType:
    """Neighbours in time where the audit was told what is near, and of images with times."""
    if options.time and options.embargo:
        return split_near.neighbours(frames, options.time, options.group, options.embargo)
    known = [split_images.times(frame.collect_schema()) for frame in frames.values()]
    if known[0] is None or any(one != known[0] for one in known):
        return UNSET
    return split_near.neighbours(frames, *known[0], None)


def _rows(table: Table) -> int:
    count = int(table.frame.select(pl.len()).collect(engine="streaming").item())
    if count == 0:
        raise EmptyInput(f"{table.name} has no rows", "there is nothing to compare")
    return count
