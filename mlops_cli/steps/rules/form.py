"""What a rules file says, once it has been read: plain structs, and the words that may stand in it."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

from mlops_cli.steps.rules import types

# Each check with the names of its arguments; the first one is what a bare value means (`greater_than: 0`).
CHECKS: dict[str, tuple[str, ...]] = {
    "equal_to": ("value",),
    "not_equal_to": ("value",),
    "greater_than": ("min_value",),
    "greater_than_or_equal_to": ("min_value",),
    "less_than": ("max_value",),
    "less_than_or_equal_to": ("max_value",),
    "in_range": ("min_value", "max_value", "include_min", "include_max"),
    "isin": ("allowed_values",),
    "notin": ("forbidden_values",),
    "str_matches": ("pattern",),
    "str_contains": ("pattern",),
    "str_startswith": ("string",),
    "str_endswith": ("string",),
    "str_length": ("min_value", "max_value", "exact_value"),
}
ALIASES = {
    "eq": "equal_to",
    "ne": "not_equal_to",
    "gt": "greater_than",
    "ge": "greater_than_or_equal_to",
    "lt": "less_than",
    "le": "less_than_or_equal_to",
    "between": "in_range",
}
# pandera writes a check with one argument as {value: X}, whatever the argument is called.
VALUE = "value"
CHECK_OPTIONS = (
    "ignore_na", "raise_warning", "error", "name", "title", "description", "n_failure_cases",
    "severity", "max_bad",
)  # fmt: skip
COLUMN_KEYS = (
    "dtype", "nullable", "unique", "coerce", "required", "regex", "default", "checks",
    "name", "title", "description", "metadata", "report_duplicates", "drop_invalid_rows",
    "decodes", "near_duplicates", "severity", "raise_warning", "max_bad",
)  # fmt: skip
TABLE_KEYS = (
    "schema_type", "version", "api", "dataframe_library", "columns", "checks", "index", "dtype", "coerce", "strict",
    "name", "ordered", "unique", "report_duplicates", "unique_column_names", "add_missing_columns", "title",
    "description", "metadata", "drop_invalid_rows", "rules", "dataset",
)  # fmt: skip
EXPRESSION_KEYS = ("expr", "name", "error", "ignore_na", "severity", "max_bad", "title", "description")
# Each rule of a whole table with its words; what it is about is a column, or several for the last.
DATASET: dict[str, tuple[str, ...]] = {
    "rows": ("min_value", "max_value"),
    "freshness": ("column", "max_age"),
    "increasing": ("column", "by", "strict", "max_bad"),
    "null_share": ("max_value",),
    "distinct": ("min_value", "max_value"),
    "foreign_key": ("column", "columns", "to", "to_column", "to_columns", "max_bad"),
}
DATASET_OPTIONS = ("severity", "error")
BY_COLUMN = ("null_share", "distinct")  # written as {column: words}

Scalar = bool | int | float | str | None


class CheckRule(msgspec.Struct, frozen=True):
    """One check of pandera's vocabulary with its arguments by name."""

    name: str
    arguments: dict[str, Any]
    where: str  # the place in the file, for messages: columns.dep_delay.checks.in_range
    ignore_na: bool = True
    raise_warning: bool = False
    error: str | None = None
    max_bad: str | None = None  # how many rows may break it, if it has a limit of its own


class ExpressionRule(msgspec.Struct, frozen=True):
    """A condition on the columns of a row, in SQL; not pandera's."""

    expr: str
    where: str
    name: str | None = None
    error: str | None = None
    ignore_na: bool = True
    raise_warning: bool = False
    max_bad: str | None = None


class DatasetRule(msgspec.Struct, frozen=True):
    """A rule about a whole table, one of DATASET; not pandera's. `max_value` of freshness is an age in seconds."""

    kind: str
    where: str
    columns: tuple[str, ...] = ()
    min_value: int | float | None = None
    max_value: int | float | None = None
    by: tuple[str, ...] = ()  # increasing: within rows that are equal here
    strict: bool = False  # increasing: equal ones do not pass either
    to: str | None = None  # foreign_key: the table whose rows there must be, and its columns
    to_columns: tuple[str, ...] = ()
    error: str | None = None
    raise_warning: bool = False
    max_bad: str | None = None


class ColumnRule(msgspec.Struct, frozen=True):
    """What one column, or every column that a regular expression matches, has to be."""

    name: str
    dtype: str | None = None
    nullable: bool = False
    unique: bool = False
    coerce: bool = False
    required: bool = True
    regex: bool = False
    default: Scalar = None
    decodes: bool = False  # every image can be decoded; this and the next are not pandera's
    near_duplicates: int | None = None  # bits: rows that look like an earlier one are rejected
    warning: bool = False  # what is wrong with the column is told, and its rows stay
    max_bad: str | None = None
    checks: tuple[CheckRule, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """A whole rules file; `source` is its name, for messages."""

    source: str
    columns: tuple[ColumnRule, ...] = ()
    checks: tuple[CheckRule, ...] = ()
    dtype: str | None = None
    coerce: bool = False
    strict: bool | Literal["filter"] = False
    ordered: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    add_missing_columns: bool = False
    name: str | None = None
    rows: tuple[ExpressionRule, ...] = ()
    dataset: tuple[DatasetRule, ...] = ()

    def digest(self) -> str:
        """A sha256 of what the rules say: comments, spelling and the file's name do not count."""
        data = msgspec.json.encode(_meant(msgspec.to_builtins(self)), order="sorted")
        return "sha256:" + hashlib.sha256(data).hexdigest()


def _meant(value: Any) -> Any:
    """Rules as plain values without what says where they stand and how they are spelt."""
    if isinstance(value, list | tuple):
        return [_meant(one) for one in value]
    if not isinstance(value, dict):
        return value
    meant = {key: _meant(one) for key, one in value.items() if key not in ("source", "where")}
    for key, unset in _LATER.items():  # digests of rules without these words are what they were
        if key in meant and meant[key] == unset:
            del meant[key]
    if isinstance(meant.get("dtype"), str):
        kind = types.parse(meant["dtype"], "dtype")
        meant["dtype"] = [kind.family, str(kind.dtype)]
    return meant


_LATER: dict[str, Any] = {
    "decodes": False,
    "near_duplicates": None,
    "max_bad": None,
    "warning": False,
    "rows": [],
    "dataset": [],
}
"""Words that came later, as they are when a file does not say them."""
