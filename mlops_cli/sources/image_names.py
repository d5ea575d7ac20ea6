"""What the name of an image says: when it was taken, by which camera, and the directories it lies in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath

_YEARS = r"(?<!\d)((?:19[7-9]|20\d)\d)"
_STAMP = re.compile(
    _YEARS + r"(?:([-_.])(\d\d)\2(\d\d)|(\d\d)(\d\d))"
    r"[T_ /.-]?(\d\d)[-:_.h]?(\d\d)[-:_.m]?(\d\d)(?:[.,](\d{1,6})|(\d{3}))?(?!\d)"
    r"(?:(Z)|([+-])(0\d|1[0-4]):?([0134][05]))?(?!\d)"
)
_EPOCH = re.compile(r"(?<!\d)(1\d{12}|1\d{9})(?!\d)")
_COUNTERS = ("img", "image", "frame", "photo", "picture", "snapshot", "capture", "dsc", "dscn", "pxl", "vid", "video")
"""What programs begin names with that says nothing of the camera."""


def told(file: str) -> tuple[int | None, str]:
    """The time in a name, µs since 1970 (UTC), and what stands before it in the file name; None without a time.

    `north_2026-03-01T14-05-10.jpg`, `20260301_140510.jpg`, seconds or milliseconds since 1970, and, split over
    directory and file name, `2026-03-01/14-05-10.jpg`. A time without `Z` or an offset is taken for UTC.
    """
    path = PurePosixPath(file)
    for text in (path.stem, f"{path.parent.name}/{path.stem}"):
        for found in _STAMP.finditer(text):
            micros = _micros(found)
            if micros is not None:
                return micros, "" if "/" in text else _camera(text[: found.start()])
    epoch = _EPOCH.search(path.stem)
    if epoch is None:
        return None, ""
    return int(epoch[1]) * (1_000 if len(epoch[1]) == 13 else 1_000_000), _camera(path.stem[: epoch.start()])


def _camera(before: str) -> str:
    """The part of a file name before the time, as the name of a camera."""
    name = before.strip(" _-.@#")
    return "" if name.lower() in _COUNTERS else name


def _micros(found: re.Match[str]) -> int | None:
    """A time that was found; None when there is no such day or hour."""
    year, _, month, day, month2, day2, hour, minute, second, fraction, millis, zulu, sign, east, east_minutes = (
        found.groups()
    )
    part = (fraction or millis or "").ljust(6, "0")
    offset = timedelta(hours=int(east), minutes=int(east_minutes)) if sign and not zulu else timedelta()
    try:
        when = datetime(
            int(year), int(month or month2), int(day or day2), int(hour), int(minute), int(second), int(part)
        )
    except ValueError:
        return None
    return micros(when.replace(tzinfo=timezone(-offset if sign == "-" else offset)))


def micros(when: datetime) -> int:
    """A time with a zone as µs since 1970 (UTC)."""
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def exif(date: str, offset: str, fraction: str) -> int | None:
    """An EXIF time (`2026:03:01 14:05:10`, `+01:00`, `123`), µs since 1970 (UTC); None when it is none.

    Without an offset it is taken for UTC.
    """
    text = re.fullmatch(r"\s*(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)\s*\0*\s*", date)
    if text is None:
        return None
    zone = re.fullmatch(r"\s*([+-]\d\d:\d\d)\s*\0*\s*", offset)
    part = re.match(r"\d{1,6}", fraction.strip())
    said = f"{text[1]}-{text[2]}-{text[3]}T{text[4]}.{part[0].ljust(6, '0') if part else '000000'}"
    try:
        return micros(datetime.fromisoformat(said + (zone[1] if zone else "+00:00")))
    except ValueError:
        return None


def parent(file: str, above: int = 1) -> str | None:
    """The name of the directory of a file, or `above` it: 2 is the grand-parent; None when it lies less deep."""
    parts = PurePosixPath(file).parts
    return parts[-1 - above] if len(parts) > above else None
