"""Image models and tables of images that are made in a moment: one linear layer over 8 × 8 pixels, no training."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from pathlib import Path

import msgspec
import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from mlops_cli.runtime import image_model, images, rows
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.images import Preparation
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.store import artefact
from mlops_cli.store.artefact import Artefact

SIDE = 8
CONTEXT = [InputColumn("camera", "string"), InputColumn("time", "datetime")]
START = dt.datetime(2026, 3, 3, 6, 0)
CLASSES = ["bus", "car", "van"]


def png(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file of (height, width, 3) or (height, width) pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def thirds(weight: float = 9.0) -> np.ndarray:
    """Weights (192, 3) of a model that answers by the colour: red is a bus, green a car, blue a van."""
    weights = np.zeros((3, SIDE, SIDE, 3), np.float32)
    for colour in range(3):
        weights[colour, :, :, colour] = weight / SIDE**2
    return weights.reshape(-1, 3)


def left_half(weight: float = 9.0) -> np.ndarray:
    """The same, by the left half alone."""
    weights = thirds(weight).reshape(3, SIDE, SIDE, 3)
    weights[:, :, SIDE // 2 :] = 0
    return weights.reshape(-1, 3)


def linear(weights: np.ndarray, bias: np.ndarray | None = None) -> bytes:
    """An ONNX file: flatten, then one linear layer from the pixels' weights (3 · 8 · 8, classes)."""
    k = weights.shape[1]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", k])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "w"),
            numpy_helper.from_array(np.zeros(k, np.float32) if bias is None else bias.astype(np.float32), "b"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def model(directory: Path | str, weights: np.ndarray | None = None, classes: list[str] | None = None) -> Artefact:
    """A sealed model of family cnn, of `thirds` unless said; a regression where there are no classes (`[]`)."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    classes = CLASSES if classes is None else classes
    weights = thirds() if weights is None else weights
    task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    measured = image_model.measured(0, bool(classes))
    positive = classes[-1] if task == "binary" else None
    signature = Signature("cnn", task, "label", [InputColumn("image", "image", nullable=False)],
                          list(classes) or None, positive, context=CONTEXT, measured=measured)  # fmt: skip
    preparation = Preparation(SIDE, SIDE, 3, [0.5] * 3, [0.25] * 3)
    (directory / "signature.json").write_bytes(signatures.encode(signature))
    (directory / images.FILE).write_bytes(images.encode(preparation))
    (directory / image_model.FILE).write_bytes(linear(weights))
    asked = {"image": png(np.full((SIDE, SIDE, 3), 90))}
    answer = image_model.Model(linear(weights), preparation, signature).answer([asked])
    example = {"request": [{"image": "QUJD" * 5_000}], "answer": answer}
    (directory / "example.json").write_bytes(msgspec.json.encode(example))
    return artefact.seal(directory, kind="model", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[])


def table(count: int = 90, seed: int = 0, noise: float = 30.0, side: int = 16) -> pl.DataFrame:
    """A dataset of images: mostly of their class's colour, with noise that makes some of them look like another."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, count)
    data = []
    for code in codes:
        colour = np.full(3, 100.0)
        colour[code] += 60
        pixels = colour + rng.normal(0, noise, 3) + rng.normal(0, 20, (side, side, 3))
        data.append(png(pixels.clip(0, 255)))
    cameras = rng.choice(["north", "south"], count)
    return pl.DataFrame(
        {
            "image": [{"bytes": each, "path": f"day/{number:04}.png"} for number, each in enumerate(data)],
            "label": [CLASSES[code] for code in codes],
            "width": pl.Series([side] * count, dtype=pl.Int32),
            "sha256": [hashlib.sha256(each).hexdigest() for each in data],
            "time": [START + dt.timedelta(minutes=number) for number in range(count)],
            "camera": cameras,
        },
        schema_overrides={"image": pl.Struct({"bytes": pl.Binary, "path": pl.String}), "time": pl.Datetime("us")},
    )


def logits(frame: pl.DataFrame, found: image_model.Model) -> list[dict[str, object]]:
    """The model's own answers for a table."""
    return found.answer([{"image": each["bytes"]} for each in frame["image"]])


__all__ = ["CLASSES", "left_half", "linear", "logits", "model", "png", "rows", "table", "thirds"]
