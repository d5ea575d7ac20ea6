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
CHECK_OPTIONS = ("ignore_na", "raise_warning", "error", "name", "title", "description", "n_failure_cases")
COLUMN_KEYS = (
    "dtype", "nullable", "unique", "coerce", "required", "regex", "default", "checks",
    "name", "title", "description", "metadata", "report_duplicates", "drop_invalid_rows",
    "decodes", "near_duplicates",
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
    decodes: bool = False  # every image can be decoded; this and the next are not pandera's
    near_duplicates: int | None = None  # bits: rows that look like an earlier one are rejected
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
    for key, unset in (("decodes", False), ("near_duplicates", None)):
        if key in meant and meant[key] is unset:  # digests of rules without these words are what they were
            del meant[key]
    if isinstance(meant.get("dtype"), str):
        kind = types.parse(meant["dtype"], "dtype")
        meant["dtype"] = [kind.family, str(kind.dtype)]
    return meant
