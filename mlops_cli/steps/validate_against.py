"""A table beside the data that a model learnt from, or beside any other: columns, categories, ranges, distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import polars as pl

from mlops_cli import extensions
from mlops_cli.drift.base import ColumnProfile
from mlops_cli.models.kinds import type_of
from mlops_cli.sources.names import exactly
from mlops_cli.steps import profile, profile_live
from mlops_cli.steps.validate_reference import Reference

TESTS = ("psi", "ks")
TIMES = ("date", "datetime")
SHOWN = 5
SURE = 3.0
"""Standard errors that a share of missing values has to be above the other to be told."""
TOLD = 12  # changes that are told of on stderr

Kind = Literal["added", "removed", "retyped", "category", "range", "missing"]


class Change(msgspec.Struct):
    """One thing that is different. `rows` have it, where rows can; severity `error`: the schema is not the same."""

    column: str
    change: Kind
    what: str
    severity: str = "warning"
    rows: int | None = None
    examples: list[str] = []


class Distance(msgspec.Struct):
    """How far a column's values are from the reference's, with the 95 % interval; `high` None has no end."""

    column: str
    test: str
    value: float
    low: float
    high: float | None
    threshold: float


class Comparison(msgspec.Struct):
    """What is different from the reference, by its id and kind; `rows` are those it was made of."""

    id: str
    kind: str
    rows: int
    changes: list[Change]
    drift: list[Distance]


def compare(frame: pl.LazyFrame, reference: Reference) -> Comparison:
    """What is different in `frame`: two passes in constant memory, and the reference's own profile if it is a table.

    Times are compared by their type alone: new data is later. Errors: Corrupt, InputUnusable.
    """
    known = reference.loaded()
    schema = frame.collect_schema()
    changes = _schema(reference, known.types, schema)
    wrong = {change.column for change in changes}
    columns = [
        column
        for column in known.profile.columns
        if column.name in schema and column.name not in wrong and column.type not in TIMES and column.type != "image"
    ]
    live = profile_live.against(frame, columns)
    pairs = list(zip(columns, live.columns, strict=True))
    for before, now in pairs:
        changes += _missing(before, now, known.profile.rows, live.rows)
    changes += _categories(frame, pairs) + _ranges(frame, schema, pairs)
    drift = [found for before, now in pairs for found in _distances(before, now)]
    return Comparison(reference.id, reference.kind, known.profile.rows, changes, drift)


def _schema(reference: Reference, types: Mapping[str, str], schema: pl.Schema) -> list[Change]:
    """Columns that are gone, of another type, or new; a model takes no notice of new ones."""
    changes = []
    for name, was in types.items():
        if name not in schema:
            changes.append(Change(name, "removed", f"the column ({was}) is not there", "error"))
            continue
        now = type_of(schema[name]) or str(schema[name]).lower()
        if now != was and schema[name] != pl.Null and (now, was) != ("int", "float"):
            changes.append(Change(name, "retyped", f"the column is {now}, not {was}", "error"))
    severity = "warning" if reference.kind == "model" else "error"
    new = [name for name in schema if name not in types and name not in reference.aside]
    return changes + [Change(name, "added", "the column is new", severity) for name in new]


def _missing(before: ColumnProfile, now: ColumnProfile, rows: int, others: int) -> list[Change]:
    """More missing values than before, by more than SURE standard errors of the difference of two shares."""
    if not rows or not others:
        return []
    was, share = before.nulls / rows, now.nulls / others
    pooled = (before.nulls + now.nulls) / (rows + others)
    error = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / others))
    if share - was <= SURE * error:
        return []
    return [Change(before.name, "missing", f"missing in {share:.3%} of the rows, not {was:.3%}", rows=now.nulls)]


def _categories(frame: pl.LazyFrame, pairs: list[tuple[ColumnProfile, ColumnProfile]]) -> list[Change]:
    """Texts that the reference does not have, of columns all of whose texts are known."""
    changes = []
    for before, now in pairs:
        if before.levels is None or before.other or not now.other:
            continue
        text = exactly(before.name).cast(pl.String)
        new = frame.select(text.alias("value")).filter(~pl.col("value").is_in(before.levels)).head(1000)
        values = new.unique(maintain_order=True).head(SHOWN).collect()["value"].to_list()
        examples = [str(value)[:60] for value in values]
        changes.append(Change(before.name, "category", "new values", rows=now.other, examples=examples))
    return changes


def _ranges(frame: pl.LazyFrame, schema: pl.Schema, pairs: list[tuple[ColumnProfile, ColumnProfile]]) -> list[Change]:
    """Numbers below the least or above the largest of the reference."""
    beyond = [
        (before, now)
        for before, now in pairs
        if before.min is not None and before.max is not None and now.min is not None and now.max is not None
        if now.min < before.min or now.max > before.max
    ]
    sums = []
    for number, (before, _) in enumerate(beyond):
        value = profile.physical(before.name, schema[before.name])
        outside = (value < before.min) | ((value > before.max) & (value < math.inf))
        sums.append(outside.sum().alias(str(number)))
    counted = frame.select(sums).collect(engine="streaming").row(0) if sums else ()
    changes = []
    for (before, now), rows in zip(beyond, counted, strict=True):
        what = f"{now.min:.10g} to {now.max:.10g}, beyond {before.min:.10g} to {before.max:.10g}"
        changes.append(Change(before.name, "range", what, rows=rows))
    return changes


def _distances(before: ColumnProfile, now: ColumnProfile) -> list[Distance]:
    found = []
    for name in TESTS:
        test: Any = extensions.load("drift", name)
        if test.applies(before):
            drift = test.compare(before, now)
            high = drift.high if math.isfinite(drift.high) else None
            found.append(Distance(before.name, name, drift.statistic, drift.low, high, drift.threshold))
    return found


def judged(found: Comparison, max_drift: float | None) -> tuple[int, list[str]]:
    """The code, and lines that say what has changed: 1 when the schema has, or a psi surely is above `max_drift`; 3
    when one may be."""
    shown = sorted(found.changes, key=lambda change: change.severity)
    lines = [_told(change) for change in shown[:TOLD]]
    if len(shown) > TOLD:
        lines.append(f"and {len(shown) - TOLD} more changes")
    exit = int(any(change.severity == "error" for change in found.changes))
    unsure = False
    for one in sorted(found.drift, key=lambda one: -one.value):
        limit = max_drift if max_drift is not None and one.test == "psi" else one.threshold
        gate = max_drift is not None and one.test == "psi"
        surely, maybe = one.low > limit, gate and (one.high is None or one.high > limit)
        if surely or maybe:
            lines.append(_drifted(one, limit, gate, surely))
        exit = 1 if surely and gate else exit
        unsure = unsure or (maybe and not surely)
    if not lines:
        lines = ["nothing has changed"]
    return exit or (3 if unsure else 0), [f"against {found.kind}: {line}" for line in lines]


def _told(change: Change) -> str:
    mark = "" if change.severity == "error" else "warning: "
    rows = "" if change.rows is None else f": {change.rows:,} {'row' if change.rows == 1 else 'rows'}"
    such = f", such as {', '.join(change.examples[:3])}" if change.examples else ""
    return f"{mark}{change.column}: {change.what}{rows}{such}"


def _drifted(one: Distance, limit: float, gate: bool, surely: bool) -> str:
    mark = "" if gate else "warning: "
    high = "∞" if one.high is None else f"{one.high:.3g}"
    where = "above" if surely else "perhaps above"
    bound = "--max-drift " if gate else ""
    return f"{mark}{one.column}: {one.test} {one.value:.3g} [{one.low:.3g}, {high}], {where} {bound}{limit:g}"
