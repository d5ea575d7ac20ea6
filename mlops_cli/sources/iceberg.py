"""Apache Iceberg tables: one snapshot of them, file by file in the order in which they were added."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError, NotInstalledError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO, schema_to_pyarrow
from pyiceberg.table import DataScan, FileScanTask, StaticTable, Table
from pyiceberg.table.snapshots import Snapshot

from mlops_cli import logs
from mlops_cli.errors import Corrupt, EmptyInput, Missing, MissingExtra, MlopsError, Outside, SchemaMismatch, Usage
from mlops_cli.sources import batches, lake_names
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.base import File, Found, Options, Scanned
from mlops_cli.sources.batches import Part
from mlops_cli.sources.lake_names import Lake
from mlops_cli.store.manifest import Input, canonical, sha256

_METADATA = re.compile(r"v?(\d+)(?:-[0-9a-f-]+)?(?:\.gz)?\.metadata\.json")
_CATALOG = re.compile(r"iceberg://([\w-]+)/([^/@]+\.[^/@]+)(?:@.+)?")
_OUTSIDE = re.compile(r"aws error|curl|timed? ?out|connect|access.?denied|credential|resolve host", re.IGNORECASE)


def find(name: str, asked: Asked) -> Found:
    """The table at a path, a URL or in a catalog (`iceberg://CATALOG/NAMESPACE.TABLE`), at the snapshot that is asked
    for, else the newest. Errors: Missing, Corrupt, Outside; SchemaMismatch for what cannot be read."""
    if asked.query is not None:
        raise Usage("--query is for databases; an Iceberg table has none", "--sql 'select … from data'")
    lake = lake_names.parse(name, asked.at)
    with _told(lake.location):
        catalog = _CATALOG.fullmatch(name)
        table = _listed(catalog[1], catalog[2]) if catalog else _static(lake.location)
        snapshot = _snapshot(lake, table)
        scan = table.scan(snapshot_id=snapshot.snapshot_id)
        tasks = _tasks(table, snapshot, scan)
    files = [[task.file.file_path, task.file.file_size_in_bytes, _deletes(task)] for task in tasks]
    id = sha256(canonical([str(table.metadata.table_uuid), snapshot.snapshot_id, files]))
    source = Input("iceberg", id, f"{lake.location}@{snapshot.snapshot_id}")
    note = f"{logs.redact(lake.location)}: snapshot {snapshot.snapshot_id} of {_made(snapshot):%Y-%m-%dT%H:%M:%SZ}"
    return Found([source], ["iceberg", id], _scanner(lake.location, table, scan, tasks), notes=(note,))


def _deletes(task: FileScanTask) -> list[str]:
    """The files that say what is deleted of a data file."""
    return sorted(one.file_path for one in task.delete_files)


def _listed(catalog: str, table: str) -> Table:
    """A table of a catalog that pyiceberg's own configuration knows."""
    try:
        return load_catalog(catalog).load_table(table)
    except (NoSuchTableError, NoSuchNamespaceError):
        raise Missing(f"there is no table {table} in the catalog {catalog}") from None
    except NotInstalledError as error:
        raise MissingExtra(f"the catalog {catalog}: {_line(error)}", "pip install 'pyiceberg[sql-sqlite]'") from None
    except (ValueError, KeyError) as error:
        hint = "pyiceberg finds catalogs in ~/.pyiceberg.yaml and $PYICEBERG_CATALOG__NAME__URI"
        raise Usage(f"the catalog {catalog} is not configured: {_line(error)}", hint) from None


def _static(location: str) -> Table:
    """The table of a directory, or of one metadata file."""
    properties = _properties()
    if location.endswith(".metadata.json"):
        return StaticTable.from_metadata(_url(location), properties)
    folder = _url(location) + "/metadata"
    io = load_file_io(properties, folder)
    assert isinstance(io, PyArrowFileIO)
    scheme, netloc, path = io.parse_location(folder, properties)
    found = io.fs_by_scheme(scheme, netloc).get_file_info(pyarrow.fs.FileSelector(path, allow_not_found=True))
    names = [info.base_name for info in found if _METADATA.fullmatch(info.base_name)]
    if not names:
        raise Missing(f"{location}: there is no Iceberg table", "metadata/*.metadata.json is not there")
    return StaticTable.from_metadata(f"{folder}/{_newest(location, names)}", properties)


def _newest(location: str, names: Sequence[str]) -> str:
    """The metadata file with the highest number. Corrupt when two have it: one of them was never committed."""
    numbered = sorted((int(found[1]), name) for name in names if (found := _METADATA.fullmatch(name)))
    last = [name for number, name in numbered if number == numbered[-1][0]]
    if len(last) > 1:
        hint = f"name the one that the catalog has: {location}/metadata/{last[0]}"
        raise Corrupt(f"{location} has {len(last)} metadata files with the number {numbered[-1][0]}", hint)
    return last[0]


def _url(location: str) -> str:
    """A path as a URL, as pyiceberg wants it."""
    return location if "://" in location else f"file://{Path(location).absolute()}"


def _properties() -> dict[str, str]:
    """Where S3 is, which pyiceberg does not take from AWS's own variables."""
    wanted = {
        "s3.endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        "s3.region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    }
    found = {key: [os.environ[name] for name in names if os.environ.get(name)] for key, names in wanted.items()}
    return {key: values[0] for key, values in found.items() if values}


def _snapshot(lake: Lake, table: Table) -> Snapshot:
    """The snapshot that is meant. Missing when there is none."""
    if lake.number is not None:
        found = table.snapshot_by_id(lake.number)
        if found is None:
            known = ", ".join(str(one.snapshot_id) for one in table.metadata.snapshots[-5:])
            raise Missing(f"{lake.location} has no snapshot {lake.number}", f"the newest are {known}")
    elif lake.time is not None:
        found = table.snapshot_as_of_timestamp(int(lake.time.timestamp() * 1000))
        if found is None:
            raise Missing(f"{lake.location} had no snapshot yet at {lake.said}", "it may have been expired")
    else:
        found = table.current_snapshot()
        if found is None:
            raise EmptyInput(f"{lake.location} has no snapshot: nothing was ever written to it")
    return found


def _made(snapshot: Snapshot) -> datetime.datetime:
    """When a snapshot was made."""
    return datetime.datetime.fromtimestamp(snapshot.timestamp_ms / 1000, datetime.UTC)


def _tasks(table: Table, snapshot: Snapshot, scan: DataScan) -> list[FileScanTask]:
    """The data files of a snapshot with what is deleted of them, oldest first, those of one commit by path."""
    ages = {}
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            ages[entry.data_file.file_path] = entry.sequence_number or 0
    return sorted(scan.plan_files(), key=lambda task: (ages.get(task.file.file_path, 0), task.file.file_path))


def _scanner(
    location: str, table: Table, scan: DataScan, tasks: Sequence[FileScanTask]
) -> Callable[[Options], Scanned]:
    """How the rows are read: one data file at a time."""
    whole = scan.projection()
    arrow = schema_to_pyarrow(whole, include_field_ids=False)
    rows = sum(task.file.record_count for task in tasks)
    counted = not any(task.delete_files for task in tasks)

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        names = list(columns) if columns is not None else arrow.names
        schema = pa.schema([arrow.field(name).with_nullable(True) for name in names])
        projected = whole.select(*names) if names else whole
        for task in tasks:
            with _told(task.file.file_path):
                arrow_scan = ArrowScan(table.metadata, table.io, projected, AlwaysTrue())
                for batch in arrow_scan.to_record_batches([task]):
                    piece = pa.Table.from_batches([batch]).select(names).cast(schema)
                    yield from piece.to_batches(batches.rows(schema))

    def opened(options: Options) -> Scanned:
        del options
        frame = batches.table([Part(File(Path(location), location), arrow, read)])
        return Scanned(frame, check=(lambda give_up: rows) if counted else None)

    return opened


@contextmanager
def _told(location: str) -> Iterator[None]:
    """Turn what the library raises into an error of one line."""
    try:
        yield
    except MlopsError:
        raise
    except FileNotFoundError as error:
        raise Missing(f"{logs.redact(location)}: a file of the table is gone: {_line(error)}") from None
    except RuntimeError as error:  # what it has not implemented, too
        raise SchemaMismatch(f"{logs.redact(location)}: {_line(error)}, which mlops cannot read") from None
    except Exception as error:  # pyiceberg raises what its parsers raise: of pydantic, avro, json and arrow
        text = f"{logs.redact(location)}: {_line(error)}"
        if isinstance(error, OSError) and _OUTSIDE.search(str(error)):
            raise Outside(text, "credentials and endpoint come from the environment: AWS_…") from None
        if isinstance(error, ValueError) and "delete" in str(error).lower():
            raise SchemaMismatch(text) from None
        raise Corrupt(f"{logs.redact(location)}: the table is damaged: {_line(error)}") from None


def _line(error: BaseException) -> str:
    """The gist of a message."""
    return logs.redact(" ".join(str(error).split()))[:200] or type(error).__name__
