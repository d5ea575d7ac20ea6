"""A pandera schema as polars expressions: which rows break which rule, and the columns of those that pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules import checks, dataset, expressions, labels, looks, schema, types, values
from mlops_cli.steps.rules.resolve import Bound, Resolved
from mlops_cli.steps.rules.rule import Look, Part, Plan, Rule


def build(resolved: Resolved, known: dataset.Known | None = None) -> Plan:
    """The plan for a table; InputUnusable when a check does not go with the type of its column.

    `known` are the tables that foreign keys point to.
    """
    pandera = schema.build(resolved)
    outputs = {name: exactly(name) for name in resolved.data}
    rules: list[Rule] = []
    found: list[Look] = []
    for bound in resolved.columns:
        outputs[bound.name] = _output(resolved.rules.source, bound)
    for bound in resolved.columns:
        rules.extend(_column(resolved, bound, pandera.columns[bound.name], outputs[bound.name]))
        for look, told in _looks(resolved, bound, outputs[bound.name]):
            found.append(look)
            rules.extend(told)
    rules.extend(_table(resolved, pandera, outputs))
    prepared = _conditions(resolved, outputs, rules)
    dtypes = _dtypes(resolved)
    wanted = [rule for rule in resolved.rules.dataset if rule.kind == "foreign_key"]
    rules.extend(dataset.foreign(resolved.rules, rule, dtypes, known or {}) for rule in wanted)
    rewrites = list(resolved.keeps) != list(resolved.data) or any(
        bound.coerced or bound.absent or bound.rule.default is not None for bound in resolved.columns
    )
    return Plan(
        labels.distinct(rules),
        {name: outputs[name] for name in resolved.keeps},
        rewrites,
        tuple(found),
        prepared,
        dataset.measures(resolved.rules, outputs, dtypes),
    )


def _dtypes(resolved: Resolved) -> dict[str, pl.DataType]:
    """The types of the columns as they are judged."""
    return dict(resolved.data) | {bound.name: bound.dtype for bound in resolved.columns}


def _conditions(resolved: Resolved, outputs: Mapping[str, pl.Expr], rules: list[Rule]) -> dict[str, pl.Expr]:
    """Add the rules that are conditions in SQL; the columns that have to be prepared for them."""
    prepared: dict[str, pl.Expr] = {}
    columns = {name: (outputs[name], dtype) for name, dtype in _dtypes(resolved).items()}
    for given in resolved.rules.rows:
        found = expressions.condition(given, resolved.data, columns, resolved.rules.source)
        prepared |= found.prepared
        fail = found.value.cast(pl.Boolean).fill_null(given.ignore_na).not_()
        label = given.error or given.name or given.expr
        column = found.columns[0] if len(found.columns) == 1 else None
        rules.append(Rule(label, column, "expr", fail, given.raise_warning, shows=found.columns, max_bad=given.max_bad))
    return prepared


def _looks(resolved: Resolved, bound: Bound, value: pl.Expr) -> list[tuple[Look, list[Rule]]]:
    """What is found out of the column before its rows are judged."""
    where, data = f"{resolved.rules.source}: columns.{bound.rule.name}", resolved.data
    made = []
    if bound.rule.decodes and not bound.absent:
        made.append(looks.decodes(bound.name, data, f"{where}.decodes"))
    if bound.rule.near_duplicates is not None and not bound.absent:
        bits = bound.rule.near_duplicates
        made.append(looks.near_duplicates(bound.name, value, bits, data, f"{where}.near_duplicates"))
    own: dict[str, Any] = {"warning": bound.rule.warning, "max_bad": bound.rule.max_bad}
    return [(look, [replace(rule, **own) for rule in rules]) for look, rules in made]


def _output(source: str, bound: Bound) -> pl.Expr:
    default = bound.rule.default
    if default is not None:
        default = values.one(default, bound.dtype, f"{source}: columns.{bound.rule.name}.default")
    if bound.absent:
        return pl.lit(default).cast(bound.dtype)
    column = exactly(bound.name)
    if bound.coerced:
        column = _converted(column, bound)
    if default is not None:
        filled = column.fill_nan(None) if bound.dtype.is_float() else column
        column = filled.fill_null(pl.lit(default).cast(bound.dtype))
    return column


def _converted(column: pl.Expr, bound: Bound) -> pl.Expr:
    """The column as the type that the rules name; null where a value is none of that type."""
    to, data = bound.dtype, bound.data
    text = isinstance(data, pl.String | pl.Categorical | pl.Enum)
    if text:
        column = column.cast(pl.String).str.strip_chars()
    if text and isinstance(to, pl.Boolean):
        low = column.str.to_lowercase()
        return pl.when(low.is_in(["true", "1"])).then(True).when(low.is_in(["false", "0"])).then(False)
    if text and isinstance(to, pl.Date):
        return column.str.to_date(strict=False)
    if text and isinstance(to, pl.Datetime):
        return column.str.to_datetime(time_unit="us", time_zone=to.time_zone, strict=False)
    if text and isinstance(to, pl.Time):
        return column.str.to_time(strict=False)
    if isinstance(data, pl.Datetime) and isinstance(to, pl.Datetime) and to.time_zone != data.time_zone:
        utc = column if data.time_zone else column.dt.replace_time_zone("UTC")  # naive times are UTC
        moved = utc.dt.convert_time_zone(to.time_zone or "UTC")
        return (moved if to.time_zone else moved.dt.replace_time_zone(None)).cast(to)
    if data.is_float() and to.is_integer():  # a plain cast would cut 3.7 to 3
        column = pl.when(column == column.round()).then(column)
    return column.cast(to, strict=False)


def _column(resolved: Resolved, bound: Bound, column: Any, value: pl.Expr) -> list[Rule]:
    """The rules of one column, from its pandera Column."""
    name, rules = bound.name, []
    own: dict[str, Any] = {"warning": bound.rule.warning, "max_bad": bound.rule.max_bad}
    if bound.coerced:
        lost = _lost(bound)
        label = f"{name}: coerce({column.dtype})"
        rules.append(Rule(label, name, "coerce", lost, parts=_width(bound, lost), **own))
    elif bound.type is not None and (outside := _outside(bound, value)) is not None:
        label = f"{name}: dtype({str(bound.type.dtype).lower()})"
        rules.append(Rule(label, name, "dtype", outside, parts=_width(bound, outside), **own))
    if not column.nullable:
        missing = value.is_null()
        if bound.dtype.is_float():  # as pandera: NaN is a missing value here
            missing = missing | value.is_nan().fill_null(False)
        missing = _besides(bound, missing)
        part = Part(name, "not_nullable", {}, missing)
        rules.append(Rule(f"{name}: not_nullable", name, "not_nullable", missing, parts=(part,), **own))
    if column.unique:
        rules.append(Rule(f"{name}: unique", name, "unique", None, key=(name,), **own))
    for given, check in zip(bound.rule.checks, column.checks, strict=True):
        fail = _failing(resolved, check, value, bound.dtype)
        fail = fail if check.ignore_na else _besides(bound, fail)
        label, part = f"{name}: {given.error or labels.called(check)}", Part(name, check.name, check.statistics, fail)
        told = {"warning": check.raise_warning, "max_bad": given.max_bad}
        rules.append(Rule(label, name, check.name, fail, parts=(part,), **told))
    return rules


def _lost(bound: Bound) -> pl.Expr:
    """Rows whose value cannot be converted."""
    before = exactly(bound.name)
    return before.is_not_null() & _converted(before, bound).is_null()


def _besides(bound: Bound, fail: pl.Expr) -> pl.Expr:
    """Rows that fail, but those whose value was lost in conversion: they are not missing, and break that rule only."""
    return fail & _lost(bound).not_() if bound.coerced else fail


def _width(bound: Bound, fail: pl.Expr) -> tuple[Part, ...]:
    """That the values fit the width of integer that the rules name, if they name one."""
    if bound.type is None or bound.type.limits is None:
        return ()
    low, high = bound.type.limits
    return (Part(bound.name, "in_range", {"min_value": low, "max_value": high}, fail),)


def _failing(resolved: Resolved, check: Any, value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    try:
        return checks.failing(check.name, check.statistics, value, dtype, ignore_na=check.ignore_na)
    except InputUnusable as error:
        raise InputUnusable(f"{resolved.rules.source}: {error.message}", error.hint) from error


def _outside(bound: Bound, value: pl.Expr) -> pl.Expr | None:
    """Rows whose integer does not fit the width that the rules name; None when the data's own type excludes that."""
    if bound.type is None or bound.type.limits is None or not bound.data.is_integer():
        return None
    (low, high), (least, most) = bound.type.limits, types.bounds(bound.data)
    if low <= least and most <= high:
        return None
    return value.is_between(max(low, least), min(high, most)).fill_null(True).not_()


def _table(resolved: Resolved, pandera: Any, outputs: Mapping[str, pl.Expr]) -> list[Rule]:
    """The rules of the whole table: columns that are unique together, and checks that hold for every column."""
    rules = []
    for names in resolved.rules.unique:
        rules.append(Rule(f"unique({', '.join(names)})", None, "unique", None, key=names))
    dtypes = _dtypes(resolved)
    for given, whole in zip(resolved.rules.checks, pandera.checks, strict=True):
        parts = []
        for name in resolved.keeps:
            one = schema.check(resolved.rules.source, given, dtypes[name])
            fail = _failing(resolved, one, outputs[name], dtypes[name])
            parts.append(Part(name, str(one.name), one.statistics or {}, fail))
        any_fails = pl.any_horizontal([part.fail for part in parts])
        rules.append(
            Rule(
                f"every column: {given.error or labels.called(whole)}",
                None,
                whole.name,
                any_fails,
                warning=whole.raise_warning,
                max_bad=given.max_bad,
                parts=tuple(parts),
            )
        )
    return rules
