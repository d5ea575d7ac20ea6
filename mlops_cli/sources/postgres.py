"""PostgreSQL, over its ADBC driver: the rows come as a binary copy, batch by batch, of one read-only transaction."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa

from mlops_cli.errors import InputUnusable, Missing, MlopsError, Outside, UnknownColumn, Usage
from mlops_cli.sources.answers import Plan, plain_schema
from mlops_cli.sources.asked import Since
from mlops_cli.sources.query import around, quoted

_READ_ONLY = "set transaction isolation level repeatable read, read only"
_FROM_THE_START = """
select pg_catalog.set_config(name, 'off', true) from pg_catalog.pg_settings where name = 'synchronize_seqscans'
"""
"""A scan of a large table begins where another one happens to be, unless it is told not to, as pg_dump does."""

_TABLES = """
select case when pg_catalog.pg_table_is_visible(c.oid) then '' else n.nspname || '.' end || c.relname,
       pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition
  and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'
order by 1
"""
_PATIENCE = "30"
"""Seconds that a server may take to answer at all."""

_SETTING = "mlops.since"
_CASTS = {"money": "numeric", "oid": "int8", "interval": "text", "record": "text", "uuid": "text"}
"""Types that the driver has no equal for, and what the server makes of them."""

_PLAIN = {"json", "jsonb", "numeric"}
"""Types that the driver gives as text with a name of its own."""

_HINTS = "the password comes from PGPASSWORD, ~/.pgpass, a service file, or a URL in a file: mlops ingest @FILE"
_SQLSTATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A connection in a read-only transaction, which sees one state of the database."""
    os.environ.setdefault("PGCONNECT_TIMEOUT", _PATIENCE)  # libpq's own way; a URL can say otherwise
    with driver.connect(url) as connection:
        with connection.cursor() as cursor:
            cursor.execute(_READ_ONLY)
            cursor.execute(_FROM_THE_START)
            cursor.fetchall()
        yield connection


def tables(connection: Any) -> dict[str, str]:
    """The tables and views of all schemas but the system's; without a schema's name those that need none."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        return dict(cursor.fetchall())


def plan(connection: Any, query: str, since: Since | None) -> Plan:
    """The columns of an answer, cast where the driver has no type for them."""
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema(query)
        columns = [_column(field) for field in schema]
        names = schema.names
        condition, settings = _since(schema, since)
        if len(set(names)) == len(names) and (condition or any(cast for _, cast in columns)):
            query = around(query, ", ".join(text for text, _ in columns), condition)
            schema = cursor.adbc_execute_schema(query)
    return Plan(query, plain_schema(schema, _known), settings=settings)


def _name(field: pa.Field) -> str:
    """What the server calls a column's type."""
    return str((field.metadata or {}).get(b"POSTGRESQL:type", b"").decode())


def _column(field: pa.Field) -> tuple[str, bool]:
    """A column as it is asked for, and whether it is cast."""
    name, kind = quoted(field.name), _name(field)
    opaque = isinstance(field.type, pa.BaseExtensionType) and kind not in _PLAIN
    if kind.startswith("_"):
        return f"pg_catalog.to_json({name})::text as {name}", True
    cast = _CASTS.get(kind) or ("text" if opaque or pa.types.is_struct(field.type) else None)
    return (f"{name}::{cast} as {name}", True) if cast else (name, False)


def _known(field: pa.Field) -> pa.DataType | None:
    """A decimal where the server says how many digits, else a 64-bit float."""
    if _name(field) != "numeric":
        return None
    modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1")) - 4
    digits, scale = modifier >> 16 & 0xFFFF, modifier & 0x7FF
    return pa.decimal128(digits, scale) if modifier >= 0 and digits <= 38 and scale <= digits else pa.float64()


def _since(schema: pa.Schema, since: Since | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A condition and the setting that it asks for: the value is bound, never part of the query's text."""
    if since is None or schema.names.count(since.column) != 1:
        return "", ()
    name, kind = quoted(since.column), _name(schema.field(since.column))
    value = since.value
    if isinstance(value, str):
        name, kind = f'{name}::text collate "C"', "text"
    elif isinstance(value, Decimal | int | float):
        kind = "numeric" if not isinstance(value, float) else "float8"
    elif kind not in ("date", "timestamp", "timestamptz"):
        return "", ()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    asked = f"pg_catalog.current_setting('{_SETTING}')::{kind}"
    return f"({name} >= {asked} or {quoted(since.column)} is null)", ((_SETTING, text),)


@contextmanager
def run(connection: Any, plan: Plan) -> Iterator[pa.RecordBatchReader]:
    """The answer; when it is not wanted to its end, the driver ends it."""
    with connection.cursor() as cursor:
        for name, value in plan.settings:
            cursor.execute("select pg_catalog.set_config($1, $2, true)", (name, value))
            cursor.fetchall()
        cursor.execute(plan.sql)
        with cursor.fetch_record_batch() as reader:
            yield reader


def explained(error: Exception) -> MlopsError:
    """What the server or the driver said, by its SQLSTATE."""
    details = dict(getattr(error, "details", None) or [])
    said = details.get(b"PG_DIAG_MESSAGE_PRIMARY", b"").decode(errors="replace") or _said(str(error))
    found = _SQLSTATE.search(str(error))
    state = getattr(error, "sqlstate", None) or (found[1] if found else "")
    if state == "42703":
        return UnknownColumn(said)
    if state in ("42P01", "3F000") or re.search(r'FATAL: +database ".*" does not exist', str(error)):
        return Missing(said)
    if state == "25006" or "in a read-only transaction" in said:
        return Usage(f"--query would change something: {said}", "only queries are taken")
    if state == "42501":
        return Outside(said, "ask for the right to select from it")
    if state.startswith(("42", "0A")):
        return Usage(f"--query: {said}")
    if state.startswith(("22", "21")) or re.search("ERROR: +(division|invalid|value|numeric)", str(error)):
        return InputUnusable(said)
    if "Failed to connect" not in str(error):
        return Outside(said)
    if re.search(r"^(?:invalid|missing|unexpected|extra|end of string|definition of service)\b", said):
        return Usage(f"the URL cannot be used: {said}", "postgresql://USER@HOST:PORT/DATABASE")
    known = re.search("password|authentication|role|user|pg_hba", said)
    return Outside(said, _HINTS if known else "is the server running there, and does it take connections?")


def _said(text: str) -> str:
    """The message in what the driver says; the server's own words when there are some."""
    text = re.sub(r"\s*(?:Query was:|SQLSTATE:).*", "", text, flags=re.DOTALL)
    server = re.search(r"(?:ERROR|FATAL|PANIC): +(.*)", text)
    if server:
        return server[1]
    return re.sub(r"^(?:[A-Z_]+: )?(?:\[libpq\] )?(?:Failed to connect: )?", "", text).strip()
