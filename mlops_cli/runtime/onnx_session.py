"""An ONNX model in one file, opened by onnxruntime: checked first, on one thread a call, without spinning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Integrity, MissingExtra

try:
    import onnxruntime
except ImportError:
    raise MissingExtra.of("onnxruntime", "onnx") from None


class Session:
    """A loaded graph; safe to call from several threads."""

    def __init__(self, data: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """From the bytes of the file; Integrity when it is no graph with those inputs and outputs."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Integrity(f"onnxruntime refuses the model: {_line(error)}", "train or fetch it again") from None
        there = {item.name for item in (*self._session.get_inputs(), *self._session.get_outputs())}
        lacking = [name for name in (*inputs, *outputs) if name not in there]
        if lacking:
            raise Integrity(f"the model has no {', '.join(lacking)}", "the model directory is damaged; fetch it again")
        self._inputs, self._outputs = list(inputs), list(outputs)

    def run(self, values: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs for inputs in the order that they were named in."""
        found: list[NDArray[np.float32]] = self._session.run(
            self._outputs, dict(zip(self._inputs, values, strict=True))
        )
        return found


def _line(error: Exception) -> str:
    """The first line of a message."""
    return " ".join(str(error).split())[:200]
