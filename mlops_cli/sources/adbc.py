"""Every other database that has an ADBC driver: Snowflake, BigQuery. Its types are taken as the driver gives them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import adbc_driver_manager.dbapi as manager
import pyarrow as pa

from mlops_cli.errors import MissingExtra, MlopsError, Outside, Usage
from mlops_cli.sources.answers import Plan, plain_schema
from mlops_cli.sources.asked import Since


@contextmanager
def opened(url: str) -> Iterator[Any]:
    """A connection over the driver of the URL's scheme. MissingExtra when it is not installed."""
    scheme = url.partition("://")[0]
    package = f"adbc_driver_{scheme}"
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        name = package.replace("_", "-")
        raise MissingExtra(f"the ADBC driver of {scheme} is not installed", f"pip install {name}")
    library = next(iter(sorted(Path(found.origin).parent.glob(f"lib{package}.*"))), package)
    with manager.connect(driver=str(library), db_kwargs=_given(scheme, url)) as connection:
        yield connection


def _given(scheme: str, url: str) -> dict[str, str]:
    """What a driver is told of the URL; credentials come from the environment in the driver's own ways."""
    if scheme == "bigquery":
        parts = urlsplit(url)
        told = {"adbc.bigquery.sql.project_id": parts.netloc, "adbc.bigquery.sql.dataset_id": parts.path.strip("/")}
        return {name: value for name, value in told.items() if value}
    return {"uri": url.partition("://")[2] if scheme == "snowflake" else url}


def tables(connection: Any) -> dict[str, str]:
    """The tables that there are are not asked for: a warehouse may have ten thousand."""
    raise Usage("which table of it is not said", "--query 'select … from …'")


def plan(connection: Any, query: str, since: Since | None) -> Plan:
    """The columns of an answer; its rows are all asked for."""
    del since
    with connection.cursor() as cursor:
        try:
            return Plan(query, plain_schema(cursor.adbc_execute_schema(query)))
        except manager.NotSupportedError:
            cursor.execute(query)
            with cursor.fetch_record_batch() as reader:
                return Plan(query, plain_schema(reader.schema))


@contextmanager
def run(connection: Any, plan: Plan) -> Iterator[pa.RecordBatchReader]:
    """The answer, batch by batch."""
    with connection.cursor() as cursor:
        cursor.execute(plan.sql)
        with cursor.fetch_record_batch() as reader:
            yield reader


def explained(error: Exception) -> MlopsError:
    """What the driver said."""
    said = re.sub(r"^[A-Z_]+: ", "", " ".join(str(error).split()))
    return Usage(f"--query: {said}") if isinstance(error, manager.ProgrammingError) else Outside(said)
