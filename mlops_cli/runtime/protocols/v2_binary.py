"""V2 beyond JSON: tensors as raw bytes after it (the binary tensor data extension), and pixels as images."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_cli.runtime.protocols.base import Refused

EXTENSION = "binary_tensor_data"
TAKEN = (
    "BYTES [n]: the bytes of image files, in JSON as base64; UINT8 (0-255) or FP32 (0-1) of shape [n, height, width, "
    "channels] or [n, channels, height, width]: pixels"
)
_DTYPES = {
    "BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}  # fmt: skip
_CHANNELS = (1, 3)
MOST_PICTURES = 10_000
"""Images in one tensor: each becomes a file of its own, which takes more memory than a few pixels."""
_LENGTH = struct.Struct("<I")


class Filled(Protocol):
    """A tensor of a request, whose data may be missing."""

    name: str
    shape: list[int]
    datatype: str
    data: Any
    parameters: dict[str, Any] | None


def fill(tensors: Sequence[Filled], rest: memoryview, images: Collection[str]) -> None:
    """Give tensors the data that follows the JSON, in order; Refused (400) when sizes do not add up.

    BYTES are text in UTF-8, but for the inputs named in `images`.
    """
    at = 0
    for tensor in tensors:
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            continue
        if type(size) is not int or not 0 <= size <= len(rest) - at or tensor.data is not None:
            raise Refused(400, f"input {tensor.name!r:.100}: binary_data_size does not fit the body")
        tensor.data = _values(tensor, rest[at : at + size], tensor.name in images)
        at += size
    if at != len(rest):
        raise Refused(400, f"{len(rest) - at} bytes follow the last input")


def _values(tensor: Filled, data: memoryview, image: bool) -> Any:
    """The values in a tensor's bytes: a list, or an array of the tensor's shape where that has more than one column."""
    if tensor.datatype == "BYTES":
        found = _texts(tensor.name, data)
        try:
            return found if image else [value.decode() for value in found]
        except UnicodeDecodeError:
            raise Refused(400, f"input {tensor.name!r:.100} is not UTF-8") from None
    kind = _DTYPES.get(tensor.datatype)
    if kind is None or len(data) % np.dtype(kind).itemsize:
        raise Refused(400, f"input {tensor.name!r:.100}: {len(data)} bytes are no {tensor.datatype:.20}")
    values = np.frombuffer(data, kind)
    return values if len(tensor.shape) > 2 else values.tolist()


def _texts(name: str, data: memoryview) -> list[bytes]:
    """The values of BYTES, each of which has its length in four bytes before it."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        size = _LENGTH.unpack_from(data, at)[0] if len(data) - at >= 4 else -1
        at += 4
        if not 0 <= size <= len(data) - at:
            raise Refused(400, f"input {name!r:.100}: the lengths of its values do not fit its bytes")
        found.append(bytes(data[at : at + size]))
        at += size
    return found


def images(name: str, datatype: str, shape: list[int], data: Any) -> list[bytes]:
    """Pixels as image files (PPM, which is a head and the pixels), one a row; Refused (400)."""
    try:
        pixels = np.asarray(data)
    except ValueError:
        raise Refused(400, f"input {name!r}: its nested data is uneven") from None
    if len(shape) != 4 or min(shape) < 1 or not {shape[3], shape[1]} & set(_CHANNELS):
        raise Refused(400, f"input {name!r} takes pixels of shape [n, h, w, c] or [n, c, h, w], c 1 or 3, not {shape}")
    if pixels.dtype.kind not in ("iuf" if datatype == "FP32" else "iu") or pixels.size != np.prod(shape, dtype=object):
        raise Refused(400, f"input {name!r}: its data is not {shape} numbers")
    if shape[0] > MOST_PICTURES:
        raise Refused(413, f"input {name!r}: {shape[0]} images are more than one request may have, {MOST_PICTURES}")
    whole = _bytes(name, datatype, pixels).reshape(shape)
    last = whole if shape[3] in _CHANNELS else whole.transpose(0, 2, 3, 1)
    return [_file(picture) for picture in last]


def _bytes(name: str, datatype: str, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers 0-255, or 0-1 when they are floats; Refused (400) beyond."""
    top = 1.0 if datatype == "FP32" else 255.0
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= top):
        raise Refused(400, f"input {name!r}: {datatype} pixels are between 0 and {top:.0f}")
    if datatype == "FP32":
        pixels = np.rint(pixels * 255)
    whole: NDArray[np.uint8] = pixels.astype(np.uint8)
    return whole


def _file(picture: NDArray[np.uint8]) -> bytes:
    """Pixels of shape (h, w, c) as the bytes of a file."""
    height, width, channels = picture.shape
    return b"P%d %d %d 255\n" % (6 if channels == 3 else 5, width, height) + picture.tobytes()
