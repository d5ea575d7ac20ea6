"""Tables of images as a dataset holds them, from pictures that the tests draw."""

from __future__ import annotations

import datetime
import hashlib
import io
from collections.abc import Sequence

import numpy as np
import polars as pl
from PIL import Image

from mlops_cli.runtime import images

START = datetime.datetime(2026, 3, 1)
SCHEMA = {
    "image": pl.Struct({"bytes": pl.Binary, "path": pl.String}),
    "label": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "mode": pl.String,
    "format": pl.String,
    "sha256": pl.String,
    "phash": pl.UInt64,
    **dict.fromkeys(images.STATISTICS, pl.Float64),
    "time": pl.Datetime("us"),
    "camera": pl.String,
}


def drawn(seed: int, *, noise: int = 0, size: int = 48) -> bytes:
    """A JPEG of smooth patches; `noise` draws the same scene a little differently."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    scene = np.asarray(Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC), dtype=np.int16)
    if noise:
        scene = scene + np.random.default_rng(noise).integers(-6, 7, scene.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def table(pictures: Sequence[bytes], labels: Sequence[str | None] = ("car", "van")) -> pl.DataFrame:
    """The pictures, measured; labels in turn, of two cameras, each of which takes one every ten seconds."""
    rows = []
    for number, data in enumerate(pictures):
        picture = images.opened(data)
        rows.append({
            "image": {"bytes": data, "path": f"frames/{number:05}.jpg"},
            "label": labels[number % len(labels)],
            "width": picture.width,
            "height": picture.height,
            "mode": picture.mode,
            "format": picture.format,
            "sha256": hashlib.sha256(data).hexdigest(),
            "phash": images.perceptual_hash(picture),
            **images.statistics(picture),
            "time": START + datetime.timedelta(seconds=10 * (number // 2)),
            "camera": f"cam-{number % 2}",
        })  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA)
