"""Where a model looks: how its answer falls when a patch of the image is hidden."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

CELLS = 8

Pixels = NDArray[np.uint8]


def saliency(
    pixels: Pixels, score: Callable[[Pixels], NDArray[np.float64]], fill: NDArray[np.uint8], cells: int = CELLS
) -> NDArray[np.float32]:
    """The heat map of one image, shape (rows, columns): at most `cells` each way, fewer of an image with fewer pixels.

    A cell holds by how much `score` falls when the patch about it, the cell and half a cell more on every side, is
    painted with the colour `fill`, shape (channels,); below 0 where the answer gets surer without it. `pixels` has
    shape (height, width, channels); `score` takes (n, height, width, channels) and returns (n,). It is asked once for
    every cell and once for the whole image (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks",
    2014).
    """
    rows, columns = (_spans(size, cells) for size in pixels.shape[:2])
    whole = score(pixels[None])[0]
    heat = np.empty((len(rows), len(columns)), np.float32)
    for row, down in enumerate(rows):  # a row at a time, so that few copies of the image are in memory
        hidden = np.repeat(pixels[None], len(columns), axis=0)
        for place, across in enumerate(columns):
            hidden[place, down, across] = fill
        heat[row] = whole - score(hidden)
    return heat


def _spans(size: int, cells: int) -> list[slice]:
    """Where the patches lie along one side of `size` pixels, rounded outward to whole ones."""
    width = size / min(cells, size)
    starts = np.arange(min(cells, size)) * width
    return [slice(max(0, floor(s - width / 2)), min(size, ceil(s + 1.5 * width))) for s in starts.tolist()]
