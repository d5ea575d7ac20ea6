"""A small table of drawn shapes, as a dataset of images has them, and targets that can be learned from it."""

import datetime as dt
import io

import numpy as np
import polars as pl
from PIL import Image

SIDE = 16
IMAGE = pl.Struct({"bytes": pl.Binary, "path": pl.String})


def png(pixels):
    """The bytes of an image."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def drawn(kind, size, random, side=SIDE, grey=False):
    """A bright bar lying or standing, or a filled square, on noise."""
    pixels = random.integers(0, 60, (side, side) if grey else (side, side, 3))
    y, x = random.integers(0, side - size, 2)
    if kind != "standing":
        pixels[y : y + (3 if kind == "lying" else size), x : x + size] += 150
    else:
        pixels[y : y + size, x : x + 3] += 150
    return pixels.astype(np.uint8)


def table(rows=240, seed=0, side=SIDE, grey=False):
    """Images with camera and time, and the targets kind, yes, price."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["lying", "square", "standing"], rows)
    sizes = random.integers(5, 10, rows)
    images = [png(drawn(kind, int(size), random, side, grey)) for kind, size in zip(kinds, sizes, strict=True)]
    return pl.DataFrame(
        {
            "image": pl.Series([{"bytes": data, "path": None} for data in images], dtype=IMAGE),
            "kind": kinds,
            "yes": kinds == "square",
            "price": np.where(kinds == "square", sizes, 3) * sizes / 10.0,
            "time": [dt.datetime(2026, 1, 1) + dt.timedelta(minutes=n) for n in range(rows)],
            "camera": random.choice(["north", "south"], rows),
        },
        schema_overrides={"time": pl.Datetime("us")},
    )
