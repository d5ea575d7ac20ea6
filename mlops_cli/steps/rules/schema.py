"""Rules as a pandera schema for polars: the objects that say what each check is called and means."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable, MissingExtra
from mlops_cli.steps.rules import values
from mlops_cli.steps.rules.form import CheckRule
from mlops_cli.steps.rules.resolve import Bound, Resolved

try:
    import pandera.polars as pandera
except ImportError as error:
    raise MissingExtra.of("pandera", "validate") from error


def build(resolved: Resolved) -> pandera.DataFrameSchema:
    """The pandera schema of the rules for this table.

    A column whose type the rules accept as it is has its own type in the schema (any width of integer will do where
    the values fit). InputUnusable when pandera refuses an argument of a check.
    """
    source = resolved.rules.source
    unique: Any = [list(names) for names in resolved.rules.unique]  # pandera takes one set of columns or several
    return pandera.DataFrameSchema(
        columns={bound.name: _column(source, bound) for bound in resolved.columns},
        checks=[table_check(source, rule) for rule in resolved.rules.checks],
        strict=resolved.rules.strict,
        ordered=resolved.rules.ordered,
        unique=unique[0] if len(unique) == 1 else unique or None,
        add_missing_columns=resolved.rules.add_missing_columns,
        name=resolved.rules.name,
    )


def _column(source: str, bound: Bound) -> pandera.Column:
    rule = bound.rule
    return pandera.Column(
        dtype=bound.dtype if bound.type is not None else None,
        checks=[check(source, item, bound.dtype) for item in rule.checks],
        nullable=rule.nullable,
        unique=rule.unique,
        coerce=bound.coerced,
        required=rule.required,
        default=rule.default,
        name=bound.name,
    )


def check(source: str, rule: CheckRule, dtype: pl.DataType) -> pandera.Check:
    """One check of a column of type `dtype`; InputUnusable when its arguments do not go with that."""
    where = f"{source}: {rule.where}"
    return _made(where, rule, values.arguments(rule.name, rule.arguments, dtype, where))


def table_check(source: str, rule: CheckRule) -> pandera.Check:
    """A check of every column, its arguments as they stand in the file."""
    return _made(f"{source}: {rule.where}", rule, rule.arguments)


def _made(where: str, rule: CheckRule, arguments: dict[str, Any]) -> pandera.Check:
    options = {"ignore_na": rule.ignore_na, "raise_warning": rule.raise_warning}
    if rule.error is not None:
        options["error"] = rule.error  # type: ignore[assignment]  # pandera's own error text stays when none is given
    try:
        made: pandera.Check = getattr(pandera.Check, rule.name)(**arguments, **options)
    except (ValueError, TypeError, ArithmeticError, re.error) as error:
        raise InputUnusable(f"{where}: {str(error).splitlines()[0]}") from error
    return made
