"""The two parts of a rules file that pandera does not have: conditions on rows in SQL, and rules about whole tables."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from mlops_cli.errors import InputUnusable
from mlops_cli.steps.rules import words
from mlops_cli.steps.rules.form import (
    BY_COLUMN,
    DATASET,
    DATASET_OPTIONS,
    EXPRESSION_KEYS,
    DatasetRule,
    ExpressionRule,
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def expressions(given: Any, source: str) -> tuple[ExpressionRule, ...]:
    """The list `rules:`; each entry is an expression, or a mapping with `expr`."""
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InputUnusable(f"{source}: rules: {words.short(given)} is not a list", "write - expr: a > b lines")
    return tuple(_expression(entry, source, f"rules[{number}]") for number, entry in enumerate(given))


def _expression(entry: Any, source: str, where: str) -> ExpressionRule:
    given = {"expr": entry} if isinstance(entry, str) else words.mapping(entry, source, where)
    words.only(given, EXPRESSION_KEYS, source, where)
    expr = given.get("expr")
    if not isinstance(expr, str) or not expr.strip():
        raise InputUnusable(f"{source}: {where}.expr: {words.short(expr)} is not a condition", "such as a > b")
    for key in ("title", "description"):
        words.text(given, key, source, where)
    return ExpressionRule(
        expr=expr.strip(),
        where=where,
        name=words.text(given, "name", source, where),
        error=words.text(given, "error", source, where),
        ignore_na=words.flag(given, "ignore_na", True, source, where),
        raise_warning=words.warns(given, False, source, where),
        max_bad=words.limit(given, None, source, where),
    )


def dataset(given: Any, source: str) -> tuple[DatasetRule, ...]:
    """The mapping `dataset:`; a rule that is there several times is a list, or a mapping of columns."""
    if given is None:
        return ()
    found: list[DatasetRule] = []
    table = words.mapping(given, source, "dataset")
    words.only(table, DATASET, source, "dataset")
    for kind, value in table.items():
        where = f"dataset.{kind}"
        if kind in BY_COLUMN:
            columns = words.mapping(value, source, where)
            found += [_by_column(kind, name, one, source, f"{where}.{name}") for name, one in columns.items()]
        elif isinstance(value, list):
            found += [_rule(kind, one, source, f"{where}[{number}]") for number, one in enumerate(value)]
        else:
            found.append(_rule(kind, value, source, where))
    return tuple(found)


def _by_column(kind: str, name: Any, value: Any, source: str, where: str) -> DatasetRule:
    given = value if isinstance(value, dict) else {"max_value": value}
    words.only(given, (*DATASET[kind], *DATASET_OPTIONS), source, where)
    found = _made(kind, given, words.names(name, source, where), source, where)
    share = found.max_value
    if kind == "null_share" and (share is None or not 0 <= share <= 1):
        raise InputUnusable(f"{source}: {where}: {words.short(share)} is no share", "0.05 is one row in twenty")
    return found


def _rule(kind: str, value: Any, source: str, where: str) -> DatasetRule:
    given = {"column": value} if kind == "increasing" and isinstance(value, str) else value
    given = words.mapping(given, source, where)
    words.only(given, (*DATASET[kind], *DATASET_OPTIONS), source, where)
    if kind == "rows":
        return _made(kind, given, (), source, where)
    names = given.get("columns", given.get("column"))
    if names is None or ("columns" in given and "column" in given):
        raise InputUnusable(f"{source}: {where}: {'column is missing' if names is None else 'column or columns?'}")
    columns = words.names(names, source, words.place(where, "columns" if "columns" in given else "column"))
    if kind != "foreign_key" and len(columns) > 1:
        raise InputUnusable(f"{source}: {where}.column: {words.short(names)} is more than one column")
    return _made(kind, given, columns, source, where)


def _made(kind: str, given: dict[str, Any], columns: tuple[str, ...], source: str, where: str) -> DatasetRule:
    low, high = (words.number(given, key, source, where) for key in ("min_value", "max_value"))
    if kind in ("rows", "distinct") and low is None and high is None:
        raise InputUnusable(f"{source}: {where}: neither min_value nor max_value is there")
    if kind == "freshness":
        high = _age(given.get("max_age"), source, f"{where}.max_age")
    by, to = given.get("by"), given.get("to_columns", given.get("to_column"))
    to_columns = columns if to is None else words.names(to, source, f"{where}.to_columns")
    if kind == "foreign_key" and not isinstance(given.get("to"), str):
        raise InputUnusable(f"{source}: {where}.to: {words.short(given.get('to'))} is not a file, nor a dataset")
    if len(to_columns) != len(columns):
        message = f"{source}: {where}.to_columns: {len(to_columns)} columns are no partners for {len(columns)}"
        raise InputUnusable(message)
    return DatasetRule(
        kind=kind,
        where=where,
        columns=columns,
        min_value=low,
        max_value=high,
        by=() if by is None else words.names(by, source, f"{where}.by"),
        strict=words.flag(given, "strict", False, source, where),
        to=given.get("to"),
        to_columns=to_columns if kind == "foreign_key" else (),
        error=words.text(given, "error", source, where),
        raise_warning=words.warns(given, False, source, where),
        max_bad=words.limit(given, None, source, where),
    )


def _age(value: Any, source: str, where: str) -> float:
    """An age such as `24h` in seconds."""
    found = _AGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or float(found[1]) == 0:
        raise InputUnusable(f"{source}: {where}: {words.short(value)} is no age", "such as 90m, 24h, 7d or 2w")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]]).total_seconds()
    except OverflowError:
        raise InputUnusable(f"{source}: {where}: {words.short(value)} is longer than any calendar") from None
