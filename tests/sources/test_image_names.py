"""Times and cameras in the names of images."""

from datetime import UTC, datetime

import pytest

from mlops_cli.sources import image_names


def micros(text: str) -> int:
    return image_names.micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "time", "camera"),
    [
        ("north_2026-03-01T14-05-10.jpg", "2026-03-01T14:05:10", "north"),
        ("a/b/cam-3_20260301_140510.png", "2026-03-01T14:05:10", "cam-3"),
        ("20260301140510.jpg", "2026-03-01T14:05:10", ""),
        ("20260301140510123.jpg", "2026-03-01T14:05:10.123", ""),
        ("gate 2026-03-01 14.05.10.jpg", "2026-03-01T14:05:10", "gate"),
        ("gate_2026-03-01T14:05:10.25Z.jpg", "2026-03-01T14:05:10.25", "gate"),
        ("gate_2026-03-01T14:05:10+02:00.jpg", "2026-03-01T12:05:10", "gate"),
        ("gate_20260301_140510_001.jpg", "2026-03-01T14:05:10", "gate"),
        ("IMG_20260301_140510.jpg", "2026-03-01T14:05:10", ""),
        ("north/2026-03-01/14-05-10.jpg", "2026-03-01T14:05:10", ""),
        ("west_1772373910.jpg", "2026-03-01T14:05:10", "west"),
        ("west_1772373910123.jpg", "2026-03-01T14:05:10.123", "west"),
        ("20260231_140510.jpg", None, ""),
        ("0338.jpg", None, ""),
        ("car_000123.jpg", None, ""),
        ("2026-03-01.jpg", None, ""),
        ("9920260301140510.jpg", None, ""),
        ("a2026-03_01T14-05-10.jpg", None, ""),
    ],
)
def test_what_a_name_tells(name: str, time: str | None, camera: str) -> None:
    assert image_names.told(name) == (None if time is None else micros(time), camera)


@pytest.mark.parametrize(
    ("said", "time"),
    [
        (("2026:03:01 14:05:10", "", ""), "2026-03-01T14:05:10"),
        (("2026:03:01 14:05:10", "+02:00", "5"), "2026-03-01T12:05:10.5"),
        (("2026:03:01 14:05:10\0", "-01:30", "123456789"), "2026-03-01T15:35:10.123456"),
        (("0000:00:00 00:00:00", "", ""), None),
        (("    :  :     :  :  ", "", ""), None),
        (("yesterday", "+02:00", ""), None),
    ],
)
def test_what_exif_tells(said: tuple[str, str, str], time: str | None) -> None:
    assert image_names.exif(*said) == (None if time is None else micros(time))


def test_directories() -> None:
    assert [image_names.parent("a/b/c.jpg", above) for above in (1, 2, 3)] == ["b", "a", None]
    assert image_names.parent("c.jpg") is None
