"""The JSON Schema of rules files (draft 2020-12), made of the words that they are read with, for editors."""

from __future__ import annotations

import json
from typing import Any

from mlops_cli.steps import near
from mlops_cli.steps.rules.form import (
    ALIASES,
    BY_COLUMN,
    CHECK_OPTIONS,
    CHECKS,
    COLUMN_KEYS,
    DATASET,
    DATASET_OPTIONS,
    EXPRESSION_KEYS,
    TABLE_KEYS,
    VALUE,
)

TEXT, FLAG, COUNT, NUMBER = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}, {"type": "number"}
VALUES: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
_OPTIONS = {"$ref": "#/$defs/options"}
NAMES: dict[str, Any] = {"anyOf": [TEXT, {"type": "array", "items": TEXT, "minItems": 1}]}
KEYS: dict[str, Any] = {
    "dtype": {"type": ["string", "null"], "description": "A type by polars' or pandas' name, such as int64"},
    "nullable": FLAG, "coerce": FLAG, "required": FLAG, "regex": FLAG, "ordered": FLAG, "ignore_na": FLAG,
    "raise_warning": FLAG, "add_missing_columns": FLAG, "unique_column_names": FLAG, "drop_invalid_rows": FLAG,
    "decodes": FLAG, "include_min": FLAG, "include_max": FLAG, "check_name": TEXT,
    "near_duplicates": {"anyOf": [FLAG, {"type": "integer", "minimum": 0, "maximum": near.MOST}]},
    "default": VALUES, "value": VALUES, "min_value": VALUES, "max_value": VALUES, "exact_value": COUNT,
    "allowed_values": {"type": "array"}, "forbidden_values": {"type": "array"}, "pattern": TEXT, "string": TEXT,
    "n_failure_cases": {"type": ["integer", "null"]},
    "report_duplicates": {"const": "all"},
    "strict": {"enum": [True, False, "filter", None]},
    "schema_type": {"enum": ["dataframe", "polars_dataframe"]},
    "severity": {"enum": ["error", "warning"]},
    "max_bad": {"type": ["number", "string", "null"], "description": "A share (0.01, 1%) or a number of rows (20)"},
    "expr": {**TEXT, "description": "A condition on one row in SQL, such as arr_time > dep_time"},
    "column": TEXT, "columns": NAMES, "by": NAMES, "to": TEXT, "to_column": TEXT, "to_columns": NAMES,
    "max_age": {**TEXT, "pattern": r"^\s*\d+(\.\d+)?\s*[smhdw]\s*$", "description": "Such as 90m, 24h, 7d or 2w"},
    "index": {"type": "null"}, "metadata": {}, "version": {"type": ["string", "number", "null"]},
}  # fmt: skip


def _closed(keys: tuple[str, ...], **own: Any) -> dict[str, Any]:
    """An object with no other keys than these."""
    described = {key: own.get(key, KEYS.get(key, {"type": ["string", "null", "number"]})) for key in keys}
    return {"type": "object", "additionalProperties": False, "properties": described}


def _check(name: str) -> dict[str, Any]:
    """One check: its arguments by name, or the bare value where one is enough."""
    arguments = CHECKS[name]
    numbers = {key: {"type": ["integer", "null"]} for key in arguments} if name == "str_length" else {}
    spelt = _closed((*arguments, VALUE, *CHECK_OPTIONS, "options"), options=_OPTIONS, value={}, **numbers)
    if len(arguments) == 1:
        return {"anyOf": [spelt, KEYS[arguments[0]]]}
    return {"anyOf": [spelt, COUNT]} if name == "str_length" else spelt


def schema() -> dict[str, Any]:
    """The schema as plain values."""
    checks = {name: {"$ref": f"#/$defs/{ALIASES.get(name, name)}"} for name in (*CHECKS, *ALIASES)}
    shared: dict[str, Any] = {name: _check(name) for name in CHECKS}
    shared["checks"] = {"type": "object", "additionalProperties": False, "properties": checks}
    shared["options"] = _closed((*CHECK_OPTIONS, "check_name"))
    listed = {"type": "object", "required": ["options"], "properties": {"options": _OPTIONS}}
    any_checks = {"anyOf": [{"$ref": "#/$defs/checks"}, {"type": "array", "items": listed}, {"type": "null"}]}
    column = _closed(COLUMN_KEYS, checks=any_checks, unique=FLAG)
    column["properties"] |= checks
    expression = {**_closed(EXPRESSION_KEYS), "required": ["expr"]}
    groups = {"anyOf": [{"type": "array", "items": {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}}, TEXT]}
    table = _closed(
        TABLE_KEYS,
        columns={"type": ["object", "null"], "additionalProperties": {"anyOf": [column, {"type": "null"}]}},
        checks=any_checks,
        unique={"anyOf": [*groups["anyOf"], {"type": "null"}]},
        rules={"type": ["array", "null"], "items": {"anyOf": [TEXT, expression]}},
        dataset={"anyOf": [_dataset(), {"type": "null"}]},
    )
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Rules for mlops validate"}
    return {**head, **table, "$defs": shared}


def _dataset() -> dict[str, Any]:
    """The rules about a whole table."""
    bounds = {"min_value": NUMBER, "max_value": NUMBER, "strict": FLAG}
    kinds: dict[str, Any] = {}
    for kind, words in DATASET.items():
        one = _closed((*words, *DATASET_OPTIONS), **bounds)
        if kind in BY_COLUMN:
            kinds[kind] = {"type": "object", "additionalProperties": {"anyOf": [one, NUMBER]}}
        elif kind == "increasing":
            kinds[kind] = {"anyOf": [one, TEXT, {"type": "array", "items": {"anyOf": [one, TEXT]}}]}
        else:
            kinds[kind] = {"anyOf": [one, {"type": "array", "items": one}]}
    return {"type": "object", "additionalProperties": False, "properties": kinds}


def text() -> str:
    """The schema as JSON."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
