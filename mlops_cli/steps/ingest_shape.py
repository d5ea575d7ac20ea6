"""Bring tables into the shape that was asked for: the answer to a query, renamed, cast, one row of each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch, Usage
from mlops_cli.sources.names import exactly
from mlops_cli.steps import ingest_cast, ingest_query, tables
from mlops_cli.steps.column_names import unknown
from mlops_cli.steps.ingest_cast import Cast
from mlops_cli.steps.selection import Selection
from mlops_cli.steps.tables import Written

Sink = Callable[[pl.LazyFrame], Written]
"""Writes a table: `tables.write_table` with its directory."""

_TARGET = "--target-schema"


@dataclass(frozen=True)
class Shaped:
    """What was written, and how many rows --dedupe has dropped."""

    written: Written
    dropped: int = 0


def write(frames: Mapping[str, pl.LazyFrame], wanted: Selection, scratch: Path, sink: Sink) -> Shaped:
    """Write the selection of tables (name in a query → table) to `sink`; --dedupe needs a copy of it in `scratch`.

    Errors: those of the sink, UnknownColumn, Usage, SchemaMismatch for types that do not go together, and
    InputUnusable naming the row for a value that does not fit its new type.
    """
    named = _renamed(ingest_query.answer(frames, wanted.sql), wanted.renames)
    nul = next((name for name in named.collect_schema() if "\0" in name), None)
    if nul is not None:
        raise SchemaMismatch(f"the name of column {nul!r} has a zero byte in it", "rename it where it is made")
    casts = _casts(named.collect_schema(), wanted)
    frame = _formed(_cast(named, casts), wanted)
    frame = tables.sparse(frame) if wanted.sql else frame
    try:
        if not wanted.dedupe:
            return Shaped(sink(_narrowed(frame, wanted)))
        return _deduped(frame, wanted, scratch, sink)
    except InputUnusable as error:
        raise _located(named, casts, error) from error.__context__


def _renamed(frame: pl.LazyFrame, renames: Sequence[tuple[str, str]]) -> pl.LazyFrame:
    """Columns called something else, all at once."""
    if not renames:
        return frame
    there = frame.collect_schema().names()
    for old, _ in renames:
        if old not in there:
            raise unknown("--rename", old, there)
    changed = dict(renames)
    after = [changed.get(name, name) for name in there]
    twice = next((name for name in after if after.count(name) > 1), None)
    if twice is not None:
        raise Usage(f"--rename: two columns would be called {twice!r}", "rename the other one too")
    return frame.select(exactly(name).alias(changed.get(name, name)) for name in there)


def _casts(schema: pl.Schema, wanted: Selection) -> list[Cast]:
    """What is cast: as --cast says, then as the target says for what has another type then."""
    casts = [ingest_cast.parse(name, kind) for name, kind in wanted.casts]
    there = schema.names()
    for cast in casts:
        if cast.name not in there:
            raise unknown("--cast", cast.name, there)
    known = {cast.name for cast in casts}
    for name, kind, required in wanted.target:
        if name not in there:
            if required:
                raise unknown(_TARGET, name, there)
        elif kind is not None and name not in known and tables.described(schema)[name] != kind:
            casts.append(ingest_cast.parse(name, kind, _TARGET))
    return casts


def _cast(frame: pl.LazyFrame, casts: Sequence[Cast]) -> pl.LazyFrame:
    """Columns with their new types."""
    if not casts:
        return frame
    schema = frame.collect_schema()
    return frame.with_columns(ingest_cast.strict(cast, schema[cast.name]) for cast in casts)


def _formed(frame: pl.LazyFrame, wanted: Selection) -> pl.LazyFrame:
    """The columns of the target in its order."""
    if not wanted.target:
        return frame
    there = frame.collect_schema().names()
    return frame.select(exactly(name) for name, _, _ in wanted.target if name in there)


def _narrowed(frame: pl.LazyFrame, wanted: Selection) -> pl.LazyFrame:
    """Columns in that order, and the first rows."""
    if wanted.columns:
        there = frame.collect_schema().names()
        for name in wanted.columns:
            if name not in there:
                raise unknown("--columns", name, there)
        frame = frame.select(exactly(name) for name in wanted.columns)
    return frame if wanted.limit is None else frame.head(wanted.limit)


def _deduped(frame: pl.LazyFrame, wanted: Selection, scratch: Path, sink: Sink) -> Shaped:
    """Write one row of each key."""
    from mlops_cli.steps import ingest_dedupe

    schema = frame.collect_schema()
    for name in wanted.dedupe:
        if name not in schema:
            raise unknown("--dedupe", name, schema.names())
        if schema[name].is_nested():
            raise Usage(f"--dedupe {name}: a column of type {str(schema[name]).lower()} cannot be a key")
    _narrowed(frame, wanted).collect_schema()
    name = "deduped.parquet"
    whole = tables.write_table(frame, scratch, name)
    path = scratch / name
    kept, dropped = ingest_dedupe.kept(path, whole.rows, wanted.dedupe, wanted.keep)
    written = sink(_narrowed(kept, wanted))
    path.unlink()
    return Shaped(written, dropped)


def _located(frame: pl.LazyFrame, casts: Sequence[Cast], error: InputUnusable) -> InputUnusable:
    """The error with the row of the value, when it is a cast that failed."""
    if not error.message.startswith(tuple(cast.where for cast in casts)):
        return error
    schema = frame.collect_schema()
    with tables.reading("the table"):
        found = (ingest_cast.misfit(frame, cast, schema[cast.name]) for cast in casts)
        return next((one for one in found if one is not None), error)
