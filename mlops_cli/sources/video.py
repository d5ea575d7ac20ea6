"""Videos as images: one frame in so much time, as JPEG, named by its time in the video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging

from mlops_cli.runtime.images import MOST_PIXELS
from mlops_cli.sources import image_names
from mlops_cli.sources.image_files import Entry, container, refused

QUALITY = 95
"""Of the JPEG that a frame becomes."""

_FIRST = 512


def frames(path: Path, file: str, fps: Fraction) -> Iterator[Entry]:
    """The first frame of every 1/`fps` seconds of a video, in order. What cannot be decoded is one rejected entry.

    The container is opened as what its first bytes say, and may open no other file: FFmpeg would follow a playlist.
    The time of a frame is the start, from the name or else the container's `creation_time`, plus its offset.
    """
    av.logging.set_level(None)  # it would write to standard error by itself
    with path.open("rb") as stream:
        format = container(stream.read(_FIRST))
        if format is None:
            yield _rejected(file, "", "not a video of a known container")
            return
        stream.seek(0)
        offset = Fraction(0)
        try:
            with closing(av.open(stream, format=format)) as opened:
                start = _start(file, opened)
                for offset, frame in _sampled(opened, fps):
                    if isinstance(frame, str):
                        yield _rejected(file, _name(offset), frame)
                    else:
                        yield _entry(file, frame, offset, start)
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            yield _rejected(file, _name(offset) if offset else "", _reason(error))


def _sampled(opened: Any, fps: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """Frames with their offset in seconds, or the reason in place of one that cannot be decoded."""
    if not opened.streams.video:
        yield Fraction(0), "there is no picture in it"
        return
    stream = opened.streams.video[0]
    if stream.width * stream.height > MOST_PIXELS:
        yield Fraction(0), f"{stream.width} × {stream.height} pixels are more than {MOST_PIXELS:,}"
        return
    stream.thread_type = "AUTO"
    first: int | None = None
    wanted, offset = Fraction(0), Fraction(0)
    for packet in opened.demux(stream):
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            yield offset, _reason(error)
            continue
        for frame in decoded:
            if frame.pts is None:
                continue
            first = frame.pts if first is None else first
            offset = (frame.pts - first) * Fraction(frame.time_base)
            if offset >= wanted:
                yield offset, frame
                wanted = (offset * fps // 1 + 1) / fps
    if first is None:
        yield offset, "no frame of it can be decoded"


def _entry(file: str, frame: Any, offset: Fraction, start: int | None) -> Entry:
    """A frame that is encoded when it is read, in whatever thread that is."""
    time = None if start is None else start + round(offset * 1_000_000)
    size = frame.width * frame.height * 3
    return Entry(file, size, partial(_encoded, frame), time=time, frame=_name(offset))


def _encoded(frame: Any) -> bytes:
    """A frame as JPEG, upright."""
    image = frame.to_image()
    if frame.rotation:
        image = image.rotate(frame.rotation, expand=True)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def _name(offset: Fraction) -> str:
    """`#t=12.345`: what a frame adds to the name of its video (Media Fragments, W3C 2012)."""
    return f"#t={float(offset):.3f}"


def _rejected(file: str, frame: str, reason: str) -> Entry:
    """Something of a video that cannot be read."""
    return Entry(file, 0, refused(reason), frame=frame)


def _reason(error: BaseException) -> str:
    """What FFmpeg found, without the name of the file."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__


def _start(file: str, opened: Any) -> int | None:
    """When a video begins, µs since 1970 (UTC): its name says, or its container."""
    told, _ = image_names.told(file)
    said = opened.metadata.get("creation_time")
    if told is not None or not said:
        return told
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        return None
    return image_names.micros(when if when.tzinfo else when.replace(tzinfo=UTC))
