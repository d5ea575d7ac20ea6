"""Images as they are shown while learning: flipped, moved, a square blanked, light changed; every draw from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops_cli.models.cnn_settings import Recipe


@dataclass(frozen=True)
class Draws:
    """What happens to each of n images in one epoch; `order` is that in which they are seen."""

    order: NDArray[np.int64]
    flip: NDArray[np.bool_]
    shift: NDArray[np.int64]
    blank: NDArray[np.int64]
    light: NDArray[np.float32]
    square: int


def drawn(recipe: Recipe, rows: int, height: int, width: int, seed: int, epoch: int) -> Draws:
    """The draws of an epoch, which follow from the seed and its number alone: a fit can go on from any epoch.

    An image is flipped in every other epoch, half of them in the even ones (Jordan, 2024: better than at random).
    """
    dice = np.random.default_rng([seed, epoch])
    first = np.random.default_rng([seed, 0xF1]).random(rows) < 0.5
    flip = first ^ bool(epoch % 2) if recipe.flip else np.zeros(rows, bool)
    reach = np.array([round(recipe.shift * height), round(recipe.shift * width)])
    return Draws(
        dice.permutation(rows),
        flip,
        dice.integers(-reach, reach + 1, (rows, 2)),
        dice.integers(0, [height, width], (rows, 2)),
        dice.uniform(-recipe.jitter, recipe.jitter, (rows, 2)).astype(np.float32),
        round(recipe.cutout * min(height, width)),
    )


def shown(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    draws: Draws,
    mean: NDArray[np.float32],
    std: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The images `rows` of (N, h, w, c) as the network takes them, (n, h, w, c) float32, as drawn for them.

    What is moved in is mirrored; a blanked square has the mean colour.
    """
    _, height, width, channels = images.shape
    seen = np.empty((len(rows), height, width, channels), np.float32)
    ys, xs = np.arange(height), np.arange(width)
    for at, row in enumerate(rows):
        dy, dx = draws.shift[row]
        columns = _mirrored(xs + dx, width)
        picked = images[row][_mirrored(ys + dy, height)][:, columns[::-1] if draws.flip[row] else columns]
        bright, contrast = draws.light[row]
        seen[at] = picked
        factor = (1 + contrast) / 255
        seen[at] *= factor
        seen[at] += bright - contrast * mean.mean()
        y, x = draws.blank[row] - draws.square // 2
        seen[at, max(0, y) : max(0, y + draws.square), max(0, x) : max(0, x + draws.square)] = mean
    seen -= mean
    seen /= std
    return seen


def plain(
    images: NDArray[np.uint8], rows: NDArray[np.int64], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The images `rows` as they are, (n, h, w, c) float32, as `runtime.images.tensor` prepares them."""
    seen = images[rows].astype(np.float32)
    seen /= 255
    seen -= mean
    seen /= std
    return seen


def _mirrored(at: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Indices beyond an edge, reflected."""
    at = np.abs(at)
    return np.where(at < size, at, 2 * size - 2 - at)
