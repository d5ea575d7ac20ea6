"""Videos as images."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from filming import filmed
from PIL import Image

from mlops_cli.sources import image_names
from mlops_cli.sources.image_files import Unreadable

pytest.importorskip("av")

from mlops_cli.sources import video


def brightness(data: bytes) -> float:
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
        return float(np.asarray(image.convert("L")).mean())


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mpeg4"),
        ("a.avi", "mpeg4"),
        ("a.mkv", "mpeg4"),
        ("a.mov", "mpeg4"),
        ("a.webm", "libvpx"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_one_frame_a_second(tmp_path: Path, name: str, codec: str) -> None:
    rate = 25 if codec == "mpeg2video" else 10
    path = filmed(tmp_path / name, 35 * rate // 10, rate, codec)
    found = list(video.frames(path, name, Fraction(1)))
    assert [entry.path for entry in found] == [f"{name}#t={second}.000" for second in range(4)]
    values = [brightness(entry.read()) for entry in found]
    if rate == 10:
        assert values == pytest.approx([0, 70, 140, 210], abs=5)


@pytest.mark.parametrize(("fps", "times"), [("2", 7), ("1/2", 2), ("100", 35), ("0.1", 1)])
def test_other_rates(tmp_path: Path, fps: str, times: int) -> None:
    path = filmed(tmp_path / "a.mp4")
    assert len(list(video.frames(path, "a.mp4", Fraction(fps)))) == times


def test_times_come_from_the_name_or_the_container(tmp_path: Path) -> None:
    named = filmed(tmp_path / "north_2026-03-01T14-05-10.mp4")
    start, _ = image_names.told(named.name)
    assert start is not None
    found = list(video.frames(named, named.name, Fraction(2)))
    assert [entry.time for entry in found] == [start + half * 500_000 for half in range(7)]
    said = filmed(tmp_path / "a.mp4", creation_time="2026-03-01T14:05:10.000000Z")
    assert next(video.frames(said, "a.mp4", Fraction(1))).time == start
    assert next(video.frames(filmed(tmp_path / "b.avi"), "b.avi", Fraction(1))).time is None


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"]
)
def test_what_is_no_video_is_one_reject(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    (entry,) = video.frames(path, "a.mp4", Fraction(1))
    with pytest.raises(Unreadable, match="not a video of a known container"):
        entry.read()


def test_a_video_that_is_cut_or_damaged(tmp_path: Path) -> None:
    whole = filmed(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) // 2])
    (entry,) = video.frames(tmp_path / "a.mp4", "a.mp4", Fraction(1))
    with pytest.raises(Unreadable):
        entry.read()
    cut = filmed(tmp_path / "b.mkv", codec="libvpx").read_bytes()
    (tmp_path / "b.mkv").write_bytes(cut[: len(cut) // 2])
    assert 1 <= len(list(video.frames(tmp_path / "b.mkv", "b.mkv", Fraction(10)))) < 36
    noise = bytearray(filmed(tmp_path / "c.mkv").read_bytes())
    noise[1000:1400] = bytes(range(256)) + bytes(144)
    (tmp_path / "c.mkv").write_bytes(noise)
    assert list(video.frames(tmp_path / "c.mkv", "c.mkv", Fraction(10)))
