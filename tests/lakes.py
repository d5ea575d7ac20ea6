"""Tables of lakes for tests, written by deltalake and pyiceberg themselves, and logs that they cannot write."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa


def arrow(frame: pl.DataFrame) -> pa.Table:
    """A frame as every library reads it."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def delta(place: Path | str, *frames: pl.DataFrame, **options: Any) -> str:
    """A Delta table with a version for each frame."""
    from deltalake import write_deltalake

    for number, frame in enumerate(frames):
        write_deltalake(str(place), arrow(frame), mode="append" if number else "error", **options)
    return str(place)


def catalog(folder: Path | str, **properties: str) -> Any:
    """A catalog of Iceberg tables in SQLite, with the namespace `n`; tables lie in `folder`."""
    from pyiceberg.catalog.sql import SqlCatalog

    where = str(folder) if "://" in str(folder) else f"file://{folder}"
    made = SqlCatalog("test", uri=properties.pop("uri", "sqlite:///:memory:"), warehouse=where, **properties)
    made.create_namespace_if_not_exists("n")
    return made


def iceberg(folder: Path | str, *frames: pl.DataFrame, **properties: str) -> Any:
    """The Iceberg table `n.t` with a snapshot for each frame, in `folder`/n/t."""
    table = catalog(folder, **properties).create_table("n.t", schema=arrow(frames[0]).schema)
    for frame in frames:
        table.append(arrow(frame))
    return table


def commit(place: Path, version: int, *actions: Mapping[str, Any]) -> None:
    """Write a commit of a Delta table by hand."""
    lines = [json.dumps(action) for action in ({"commitInfo": {"timestamp": int(time.time() * 1000)}}, *actions)]
    (place / "_delta_log" / f"{version:020}.json").write_text("\n".join(lines) + "\n")


def actions(place: Path, version: int) -> dict[str, Any]:
    """The actions of a commit by their name, of several the last."""
    text = (place / "_delta_log" / f"{version:020}.json").read_text()
    return {name: value for line in text.splitlines() for name, value in json.loads(line).items()}


def delete_rows(place: Path, version: int, rows: Iterable[int]) -> None:
    """Commit that rows of the only file are deleted, as a deletion vector, which deltalake reads and does not write."""
    from pyroaring import BitMap64

    data = struct.pack("<i", 1681511377) + BitMap64(rows).serialize()
    add = actions(place, version - 1)["add"]
    vector = {"storageType": "i", "pathOrInlineDv": _z85(data), "sizeInBytes": len(data), "cardinality": len(set(rows))}
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    remove = {"path": add["path"], "deletionTimestamp": 1, "dataChange": True, "size": add["size"]}
    commit(place, version, {"protocol": protocol}, {"remove": remove}, {"add": {**add, "deletionVector": vector}})


def _z85(data: bytes) -> str:
    """Base 85 as Delta has it (ZeroMQ's)."""
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    data += b"\0" * (-len(data) % 4)
    out = ""
    for (number,) in struct.iter_unpack(">I", data):
        out += "".join(letters[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return out


def moved(place: Path, target: Path) -> Path:
    """A copy of a table."""
    shutil.copytree(place, target)
    return target


def s3(server: str, monkeypatch: Any) -> None:
    """Point every reader of S3 at a server on this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "canary-Zx81-secret",
    }.items():
        monkeypatch.setenv(name, value)
