"""Rules against the columns of a table: patterns expanded, absences and wrong types told before a row is read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import polars as pl

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn, listed
from mlops_cli.steps.rules import types
from mlops_cli.steps.rules.form import ColumnRule, Rules

ERRORS = "_errors"  # the list column of rejected rows; one that comes in is of an earlier validation


@dataclass(frozen=True, slots=True)
class Bound:
    """One rule on one column that is there: `data` is its type now, `type` what the rules say, if they do."""

    rule: ColumnRule
    name: str
    data: pl.DataType
    type: types.Type | None
    absent: bool = False  # not in the data; add_missing_columns makes it

    @property
    def coerced(self) -> bool:
        """Whether the column has to be converted."""
        return self.rule.coerce and self.type is not None and not self.absent and self.type.dtype != self.data

    @property
    def dtype(self) -> pl.DataType:
        """The type of the column in the rows that pass."""
        return self.type.dtype if self.type is not None and (self.coerced or self.absent) else self.data


@dataclass(frozen=True, slots=True)
class Resolved:
    """The rules of one table: a Bound per column named, and the names of the columns of the rows that pass."""

    rules: Rules
    columns: tuple[Bound, ...]
    data: dict[str, pl.DataType]  # what comes in, without _errors
    keeps: tuple[str, ...]  # what goes out, in order


def resolve(rules: Rules, schema: Mapping[str, pl.DataType], table: str) -> Resolved:
    """`rules` for a table called `table` with these columns.

    UnknownColumn when a column that the rules require is absent, SchemaMismatch for a type, an order or a column that
    they do not allow. Nothing is read.
    """
    data = {name: dtype for name, dtype in schema.items() if name != ERRORS}
    explicit = {rule.name for rule in rules.columns if not rule.regex}
    bound: list[Bound] = []
    for rule in rules.columns:
        bound.extend(_bind(rules, rule, data, explicit, table))
    for names in rules.unique:
        for name in names:
            if name not in data and not any(item.name == name for item in bound):
                _absent(rules, "unique", name, data, table)
    _types(rules, bound, table)
    _order(rules, bound, data, table)
    added = [item.name for item in bound if item.absent]
    named = {item.name for item in bound}
    kept = [name for name in data if rules.strict != "filter" or name in named]
    return Resolved(rules, tuple(bound), data, (*kept, *added))


def _bind(
    rules: Rules, rule: ColumnRule, data: Mapping[str, pl.DataType], explicit: set[str], table: str
) -> list[Bound]:
    if rule.regex:
        names = [name for name in data if name not in explicit and _matches(rules, rule.name, name)]
        if not names and rule.required:
            message = f"{rules.source}: columns.{rule.name}: no column of {table} matches"
            raise UnknownColumn(message, "required: false lets it be absent")
    else:
        names = [rule.name]
    name_of_type = rules.dtype or rule.dtype
    kind = types.parse(name_of_type, f"{rules.source}: columns.{rule.name}.dtype") if name_of_type else None
    found = msgspec.structs.replace(rule, coerce=rule.coerce or rules.coerce)
    bound = []
    for name in names:
        if name in data:
            bound.append(Bound(found, name, data[name], kind))
        elif rule.required and not rules.add_missing_columns:
            _absent(rules, f"columns.{name}", name, data, table)
        elif rule.required:
            bound.append(_added(rules, found, kind))
    return bound


def _matches(rules: Rules, pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error as error:
        raise InputUnusable(f"{rules.source}: columns.{pattern}: not a regular expression: {error}") from error


def _added(rules: Rules, rule: ColumnRule, kind: types.Type | None) -> Bound:
    where = f"{rules.source}: columns.{rule.name}"
    if rule.default is None and not rule.nullable:
        raise SchemaMismatch(f"{where}: the column is absent and has no default to be made with", "add default:")
    return Bound(rule, rule.name, kind.dtype if kind else pl.Null(), kind, absent=True)


def _absent(rules: Rules, where: str, name: str, data: Mapping[str, pl.DataType], table: str) -> None:
    close = difflib.get_close_matches(name, data, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {listed(data)}"
    raise UnknownColumn(f"{rules.source}: {where}: {table} has no column {name!r}", hint)


def _types(rules: Rules, bound: list[Bound], table: str) -> None:
    wrong = [b for b in bound if b.type and not b.coerced and not b.absent and not types.accepts(b.type, b.data)]
    if wrong:
        told = listed((f"{b.name} is {b.data}, not {b.type.name}" for b in wrong if b.type), 3)
        hint = "coerce: true in the rules converts what it can"
        raise SchemaMismatch(f"{table} has other types than {rules.source} says: {told}", hint)


def _order(rules: Rules, bound: list[Bound], data: Mapping[str, pl.DataType], table: str) -> None:
    named = [item.name for item in bound if not item.absent]
    if rules.strict is True and (extra := [name for name in data if name not in named]):
        hint = "strict: filter in the rules leaves them out"
        raise SchemaMismatch(
            f"{table} has columns that {rules.source} (strict) does not name: {listed(extra, 5)}", hint
        )
    if rules.ordered:
        order = [name for name in data if name in named]
        for there, wanted in zip(order, named, strict=True):
            if there != wanted:
                raise SchemaMismatch(f"{table}: column {there!r} stands where {rules.source} (ordered) has {wanted!r}")
