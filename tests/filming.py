"""Videos for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def filmed(path: Path, frames: int = 35, rate: int = 10, codec: str = "mpeg4", **metadata: str) -> Path:
    """A video that grows brighter by 7 of 255 each frame."""
    import av

    with av.open(str(path), "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 7 % 256, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
