"""The highway's generator: the same flags give the same days, labels are what was drawn, readings fit the weather."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_cli.runtime import images

HIGHWAY = Path(__file__).parents[1] / "examples" / "highway"
ENVIRONMENT = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}


def scenes(out: Path, *flags: str, code: int = 0) -> str:
    """Run scenes.py as a reader would; its messages."""
    command = [sys.executable, str(HIGHWAY / "scenes.py"), "--out", str(out), *flags]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def digests(folder: Path) -> dict[str, str]:
    """Every file's digest by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def readings(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "telemetry.ndjson").read_text().splitlines()]


def test_the_same_flags_give_the_same_bytes(tmp_path: Path) -> None:
    flags = ("--days", "2", "--rate", "12", "--weather", "day,dusk+fog,night+rain")
    scenes(tmp_path / "a", *flags)
    scenes(tmp_path / "b", *flags)
    scenes(tmp_path / "c", *flags, "--seed", "2")
    first = digests(tmp_path / "a")
    assert first == digests(tmp_path / "b")
    assert not set(first.values()) & set(digests(tmp_path / "c").values())
    # A day does not depend on those before it.
    scenes(tmp_path / "d", "--from", "2026-03-03", "--rate", "12", "--weather", "day,dusk+fog,night+rain")
    images_of_d = {name: digest for name, digest in digests(tmp_path / "d").items() if name.endswith(".jpg")}
    assert len(images_of_d) == 36
    assert images_of_d.items() <= first.items()


def test_frames_lie_under_what_passed(tmp_path: Path) -> None:
    scenes(tmp_path, "--rate", "60", "--weather", "day,night+rain")
    rows = labels(tmp_path)
    assert len(rows) == 180
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")} == {row["path"] for row in rows}
    for row in rows:
        camera, label, name = row["path"].split("/")
        at = datetime.fromisoformat(row["time"])
        assert (camera, label) == (row["camera"], row["label"])
        assert name == f"{camera}_{at:%Y-%m-%dT%H-%M-%S}.jpg"
        assert (8 <= at.hour < 17) == (row["weather"] == "day")
        picture = images.opened((tmp_path / row["path"]).read_bytes())
        assert (picture.width, picture.height, picture.mode, picture.format) == (64, 64, "RGB", "JPEG")
    kinds = Counter(row["label"] for row in rows)
    assert set(kinds) == {"bus", "car", "motorcycle", "truck", "van"}
    assert kinds["car"] == max(kinds.values())


def test_unlabelled_frames_tell_nothing(tmp_path: Path) -> None:
    scenes(tmp_path, "--rate", "8", "--unlabelled", "--cameras", "1")
    assert {row["path"] for row in labels(tmp_path)} == {
        f"north/{path.name}" for path in (tmp_path / "north").iterdir()
    }


def test_nights_are_darker_and_noisier_than_days(tmp_path: Path) -> None:
    seen = {}
    for weather in ("day", "night", "fog"):
        scenes(tmp_path / weather, "--rate", "20", "--weather", weather)
        found = [images.statistics(images.opened(path.read_bytes())) for path in (tmp_path / weather).rglob("*.jpg")]
        seen[weather] = {name: float(np.mean([one[name] for one in found])) for name in images.STATISTICS}
    assert seen["night"]["brightness"] < 0.7 * seen["day"]["brightness"]
    assert seen["fog"]["contrast"] < 0.7 * seen["day"]["contrast"]


def test_readings_go_with_the_weather(tmp_path: Path) -> None:
    for weather in ("day", "night+rain"):
        scenes(tmp_path / weather, "--days", "4", "--rate", "1", "--weather", weather)
    dry, wet = readings(tmp_path / "day"), readings(tmp_path / "night+rain")
    names = ["temperature", "humidity", "pressure", "accelerometer_x", "accelerometer_y", "accelerometer_z"]
    names += ["gyroscope", "magnetometer", "supply_voltage"]
    for row in (*dry, *wet):
        assert list(row) == ["time", "device", *names]
        assert datetime.fromisoformat(row["time"]).tzinfo is not None
        assert all(isinstance(row[name], float) or (name == "humidity" and row[name] is None) for name in names)
    assert {row["device"] for row in dry} == {"north", "south", "bridge"}
    assert any(row["humidity"] is None for row in dry)
    assert 1500 < len(dry) <= 4 * 3 * 144

    def mean(rows: list[dict[str, Any]], name: str) -> float:
        return float(np.mean([row[name] for row in rows if row[name] is not None]))

    assert mean(wet, "humidity") > mean(dry, "humidity") + 15
    assert mean(wet, "temperature") < mean(dry, "temperature")
    shaken = {
        device: max(row["accelerometer_x"] for row in wet if row["device"] == device) for device in ("north", "south")
    }
    assert shaken["south"] > 1 > 5 * shaken["north"]


def test_more_vehicles_than_seconds_is_usage(tmp_path: Path) -> None:
    assert "--rate" in scenes(tmp_path / "no", "--rate", "100000", code=2)


@pytest.mark.parametrize("weather", ["snow", "day:x", ""])
def test_unknown_weather_is_usage(tmp_path: Path, weather: str) -> None:
    assert "--weather" in scenes(tmp_path / "no", "--weather", weather, code=2)
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
@pytest.mark.skipif("MLOPS_TEST_STORY" not in os.environ, reason="its days are seconds: it wants a machine of its own")
def test_the_story_in_small(work: Path) -> None:
    """`make story SMALL=1`: the alert, the mail, version 2 and no failed request; story.py asserts each."""
    story = ["make", "-f", HIGHWAY / "Makefile", "story", "SMALL=1"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        story, capture_output=True, text=True, timeout=290, check=False, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told = json.loads((work / "build" / "story.json").read_text())
    assert told and (work / "build" / "story.html").stat().st_size > 10_000
