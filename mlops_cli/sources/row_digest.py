"""A digest of rows that depends on their values and order, and not on how they came in batches."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class RowDigest:
    """SHA-256 over a table, fed batch by batch.

    Each column has digests of its own: one of which rows are null, one of the values that are not (texts and bytes one
    after the other, with one more of their lengths; lists likewise; the fields of structs as columns). What is told is
    the digest of the JSON list [rows, [column, type], …, and the digests by name].
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows = 0
        self._parts: defaultdict[str, Any] = defaultdict(hashlib.sha256)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        self._rows += batch.num_rows
        for number, column in enumerate(batch.columns):
            self._feed(str(number), column)

    def told(self) -> str:
        """`sha256:` and 64 hex digits of all rows so far."""
        parts = sorted((name, part.hexdigest()) for name, part in self._parts.items())
        facts = [self._rows, [[field.name, str(field.type)] for field in self._schema], parts]
        return "sha256:" + hashlib.sha256(msgspec.json.encode(facts)).hexdigest()

    def _feed(self, name: str, values: pa.Array) -> None:
        """Take in values, and what is inside of them."""
        kind = values.type
        self._parts[name + "?"].update(_bytes(values.is_valid()))
        values = values.drop_null()
        if pa.types.is_struct(kind):
            for number, inner in enumerate(values.flatten()):
                self._feed(f"{name}.{number}", inner)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            self._parts[name + "#"].update(_bytes(pc.list_value_length(values).cast(pa.int64())))
            self._feed(name + "[]", values.flatten())
        elif pa.types.is_string(kind) or pa.types.is_binary(kind) or _large(kind):
            self._parts[name + "#"].update(_bytes(pc.binary_length(values).cast(pa.int64())))
            self._parts[name].update(_text(values))
        elif not pa.types.is_null(kind):
            self._parts[name].update(_bytes(values))


def _large(kind: pa.DataType) -> bool:
    """Whether values are texts or bytes with offsets of 64 bits."""
    return bool(pa.types.is_large_string(kind) or pa.types.is_large_binary(kind))


def _text(values: pa.Array) -> memoryview:
    """The bytes of texts without nulls, one after the other."""
    wide = np.int64 if _large(values.type) else np.int32
    _, offsets, data = values.buffers()
    if not len(values) or data is None:
        return memoryview(b"")
    places = np.frombuffer(offsets, wide)[values.offset : values.offset + len(values) + 1]
    return memoryview(data)[int(places[0]) : int(places[-1])]


def _bytes(values: pa.Array) -> memoryview:
    """The bytes of values of a fixed width without nulls."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.uint8())
    width = values.type.bit_width // 8
    buffer = values.buffers()[1]
    if not len(values) or buffer is None:
        return memoryview(b"")
    return memoryview(buffer)[values.offset * width : (values.offset + len(values)) * width]
