"""Models of tables made elsewhere and answered by onnxruntime: one row at a time, so none depends on its neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import onnx_answers, onnx_session, rows
from mlops_cli.runtime.columns import Batch, Column, rows_of
from mlops_cli.runtime.predictors import Prediction
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import Signature

FILE = "model.onnx"
TABLE = "onnx.json"
FORMAT = 1

Type = Literal["float", "double", "int64", "int32", "string", "bool"]
_DTYPES: dict[str, type[np.generic]] = {
    "float": np.float32,
    "double": np.float64,
    "int64": np.int64,
    "int32": np.int32,
    "string": np.object_,
    "bool": np.bool_,
}


class Input(msgspec.Struct, frozen=True):
    """One input of the file and the columns that it is made of, as shape (n, columns), or (n,) when `flat`."""

    name: str
    columns: list[str]
    type: Type
    flat: bool = False


class Table(msgspec.Struct, frozen=True):
    """How rows become inputs and an output becomes an answer, `onnx.json`: data only.

    `order` has for each class of the signature its column in `output`, `keys` its key where that is a list of maps.
    """

    inputs: list[Input]
    output: str
    gives: onnx_answers.Gives | Literal["value"]
    order: list[int] = []
    keys: list[int | str] = []
    format: int = FORMAT


class Model:
    """A classifier or regression of rows; meets `predictors.Predictor`, safe to call from several threads."""

    def __init__(self, onnx: bytes, table: Table, signature: Signature) -> None:
        """From the bytes of model.onnx; Integrity or Corrupt when it is unsound or does not fit the other files."""
        self.signature = signature
        self._table = table
        lacking = {name for given in table.inputs for name in given.columns} ^ set(signature.names)
        if lacking:
            raise Corrupt(f"{TABLE} and signature.json differ in {', '.join(sorted(lacking))}", "fetch the model again")
        self._session = onnx_session.Session(onnx, [given.name for given in table.inputs], [table.output])

    def predict(self, batch: Batch) -> Prediction:
        """The answers for all rows of a batch; RequestError for a null that the model cannot take or makes NaN of."""
        raw = [onnx_answers.matrix(one, self._table.keys) for one in self.raw(batch)]
        classes = self.signature.classes
        if not raw:
            return (
                Prediction(np.empty(0, np.int32), np.empty((0, len(classes)))) if classes else Prediction(np.empty(0))
            )
        values = np.concatenate(raw)
        unanswered = ~np.isfinite(values).all(axis=1)
        if unanswered.any():
            raise RequestError(
                "the model has no answer to this row, its output is not finite", int(unanswered.argmax())
            )
        if classes is None or self._table.gives == "value":
            return Prediction(values[:, 0])
        proba = onnx_answers.proba(values, len(classes), self._table.gives, self._table.order)
        return Prediction(proba.argmax(axis=1).astype(np.int32), proba)

    def answer(self, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON rows in, JSON-ready answers out; RequestError when a row does not fit the signature."""
        return rows.answers(self.signature, self.predict(rows.batch_from_rows(self.signature, given)))

    def raw(self, batch: Batch) -> list[Any]:
        """What the file itself puts out, for each row; RequestError for a null that it cannot take."""
        made = [_array(given, batch) for given in self._table.inputs]
        return [self._session.run([array[row : row + 1] for array in made])[0] for row in range(rows_of(batch))]


def _array(given: Input, batch: Batch) -> NDArray[Any]:
    """One input for all rows."""
    columns = [_values(name, batch[name], given.type) for name in given.columns]
    return columns[0] if given.flat else np.stack(columns, axis=1)


def _values(name: str, column: Column, type: Type) -> NDArray[Any]:
    """A column in an input's type; where it is null NaN, RequestError if there is none."""
    null = column.null if column.levels is None else column.values < 0
    if type not in ("float", "double") and null is not None and null.any():
        raise RequestError(f"column {name!r} is null, which this model cannot take", int(null.argmax()), name)
    if column.levels is not None:
        return np.array([*column.levels, ""], dtype=object)[column.values]
    values = column.values.astype(_DTYPES[type])
    if null is not None and null.any():
        values[null] = np.nan
    return values


def decode(data: bytes) -> Table:
    """Read `onnx.json`; Corrupt if it is not one that this version understands."""
    try:
        found = msgspec.json.decode(data, type=Table)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{TABLE}: {error}", "the model directory is damaged; train or fetch it again") from None
    if found.format > FORMAT:
        raise Corrupt(f"{TABLE}: format {found.format} is newer than this mlops ({FORMAT})", "upgrade mlops-cli")
    if not found.inputs or not all(given.columns for given in found.inputs):
        raise Corrupt(f"{TABLE}: an input has no columns", "the model directory is damaged; train or fetch it again")
    return found


def encode(table: Table) -> bytes:
    """The bytes of `onnx.json`, the same for the same table."""
    return msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n"
