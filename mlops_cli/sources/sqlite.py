"""SQLite, over its ADBC driver. A column there has values of any type, so all of them are looked at first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as driver
import pyarrow as pa

from mlops_cli.errors import Corrupt, InputUnusable, Missing, MlopsError, Outside, UnknownColumn, Usage
from mlops_cli.sources.answers import Plan
from mlops_cli.sources.asked import Since
from mlops_cli.sources.query import around, quoted

MAGIC = b"SQLite format 3\0"
_ROWS = 16_384
_VIEW = 'temp."mlops answer"'
_LIST = "select name from sqlite_schema where type in ('table', 'view') and name not glob 'sqlite_*' order by 1"
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_FACTS = (
    "count(*)",
    "sum(typeof({0}) = 'integer')",
    "sum(typeof({0}) = 'real')",
    "sum(typeof({0}) = 'text')",
    "sum(typeof({0}) = 'blob')",
    "sum(typeof({0}) = 'integer' and {0} in (0, 1))",
    f"sum(typeof({{0}}) = 'text' and {{0}} glob '{_DAY}' and {{0}} is date({{0}}))",
    f"sum(typeof({{0}}) = 'text' and {{0}} glob '{_DAY}[ T][0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'"
    " and replace(substr({0}, 1, 19), 'T', ' ') is datetime(substr({0}, 1, 19))"
    " and ({0} glob '*:[0-9][0-9]' or {0} glob '*:[0-9][0-9].[0-9]*' and substr({0}, 21) not glob '*[^0-9]*'"
    " and length({0}) between 21 and 26))",
)
"""What is counted of a column: rows, each storage class, and how many are a boolean, a day, a time."""

_TYPED = {"int64": "0", "float64": "0.0", "string": "''", "binary": "x''"}


def path_of(url: str) -> Path:
    """The file that a URL names: `sqlite:///relative`, `sqlite:////absolute`."""
    rest = url.partition("://")[2]
    if not rest.startswith("/") or rest == "/":
        raise Usage(
            f"{url} names no file", "sqlite:///flights.db below the current directory, sqlite:////data/flights.db"
        )
    return Path(rest[1:])


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A connection that cannot write. Missing without the file."""
    path = path_of(url)
    if not path.is_file():
        raise Missing(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise Missing(f"{path}: permission denied", f"ls -l {path}")
    with driver.connect(f"file:{quote(str(path.absolute()))}?mode=ro") as connection:
        yield connection


def tables(connection: Any) -> dict[str, str]:
    """The tables and views, but for those of SQLite itself."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST)
        return {name: quoted(name) for (name,) in cursor.fetchall()}


def plan(connection: Any, query: str, since: Since | None) -> Plan:
    """The columns of an answer, typed by all their values; texts that are days or times where they are declared so."""
    with connection.cursor() as cursor:
        cursor.execute(query)  # an error names the query, and not what is made of it
        names = cursor.fetch_record_batch().schema.names
        if len(set(names)) < len(names):
            return Plan(query, pa.schema([(name, pa.string()) for name in names]))
        declared = _declared(cursor, query, names)
        facts = ", ".join(fact.format(quoted(name)) for name in names for fact in _FACTS)
        cursor.execute(around(query, facts))
        row = [number or 0 for number in cursor.fetchone()]
    size = len(_FACTS)
    types = [_type(name, declared[name], row[place * size : (place + 1) * size]) for place, name in enumerate(names)]
    condition, parameters = _since(dict(zip(names, types, strict=True)), since)
    asked = ", ".join(_expression(quoted(name), kind) for name, kind in zip(names, types, strict=True))
    # The driver takes the types from the first rows: a row of zeros says what they are, and is left out again.
    first = ", ".join(_TYPED[_stored(kind)] + f" as {quoted(name)}" for name, kind in zip(names, types, strict=True))
    sql = f"select {first} union all {around(query, asked, condition)}"
    return Plan(sql, pa.schema(list(zip(names, types, strict=True))), parameters)


def _declared(cursor: Any, query: str, names: list[str]) -> dict[str, str]:
    """The types that columns were declared with, in lower case; '' for what was computed."""
    cursor.execute(f"create temp view if not exists {_VIEW.partition('.')[2]} as {query}")
    cursor.execute(f"pragma temp.table_info({_VIEW.partition('.')[2]})")
    found = {row[1]: (row[2] or "").lower() for row in cursor.fetchall()}
    return {name: found.get(name, "") for name in names}


def _type(name: str, declared: str, facts: list[int]) -> pa.DataType:
    """The type that fits all values of a column."""
    _, whole, real, text, blob, flags, days, times = facts
    if blob and (whole or real or text):
        hint = f"cast it in the query: cast({quoted(name)} as text)"
        raise InputUnusable(f"column {name} holds both bytes and other values", hint)
    if blob:
        return pa.binary()
    if not (whole or real or text):
        real = bool(re.search("real|floa|doub", declared))
        return pa.int64() if "int" in declared else pa.float64() if real else pa.string()
    if not text:
        if real:
            return pa.float64()
        return pa.bool_() if "bool" in declared and flags == whole else pa.int64()
    dated = not re.search("char|clob|text", declared) and not whole and not real
    if dated and days == text:
        return pa.date32()
    return pa.timestamp("us") if dated and times == text else pa.string()


def _stored(kind: pa.DataType) -> str:
    """How values come from the driver: booleans as integers, times as text."""
    return "int64" if pa.types.is_boolean(kind) else "string" if pa.types.is_temporal(kind) else _key(kind)


def _key(kind: pa.DataType) -> str:
    """The name of one of the driver's four types."""
    return {"double": "float64"}.get(str(kind), str(kind))


def _expression(name: str, kind: pa.DataType) -> str:
    """A column as it is asked for. What came meanwhile and does not fit stays as it is: the driver refuses it."""
    if pa.types.is_floating(kind):
        return f"case typeof({name}) when 'integer' then cast({name} as real) else {name} end as {name}"
    if pa.types.is_boolean(kind):
        return f"case when {name} in (0, 1) or {name} is null then {name} else 'neither' end as {name}"
    if pa.types.is_string(kind):
        return f"cast({name} as text) as {name}"
    return f"{name} as {name}"


def _since(types: dict[str, pa.DataType], since: Since | None) -> tuple[str, tuple[Any, ...]]:
    """A condition and its value. Times are texts, with a space or a T: their day is compared."""
    kind = types.get(since.column) if since else None
    if since is None or kind is None:
        return "", ()
    name, value = quoted(since.column), since.value
    if isinstance(value, date):  # a datetime is one too
        value = (value.date() if isinstance(value, datetime) else value).isoformat()
    elif isinstance(value, Decimal):
        value = float(value)
    elif isinstance(value, str) and not pa.types.is_string(kind):
        return "", ()
    compared = f"cast({name} as text) collate binary" if isinstance(value, str) else name
    return f"{compared} >= ? or {name} is null", (value,)


@contextmanager
def run(connection: Any, plan: Plan) -> Iterator[pa.RecordBatchReader]:
    """The answer, without the row that says the types."""
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(_ROWS)})
        cursor.execute(plan.sql, plan.parameters or None)
        reader = cursor.fetch_record_batch()
        with reader:
            yield pa.RecordBatchReader.from_batches(reader.schema, _without_first(reader))


def _without_first(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The rows but the first."""
    for number, batch in enumerate(reader):
        yield batch if number else batch.slice(1)


def explained(error: Exception) -> MlopsError:
    """What SQLite said."""
    text = re.sub(r"\nquery: .*", "", str(error), flags=re.DOTALL)
    said = re.sub(r"^(?:[A-Z_]+: )?(?:\[SQLite\] )?(?:Failed to (?:prepare|step) query: )?", "", text).strip()
    column = re.search(r"no such column: (.*)", said)
    if column:
        return UnknownColumn(said)
    if "no such table" in said:
        return Missing(said)
    if "readonly" in said:
        return Usage(f"--query would change something: {said}", "only queries are taken")
    if re.search("malformed|not a database|corrupt", said):
        return Corrupt(said, "it can often be saved: sqlite3 FILE .recover")
    if re.search("Type mismatch|overflow", said):
        return InputUnusable(
            said, "a value is too large, or changed while it was read: run it again, or cast the column"
        )
    if re.search("locked|busy|disk I/O|unable to open|failed to open", said):
        return Outside(said)
    return Usage(f"--query: {said}")
