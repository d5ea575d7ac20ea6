"""DuckDB files, opened read only; a query sees the tables of the file and nothing else of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from mlops_cli.errors import Corrupt, InputUnusable, Missing, MlopsError, Outside, UnknownColumn, Usage
from mlops_cli.sources.answers import Plan, plain_schema
from mlops_cli.sources.asked import Since
from mlops_cli.sources.query import around, quoted

MAGIC, MAGIC_AT = b"DUCK", 8
_ROWS = 65_536
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "TimeZone": "UTC",
}
_TABLES = """
select case when schema_name = current_schema() then '' else schema_name || '.' end || name, schema_name, name from (
  select schema_name, table_name as name from duckdb_tables() where not internal union all
  select schema_name, view_name from duckdb_views() where not internal) order by 1
"""
_CASTS = ("INTERVAL", "BIT", "UUID", "JSON", "ENUM", "TIME WITH TIME ZONE", "BIGNUM", "UNION", "MAP")


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A connection that reads the file and nothing else. Missing without it."""
    rest = url.partition("://")[2]
    if not rest.startswith("/") or rest == "/":
        raise Usage(
            f"{url} names no file", "duckdb:///flights.duckdb in the current directory, duckdb:////data/flights.duckdb"
        )
    path = Path(rest[1:])
    if not path.is_file():
        raise Missing(f"{path}: no such file")
    with duckdb.connect(str(path), read_only=True, config=_CONFIG) as connection:
        connection.execute("set lock_configuration = true")
        yield connection


def tables(connection: Any) -> dict[str, str]:
    """The tables and views; without a schema's name those of the current one."""
    found = connection.execute(_TABLES).fetchall()
    return {shown: f"{quoted(schema)}.{quoted(name)}" for shown, schema, name in found}


def plan(connection: Any, query: str, since: Since | None) -> Plan:
    """The columns of an answer, cast where Arrow has no type for them."""
    if len(connection.extract_statements(query)) != 1:
        raise Usage("--query is more than one statement", "give one query")
    described = connection.execute(f"describe {query}").fetchall()
    kinds = {name: kind for name, kind, *_ in described}
    if len(kinds) < len(described):  # two columns of one name, which is refused
        return Plan(query, pa.schema([(name, pa.string()) for name, *_ in described]))
    condition, parameters = _since(kinds, since)
    casts = {name: _cast(kind) for name, kind in kinds.items()}
    if condition or any(casts.values()):
        query = around(query, ", ".join(_asked(quoted(name), cast) for name, cast in casts.items()), condition)
    reader = connection.sql(around(query, condition="false"), params=list(parameters) or None).to_arrow_reader(_ROWS)
    return Plan(query, plain_schema(reader.schema), parameters)


def _asked(name: str, cast: str | None) -> str:
    """A column as it is asked for."""
    return f"cast({name} as {cast}) as {name}" if cast else name


def _cast(kind: str) -> str | None:
    """What a column is asked for as: sums of integers, which have 128 bits, as such of 64."""
    if kind in ("HUGEINT", "UHUGEINT"):
        return "bigint"
    return "varchar" if kind.startswith(_CASTS) else None


def _since(kinds: dict[str, str], since: Since | None) -> tuple[str, tuple[Any, ...]]:
    """A condition and its value; none for text, which may be collated."""
    if since is None or since.column not in kinds or isinstance(since.value, str):
        return "", ()
    assert isinstance(since.value, int | float | Decimal | date | datetime)
    name = quoted(since.column)
    return f"{name} >= ? or {name} is null", (since.value,)


@contextmanager
def run(connection: Any, plan: Plan) -> Iterator[pa.RecordBatchReader]:
    """The answer, batch by batch, in the order that the query gives or the file has."""
    with connection.sql(plan.sql, params=list(plan.parameters) or None).to_arrow_reader(_ROWS) as reader:
        yield reader


def explained(error: Exception) -> MlopsError:
    """What DuckDB said, its first sentence."""
    said = re.sub(r"\s+", " ", re.split(r"\n\s*\n|\nLINE|\n\*", str(error))[0]).strip()
    kind, _, text = said.partition(" Error: ")
    text = text or said
    if kind == "Catalog" and "Table" in text:
        return Missing(re.sub(r"!? ?Did you mean.*", "", text), "mlops ingest FILE without --query lists the tables")
    if kind == "Binder" and "column" in text:
        return UnknownColumn(text)
    if kind == "Permission" or "read-only" in text:
        return Usage(f"--query reaches beyond the file: {text}", "a query sees the tables of the file only")
    if kind in ("Parser", "Binder", "Catalog", "Not implemented"):
        return Usage(f"--query: {text}")
    if kind in ("Conversion", "Out of Range", "Invalid Input"):
        return InputUnusable(text)
    if kind == "Serialization" or "valid DuckDB" in text or "orrupt" in text or "Could not read enough" in text:
        return Corrupt(text)
    return Outside(text, "another program may be writing to it" if "lock" in text else "")
