"""All images of a table, decoded once to the size that the network takes, in memory or in a file that stands for it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors

from mlops_cli.errors import InputUnusable
from mlops_cli.models.base import Tables
from mlops_cli.runtime import images
from mlops_cli.runtime.images import Picture, Preparation, Undecodable
from mlops_cli.runtime.signature import InputColumn, Signature

LARGEST = 224
"""The longer side of the images that a network sees when nobody says `size`."""
_LEAST = 16
_SAMPLE = 256
_IN_MEMORY = 2 << 30
_THREADS = 4


def column(frame: pl.LazyFrame) -> str:
    """The one column that holds images; InputUnusable when there is none, or more."""
    schema = frame.collect_schema()
    found = [name for name, kind in schema.items() if kind == pl.Binary or _is_image(kind)]
    if len(found) == 1:
        return found[0]
    hint = "mlops ingest FOLDER makes a table of images" if not found else "leave out all but one"
    raise InputUnusable(f"the CNN needs one column of images, the table has {', '.join(found) or 'none'}", hint)


def _is_image(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.Struct) and [field.name for field in kind.fields] == ["bytes", "path"]


def context(frame: pl.LazyFrame) -> list[InputColumn]:
    """The columns that may come with an image, and are logged with it: when it was taken, and by which camera."""
    schema = frame.collect_schema()
    kinds = {"camera": (pl.String, "string"), "time": (pl.Datetime, "datetime")}
    return [
        InputColumn(name, "string" if kind == "string" else "datetime")
        for name, (dtype, kind) in kinds.items()
        if name in schema and schema[name] == dtype
    ]


def prepared(tables: Tables, signature: Signature, size: int | None) -> Preparation:
    """How images become the network's input: at the median size of a sample, or `size` on the longer side.

    Grey when every image of the sample is; mean and deviation of its pixels by channel. InputUnusable.
    """
    rows: int = tables.train.select(pl.len()).collect().item()
    spread = tables.train.gather_every(max(1, rows // _SAMPLE))
    sample = [image for _, image in _decoded(tables, spread, signature, LARGEST)]
    height, width = (float(np.median([getattr(image, side) for image in sample])) for side in ("height", "width"))
    scale = (size or min(LARGEST, max(height, width))) / max(height, width)
    grey = all(image.copy.mode == "L" for image in sample)
    sides = [max(_LEAST, _rounded(side * scale)) for side in (height, width)]
    plain = Preparation(sides[0], sides[1], 1 if grey else 3, [0.0] * (1 if grey else 3), [1.0] * (1 if grey else 3))
    pixels = np.stack([images.pixels(image, plain) for image in sample]) / 255
    mean, std = pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))
    return Preparation(
        plain.height,
        plain.width,
        plain.channels,
        [round(float(value), 4) for value in mean],
        [round(max(float(value), 0.01), 4) for value in std],
    )


def _rounded(side: float) -> int:
    """A side in pixels: to a multiple of 4 below 64, of 16 above."""
    step = 4 if side < 64 else 16
    return max(step, math.floor(side / step + 0.5) * step)


def pixels(tables: Tables, frame: pl.LazyFrame, signature: Signature, preparation: Preparation) -> NDArray[np.uint8]:
    """All images of a frame at the network's size, (n, h, w, c); InputUnusable for one that cannot be decoded."""
    rows: int = frame.select(pl.len()).collect().item()
    shape = (rows, preparation.height, preparation.width, preparation.channels)
    room = _room(shape)
    least = max(preparation.height, preparation.width)
    for at, image in _decoded(tables, frame, signature, least):
        room[at] = images.pixels(image, preparation)
    return room


def _room(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Where images go: in memory, or in a file without a name when they are too many."""
    if math.prod(shape) <= _IN_MEMORY:
        return np.empty(shape, np.uint8)
    file = tempfile.TemporaryFile(prefix="mlops-")  # noqa: SIM115  # it lives as long as the array
    return np.memmap(file, np.uint8, "w+", shape=shape)


def _decoded(tables: Tables, frame: pl.LazyFrame, signature: Signature, least: int) -> Iterator[tuple[int, Picture]]:
    """The images of a frame in order, decoded on a few threads."""
    name = signature.columns[0].name
    row = 0
    with ThreadPoolExecutor(_THREADS, "decode") as pool:
        for _, batch in tables.batches(frame.select(selectors.by_name(name)), signature):
            for found in pool.map(lambda data: _opened(data, least), batch[name].values):
                if isinstance(found, str):
                    what = f"row {row}: column {name!r}: {found}"
                    raise InputUnusable(what, "mlops validate leaves out what is not sound")
                yield row, found
                row += 1


def _opened(data: bytes, least: int) -> Picture | str:
    """A decoded image, or why it cannot be."""
    try:
        return images.opened(data, least=max(images.WORKING, least))
    except Undecodable as error:
        return str(error)
