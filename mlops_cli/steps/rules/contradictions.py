"""Rules that no row can keep, or that cannot all be meant, told with their place before any data is read."""

from __future__ import annotations

from typing import Any

from mlops_cli.errors import InputUnusable
from mlops_cli.steps.rules import words
from mlops_cli.steps.rules.form import CheckRule, ColumnRule, Rules

# Where each check that bounds a value has its bound, and the word that says whether the bound itself passes.
_LOWER = {"greater_than": False, "greater_than_or_equal_to": True, "in_range": True}
_UPPER = {"less_than": False, "less_than_or_equal_to": True, "in_range": True}


def check(rules: Rules) -> None:
    """InputUnusable, with the place, for the first contradiction that there is."""
    for column in rules.columns:
        _bounds(column.checks, rules.source)
        _sets(column.checks, rules.source)
        _default(column, rules.source)
    _bounds(rules.checks, rules.source)
    _sets(rules.checks, rules.source)
    for rule in rules.dataset:
        if rule.min_value is not None and rule.max_value is not None and rule.min_value > rule.max_value:
            message = f"{rules.source}: {rule.where}: min_value {rule.min_value} is above max_value {rule.max_value}"
            raise InputUnusable(message)
    _strict(rules)


def _bounds(checks: tuple[CheckRule, ...], source: str) -> None:
    """The lower bounds and the upper bounds of one column leave something between them."""
    lows = [
        (check.arguments["min_value"], _closed(check, "include_min", _LOWER), check) for check in _with(checks, _LOWER)
    ]
    highs = [
        (check.arguments["max_value"], _closed(check, "include_max", _UPPER), check) for check in _with(checks, _UPPER)
    ]
    highs += [(one.arguments["value"], True, one) for one in checks if one.name == "equal_to"]
    lows += [(one.arguments["value"], True, one) for one in checks if one.name == "equal_to"]
    for low, low_closed, lower in lows:
        for high, high_closed, upper in highs:
            if _above(low, high) or (low == high and not (low_closed and high_closed)):
                other = "" if lower is upper else f" of {upper.where}"
                raise InputUnusable(f"{source}: {lower.where}: nothing lies between {low!r} and {high!r}{other}")
    for one in checks:
        low, high = one.arguments.get("min_value"), one.arguments.get("max_value")
        if one.name == "str_length" and low is not None and high is not None and _above(low, high):
            raise InputUnusable(f"{source}: {one.where}: min_value {low} is above max_value {high}")


def _with(checks: tuple[CheckRule, ...], names: dict[str, bool]) -> list[CheckRule]:
    return [check for check in checks if check.name in names]


def _closed(check: CheckRule, word: str, closed: dict[str, bool]) -> bool:
    return bool(check.arguments.get(word, closed[check.name]))


def _above(low: Any, high: Any) -> bool:
    """Whether one value is greater than the other; values of two kinds are for the column's type to judge."""
    numbers = all(isinstance(value, int | float) for value in (low, high))
    texts = all(isinstance(value, str) for value in (low, high))
    return bool(low > high) if numbers or (texts and len(low) == len(high)) else False


def _sets(checks: tuple[CheckRule, ...], source: str) -> None:
    """Something is in every set of allowed values, and not forbidden."""
    forbidden = [value for one in checks if one.name == "notin" for value in _list(one, "forbidden_values")]
    left: list[Any] | None = None
    for one in checks:
        if one.name != "isin" or not isinstance(one.arguments["allowed_values"], list):
            continue
        allowed = _list(one, "allowed_values")
        left = [value for value in allowed if (left is None or value in left) and value not in forbidden]
        if not left:
            why = "the list is empty" if not allowed else "other checks forbid every value of it"
            raise InputUnusable(f"{source}: {one.where}: no value is allowed: {why}")


def _list(check: CheckRule, key: str) -> list[Any]:
    found = check.arguments[key]
    return found if isinstance(found, list) else []


def _default(column: ColumnRule, source: str) -> None:
    """What is filled in for a missing value is allowed."""
    for one in column.checks:
        if one.name == "isin" and column.default is not None and column.default not in _list(one, "allowed_values"):
            where = f"columns.{column.name}.default"
            raise InputUnusable(f"{source}: {where}: {words.short(column.default)} is not in {one.where}")


def _strict(rules: Rules) -> None:
    """A strict table has no column that only another rule names."""
    if rules.strict is not True or any(column.regex for column in rules.columns):
        return
    named = {column.name for column in rules.columns}
    wanted = [("unique", name) for names in rules.unique for name in names]
    wanted += [(rule.where, name) for rule in rules.dataset for name in (*rule.columns, *rule.by)]
    for where, name in wanted:
        if name not in named:
            message = f"{rules.source}: {where}: column {name!r} is wanted here, and strict: true forbids it"
            raise InputUnusable(message, f"name it under columns: {name}: {{}}")
