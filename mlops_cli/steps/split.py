"""Divide a table into train, valid and test so that rows stay where they are when it grows, with a certificate."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from mlops_cli.errors import EmptyInput, InputUnusable
from mlops_cli.runtime import rules
from mlops_cli.sources.names import exactly
from mlops_cli.steps import (
    memo,
    references,
    split_certificate,
    split_folds,
    split_hash,
    split_images,
    split_leaks,
    split_near,
    split_options,
    split_parts,
    split_predictors,
    split_target,
    split_time,
    tables,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Contents, Job, Outcome, Output
from mlops_cli.steps.references import Given
from mlops_cli.steps.split_certificate import Certificate, Part
from mlops_cli.steps.split_images import Near
from mlops_cli.steps.split_leaks import Leaks
from mlops_cli.steps.split_near import Neighbours
from mlops_cli.steps.split_options import Options
from mlops_cli.steps.split_parts import ALIKE, EMBARGOED, PARTS, Assignment
from mlops_cli.steps.tables import Table

__all__ = ["LIBRARIES", "Options", "run"]

LIBRARIES = ("polars", "polars-hash", "pyarrow")


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Divide what was given into an artefact of kind split.

    Errors: Usage for flags that do not go together or shares that are none, UnknownColumn, InputUnusable when a part
    would be empty or the column that decides has missing values.
    """
    split_options.check(options)
    table = tables.open_table(ctx, given)
    schema = tables.schema_of(table.frame, table.name)
    split_options.known(options.columns(), schema, table.name)
    near = split_images.wanted(options, schema, table.name)
    key = None if table.key is None else {"table": table.key, "options": msgspec.to_builtins(options)}
    path = references.is_file(given)
    text = path is not None and path.suffix in (".ndjson", ".jsonl", ".json")

    def build(payload: Path, _: Path) -> Contents:
        ctx.progress("split", 0, None)
        scratch = payload.parent / "scratch"
        scratch.mkdir()
        with tables.replayable(table) as source, tables.reading(table.name):
            # text is parsed once and not each time that its rows are looked at
            frame = split_parts.kept(source.frame, scratch / "table.parquet") if text else source.frame
            return _build(frame, table, options, near, payload, scratch)

    return memo.perform(
        ctx, Job("split", key, LIBRARIES, build, split_certificate.judge, split_certificate.measured), output
    )


def _build(
    frame: pl.LazyFrame, table: Table, options: Options, near: Near | None, payload: Path, scratch: Path
) -> Contents:
    """Decide, write the three parts and the folds, and compare what was written."""
    schema = frame.collect_schema()
    assignment = split_parts.assign(frame, options, near, scratch, table.name)
    counts = _counts(assignment, options, table.name)
    written = _write(frame, schema, assignment, counts, payload)
    total = sum(counts.values())
    made = Certificate(
        method=options.method,
        parts={part: _part(written[part], counts[number], total, assignment) for number, part in enumerate(PARTS)},
        leaks=_leaks(written, options, scratch),
        clean=False,
        columns=assignment.columns,
        seed=None if options.time else options.seed,
        encoding=None if options.time else split_hash.ENCODING,
        cut_offs=assignment.cut_offs,
        embargoed=counts[EMBARGOED],
        near_duplicates=split_near.alike(written, near, counts[ALIKE], assignment.clusters) if near else UNSET,
        neighbours=_neighbours(written, schema, options),
    )
    _look_at_target(made, written, options, assignment, table.name)
    if options.folds:
        axis = split_time.axis(options.time, schema[options.time], table.name) if options.time else None
        made.folds = split_folds.write(*assignment.folds(options, axis), counts[0], payload, table.name)
    made.clean = not made.leaking
    made.write(payload)
    if table.rules is not None:  # what the rows have passed goes on with them
        (payload / rules.FILE).write_bytes(table.rules)
    params = msgspec.to_builtins(options) | ({"stream": table.commands} if table.commands else {})
    return Contents("split", table.inputs, params, seed=options.seed, schema=tables.described(schema))


def _leaks(written: dict[str, pl.LazyFrame], options: Options, scratch: Path) -> Leaks:
    """What the parts know of each other."""
    in_groups = options.group if options.time else None
    group = None if in_groups else options.group
    images = split_images.images(written["train"].collect_schema())
    whole = not (options.time or options.group or options.key or images)
    return split_leaks.find(
        written, scratch, group=group, time=options.time, within=in_groups, key=options.key, copies=whole
    )


def _look_at_target(
    made: Certificate, written: dict[str, pl.LazyFrame], options: Options, assignment: Assignment, name: str
) -> None:
    """Add the target's shares, and which column tells it alone, where --target or --stratify says what it is."""
    column = options.target or options.stratify
    if column is None:
        return
    same = assignment.strata is not None and column == options.stratify
    strata = assignment.strata if same else None
    strata = strata or split_target.strata(written["train"], column, options.bins, name)
    made.target = split_target.shares(written, strata, name)
    made.predictors = split_predictors.find(written["train"], written["test"], strata)


def _write(
    frame: pl.LazyFrame, schema: pl.Schema, assignment: Assignment, counts: dict[int, int], payload: Path
) -> dict[str, pl.LazyFrame]:
    """Write the parts, and read them again."""
    code = _unused("part", schema)
    both = pl.concat([frame, assignment.parts.rename({split_parts.CODE: code})], how="horizontal")
    for number, part in enumerate(PARTS):
        rows = both.filter(pl.col(code) == number).select([exactly(name) for name in schema])
        if tables.write_table(rows, payload / part).rows != counts[number]:
            raise RuntimeError(f"{part} has other rows than were counted")  # a bug, in polars or here: no certificate
    return {part: pl.scan_parquet(sorted((payload / part).iterdir()), glob=False) for part in PARTS}


def _neighbours(parts: dict[str, pl.LazyFrame], schema: pl.Schema, options: Options) -> Neighbours | UnsetType:
    """Neighbours in time, of images with times and of parts by time in groups; those within --embargo are a leak."""
    columns = (options.time, options.group) if options.time else split_images.times(schema)
    if columns is None or not (options.group or split_images.images(schema)):
        return UNSET
    return split_near.neighbours(parts, *columns, options.embargo)


def _counts(assignment: Assignment, options: Options, name: str) -> dict[int, int]:
    """Rows per code; EmptyInput without a row, InputUnusable when a part would have none."""
    found = assignment.codes.group_by(split_parts.CODE).len("rows").collect(engine="streaming")
    counts = dict.fromkeys((*range(len(PARTS)), EMBARGOED, ALIKE), 0) | dict(found.rows())
    total = sum(counts.values())
    if total == 0:
        raise EmptyInput(f"{name} has no rows", "there is nothing to divide")
    empty = [part for number, part in enumerate(PARTS) if not counts[number]]
    if empty:
        alike = assignment.clusters.largest if assignment.clusters else counts[ALIKE]
        raise _empty(name, empty[0], options, total, alike)
    return counts


def _empty(name: str, part: str, options: Options, total: int, alike: int) -> InputUnusable:
    """The error for a part without rows: `alike` are in one cluster, or left out."""
    few = options.group and not options.time
    why = f"column {options.group!r} has too few groups" if few else f"there are {total} rows"
    hint = "choose other cut-offs" if options.time else "bring more rows, or choose other shares or another --seed"
    if alike > split_near.LARGE * total:
        why = f"{alike} of {total} rows look alike"
        hint = "a smaller distance (--near phash=3), --near off, or --time for a camera that does not move"
    return InputUnusable(f"{name}: the {part} part would be empty, {why}", hint)


def _part(frame: pl.LazyFrame, rows: int, total: int, assignment: Assignment) -> Part:
    """What the certificate says of a part."""
    strata = assignment.strata
    if strata is None:
        return split_certificate.part(rows, total)
    found = frame.select(strata.value).group_by("stratum").len("rows").collect(engine="streaming")
    ordered = sorted(found.rows(), key=lambda one: (one[0] is None, one[0] if strata.edges else str(one[0])))
    return split_certificate.part(rows, total, [{"value": strata.shown(one), "rows": count} for one, count in ordered])


def _unused(name: str, schema: pl.Schema) -> str:
    """A name that no column of the table has."""
    while name in schema:
        name += "_"
    return name
