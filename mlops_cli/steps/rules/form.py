"""What a rules file says, once it has been read: plain structs, and the words that may stand in it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

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
CHECK_OPTIONS = ("ignore_na", "raise_warning", "error", "name", "title", "description", "n_failure_cases")
COLUMN_KEYS = (
    "dtype", "nullable", "unique", "coerce", "required", "regex", "default", "checks",
    "name", "title", "description", "metadata", "report_duplicates", "drop_invalid_rows",
)  # fmt: skip
TABLE_KEYS = (
    "schema_type", "version", "api", "dataframe_library", "columns", "checks", "index", "dtype", "coerce", "strict",
    "name", "ordered", "unique", "report_duplicates", "unique_column_names", "add_missing_columns", "title",
    "description", "metadata", "drop_invalid_rows",
)  # fmt: skip

Scalar = bool | int | float | str | None


class CheckRule(msgspec.Struct, frozen=True):
    """One check of pandera's vocabulary with its arguments by name."""

    name: str
    arguments: dict[str, Any]
    where: str  # the place in the file, for messages: columns.dep_delay.checks.in_range
    ignore_na: bool = True
    raise_warning: bool = False
    error: str | None = None


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
    checks: tuple[CheckRule, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """A whole rules file; `source` is its name, for messages."""

    source: str
    columns: tuple[ColumnRule, ...] = ()
    checks: tuple[CheckRule, ...] = ()
    dtype: str | None = None
    coerce: bool = False
    strict: bool | str = False  # True, False or "filter"
    ordered: bool = False
    unique: tuple[tuple[str, ...], ...] = ()
    add_missing_columns: bool = False
    name: str | None = None

    def digest(self) -> str:
        """A sha256 of what the rules say: comments, spelling and the file's name do not count."""
        plain = msgspec.to_builtins(self)
        del plain["source"]
        return "sha256:" + hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
