"""Rules as data, `rules.json`: those that single rows can be held against, for `serve` and `watch` to execute."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlops_cli.models.kinds import type_of
from mlops_cli.runtime import rules as runtime
from mlops_cli.runtime.rules import LeftOut, Rules
from mlops_cli.runtime.signature import Type
from mlops_cli.steps.rules.rule import Part, Plan, Rule

_INT64 = 1 << 63
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_REASONS = {
    "unique": "uniqueness is a property of a whole table",
    "near_duplicates": "likeness is a property of a whole table",
    "decodes": "an image that does not decode is refused anyway",
    "coerce": "a value of another type is refused anyway",
}


def compile(plan: Plan, schema: Mapping[str, pl.DataType], source: str | None) -> Rules:
    """The rules of a plan for a table of these columns; `source` is the digest of the rules file.

    A part of a rule says for null and for NaN what its polars expression says for them, found by asking it.
    """
    there = {name: value for name, value in plan.outputs.items() if name in schema}
    outputs = pl.DataFrame(schema=dict(schema)).select([value.alias(name) for name, value in there.items()]).schema
    made: list[runtime.Rule] = []
    left: list[LeftOut] = []
    for rule in plan.rules:
        parts = [part for part in rule.parts if part.column in outputs]
        reasons = [] if parts else [_REASONS.get(rule.check, "it is about more than one value")]
        for part in parts:
            kind = type_of(outputs[part.column])
            if kind is None or (kind == "image" and part.check != "not_nullable"):
                reasons.append(f"no model takes a column of type {outputs[part.column]}")
                continue
            one = _made(rule, part, kind, outputs[part.column], schema[part.column])
            if problem := runtime.problem(one):
                reasons.append(problem)
            elif kind != "image":
                made.append(one)
        left += [LeftOut(rule.label, reason) for reason in dict.fromkeys(reasons)]
    return Rules(source, made, left)


def write(rules: Rules, directory: Path) -> None:
    """Write the rules into a payload."""
    (directory / runtime.FILE).write_bytes(rules.encode())


def _made(rule: Rule, part: Part, kind: Type, dtype: pl.DataType, data: pl.DataType) -> runtime.Rule:
    """One part as data; `dtype` is the column's type once it is converted, `data` as it comes."""
    arguments = {name: _plain(value, dtype) for name, value in part.arguments.items() if value is not None}
    if part.check in ("isin", "notin") and kind == "int":
        ((name, values),) = arguments.items()
        arguments = {name: [int(v) for v in values if math.isfinite(v) and v == int(v) and -_INT64 <= v < _INT64]}
    return runtime.Rule(
        label=rule.label,
        column=part.column,
        type=kind,
        check=part.check,
        arguments={name: _json(value) for name, value in arguments.items()},
        missing=_fails(part, pl.Series(part.column, [None], dtype=data)),
        nan=dtype.is_float() and _fails(part, pl.Series(part.column, [math.nan]).cast(data, strict=False)),
        severity="warning" if rule.warning else "error",
        single=dtype == pl.Float32,
    )


def _fails(part: Part, value: pl.Series) -> bool:
    """Whether a single value fails."""
    return bool(pl.DataFrame([value]).select(part.fail).item())


def _plain(value: Any, dtype: pl.DataType) -> Any:
    """An argument as the value that the runtime compares: µs for times, the number that a column of its width holds."""
    if isinstance(value, list | tuple):
        return [_plain(one, dtype) for one in value]
    if isinstance(value, datetime.date):
        return _micros(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float | int) and not isinstance(value, bool) and dtype == pl.Float32:
        return float(np.float32(value))
    return value


def _micros(value: datetime.date) -> int:
    """µs since 1970 UTC of a date or a time; a naive time is UTC."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    known = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
    return (known - _EPOCH) // datetime.timedelta(microseconds=1)


def _json(value: Any) -> Any:
    """An argument as JSON can hold it."""
    if isinstance(value, list):
        return [_json(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
