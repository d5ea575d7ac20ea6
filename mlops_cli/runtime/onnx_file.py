"""Is an ONNX file what onnxruntime may see: one file, known messages only, no operators of strangers, bounded nesting.

Field numbers are those of onnx.proto (github.com/onnx/onnx, `onnx/onnx.proto`); the wire format is that of
protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_cli.errors import Integrity

DOMAINS = frozenset({b"", b"ai.onnx", b"ai.onnx.ml"})
"""Whose operators may be used; those of the file's own functions too, which are made of these."""
MOST_BYTES = 1 << 30
MOST_NODES = 200_000
MOST_VALUES = 1 << 31
DEEPEST = 48
"""Messages in one another: a graph in a node of a graph takes three."""
_IR, _OPSETS = range(3, 33), range(1, 100)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# What a field may hold: a message that is looked into, else any number, text or message that cannot hold a tensor.
_LOOKED_INTO = {
    "model": {7: "graph", 8: "opset", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "tensor": {},
    "opset": {},
}
_PLAIN = {
    "model": {1, 2, 3, 4, 5, 6, 14},
    "graph": {2, 10, 11, 12, 13, 14, 16},
    "node": {1, 2, 3, 4, 6, 7, 8, 9},
    "attribute": {1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21},
    "sparse": {3},
    "function": {1, 4, 5, 6, 8, 10, 12, 13, 14},
    "tensor": {1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16},
    "opset": {1, 2},
}
_TRAINING, _EXTERNAL, _LOCATION = 20, 13, 14
# Bytes of one value in a tensor's raw data, by TensorProto.DataType; strings (8) have none.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}

Field = tuple[int, int, int | memoryview]


def check(data: bytes) -> None:
    """Integrity unless `data` is a model that may be handed to onnxruntime."""
    if len(data) > MOST_BYTES:
        raise _refused(f"has {len(data):,} bytes, more than {MOST_BYTES:,}")
    if data[4:8] == b"ORTM":
        raise _refused("is in onnxruntime's own format")
    _Checker().model(memoryview(data))


class _Checker:
    """One walk through a file; counts its nodes."""

    def __init__(self) -> None:
        self._nodes = 0
        self._own: set[bytes] = set()

    def model(self, data: memoryview) -> None:
        """The whole file."""
        fields = list(_fields(data))
        versions = [value for number, kind, value in fields if (number, kind) == (1, _VARINT)]
        if len(versions) != 1 or versions[0] not in _IR or sum(number == 7 for number, _, _ in fields) != 1:
            raise _refused("is no ONNX model: it has no version and graph of its own")
        for number, kind, value in fields:
            if (number, kind) == (25, _BYTES):
                assert isinstance(value, memoryview)
                self._own.add(_text(value, 10))
        self._message("model", data, 0)

    def _message(self, kind: str, data: memoryview, depth: int) -> None:
        """One message and all that it holds."""
        if depth > DEEPEST:
            raise _refused("is nested too deeply")
        looked_into, plain = _LOOKED_INTO[kind], _PLAIN[kind]
        for number, _, value in _fields(data):
            below = looked_into.get(number)
            if below is not None:
                if not isinstance(value, memoryview):
                    raise _refused(f"has a number where a {below} should be")
                self._message(below, value, depth + 1)
            elif number not in plain:
                raise _refused(_unknown(kind, number))
        if kind == "node":
            self._node(data)
        elif kind == "tensor":
            _tensor(data)
        elif kind == "opset":
            _opset(data)

    def _node(self, data: memoryview) -> None:
        """An operator of a domain that we know, or of a function in the file."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _refused(f"has more than {MOST_NODES:,} nodes")
        domain = _text(data, 7)
        if domain not in DOMAINS and domain not in self._own:
            operator = _text(data, 4).decode("utf-8", "replace")
            raise _refused(
                f"uses {operator!r:.60} of {domain.decode('utf-8', 'replace')!r:.60}, which is not standard ONNX"
            )


def _unknown(kind: str, number: int) -> str:
    """Why a field may not be there."""
    if kind == "model" and number == _TRAINING:
        return "holds a graph for training"
    if kind == "tensor" and number in (_EXTERNAL, _LOCATION):
        return "keeps its weights in other files, which a model may not: save it as one file"
    return f"has a field {number} in a {kind}, which this mlops does not know"


def _tensor(data: memoryview) -> None:
    """A tensor whose raw data has the size that its shape says."""
    shape: list[int] = []
    raw: memoryview | None = None
    dtype = 0
    for number, _, value in _fields(data):
        if number == 1:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == 2 and isinstance(value, int):
            dtype = value
        elif number == 9 and isinstance(value, memoryview):
            raw = value
    count = 1
    for size in shape:
        count *= size
        if not 0 <= size < MOST_VALUES or count >= MOST_VALUES:
            raise _refused("has a tensor of an impossible shape")
    if raw is not None and dtype in _SIZES and len(raw) != count * _SIZES[dtype]:
        raise _refused("has a tensor whose data does not fit its shape")


def _opset(data: memoryview) -> None:
    """A version of a domain's operators that there may be."""
    for number, _, value in _fields(data):
        if number == 2 and value not in _OPSETS:
            raise _refused("asks for a version of operators that there is not")


def _text(data: memoryview, wanted: int) -> bytes:
    """The last text in the field `wanted`, which is the one that counts."""
    found = b""
    for number, _, value in _fields(data):
        if number == wanted:
            found = value.tobytes() if isinstance(value, memoryview) else b"?"
    return found


def _packed(data: memoryview) -> list[int]:
    """Whole numbers one after another."""
    found, at = [], 0
    while at < len(data):
        value, at = _number(data, at)
        found.append(value)
    return found


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message: number, wire type, value; Integrity where it is no message."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _number(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, at = _number(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
            if wire == _BYTES:
                size, at = _number(data, at)
            if not 0 <= size <= end - at or number == 0:
                raise _refused("is damaged, or no ONNX model")
            value = data[at : at + size] if wire == _BYTES else 0
            at += size
        yield number, wire, value


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """A varint of up to 64 bits, as an unsigned number, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise _refused("is damaged, or no ONNX model")


def _refused(why: str) -> Integrity:
    return Integrity(f"the ONNX file {why}", "save it again with standard operators, in one file")
