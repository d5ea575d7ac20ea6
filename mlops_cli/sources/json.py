"""Newline-delimited JSON, one object a row, and files that hold one array of objects."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable, SchemaMismatch
from mlops_cli.sources import csv_types, json_check, lines
from mlops_cli.sources.base import File, Options, Scanned
from mlops_cli.sources.names import exactly

LARGEST_ARRAY = 256 << 20
"""Bytes of an array file at most: it is read whole."""

_JSON = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{\]])')
_SAMPLE = 10_000


def matches(name: str, head: bytes) -> bool:
    """Text that begins with an object or an array of objects."""
    return _JSON.match(head) is not None


def scan(files: Sequence[File], options: Options) -> Scanned:
    """NDJSON files as one table. The types are taken from all rows, so that no key of a late row is lost; a key that
    a row lacks is null; texts that are all ISO 8601 dates or times become such."""
    files = [_as_lines(file, number, options) for number, file in enumerate(files)]
    schema = _merged([(file, _schema(file)) for file in files])
    frame = pl.scan_ndjson([file.path for file in files], schema=dict(schema))
    try:
        casts, notes = _casts(frame, schema)
    except (PolarsError, PanicException) as error:
        raise _explain(files, error) from None
    return Scanned(frame.with_columns(casts), tuple(notes), widen=lambda error: _refuse(files, error))


def _as_lines(file: File, number: int, options: Options) -> File:
    """The file, or a copy with a line a row when it is one array."""
    head = file.head()
    if not head.strip():
        raise EmptyInput(f"{file.name} is empty")
    if not head.lstrip().startswith(b"["):
        lines.check(file)
        json_check.demand_one_of_each(file)
        return file
    if file.path.stat().st_size > LARGEST_ARRAY:
        hint = f"jq -c '.[]' {file.quoted} | mlops ingest -"
        raise InputUnusable(f"{file.name} is a JSON array of more than {LARGEST_ARRAY >> 20} MiB", hint)
    try:
        rows = msgspec.json.decode(file.path.read_bytes(), type=list[dict[str, msgspec.Raw]])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Corrupt(f"{file.name} is not an array of JSON objects: {str(error)[:200]}") from None
    if not rows:
        raise EmptyInput(f"{file.name} is an empty array")
    copy = options.scratch / f"lines-{number}.ndjson"
    with copy.open("wb") as stream:
        stream.write(msgspec.json.Encoder().encode_lines(rows))
    return File(copy, file.name)


def _schema(file: File) -> pl.Schema:
    """The columns of a file, from all its rows: those of the first row in its order, then the others by name."""
    try:
        schema = pl.scan_ndjson(file.path, infer_schema_length=None).collect_schema()
    except (PolarsError, PanicException) as error:
        raise _explain([file], error) from None
    if not len(schema):
        raise EmptyInput(f"{file.name} has rows without columns")
    first = json_check.first_keys(file)
    order = [name for name in first if name in schema] + sorted(name for name in schema if name not in first)
    return pl.Schema({name: schema[name] for name in order})


def _merged(schemas: Sequence[tuple[File, pl.Schema]]) -> pl.Schema:
    """One schema for all files: the columns of each, types as wide as the widest."""
    merged: dict[str, pl.DataType] = {}
    for file, schema in schemas:
        for name, kind in schema.items():
            old = merged.setdefault(name, kind)
            if old == pl.Null or kind == pl.Null:
                merged[name] = kind if old == pl.Null else old
            elif old.is_numeric() and kind.is_numeric():
                merged[name] = next(wide() for wide in (pl.Float64, pl.Int128, pl.Int64) if wide in (old, kind))
            elif old.is_nested() and old != kind:
                raise SchemaMismatch(f"{file.name}: column {name} is {kind}, in {schemas[0][0].name} it is {old}")
            elif old != kind:
                merged[name] = pl.String()
    return pl.Schema(merged)


def _casts(frame: pl.LazyFrame, schema: pl.Schema) -> tuple[list[pl.Expr], list[str]]:
    """What to make of columns that JSON has no type for, and what to tell of it."""
    casts, notes = [], []
    for name, kind in schema.items():
        if kind == pl.Null:
            casts.append(exactly(name).cast(pl.String))
        elif kind == pl.Int128:
            casts.append(exactly(name).cast(pl.String))
            notes.append(f"column {name}: integers that do not fit 64 bits; reading it as text")
    texts = [name for name, kind in schema.items() if kind == pl.String]
    for head in (frame.head(_SAMPLE), frame):
        if texts:
            counted = head.select(csv_types.count(texts)).collect(engine="streaming").row(0, named=True)
            kinds = {name: csv_types.decide(facts) for name, facts in csv_types.read(counted).items()}
            texts = [name for name in texts if isinstance(kinds[name], pl.Date | pl.Datetime)]
    for name in texts:
        casts.append(_parsed(name, kinds[name]))
    return casts, notes


def _parsed(name: str, kind: pl.DataType | None) -> pl.Expr:
    """Texts as dates or times; all of them are known to be such."""
    text = exactly(name)
    if isinstance(kind, pl.Datetime):
        parts = text.str.extract_groups(r"^(.{10})(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d{1,6})?\d*)?(Z|[+-]\d\d:?\d\d)?$")
        whole = pl.format(
            "{}T{}{}{}{}",
            parts.struct[0],
            parts.struct[1].fill_null("00:00"),
            parts.struct[2].fill_null(":00"),
            parts.struct[3].fill_null(".0"),
            parts.struct[4].fill_null("Z").str.replace("Z", "+00:00", literal=True),
        )
        utc = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="us")
        return (utc if kind.time_zone else utc.dt.replace_time_zone(None)).alias(name)
    return text.str.to_date("%Y-%m-%d")


def _refuse(files: Sequence[File], error: str) -> None:
    """A reader that failed after all was looked at: say why by line; nothing when it was the writer."""
    if "deeply nested" not in error:
        raise _explain(files, error)


def _explain(files: Sequence[File], error: BaseException | str) -> InputUnusable:
    """The error with its line, which the parser does not tell."""
    for file in files:
        found = json_check.first_fault(file)
        if found:
            return found
    return Corrupt(f"{files[0].name}: {next(iter(str(error).splitlines()), 'not NDJSON')[:200]}")
