"""Rules about a table as a whole: each as one number that is measured, beside the rows or in a pass of its own."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

import polars as pl

from mlops_cli.errors import SchemaMismatch, UnknownColumn, listed
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules import types
from mlops_cli.steps.rules.form import DatasetRule, Rules
from mlops_cli.steps.rules.rule import AT_ONCE, Measure, Rule

Known = Mapping[str, pl.LazyFrame]
"""The tables that foreign keys point to, by the word `to` in the rules."""


def measures(rules: Rules, outputs: Mapping[str, pl.Expr], dtypes: Mapping[str, pl.DataType]) -> tuple[Measure, ...]:
    """What has to be measured of a table; `outputs` are its columns as they are judged, of the types `dtypes`.

    UnknownColumn and SchemaMismatch with the place in the rules.
    """
    found = []
    for rule in rules.dataset:
        for name in (*rule.columns, *rule.by):
            _there(rules, rule, name, dtypes)
        if rule.kind != "foreign_key":
            found.append(_measure(rules, rule, outputs, dtypes))
    return tuple(found)


def _there(rules: Rules, rule: DatasetRule, name: str, dtypes: Mapping[str, pl.DataType]) -> None:
    if name not in dtypes:
        near = difflib.get_close_matches(name, dtypes, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {listed(dtypes)}"
        raise UnknownColumn(f"{rules.source}: {rule.where}: there is no column {name!r}", hint)


def _measure(
    rules: Rules, rule: DatasetRule, outputs: Mapping[str, pl.Expr], dtypes: Mapping[str, pl.DataType]
) -> Measure:
    if rule.kind == "rows":
        return Measure(rule, rule.error or "rows")
    name = rule.columns[0]
    value, dtype = outputs[name], dtypes[name]
    label = rule.error or f"{rule.kind}({name})"
    if rule.kind == "null_share":
        missing = value.is_null()
        if dtype.is_float():  # as `nullable` sees it
            missing = missing | value.is_nan().fill_null(False)
        return Measure(rule, label, missing.sum().cast(pl.Int64))
    if rule.kind == "freshness":
        if not isinstance(dtype, pl.Date | pl.Datetime):
            raise SchemaMismatch(f"{rules.source}: {rule.where}: the column is {dtype}, not of times")
        newest = value.max().cast(pl.Datetime("us", getattr(dtype, "time_zone", None))).dt.epoch("us")
        return Measure(rule, label, newest, largest=True)
    if rule.kind == "distinct":
        return Measure(rule, label, counted=_distinct(value))
    if types.family_of(dtype) in ("nested", "binary", "boolean", "null"):
        raise SchemaMismatch(f"{rules.source}: {rule.where}: the column is {dtype}, which has no order")
    return Measure(rule, label, counted=_backwards(value, [outputs[one] for one in rule.by], rule.strict))


def _distinct(value: pl.Expr) -> Callable[[pl.LazyFrame], int]:
    """How many different values there are, missing ones left out; those of AT_ONCE rows in memory."""

    def count(frame: pl.LazyFrame) -> int:
        values = frame.select(value.alias("value")).drop_nulls()
        shares = max(1, -(-frame.select(pl.len()).collect(engine="streaming").item() // AT_ONCE))
        parts = [
            values.filter(pl.col("value").hash() % shares == one) if shares > 1 else values for one in range(shares)
        ]
        return sum(int(part.unique().select(pl.len()).collect(engine="streaming").item()) for part in parts)

    return count


def _backwards(value: pl.Expr, by: list[pl.Expr], strict: bool) -> Callable[[pl.LazyFrame], int]:
    """How many rows are less than the one before them (of the same group), or equal to it when `strict`.

    Missing values are left out. Batch after batch, with the last value of each group in memory.
    """
    groups = [f"by {number}" for number in range(len(by))]

    def count(frame: pl.LazyFrame) -> int:
        columns = frame.select(value.alias("value"), *(one.alias(name) for one, name in zip(by, groups, strict=True)))
        total, last = 0, None
        for batch in columns.drop_nulls("value").collect_batches(maintain_order=True):
            rows = batch if last is None else pl.concat([last, batch])
            before = pl.col("value").shift(1)
            before = before.over(groups) if groups else before
            back = pl.col("value") <= before if strict else pl.col("value") < before
            total += int(rows.select(back.sum()).item())
            last = rows.group_by(groups, maintain_order=True).last() if groups else rows.tail(1)
            last = last.select(rows.columns)
        return total

    return count


def _as(partner: str, data: pl.DataType, dtype: pl.DataType) -> pl.Expr:
    """A column of the other table, of type `data`, as values of type `dtype`; null where none is exactly equal."""
    value = exactly(partner)
    if data == dtype:
        return value
    cast = value.cast(dtype, strict=False)
    return pl.when(cast.cast(data, strict=False) == value).then(cast)


def foreign(rules: Rules, rule: DatasetRule, dtypes: Mapping[str, pl.DataType], known: Known) -> Rule:
    """The rule that rows have a partner in another table."""
    where = f"{rules.source}: {rule.where}"
    for name in rule.columns:
        _there(rules, rule, name, dtypes)
    other = known[rule.to or ""]
    schema = other.collect_schema()
    keys = []
    for number, (name, partner) in enumerate(zip(rule.columns, rule.to_columns, strict=True)):
        if partner not in schema:
            near = difflib.get_close_matches(partner, schema.names(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {listed(schema.names())}"
            raise UnknownColumn(f"{where}: {rule.to} has no column {partner!r}", hint)
        if types.family_of(schema[partner]) != types.family_of(dtypes[name]) and dtypes[name] != pl.Null:
            message = f"{where}: {name} is {dtypes[name]} and {partner} of {rule.to} is {schema[partner]}"
            raise SchemaMismatch(message, "they cannot be compared; coerce: true in the rules converts a column")
        keys.append(_as(partner, schema[partner], dtypes[name]).alias(f"key {number}"))
    to = f"{rule.to}: {', '.join(rule.to_columns)}"
    label = rule.error or f"foreign_key({to})"
    column = rule.columns[0] if len(rule.columns) == 1 else None
    shown = f"{', '.join(rule.columns)}: {label}"
    return Rule(
        shown,
        column,
        "foreign_key",
        None,
        warning=rule.raise_warning,
        key=rule.columns,
        known=other.select(keys).drop_nulls().unique(),
        max_bad=rule.max_bad,
    )
