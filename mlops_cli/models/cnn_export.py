"""A trained network as files that anybody can read: safetensors, and ONNX with normalisation folded in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import torch as safetensors
from torch import nn

from mlops_cli.models import cnn_network
from mlops_cli.models.cnn_network import Network, Normed, Stage
from mlops_cli.runtime import image_model, images
from mlops_cli.runtime.images import Preparation

WEIGHTS = "model.safetensors"
OPSET, IR = 17, 8
_Array = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """Features (n, f) become coordinates (n, k): (features - centre) @ axes."""

    centre: _Array
    axes: _Array


def projection(features: _Array, most: int) -> Projection:
    """The first principal components of features (n, f), each to unit variance, its largest weight above 0."""
    given = torch.from_numpy(features).double()
    centre = given.mean(0)
    flat = given - centre
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    count = min(most, features.shape[1])
    axes = vectors[:, -count:].flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    scale = torch.sqrt(values[-count:].flip(0).clamp_min(1e-6))
    return Projection(centre.float().numpy(), (axes * largest.sign() / scale).float().numpy())


def temperature(logits: _Array, codes: NDArray[np.int64]) -> float:
    """What logits are divided by so that probabilities agree best with the classes `codes` (n,), in 0.05–20.

    The minimum of the negative log-likelihood over its logarithm, by golden section (Guo et al., "On calibration of
    modern neural networks", 2017).
    """
    low, high = np.log(0.05), np.log(20.0)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        one, other = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(logits, codes, np.exp(one)) < log_loss(logits, codes, np.exp(other)):
            high = other
        else:
            low = one
    return round(float(np.exp((low + high) / 2)), 4)


def probabilities(logits: _Array, temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature), (n, k)."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    raised = np.exp(scaled)
    return raised / raised.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def log_loss(logits: _Array, codes: NDArray[np.int64], temperature: float) -> float:
    """The mean negative logarithm of the probability of the right class."""
    chosen = probabilities(logits, temperature)[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(chosen, 1e-15)).mean())


def files(network: Network, fitted: Projection, preparation: Preparation) -> dict[str, bytes]:
    """The payload files of a model, the same bytes for the same network."""
    tensors = {name: value.detach().contiguous() for name, value in cnn_network.state(network).items()}
    tensors |= {
        "embedding.centre": torch.from_numpy(fitted.centre),
        "embedding.axes": torch.from_numpy(fitted.axes.copy()),
    }
    return {
        WEIGHTS: safetensors.save(tensors),
        cnn_network.FILE: msgspec.json.format(msgspec.json.encode(network.given), indent=1) + b"\n",
        image_model.FILE: graph(network, fitted, preparation),
        images.FILE: images.encode(preparation),
    }


def graph(network: Network, fitted: Projection, preparation: Preparation) -> bytes:
    """The network as an ONNX file of opset 17: the image (n, c, h, w) → logits and embedding."""
    made, given = _Graph(), network.given
    at = made.conv("stem", preparation.input, network.stem, None, given.stride, given.padding)
    at = made.node("Relu", [at])
    for number, stage in enumerate(network.stages):
        assert isinstance(stage, Stage)
        at = made.conv(f"stages.{number}.enter", at, stage.enter.conv, stage.enter.norm)
        at = made.node("MaxPool", [at], kernel_shape=[2, 2], strides=[2, 2])
        at = made.node("Relu", [at])
        for deep, layer in enumerate(stage.rest):
            assert isinstance(layer, Normed)
            folded = made.conv(f"stages.{number}.rest.{deep}", at, layer.conv, layer.norm)
            at = made.node("Relu", [made.node("Add", [folded, at])])
    features = made.node("Flatten", [made.node("GlobalMaxPool", [at])], axis=1)
    head = (network.head.weight.detach() * given.scale).numpy()
    made.linear("head", features, head.T, np.full(given.outputs, given.middle), preparation.logits)
    assert preparation.embedding is not None
    made.linear("embedding", features, fitted.axes, -(fitted.centre @ fitted.axes), preparation.embedding)
    return made.finished(
        (preparation.input, ["n", given.channels, given.height, given.width]),
        [(preparation.logits, ["n", given.outputs]), (preparation.embedding, ["n", fitted.axes.shape[1]])],
    )


class _Graph:
    """Nodes and their constants, in the order in which they are made."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node of one output, whose name is the answer."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Numbers that the graph holds."""
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def conv(
        self, name: str, at: str, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, stride: int = 1, padding: int = 1
    ) -> str:
        """A convolution with the normalisation after it folded in: w / σ, and b - m / σ."""
        weight = conv.weight.detach().numpy().astype(np.float64)
        inputs = [at]
        if norm is None:
            inputs.append(self.constant(f"{name}.weight", weight))
        else:
            assert norm.running_mean is not None and norm.running_var is not None
            mean, spread, shift = (
                value.detach().numpy().astype(np.float64) for value in (norm.running_mean, norm.running_var, norm.bias)
            )
            scale = 1 / np.sqrt(spread + norm.eps)
            inputs.append(self.constant(f"{name}.weight", weight * scale[:, None, None, None]))
            inputs.append(self.constant(f"{name}.bias", shift - mean * scale))
        shape = list(weight.shape[2:])
        return self.node("Conv", inputs, kernel_shape=shape, strides=[stride] * 2, pads=[padding] * 4)

    def linear(self, name: str, at: str, weight: _Array, bias: _Array, output: str) -> None:
        """at @ weight + bias, under the name `output`."""
        self.node("Gemm", [at, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)], output)

    def finished(self, given: tuple[str, list[Any]], outputs: Sequence[tuple[str, list[Any]]]) -> bytes:
        """The checked file."""
        declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (given, *outputs)]
        graph = helper.make_graph(self._nodes, "cnn", declared[:1], declared[1:], self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="mlops"
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)  # type: ignore[no-any-return]
