"""Arrow IPC: files (Feather) and streams."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pyarrow as pa

from mlops_cli.errors import Corrupt, EmptyInput
from mlops_cli.sources import batches
from mlops_cli.sources.base import File, Options, Scanned
from mlops_cli.sources.batches import Part

_FILE = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_OLD = b"FEA1"


def matches(name: str, head: bytes) -> bool:
    """Files that begin as an Arrow file or stream does."""
    return head.startswith((_FILE, _STREAM, _OLD))


def scan(files: Sequence[File], options: Options) -> Scanned:
    """Arrow files as one table; a stream must have its end marker, without which it may have been cut."""
    del options
    return Scanned(batches.table([_part(file) for file in files]))


def _part(file: File) -> Part:
    """One file, which is opened anew each time it is read."""
    head = file.head()
    if not head:
        raise EmptyInput(f"{file.name} is empty")
    if head.startswith(_OLD):
        raise Corrupt(f"{file.name} is Feather version 1, which Arrow no longer reads", "write it as Parquet")
    whole = head.startswith(_FILE)
    if not whole:
        _demand_end(file)
    try:
        with _opened(file, whole) as reader:
            schema = reader.schema
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Corrupt(f"{file.name} is not a whole Arrow file: {str(error).splitlines()[0][:200]}") from None

    def read(columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        del columns  # a batch comes whole
        with _opened(file, whole) as reader:
            if whole:
                yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                yield from reader

    return Part(file, schema, read)


def _opened(file: File, whole: bool) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    """A reader of the file or stream."""
    source = pa.OSFile(str(file.path), "rb")
    return pa.ipc.open_file(source) if whole else pa.ipc.open_stream(source)


def _demand_end(file: File) -> None:
    """Refuse a stream without its end marker: it may have been cut between two batches."""
    with file.path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - len(_END)))
        if stream.read() != _END:
            raise Corrupt(f"{file.name}: the Arrow stream was cut off: it has no end marker", "write it again")
