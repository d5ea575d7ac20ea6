"""Answers of a database as plain Arrow columns: no extension types, times in UTC, decimals as decimals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mlops_cli.errors import InputUnusable, MlopsError
from mlops_cli.sources.asked import Since

_EXACT = 2.0**53
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The first and the last second of the years 1 to 9999."""


@dataclass(frozen=True)
class Plan:
    """How an answer is fetched: `sql` with its bound `parameters`, and the columns that come of it.

    `schema` has plain types; `settings` are given to the server beforehand, so that the query can ask for them.
    """

    sql: str
    schema: pa.Schema
    parameters: tuple[Any, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


class Dialect(Protocol):
    """What the module of a kind of database offers. Whatever its driver raises, `explained` says in our words."""

    def opened(self, url: str) -> AbstractContextManager[Any]:
        """A connection on which nothing can be written."""

    def tables(self, connection: Any) -> dict[str, str]:
        """The tables and views that are there: name → how SQL names it."""

    def plan(self, connection: Any, query: str, since: Since | None) -> Plan:
        """How the answer to a query is fetched, of its rows those since; rows that are null there are kept."""

    def run(self, connection: Any, plan: Plan) -> AbstractContextManager[pa.RecordBatchReader]:
        """The answer, batch by batch, as the driver has it."""

    def explained(self, error: Exception) -> MlopsError:
        """The error for what the driver raised; its message may still hold secrets."""


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column of a driver's type gets: what extends another type becomes that."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_timestamp(kind) and kind.tz:
        return pa.timestamp(kind.unit, "UTC")
    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", plain_type(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(pa.field("item", plain_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    return kind


def plain_schema(schema: pa.Schema, known: Callable[[pa.Field], pa.DataType | None] = lambda field: None) -> pa.Schema:
    """A driver's schema without metadata, every type plain, or what `known` says it is."""
    return pa.schema([pa.field(field.name, known(field) or plain_type(field.type)) for field in schema])


def plain(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    """A driver's batch in plain types. InputUnusable for a value that has no place in them."""
    columns = []
    for field, values in zip(schema, batch.columns, strict=True):
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        try:
            columns.append(values if values.type == field.type else _cast(values, field.type))
        except pa.ArrowException as error:
            line = str(error).splitlines()[0][:200]
            hint = f'cast it in the query, such as cast("{field.name}" as text)'
            raise InputUnusable(f"{name}: column {field.name} does not fit {field.type}: {line}", hint) from None
        _demand_years(columns[-1], field, name)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in another type, none of them changed."""
    if pa.types.is_boolean(kind) and pa.types.is_integer(values.type):
        return pc.not_equal(values, pa.scalar(0, values.type))
    cast = values.cast(kind)
    if pa.types.is_floating(kind) and pa.types.is_string(values.type):
        lost = pc.and_(pc.is_inf(cast), pc.invert(pc.match_substring(values, "inf", ignore_case=True)))
        if pc.any(lost).as_py():
            raise pa.ArrowInvalid("a number is too large")
        whole = pc.and_(pc.match_substring_regex(values, r"^-?\d+$"), pc.greater_equal(pc.abs(cast), _EXACT))
        if pc.any(whole).as_py():
            raise pa.ArrowInvalid("an integer beyond 2^53 would be rounded")
    return cast


def _demand_years(values: pa.Array, field: pa.Field, name: str) -> None:
    """Refuse times that no calendar here has: infinity comes as the largest number."""
    kind = field.type
    if not (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)) or values.null_count == len(values):
        return
    second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[kind.unit] if hasattr(kind, "unit") else 0
    ends = pc.min_max(values.cast(pa.int64() if second else pa.int32())).as_py()
    low, high = (_FIRST * second, (_LAST + 1) * second) if second else (_FIRST // 86400, _LAST // 86400 + 1)
    if ends["min"] < low or ends["max"] >= high:
        what = "'infinity', or a year outside 1 to 9999"
        hint = f"leave it out in the query: nullif(\"{field.name}\", 'infinity'), or a condition"
        raise InputUnusable(f"{name}: column {field.name} holds {what}", hint)
