"""Open Inference Protocol V2 over REST: one tensor a column (kserve/open-inference-protocol, inference_rest.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mlops_cli.runtime.protocols import v2_binary
from mlops_cli.runtime.protocols.base import DEEPEST, Head, Refused, Request, Row, decoded
from mlops_cli.runtime.signature import InputColumn, Signature

_UNSIGNED = {f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
_RANGES = {**_UNSIGNED, **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}}
_WHOLE = frozenset(_RANGES)
_ACCEPTED: dict[str, frozenset[str]] = {
    "bool": frozenset({"BOOL"}),
    "int": _WHOLE,
    "float": _WHOLE | {"FP16", "FP32", "FP64"},
    "string": frozenset({"BYTES"}),
    "date": frozenset({"BYTES"}),
    "datetime": frozenset({"BYTES"}),
    "image": frozenset({"BYTES", "UINT8", "FP32"}),
}
_OWN = {
    "bool": "BOOL",
    "int": "INT64",
    "float": "FP64",
    **dict.fromkeys(("string", "date", "datetime", "image"), "BYTES"),
}
# What stands in `data` for a datatype: a value of another type is refused before the model's own check.
_PYTHON: dict[str, frozenset[type]] = {
    **dict.fromkeys(_WHOLE, frozenset({int})),
    **dict.fromkeys(("FP16", "FP32", "FP64"), frozenset({int, float})),
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str, bytes}),
}
_LONGEST_ID = 256
_ONE = [1]


class Tensor(msgspec.Struct, gc=False):
    """One input: a column of n values as shape [n] or [n, 1], an image's pixels as [n, h, w, c] or [n, c, h, w].

    Without `data` it is in the bytes after the JSON, as many as `parameters` say.
    """

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Wanted(msgspec.Struct, gc=False):
    """One output that is asked for."""

    name: str


class Infer(msgspec.Struct, gc=False):
    """The body of a request to infer."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[Wanted] | None = None


class V2:
    """The protocol for one model under its name and version."""

    name = "v2"

    def __init__(self, signature: Signature, model: str, version: str | None, key: str | None = None) -> None:
        self._signature = signature
        self._model = model
        self._version = version
        self._key = key
        self._decode = msgspec.json.Decoder(Infer).decode
        self._encode = msgspec.json.Encoder().encode
        self._types = {column.name: _ACCEPTED[column.type] for column in signature.accepted}
        self._columns = {column.name: column for column in signature.accepted}
        self._images = {column.name for column in signature.columns if column.type == "image"}
        # What one value of an input may be, where its type says all: the shorter integers have a range too.
        self._single = {
            (column.name, datatype): _PYTHON[datatype] | {type(None)}
            for column in signature.accepted
            for datatype in (_ACCEPTED[column.type] - (_WHOLE - {"INT64"}) if column.type != "image" else ("BYTES",))
        }
        # The answer is put together from pieces that never change.
        about = {"model_name": model} | ({"model_version": version} if version is not None else {})
        self._head = self._encode(about)[:-1] + b',"id":'
        self._prediction = b'{"name":"prediction","datatype":"%s","shape":[' % self._answer_type().encode()
        self._classes = len(signature.classes or ())
        self._proba = b'{"name":"proba","datatype":"FP64","shape":['
        self._outputs = ("prediction", "proba") if signature.classes else ("prediction",)

    def read(self, body: bytes, head: Head) -> Request:
        """The request in a body; Refused (400) for what is no V2 request for this model."""
        if head.json_bytes is None:
            infer = decoded(self._decode, body)
        else:
            infer = decoded(self._decode, body[: head.json_bytes])
            v2_binary.fill(infer.inputs, memoryview(body)[head.json_bytes :], self._images)
        if infer.id is not None and len(infer.id) > _LONGEST_ID:
            raise Refused(400, f"id is longer than {_LONGEST_ID} characters")
        outputs = None if not infer.outputs else self._selected([wanted.name for wanted in infer.outputs])
        one = self._row(infer.inputs)
        if one is not None:
            return Request(1, rows=[one], id=infer.id, outputs=outputs)
        columns = self._table(infer.inputs)
        rows = len(next(iter(columns.values())))
        if rows == 1:
            return Request(
                1, rows=[{name: values[0] for name, values in columns.items()}], id=infer.id, outputs=outputs
            )
        return Request(rows, columns=columns, id=infer.id, outputs=outputs)

    def write(self, request: Request, answers: list[dict[str, Any]], request_id: str) -> bytes:
        """The answer with the outputs asked for: `prediction` of shape [n], `proba` of shape [n, k]."""
        encode, n = self._encode, request.n
        pieces = []
        for name in request.outputs or self._outputs:
            if name == "prediction":
                data = encode([answer["prediction"] for answer in answers])
                pieces.append(b'%b%d],"data":%b}' % (self._prediction, n, data))
            else:
                proba = answers[0]["proba"] if n == 1 else [p for answer in answers for p in answer["proba"]]
                pieces.append(b'%b%d,%d],"data":%b}' % (self._proba, n, self._classes, encode(proba)))
        return b'%b%b,"outputs":[%b]}' % (self._head, encode(request_id), b",".join(pieces))

    def error(self, refused: Refused) -> bytes:
        """`{"error": …}`."""
        return self._encode({"error": refused.message})

    def metadata(self) -> bytes:
        """The model's inputs and outputs; -1 stands for any number of rows."""
        about: dict[str, Any] = {"name": self._model}
        if self._version is not None:
            about["versions"] = [self._version]
        about["platform"] = f"mlops_{self._signature.family}"
        about["inputs"] = [_described(column) for column in self._signature.accepted]
        about["outputs"] = [{"name": "prediction", "datatype": self._answer_type(), "shape": [-1]}]
        if self._classes:
            labels = {"classes": self._signature.classes}
            shape = [-1, self._classes]
            about["outputs"].append({"name": "proba", "datatype": "FP64", "shape": shape, "parameters": labels})
        return self._encode(about)

    def _row(self, tensors: list[Tensor]) -> Row | None:
        """The row when every tensor is the usual one value; None leaves it to `_table`, errors too."""
        row: Row = {}
        single = self._single
        for tensor in tensors:
            data, name = tensor.data, tensor.name
            types = single.get((name, tensor.datatype))
            if types is None or data is None or len(data) != 1 or type(data[0]) not in types:
                return None
            if tensor.shape != _ONE or name in row:
                return None
            row[name] = data[0]
        return row or None

    def _table(self, tensors: list[Tensor]) -> dict[str, list[Any]]:
        """The columns; Refused (400) when there are none, one comes twice, or they differ in length."""
        columns: dict[str, list[Any]] = {}
        for tensor in tensors:
            if tensor.name in columns:
                raise Refused(400, f"input {tensor.name!r} is given twice")
            columns[tensor.name] = self._values(tensor)
        if not columns:
            raise Refused(400, "there are no inputs")
        first, rows = next((name, len(values)) for name, values in columns.items())
        for name, values in columns.items():
            if len(values) != rows:
                raise Refused(400, f"input {name!r} has {len(values)} rows, input {first!r} has {rows}")
        if not rows:
            raise Refused(400, "there are no rows")
        return columns

    def _values(self, tensor: Tensor) -> list[Any]:
        """The column in a tensor; Refused (400) when its datatype, shape and data do not agree with one another."""
        name, datatype, data = tensor.name, tensor.datatype, tensor.data
        if data is None:
            raise Refused(400, f"input {name!r} has no data")
        accepted = self._types.get(name)
        if accepted is None and name != self._key and name not in self._signature.aside:
            raise Refused(400, f"unknown input {name!r}")
        if datatype not in _PYTHON or (accepted is not None and datatype not in accepted):
            takes = _OWN[self._columns[name].type] if accepted is not None else ", ".join(_PYTHON)
            raise Refused(400, f"input {name!r} takes {takes}, not {datatype}")
        shape = tensor.shape
        if name in self._images and datatype != "BYTES":
            return v2_binary.images(name, datatype, shape, data)
        if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
            raise Refused(400, f"input {name!r} must be one column, of shape [n] or [n, 1], not {shape}")
        if data and type(data[0]) is list:
            data = _flat(data, name)
        if len(data) != shape[0]:
            raise Refused(400, f"input {name!r} has {len(data)} values, its shape says {shape[0]}")
        _check(name, datatype, data)
        return data

    def _selected(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The outputs asked for, each once."""
        for name in wanted:
            if name not in self._outputs:
                raise Refused(400, f"unknown output {name!r}, there is {' and '.join(self._outputs)}")
        return tuple(dict.fromkeys(wanted))

    def _answer_type(self) -> str:
        """The datatype of `prediction`: that of the labels, FP64 for a regression."""
        kinds = {type(label) for label in self._signature.classes or [0.0]}
        own = {bool: "BOOL", int: "INT64", str: "BYTES"}
        return own.get(kinds.pop(), "FP64") if len(kinds) == 1 else "FP64"


def _check(name: str, datatype: str, data: list[Any]) -> None:
    """Refused (400) for a value that its datatype cannot hold; null is a missing value in any."""
    kinds = set(map(type, data))
    kinds.discard(type(None))
    if not kinds <= _PYTHON[datatype]:
        row, value = next((i, v) for i, v in enumerate(data) if v is not None and type(v) not in _PYTHON[datatype])
        raise Refused(400, f"row {row}: input {name!r} holds {value!r:.60}, which is not {datatype}")
    if datatype in _WHOLE and datatype != "INT64" and kinds:
        low, high = _RANGES[datatype]
        for row, value in enumerate(data):
            if value is not None and not low <= value <= high:
                raise Refused(400, f"row {row}: input {name!r} holds {value}, which is not {datatype}")


def _flat(data: list[Any], name: str) -> list[Any]:
    """The values of [[v], [v], …]: the nested form of shape [n, 1]."""
    try:
        if all(type(item) is list and len(item) == 1 for item in data):
            return [item[0] for item in data]
    except RecursionError:
        raise Refused(400, DEEPEST) from None
    raise Refused(400, f"input {name!r}: nested data must be one value a row")


def _described(column: InputColumn) -> dict[str, Any]:
    """One input of the model's metadata; the parameters say what V2's datatypes cannot."""
    told: dict[str, Any] = {"type": column.type, "nullable": column.nullable}
    if column.type == "image":
        told["content"] = v2_binary.TAKEN
    return {"name": column.name, "datatype": _OWN[column.type], "shape": [-1], "parameters": told}
