"""Small ONNX models for tests: classifiers of images and of tables, made without training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mlops_cli.runtime import image_model, images, signature
from mlops_cli.runtime.images import Preparation
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.store import artefact

LABELS = ["bus", "car", "truck"]
SIZE = 8
PREPARATION = Preparation(SIZE, SIZE, 3, [0.5] * 3, [0.25] * 3, embedding="embedding", temperature=1.5)
CONTEXT = [InputColumn("camera", "string"), InputColumn("time", "datetime")]


def saved(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: dict[str, np.ndarray]) -> bytes:
    """The bytes of a model."""
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def tensor(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> Any:
    """An input or an output."""
    return helper.make_tensor_value_info(name, kind, shape)


def colours(seed: int = 0, channels: int = 3) -> bytes:
    """A linear classifier of pixels whose classes go by colour: bus is red, car green, truck blue."""
    width = channels * SIZE * SIZE
    rng = np.random.default_rng(seed)
    weights = rng.normal(scale=0.002, size=(width, 3)).astype(np.float32)
    for number in range(min(3, channels)):
        weights[number * SIZE * SIZE : (number + 1) * SIZE * SIZE, number] += 0.05
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("MatMul", ["flat", "axes"], ["embedding"]),
    ]
    axes = rng.normal(scale=0.1, size=(width, 2)).astype(np.float32)
    outputs = [tensor("logits", ["n", 3]), tensor("embedding", ["n", 2])]
    return saved(nodes, [tensor("image", ["n", channels, SIZE, SIZE])], outputs, {"weights": weights, "axes": axes})


def image_signature(task: str = "multiclass") -> Signature:
    """What the model of `colours` takes and answers."""
    measured = image_model.measured(2, classes=True)
    columns = [InputColumn("image", "image", nullable=False)]
    return Signature("cnn", task, "label", columns, list(LABELS), context=CONTEXT, measured=measured)


def make_image_model(directory: Path, seed: int = 0) -> Path:
    """A model artefact that tells red, green and blue apart."""
    directory.mkdir(parents=True)
    (directory / image_model.FILE).write_bytes(colours(seed))
    (directory / images.FILE).write_bytes(images.encode(PREPARATION))
    (directory / signature.FILE).write_bytes(signature.encode(image_signature()))
    artefact.seal(
        directory, kind="model", created="2026-11-23T10:00:00Z", tool="mlops test", command=["test"], inputs=[]
    )
    return directory


def picture(colour: str = "red", format: str = "JPEG", size: tuple[int, int] = (40, 30), seed: int = 0) -> bytes:
    """The bytes of an image file of one colour with some noise."""
    rng = np.random.default_rng(seed)
    plain = np.asarray(Image.new("RGB", size, colour)).astype(int)
    noisy = np.clip(plain + rng.integers(-30, 30, plain.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, format)
    return out.getvalue()


def model_of(data: bytes) -> Any:
    """The model in those bytes, to be changed."""
    return onnx.load_from_string(data)


def convolutions(seed: int = 0) -> bytes:
    """A small network of the usual layers of images."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(scale=0.3, size=(4, 3, 3, 3)).astype(np.float32),
        "b1": np.zeros(4, np.float32),
        **{name: np.ones(4, np.float32) for name in ("scale", "shift", "mean", "var")},
        "w2": rng.normal(scale=0.5, size=(3, 4)).astype(np.float32),
        "b2": np.zeros(3, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["a"], kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "w2", "b2"], ["logits"], transB=1),
    ]
    outputs = [tensor("logits", ["n", 3]), tensor("embedding", ["n", 4])]
    return saved(nodes, [tensor("image", ["n", 3, SIZE, SIZE])], outputs, weights)


def trees() -> bytes:
    """Two trees over four numbers, as scikit-learn's converters write them: a label and a map of probabilities."""
    told = {
        "nodes_treeids": [0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2, 0, 1, 2],
        "nodes_featureids": [0, 0, 0, 2, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        "nodes_values": [0.5, 0.0, 0.0, -0.25, 0.0, 0.0],
        "nodes_hitrates": [1.0] * 6,
        "nodes_truenodeids": [1, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0, 2, 0, 0],
        "nodes_missing_value_tracks_true": [0] * 6,
        "class_treeids": [0, 0, 1, 1],
        "class_nodeids": [1, 2, 1, 2],
        "class_ids": [0, 1, 2, 1],
        "class_weights": [0.5, 0.5, 0.5, 0.5],
        "classlabels_strings": LABELS,
        "post_transform": "NONE",
    }
    nodes = [
        helper.make_node("TreeEnsembleClassifier", ["X"], ["label", "scores"], domain="ai.onnx.ml", **told),
        helper.make_node("ZipMap", ["scores"], ["proba"], domain="ai.onnx.ml", classlabels_strings=LABELS),
    ]
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    maps = helper.make_value_info("proba", helper.make_sequence_type_proto(kind))
    return saved(nodes, [tensor("X", ["n", 4])], [tensor("label", ["n"], TensorProto.STRING), maps], {})
