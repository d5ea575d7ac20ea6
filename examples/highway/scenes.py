"""Days on a highway, drawn: frames of passing vehicles by camera, what really passed, and readings of the devices.

usage: scenes.py --out DIR [--cameras 3] [--from 2026-03-02] [--days 1] [--rate 100] [--weather day,night+rain:2]
                 [--seed 1] [--unlabelled] [--sheet FILE.png]

DIR/<camera>/<label>/<camera>_<time>.jpg   a detector's crop around one vehicle, 64 × 64 (times are UTC)
DIR/<camera>/<camera>_<time>.jpg           with --unlabelled, as a camera sends it
DIR/labels.csv                             what really passed, as the counters of the toll gate know
DIR/telemetry.ndjson                       readings of each camera's box, every ten minutes

`--weather` is a mix: day, dusk or night, with +rain or +fog, each with a weight. The same flags give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from pictures import CAMERAS, Camera, Conditions, sheet, taken
from telemetry import readings
from vehicles import LABELS

TRAFFIC = {"car": 0.40, "van": 0.18, "truck": 0.18, "bus": 0.12, "motorcycle": 0.12}
HOURS = {"day": ((8.0, 16.5),), "dusk": ((6.0, 7.5), (17.0, 18.5)), "night": ((0.0, 5.0), (19.5, 24.0))}
"""When it is light, UTC."""

MOST = 5_000

Mix = dict[Conditions, float]


def mix(text: str) -> Mix:
    """The shares of conditions in `day:3,night+rain`; ValueError when it is none."""
    parts: Mix = {}
    for part in text.split(","):
        name, _, weight = part.partition(":")
        parts[Conditions.parse(name.strip())] = float(weight or 1)
    total = sum(parts.values())
    return {conditions: weight / total for conditions, weight in parts.items()}


def rate(text: str) -> int:
    """How many vehicles pass in a day, each in a second of its own; ValueError beyond what a dusk has room for."""
    found = int(text)
    if not 1 <= found <= MOST:
        raise ValueError(text)
    return found


def passing(
    day: date, camera: Camera, rate: int, weather: Mix, seed: int
) -> Iterator[tuple[datetime, str, Conditions, bytes]]:
    """What passes a camera on a day, by time: when, which kind, in what conditions, and the frame."""
    rng = np.random.default_rng([seed, day.toordinal(), CAMERAS.index(camera)])
    kinds, shares = list(weather), list(weather.values())
    chosen = [kinds[n] for n in rng.choice(len(kinds), rate, p=shares)]
    seconds = _seconds(chosen, rng)
    for n in sorted(range(rate), key=seconds.__getitem__):
        at = datetime.combine(day, time()) + timedelta(seconds=seconds[n])
        label = str(rng.choice(list(TRAFFIC), p=list(TRAFFIC.values())))
        yield at, label, chosen[n], taken(label, camera, chosen[n], rng)


def _seconds(conditions: list[Conditions], rng: np.random.Generator) -> list[int]:
    """A second of the day for each, none twice, while there is its light."""
    found: dict[int, None] = {}
    for one in conditions:
        spans = HOURS[one.light]
        while True:
            low, high = spans[int(rng.integers(len(spans)))]
            second = int(rng.uniform(low, high) * 3600)
            if second not in found:
                break
        found[second] = None
    return list(found)


def write(out: Path, cameras: int, days: list[date], rate: int, weather: Mix, seed: int, labelled: bool) -> int:
    """All frames of some days, their labels and the readings; returns how many frames."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label", "camera", "time", "weather"])
        for day in days:
            for camera in CAMERAS[:cameras]:
                for at, label, conditions, data in passing(day, camera, rate, weather, seed):
                    folder = Path(camera.name, label) if labelled else Path(camera.name)
                    path = folder / f"{camera.name}_{at:%Y-%m-%dT%H-%M-%S}.jpg"
                    (out / folder).mkdir(parents=True, exist_ok=True)
                    (out / path).write_bytes(data)
                    rows.writerow([path.as_posix(), label, camera.name, at.isoformat(), str(conditions)])
                    count += 1
    wet = sum(share for conditions, share in weather.items() if conditions.weather == "rain")
    with (out / "telemetry.ndjson").open("w", encoding="utf-8") as file:
        for day in days:
            for n, camera in enumerate(CAMERAS[:cameras]):
                for reading in readings(day, camera.name, wet, np.random.default_rng([seed, day.toordinal(), n, 1])):
                    file.write(json.dumps(reading) + "\n")
    return count


def contact(path: Path, kinds: list[Conditions], cameras: int, seed: int) -> None:
    """A sheet of nine pictures of each kind of vehicle in each of the conditions, to look at."""
    rng = np.random.default_rng(seed)
    rows, names = [], []
    for conditions in kinds:
        for label in LABELS:
            rows.append([taken(label, CAMERAS[n % cameras], conditions, rng) for n in range(9)])
            names.append(f"{label}\n{conditions}")
    sheet(rows, names).save(path)


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cameras", type=int, default=3, choices=range(1, len(CAMERAS) + 1), help="how many")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2026, 3, 2), metavar="DATE")
    parser.add_argument("--days", type=int, default=1, help="how many")
    parser.add_argument("--rate", type=rate, default=100, help="vehicles a camera and day")
    parser.add_argument(
        "--weather", type=mix, default="day", metavar="MIX", help="day, dusk, night; +rain, +fog; :weight"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unlabelled", action="store_true", help="no directories of labels")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="also a sheet of pictures to look at")
    given = parser.parse_args()
    days = [given.first + timedelta(days=n) for n in range(given.days)]
    count = write(given.out, given.cameras, days, given.rate, given.weather, given.seed, not given.unlabelled)
    if given.sheet:
        contact(given.sheet, list(given.weather), given.cameras, given.seed)
    print(f"{count} frames of {given.cameras} cameras on {given.days} days in {given.out}")


if __name__ == "__main__":
    main()
