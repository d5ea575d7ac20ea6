"""Delta Lake tables: one version of them, file by file in the order in which they were added."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.fs
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from mlops_cli import logs
from mlops_cli.errors import Corrupt, InputUnusable, Missing, Outside, SchemaMismatch, Usage
from mlops_cli.sources import batches, delta_files, lake_names
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import Found, Options, Scanned
from mlops_cli.sources.delta_files import Snapshot
from mlops_cli.sources.lake_names import Lake
from mlops_cli.store.manifest import Input, canonical, sha256

_FEATURES = {"columnMapping", "deletionVectors", "timestampNtz", "typeWidening", "v2Checkpoint", "vacuumProtocolCheck"}
"""What a reader must know of a table that we do; a table that needs more is refused."""
_OUTSIDE = re.compile(
    r"error performing|generic (?:s3|gcs|azure|microsoft)|timed? ?out|connect|credential|403|401", re.I
)


def find(name: str, asked: Asked) -> Found:
    """The table at a path or URL, at the version that is asked for, else the newest. Errors: Missing, Corrupt, Outside;
    SchemaMismatch for a table that needs what we cannot read."""
    if asked.query is not None:
        raise Usage("--query is for databases; a Delta table has none", "--sql 'select … from data'")
    lake = lake_names.parse(name, asked.at)
    with _told(lake.location):
        table, made = _opened(lake)
        snapshot = _snapshot(lake.location, table)
    what = [table.metadata().id, table.version(), [[file.path, file.size] for file in snapshot.files]]
    source = Input("delta", sha256(canonical(what)), f"{lake.location}@{table.version()}")
    note = f"{logs.redact(lake.location)}: version {table.version()} of {_shown(made)}"
    return Found([source], ["delta", source.id], _scanner(snapshot), notes=(note,))


def _opened(lake: Lake) -> tuple[deltalake.DeltaTable, datetime.datetime]:
    """The table at its version, and when that was made."""
    if lake.number is not None:
        table = _numbered(lake.location, lake.number)
        return table, _time(table)
    table = _table(lake.location)
    if lake.time is not None:
        table.load_as_version(lake.time)
    made = _time(table)
    if lake.time is not None and made > lake.time:
        hint = f"version {table.version()} is of {_shown(made)}"
        raise Missing(f"{lake.location} had no version yet at {lake.said}", hint)
    return table, made


def _numbered(location: str, number: int) -> deltalake.DeltaTable:
    """The table at a version. Missing when that is not there, or not any more."""
    try:
        return _table(location, number)
    except TableNotFoundError:
        raise
    except DeltaError as error:
        newest = _table(location).version()  # fails as it has to when it is not the version
        if number > newest:
            raise Missing(f"{location} has no version {number}", f"the newest is {newest}") from None
        raise Missing(f"{location}: version {number} cannot be read any more: {_line(error)}") from None


def _table(location: str, number: int | None = None) -> deltalake.DeltaTable:
    """The table with its log read."""
    return deltalake.DeltaTable(location, version=number, storage_options=_options(location))


def _options(location: str) -> dict[str, str] | None:
    """How long a store is asked again that does not answer; all else comes from the environment."""
    return {"max_retries": "4", "retry_timeout": "60s"} if "://" in location else None


def _time(table: deltalake.DeltaTable) -> datetime.datetime:
    """When the version of a table was made."""
    newest = table.history(1)[0]
    return datetime.datetime.fromtimestamp(int(newest.get("timestamp") or 0) / 1000, datetime.UTC)


def _shown(time: datetime.datetime) -> str:
    """A time for people."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _snapshot(location: str, table: deltalake.DeltaTable) -> Snapshot:
    """The files of the version that is loaded, and how they are read. SchemaMismatch for what we do not understand."""
    protocol = table.protocol()
    strange = set(protocol.reader_features or ()) - _FEATURES
    mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
    if strange:
        raise SchemaMismatch(f"{location} needs {', '.join(sorted(strange))}, which mlops cannot read")
    if mapping not in ("none", "name"):
        raise SchemaMismatch(f"{location} maps its columns by {mapping}, which mlops cannot read")
    schema = pa.schema(table.schema().to_arrow())
    names = delta_files.physical(location, table.schema().to_json(), mapped=mapping == "name")
    files = delta_files.listed(location, table, names)
    handler = DeltaStorageHandler(location, _options(location), {file.path: file.size for file in files})
    store = pyarrow.fs.PyFileSystem(handler)
    return Snapshot(location, table.version(), schema, names, tuple(files), store.open_input_file)


def _scanner(snapshot: Snapshot) -> Callable[[Options], Scanned]:
    """How the rows are read."""

    def scan(options: Options) -> Scanned:
        del options
        rows = snapshot.rows
        check = None if rows is None else (lambda give_up: rows)
        return Scanned(batches.table([delta_files.part(snapshot)]), check=check)

    return scan


@contextmanager
def _told(location: str) -> Iterator[None]:
    """Turn what the library raises into an error of one line."""
    try:
        yield
    except InputUnusable:
        raise
    except TableNotFoundError:
        raise Missing(f"{logs.redact(location)}: there is no Delta table") from None
    except DeltaProtocolError as error:
        raise SchemaMismatch(f"{location}: {_line(error)}") from None
    except (DeltaError, OSError, ValueError) as error:
        raise _failed(location, error) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise Corrupt(f"{location}: the log of the table is damaged: {_line(error)}") from None


def _failed(location: str, error: Any) -> InputUnusable | Outside:
    """The store that does not answer, or a log that cannot be read."""
    text = f"{logs.redact(location)}: {_line(error)}"
    if "://" in location and _OUTSIDE.search(str(error)):
        return Outside(text, "credentials and endpoint come from the environment: AWS_…, GOOGLE_…, AZURE_…")
    if "unsupported" in str(error).lower():
        return SchemaMismatch(text, "upgrade deltalake, or write the table without that feature")
    return Corrupt(f"{logs.redact(location)}: the log of the table is damaged: {_line(error)}")


def _line(error: BaseException) -> str:
    """The gist of a message that may have colours and a stack."""
    text = re.sub(r"\x1b\[\d+m|↳", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not re.match(r"\s*\d+: ", line)]
    return logs.redact(" ".join(lines)).partition("stack backtrace")[0][:200]
