"""An ONNX model in one file, opened by onnxruntime: checked first, on one thread a call, without spinning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from mlops_cli.errors import Integrity, MissingExtra
from mlops_cli.runtime import onnx_file

try:
    import onnxruntime
except ImportError:
    raise MissingExtra.of("onnxruntime", "onnx") from None

_HINT = "the model directory is damaged, or was put together by hand; train or fetch it again"


class Value(NamedTuple):
    """An input or output: name, type such as `tensor(float)`, shape with a text or None where a size is free."""

    name: str
    type: str
    shape: list[int | str | None]


class Session:
    """A loaded graph; safe to call from several threads."""

    def __init__(self, data: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """From the bytes of the file; Integrity when it is no graph with those inputs and outputs."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # never guessed from the bytes
        options.log_severity_level = 4
        onnx_file.check(data)
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Integrity(f"onnxruntime refuses the model: {_line(error)}", _HINT) from None
        there = {item.name for item in (*self._session.get_inputs(), *self._session.get_outputs())}
        lacking = [name for name in (*inputs, *outputs) if name not in there]
        if lacking:
            raise Integrity(f"the model has no {', '.join(lacking)}", _HINT)
        self._inputs, self._outputs = list(inputs), list(outputs)

    def run(self, values: Sequence[NDArray[Any]]) -> list[Any]:
        """The outputs for inputs in the order that they were named in; Integrity when the graph cannot be computed.

        A tensor is an array; a sequence of maps, as converters write probabilities, a list of dicts.
        """
        given = dict(zip(self._inputs, values, strict=True))
        try:
            found: list[Any] = self._session.run(self._outputs, given)
        except Exception as error:
            raise Integrity(f"onnxruntime cannot compute the model: {_line(error)}", _HINT) from None
        return found

    @property
    def inputs(self) -> list[Value]:
        """All that the model takes."""
        return [Value(item.name, item.type, list(item.shape)) for item in self._session.get_inputs()]

    @property
    def outputs(self) -> list[Value]:
        """All that it puts out."""
        return [Value(item.name, item.type, list(item.shape)) for item in self._session.get_outputs()]


def _line(error: Exception) -> str:
    """The first line of a message."""
    return " ".join(str(error).split())[:200]
