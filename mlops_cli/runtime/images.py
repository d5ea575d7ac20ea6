"""What an image is to a model: decoded without trust in its bytes, measured, and made a tensor of one size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mlops_cli.errors import Corrupt

FILE = "image.json"
FORMAT = 1
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MOST_PIXELS = 50_000_000
"""An image of more is refused before its pixels are decoded: it would take 150 MB and more."""
WORKING = 256
"""Larger images are reduced, by whole factors, until their shorter side is the least that is not below this."""
STATISTICS = ("brightness", "contrast", "sharpness", "red", "green", "blue")

_ORIENTATION = 0x0112

# Sizes are bounded here, by `opened`; Pillow's own bound is a warning that may be switched off.
Image.MAX_IMAGE_PIXELS = None


class Undecodable(Exception):
    """Bytes that are no whole image of a known format: the reason in one line."""


class Preparation(msgspec.Struct, frozen=True):
    """How an image becomes a model's input, `image.json`: data only, executed by `tensor`.

    The model takes float32 of shape (n, channels, height, width): pixels / 255, less `mean`, over `std`, by channel.
    `resize` stretches to the size, crops the middle after scaling, or pads with black. `input`, `logits` and
    `embedding` are the names in the ONNX file; probabilities are softmax(logits / temperature). A model made
    elsewhere may take (n, height, width, channels), give probabilities, and have its classes in another `order`: for
    each class of the signature its column.
    """

    height: int
    width: int
    channels: Literal[1, 3]
    mean: list[float]
    std: list[float]
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    input: str = "image"
    logits: str = "logits"
    embedding: str | None = None
    temperature: float = 1.0
    layout: Literal["nchw", "nhwc"] = "nchw"
    gives: Literal["logits", "probabilities"] = "logits"
    order: list[int] = []
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: its own width and height in pixels as people see it, its mode and file format, and a working
    copy, RGB or L (grey), not larger than needed."""

    width: int
    height: int
    mode: str
    format: str
    copy: Image.Image


def opened(data: bytes, least: int = WORKING) -> Picture:
    """Decode an image, upright; the shorter side of its working copy is not reduced below `least`. Undecodable."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Undecodable(f"{image.width} × {image.height} pixels are more than {MOST_PIXELS:,}")
            return _decoded(image, least)
    except Undecodable:
        raise
    except Exception as error:  # Pillow's decoders raise whatever their parsers do
        raise Undecodable(_reason(data, error)) from None


def _decoded(image: Image.Image, least: int) -> Picture:
    """The picture in an opened file, whose pixels are read now."""
    format, mode, (width, height) = image.format or "", image.mode, image.size
    if format == "JPEG":
        image.draft(None, (least, least))  # the decoder itself reduces by 2, 4 or 8
    image.load()
    if image.getexif().get(_ORIENTATION, 1) >= 5:  # it lies on its side
        width, height = height, width
    copy = _plain(ImageOps.exif_transpose(image))
    factor = min(copy.size) // least
    return Picture(width, height, mode, format, copy.reduce(factor) if factor > 1 else copy)


def _plain(image: Image.Image) -> Image.Image:
    """RGB, or L where there is no colour. What is transparent shows black.

    Whole numbers beyond 8 bits are taken for 0 to 65,535, floats for 0 to 1, whatever an image happens to hold.
    """
    if image.mode in ("RGB", "L"):
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        top = 1.0 if image.mode == "F" else 65_535.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("LA", "PA", "RGBA", "P", "RGBa", "La"):
        full = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full).convert("RGB")
    return image.convert("RGB")


def _reason(data: bytes, error: Exception) -> str:
    """Why bytes are no image, in one line without an address in memory."""
    if not data:
        return "no bytes"
    if type(error).__name__ == "UnidentifiedImageError":
        return f"not an image: it begins with the bytes {data[:4].hex(' ')}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def grey(picture: Picture) -> NDArray[np.uint8]:
    """The luma of the working copy, shape (h, w), 0–255 (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B)."""
    return np.asarray(picture.copy.convert("L"))


def statistics(picture: Picture) -> dict[str, float]:
    """What is watched of an image, of its working copy.

    `brightness` mean and `contrast` standard deviation of the luma, `red`, `green`, `blue` means of the channels, all
    in 0–1. `sharpness` is the variance of the Laplacian of the luma (0–255): low for a blurred image (Pech-Pacheco
    et al., "Diatom autofocusing in brightfield microscopy", 2000).
    """
    luma = grey(picture).astype(np.float32)
    if picture.copy.mode == "L":
        colours = [float(luma.mean()) / 255] * 3
    else:
        colours = (np.asarray(picture.copy).reshape(-1, 3).mean(axis=0) / 255).tolist()
    values = (luma.mean() / 255, luma.std() / 255, _sharpness(luma), *colours)
    return {name: round(float(value), 6) for name, value in zip(STATISTICS, values, strict=True)}


def _sharpness(luma: NDArray[np.float32]) -> float:
    """The variance of the four-neighbour Laplacian; 0 for an image too small to have one."""
    if min(luma.shape) < 3:
        return 0.0
    middle = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * middle).var())


def perceptual_hash(picture: Picture) -> int:
    """64 bits of which few differ between images that look alike (pHash).

    The 8 × 8 lowest frequencies of the discrete cosine transform of the luma at 32 × 32, each above their median or
    not, the mean (first) left out of the median (Zauner, "Implementation and benchmarking of perceptual image hash
    functions", 2010). The first frequency is the highest bit.
    """
    small = picture.copy.convert("L").resize((32, 32), Image.Resampling.BOX)
    cosines = _cosines()
    low = cosines @ np.asarray(small, dtype=np.float64) @ cosines.T
    above = low.ravel() > np.median(low.ravel()[1:])
    return int.from_bytes(np.packbits(above).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.float64]:
    """The first eight rows of the DCT-II of 32 values."""
    k, n = np.arange(8)[:, None], np.arange(32)[None, :]
    return np.cos(np.pi * (2 * n + 1) * k / 64)


def pixels(picture: Picture, preparation: Preparation) -> NDArray[np.uint8]:
    """The image at the model's size, shape (height, width, channels), 0–255."""
    mode = "L" if preparation.channels == 1 else "RGB"
    image, size = picture.copy.convert(mode), (preparation.width, preparation.height)
    if preparation.resize == "crop":
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    elif preparation.resize == "pad":
        image = ImageOps.pad(image, size, Image.Resampling.BILINEAR)
    elif image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(preparation.height, preparation.width, preparation.channels)


def tensor(given: NDArray[np.uint8], preparation: Preparation) -> NDArray[np.float32]:
    """Pixels of shape (n, height, width, channels) as what the model takes: (n, channels, height, width) by default."""
    scale = (1 / (255 * np.asarray(preparation.std))).astype(np.float32)
    shift = (np.asarray(preparation.mean) / np.asarray(preparation.std)).astype(np.float32)
    ready: NDArray[np.float32] = given * scale - shift
    return ready if preparation.layout == "nhwc" else np.ascontiguousarray(ready.transpose(0, 3, 1, 2))


def decode(data: bytes) -> Preparation:
    """Read `image.json`; Corrupt if it is not one that this version understands."""
    hint = "the model directory is damaged; train or fetch it again"
    try:
        found = msgspec.json.decode(data, type=Preparation)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{FILE}: {error}", hint) from None
    if found.format > FORMAT:
        raise Corrupt(f"{FILE}: format {found.format} is newer than this mlops ({FORMAT})", "upgrade mlops-cli")
    sizes = 1 <= found.height <= 4096 and 1 <= found.width <= 4096
    if not sizes or {len(found.mean), len(found.std)} != {found.channels} or min(found.std) <= 0:
        raise Corrupt(f"{FILE}: size, mean and std are not those of {found.channels} channels", hint)
    if not found.temperature > 0:
        raise Corrupt(f"{FILE}: temperature {found.temperature} is not above 0", hint)
    return found


def encode(preparation: Preparation) -> bytes:
    """The bytes of `image.json`, the same for the same preparation."""
    return msgspec.json.format(msgspec.json.encode(preparation), indent=1) + b"\n"
