"""Words of a rules file, taken strictly: what is not known is refused with its place and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.steps.limit import Limit

# Words of pandera that are about something else than the rows of a table.
NOT_HERE = {
    "unique_values_eq": "it is about a whole column, not about a row; isin says which values are allowed",
    "multiindex": "a table here has no index",
    "groupby": "checks here are made row by row",
    "groups": "checks here are made row by row",
    "parsers": "validate changes nothing but types (coerce) and missing values (default)",
    "on_missing_columns": "an absent column is an error, or nothing with required: false",
}


def mapping(value: Any, source: str, where: str) -> dict[str, Any]:
    """`value` as what it should be, a mapping."""
    if not isinstance(value, dict):
        raise InputUnusable(f"{source}: {where}: {short(value)} is not a mapping", "write key: value lines")
    return value


def only(given: dict[str, Any], known: Collection[str], source: str, where: str) -> None:
    """Refuse a key that is none of `known`."""
    for key in given:
        if key not in known:
            place = f"{where}.{key}" if where else str(key)
            raise InputUnusable(f"{source}: {place}: {unknown('key', str(key))}", close(str(key), known))


def unknown(what: str, word: str) -> str:
    """What is wrong with a word that is not known."""
    return f"not supported: {NOT_HERE[word]}" if word in NOT_HERE else f"unknown {what}"


def close(word: str, known: Collection[str]) -> str:
    """A hint: the known word that is most like this one, or all of them."""
    if word in NOT_HERE:
        return ""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def flag(given: dict[str, Any], key: str, default: bool, source: str, where: str) -> bool:
    """The true or false of `key`; `default` when it is not there."""
    value = given.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InputUnusable(f"{source}: {place(where, key)}: {short(value)} is not true or false")
    return value


def text(given: dict[str, Any], key: str, source: str, where: str) -> str | None:
    """The text of `key`; None when it is not there."""
    value = given.get(key)
    if isinstance(value, dict | list | bool):
        raise InputUnusable(f"{source}: {place(where, key)}: {short(value)} is not text")
    return None if value is None else str(value)


def names(value: Any, source: str, where: str) -> tuple[str, ...]:
    """One name of a column, or a list of them."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
        raise InputUnusable(f"{source}: {where}: {short(value)} is not the name of a column, nor a list of names")
    return tuple(found)


def number(given: dict[str, Any], key: str, source: str, where: str) -> int | float | None:
    """The number of `key`; None when it is not there."""
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise InputUnusable(f"{source}: {place(where, key)}: {short(value)} is not a number")
    return value


def warns(given: dict[str, Any], default: bool, source: str, where: str) -> bool:
    """Whether `severity` is `warning`, in pandera's words `raise_warning: true`; `default` when neither is there."""
    severity, raised = given.get("severity"), given.get("raise_warning")
    if severity not in (None, "error", "warning"):
        raise InputUnusable(f"{source}: {place(where, 'severity')}: {short(severity)} is neither error nor warning")
    warning = flag(given, "raise_warning", default, source, where)
    if severity is None:
        return warning
    if raised is not None and raised != (severity == "warning"):
        message = f"{source}: {place(where, 'severity')}: {severity} contradicts raise_warning: {str(raised).lower()}"
        raise InputUnusable(message, "keep one of the two")
    return bool(severity == "warning")


def limit(given: dict[str, Any], default: str | None, source: str, where: str) -> str | None:
    """How many rows may break one rule, `max_bad`, as text; `default` when it is not there."""
    value = given.get("max_bad")
    if value is None:
        return default
    spelt = f"{value:.15f}".rstrip("0") if isinstance(value, float) else str(value)
    try:
        if isinstance(value, bool | list | dict):
            raise Usage("")
        return Limit.parse(spelt).text
    except Usage as error:
        hint = "0.01 or 1% is one row in a hundred, 20 is twenty rows"
        message = f"{source}: {place(where, 'max_bad')}: {short(value)} is no share of the rows and no number of them"
        raise InputUnusable(message, hint) from error


def place(where: str, key: str) -> str:
    """The place of a key, as messages name it."""
    return f"{where}.{key}" if where else key


def short(value: Any) -> str:
    """A value as messages show it."""
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
