"""Databases by URL: the answer to a query, or a table, as a table; read only, never cached, its rows digested."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from mlops_cli import logs
from mlops_cli.errors import MlopsError, Outside
from mlops_cli.sources import batches, query
from mlops_cli.sources.answers import Dialect, Plan, plain
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import File, Found, Options, Scanned
from mlops_cli.sources.row_digest import RowDigest
from mlops_cli.store.manifest import Input

_SECRETS = re.compile(r"(?i)[?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=([^&]+)")


def find(name: str, asked: Asked) -> Found:
    """The answer to a query of a database, whose columns are known and rows not yet read.

    Errors: Outside when it cannot be reached or says no, Missing without such a table, Usage for what is no query.
    """
    dialect = _dialect(name)
    where = logs.redact(name)
    with _explained(dialect, name), dialect.opened(name) as connection:
        text = query.resolve(asked.query, lambda: dialect.tables(connection), where)
        plan = dialect.plan(connection, text, asked.since)
    reading = _Reading(dialect, name, where, plan)
    part = batches.Part(File(Path(where), where), plan.schema, reading.read)

    def scan(options: Options) -> Scanned:
        del options
        return Scanned(batches.table([part]))

    ref = f"{where} {' '.join(text.split())}"
    return Found([Input("database", "", ref)], None, scan, lambda: [Input("database", reading.digest, ref)])


def _dialect(name: str) -> Dialect:
    """Who speaks to the database that a URL names."""
    scheme = name.partition("://")[0]
    if scheme in ("postgresql", "postgres"):
        from mlops_cli.sources import postgres

        return postgres
    if scheme == "sqlite":
        from mlops_cli.sources import sqlite

        return sqlite
    if scheme == "duckdb":
        from mlops_cli.sources import duckdb

        return duckdb
    from mlops_cli.sources import adbc

    return adbc


@dataclass
class _Reading:
    """An answer that can be read any number of times; `digest` is that of its rows, once one was read to its end."""

    dialect: Dialect
    url: str = field(repr=False)
    where: str
    plan: Plan
    digest: str = ""

    def read(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """The rows, asked for anew. Outside when they are not those of another time."""
        del columns  # the digest is of all of them
        found = RowDigest(self.plan.schema)
        with (
            _explained(self.dialect, self.url),
            self.dialect.opened(self.url) as connection,
            self.dialect.run(connection, self.plan) as reader,
        ):
            if reader.schema.names != self.plan.schema.names:
                raise Outside(f"{self.where}: the columns changed meanwhile", "run it again")
            for batch in reader:
                batch = plain(batch, self.plan.schema, self.where)
                found.add(batch)
                for start in range(0, batch.num_rows, batches.ROWS):
                    yield batch.slice(start, batches.ROWS)
        if self.digest not in ("", found.told()):
            raise Outside(f"{self.where}: the rows changed between two readings", "run it again")
        self.digest = found.told()


@contextmanager
def _explained(dialect: Dialect, url: str) -> Iterator[None]:
    """Turn what a driver raises into an error of one line without secrets."""
    try:
        yield
    except MlopsError as error:
        raise type(error)(_scrubbed(error.message, url), _scrubbed(error.hint, url)) from None
    except Exception as error:
        told = dialect.explained(error)
        where = logs.redact(url)
        message = told.message if told.message.startswith("--") else f"{where}: {told.message}"
        raise type(told)(_scrubbed(message, url)[:500], told.hint) from None


def _scrubbed(text: str, url: str) -> str:
    """A message without the passwords that are known: a driver may say what it was given."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        password = ""
    raw = [password, os.environ.get("PGPASSWORD", ""), *_SECRETS.findall(url)]
    for secret in sorted({*raw, *map(unquote, raw)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return logs.redact(text)
