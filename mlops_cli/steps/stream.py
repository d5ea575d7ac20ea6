"""Tables in a pipe: Arrow IPC streams with lineage, whole only with their end marker, or stopped by a stop line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from mlops_cli import interrupts
from mlops_cli.errors import Corrupt, MlopsError, Stopped
from mlops_cli.steps import references
from mlops_cli.steps.memo import Verdict
from mlops_cli.store import manifest

METADATA_KEY = b"mlops"
_CONTINUES = b"\xff\xff\xff\xff"
_END = b"\x00\x00\x00\x00"


def _pass() -> Verdict:
    """The verdict of a stream that has none."""
    return Verdict()


@dataclass
class TableStream:
    """A table on its way out: schema, batches as they come, lineage for the schema's metadata, and the verdict, which
    is asked when the last batch is out. `summary` is what `--json` tells on stderr."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    lineage: dict[str, Any]
    finish: Callable[[], Verdict] = _pass
    summary: Callable[[], dict[str, Any]] = field(default=dict)


def write(stream: TableStream, file: BinaryIO) -> Verdict:
    """Write a stream; its end marker only when the verdict is a pass. Otherwise the caller writes the stop line."""
    metadata = {**(stream.schema.metadata or {}), METADATA_KEY: manifest.canonical(stream.lineage)}
    sink = pa.PythonFile(_Unclosed(file), mode="w")
    writer = pa.ipc.new_stream(sink, stream.schema.with_metadata(metadata))
    for batch in stream.batches:
        writer.write_batch(batch)
    verdict = stream.finish()
    interrupts.check()
    if verdict.exit == 0:
        writer.close()
        file.flush()
    return verdict


class Reader:
    """Batches of a stream whose end is checked: Corrupt when it was cut, Stopped when its writer stopped."""

    def __init__(self, file: BinaryIO) -> None:
        self._watch = _Watch(file)
        self._source = pa.PythonFile(self._watch, mode="r")
        try:
            self._reader = pa.ipc.open_stream(self._source)
        except (pa.ArrowException, OSError) as error:
            raise self._why(error) from None
        self.schema: pa.Schema = self._reader.schema

    @property
    def lineage(self) -> dict[str, Any]:
        """What the stream says of its origin; empty when it says nothing."""
        text = (self.schema.metadata or {}).get(METADATA_KEY)
        try:
            found = msgspec.json.decode(text) if text else {}
        except manifest.UNREADABLE:
            return {}
        return found if isinstance(found, dict) else {}

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, validated; the end marker is demanded after the last one."""
        while True:
            try:
                batch = self._reader.read_next_batch()
                batch.validate(full=True)
            except StopIteration:
                if not self._watch.ended:
                    raise self._why(None) from None
                return
            except (pa.ArrowException, OSError) as error:
                raise self._why(error) from None
            yield batch

    def _why(self, error: BaseException | None) -> MlopsError:
        """Why a stream could not be read to its end."""
        if self._watch.stop is not None:
            try:
                references.check_stop(self._watch.stop)
            except Stopped as stopped:
                return stopped
        if error is None or self._watch.cut:
            return Corrupt("the stream was cut off: it has no end marker", "the command before it failed or was killed")
        return Corrupt(f"the stream is damaged: {error}")


class _Unclosed(io.RawIOBase):
    """A file that Arrow may write to and not close: what follows the last batch is for us to say."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Pass the bytes on, all of them."""
        self._file.write(data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Pass the bytes on now."""
        if not self._file.closed:
            self._file.flush()


class _Watch(io.RawIOBase):
    """A file that notes how its messages begin: Arrow reads four bytes at the boundary of two messages.

    The end marker is two such reads, FFFFFFFF and 00000000, and nothing after them. A stop line in the place of a
    message is kept in `stop`, and the file ends there.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._last: tuple[bytes, bytes] = (b"", b"")
        self.cut = False
        self.stop: str | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, unless the file ends."""
        data = _exactly(self._file, size)
        if size == 4:
            if data == b"mlop" and self._last[1] != _CONTINUES:
                self.stop = (data + self._file.readline(200)).decode("ascii", "replace")
                return b""
            self._last = (self._last[1], data)
        else:
            self._last = (b"", b"")
        self.cut = self.cut or len(data) < size
        return data

    @property
    def ended(self) -> bool:
        """Whether the last thing read was the end marker."""
        return self._last == (_CONTINUES, _END)


def _exactly(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end of the file."""
    if size < 0:
        return file.read()
    parts = []
    while size > 0:
        part = file.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
