"""The page that the story ends with: precision day by day, what the cameras saw, what the devices felt.

usage: page.py BUILD      writes BUILD/story.png, and BUILD/story.html around it
"""

from __future__ import annotations

import base64
import csv
import html
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

WIDE, MARGIN, SCALE = 1200, 40, 2
INK, PALE, RED, GREEN, BLUE, ORANGE = "#1c2430", "#8b95a3", "#c8372d", "#2b8a57", "#2f6fb3", "#d98324"
SKY = {"day": "#cfe3f5", "dusk": "#e2bfa6", "night": "#39435c", "rain": "#1f2942"}
TILE = 88
Point = tuple[float, float]


@dataclass(frozen=True)
class Shot:
    """A frame, what passed, and which version answered what."""

    path: Path
    label: str
    weather: str
    version: str
    prediction: str
    confidence: float


class Canvas:
    """A white page that is drawn on in its own units, at twice their number of pixels."""

    def __init__(self, tall: int) -> None:
        self.image = Image.new("RGB", (WIDE * SCALE, tall * SCALE), "white")
        self._draw = ImageDraw.Draw(self.image)

    def text(self, at: Point, text: str, size: float = 13, fill: str = INK, anchor: str = "ls") -> None:
        """Text on its baseline, or as Pillow's anchor says."""
        font = ImageFont.load_default(size * SCALE)
        self._draw.text((at[0] * SCALE, at[1] * SCALE), text, fill, font, anchor)

    def line(self, points: Sequence[Point], fill: str, width: float = 1.0) -> None:
        """A line through points."""
        self._draw.line([(x * SCALE, y * SCALE) for x, y in points], fill, round(width * SCALE), "curve")

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str | None, outline: str | None = None) -> None:
        """A rectangle."""
        self._draw.rectangle([x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE], fill, outline, 2 * SCALE)

    def dot(self, at: Point, radius: float, fill: str) -> None:
        """A filled circle."""
        x, y = at
        self._draw.ellipse(
            [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE], fill
        )

    def picture(self, at: Point, path: Path, side: float) -> None:
        """A frame, its pixels as they are."""
        with Image.open(path) as frame:
            large = frame.resize((round(side * SCALE),) * 2, Image.Resampling.BICUBIC)
        self.image.paste(large, (round(at[0] * SCALE), round(at[1] * SCALE)))


@dataclass(frozen=True)
class Axes:
    """Where days and values are on the page."""

    left: float
    top: float
    right: float
    bottom: float
    count: int
    low: float
    high: float

    def at(self, day: float, value: float) -> Point:
        """The place of a value on a day."""
        share = (value - self.low) / (self.high - self.low)
        return self.left + (day + 0.5) / self.count * (self.right - self.left), self.bottom - share * (
            self.bottom - self.top
        )


def shots(build: Path, days: Sequence[str]) -> dict[str, list[Shot]]:
    """What was asked and answered on each day, in the order of requests."""
    truth: dict[str, tuple[str, Path, str, str]] = {}
    for day in days:
        with (build / "days" / day / "labels.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path = build / "days" / day / row["path"]
                truth[path.stem] = (day, path, row["label"], row["weather"])
    found: dict[str, list[Shot]] = {day: [] for day in days}
    for log in sorted((build / "logs").rglob("*.ndjson")):
        for line in log.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["request_id"] in truth:
                day, path, label, weather = truth[row["request_id"]]
                shot = Shot(path, label, weather, row["version"], row["prediction"], row["inputs"]["confidence"])
                found[day].append(shot)
    return found


def timeline(page: Canvas, story: dict[str, Any], axes: Axes) -> None:
    """Precision of every day with its interval, the bound, and what happened."""
    days = story["days"]
    for value in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = axes.left, axes.at(0, value)[1]
        page.line([(x, y), (axes.right, y)], RED if value == 0.4 else "#e6e9ee", 1.5 if value == 0.4 else 1)
        page.text((x - 8, y), f"{value:.0%}", 12, RED if value == 0.4 else PALE, "rm")
    page.text((axes.right, axes.at(0, 0.4)[1] + 5), "alert: precision<0.40", 12, RED, "ra")
    for n, day in enumerate(days):
        sky(page, axes, n, day["weather"])
        colour = BLUE if day["version"] == 1 else GREEN
        if day["low"] is not None and day["high"] is not None:
            page.line([axes.at(n, day["low"]), axes.at(n, day["high"])], colour, 3)
        if n and days[n - 1]["version"] == day["version"]:
            page.line([axes.at(n - 1, days[n - 1]["precision"]), axes.at(n, day["precision"])], colour, 2)
        page.dot(axes.at(n, day["precision"]), 6, colour)
        page.text((axes.at(n, 0)[0], axes.at(n, day["precision"])[1] - 11), f"{day['precision']:.0%}", 13, colour, "rs")
        page.text((axes.at(n, 0)[0], axes.bottom + 34), day["date"][5:], 12, PALE, "ms")
    happened(page, story, axes)


def sky(page: Canvas, axes: Axes, n: int, weather: str) -> None:
    """A strip under a day that shows its light and its rain."""
    step = (axes.right - axes.left) / axes.count
    parts = [(name, float(weight or 1)) for name, _, weight in (part.partition(":") for part in weather.split(","))]
    total, x = sum(weight for _, weight in parts), axes.left + n * step + 2
    for name, weight in parts:
        wide = weight / total * (step - 4)
        page.box(
            x, axes.bottom + 6, x + wide, axes.bottom + 18, SKY["rain" if "night+rain" in name else name.split("+")[0]]
        )
        if "rain" in name:
            for mark in range(3, int(wide), 7):
                page.line([(x + mark, axes.bottom + 7), (x + mark - 2, axes.bottom + 17)], "#7fb2e5", 1)
        x += wide


def happened(page: Canvas, story: dict[str, Any], axes: Axes) -> None:
    """The alert, the mail and the promotion, one above the other beside the day on which they were."""
    names = [day["date"] for day in story["days"]]
    for n, event in enumerate(story["events"]):
        x = axes.at(names.index(event["date"]), 0)[0]
        colour = (RED, ORANGE, GREEN)[n % 3]
        y = axes.top + 6 + 24 * n
        if not n:
            page.line([(x, axes.bottom), (x, y)], "#d9dde3", 1)
        page.dot((x, y), 8, colour)
        page.text((x, y), "!@2"[n % 3], 12, "white", "mm")
        page.text((x - 15, y), event["what"], 13, colour, "rm")


def curve(page: Canvas, axes: Axes, title: str, points: Sequence[Point], colour: str) -> None:
    """A small chart of something by day."""
    page.text((axes.left, axes.top - 14), title, 13)
    page.line([(axes.left, axes.bottom), (axes.right, axes.bottom)], "#e6e9ee")
    for value in (axes.low, axes.high):
        page.text((axes.left - 6, axes.at(0, value)[1]), f"{value:g}", 11, PALE, "rm")
    page.line([axes.at(day, min(axes.high, max(axes.low, value))) for day, value in points], colour, 1.5)


def readings(build: Path, days: Sequence[str], device: str, quantity: str) -> list[Point]:
    """A quantity that a device read, by day and fraction of it."""
    found = []
    for n, day in enumerate(days):
        for line in (build / "days" / day / "telemetry.ndjson").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["device"] == device and row[quantity] is not None:
                hour = int(row["time"][11:13]) + int(row["time"][14:16]) / 60
                found.append((n - 0.5 + hour / 24, row[quantity]))
    return found


def tiles(page: Canvas, top: float, title: str, given: Sequence[Shot]) -> None:
    """A row of frames, each with its answer: green when it is what passed, else red with what passed."""
    page.text((MARGIN, top), title, 14)
    step = (WIDE - 2 * MARGIN) / 12
    for n, shot in enumerate(given[:12]):
        x, right = MARGIN + n * step, shot.prediction == shot.label
        colour = GREEN if right else RED
        page.picture((x, top + 10), shot.path, TILE)
        page.box(x, top + 10, x + TILE, top + 10 + TILE, None, colour)
        page.text((x, top + 25 + TILE), shot.prediction, 12, colour)
        if not right:
            page.text((x, top + 39 + TILE), f"was: {shot.label}", 11, PALE)


def chosen(given: Sequence[Shot], weather: Sequence[str], version: str, right: bool | None = None) -> list[Shot]:
    """Twelve frames in some conditions that a version answered, each kind of vehicle in turn."""
    kinds: dict[str, list[Shot]] = {}
    for shot in given:
        if shot.weather in weather and shot.version == version and right in (None, shot.prediction == shot.label):
            kinds.setdefault(shot.label, []).append(shot)
    turns = [shot for n in range(12) for shots in sorted(kinds.items()) for shot in shots[1][n : n + 1]]
    return turns[:12]


def drawn(build: Path, story: dict[str, Any]) -> Image.Image:
    """The whole page."""
    days = [day["date"] for day in story["days"]]
    seen = shots(build, days)
    every = [shot for day in days for shot in seen[day]]
    page = Canvas(1380)
    sent = sum(day["sent"] for day in story["days"])
    change = story["answered"]["change"]
    page.text((MARGIN, 46), "A highway camera's autumn: precision of the served model, day by day", 24)
    about = (
        f"{sent:,} frames sent as requests on {len(days)} days, {sum(change.values()):,} more while version 2 took over"
    )
    page.text((MARGIN, 70), f"{about}; none failed.", 13, PALE)
    right = WIDE - MARGIN
    timeline(page, story, Axes(MARGIN + 40, 96, right, 390, len(days), 0.0, 1.0))
    sure = [(float(n), sum(s.confidence for s in seen[day]) / max(1, len(seen[day]))) for n, day in enumerate(days)]
    third = (WIDE - 2 * MARGIN) / 3
    charts = (
        ("how sure the model is: confidence, mean", sure, 0.0, 1.0, INK),
        ("temperature in the box of south, °C", readings(build, days, "south", "temperature"), 0.0, 35.0, ORANGE),
        (
            "its loose mount in the wind: accelerometer x, m/s/s",
            readings(build, days, "south", "accelerometer_x"),
            -1.5,
            1.5,
            BLUE,
        ),
    )
    for n, (title, points, low, high, colour) in enumerate(charts):
        left = MARGIN + n * third
        curve(page, Axes(left + 40, 480, left + third - 14, 570, len(days), low, high), title, points, colour)
    wet = ("night+rain",)
    rows = (
        ("Days, version 1", chosen(every, ("day", "day+rain"), "1")),
        ("Dusk and dry nights, version 1", chosen(every, ("dusk", "night"), "1")),
        ("Wet nights, version 1: headlights, spray, noise. What it takes them for", chosen(every, wet, "1")),
        ("Wet nights, version 2, which has learnt from the counters of the toll gate", chosen(every, wet, "2")),
        ("What version 2 still gets wrong", chosen(every, wet, "2", right=False)),
    )
    for n, (title, given) in enumerate(row for row in rows if row[1]):
        tiles(page, 624 + n * 150, title, given)
    return page.image


def table(story: dict[str, Any]) -> str:
    """The days as an HTML table, for those who cannot see the picture."""
    rows = "".join(
        f"<tr><td>{day['date']}<td>{html.escape(day['weather'])}<td>{day['sent']}<td>{day['failed']}<td>{day['version']}"
        f"<td>{day['precision']:.3f}<td>{day['exit']}</tr>"
        for day in story["days"]
    )
    mails = "".join(f"<li>{html.escape(subject)}</li>" for subject in story["mails"])
    head = "<tr><th>day<th>weather<th>requests<th>failed<th>version<th>precision<th>exit of watch</tr>"
    return f"<table>{head}{rows}</table><h2>Mail to the owner</h2><ul>{mails}</ul>"


STYLE = """
body { font: 15px sans-serif; max-width: 1200px; margin: 2em auto }
img { width: 100% }
td, th { padding: 2px 12px; text-align: left }
"""
ALT = (
    "Precision by day falls under 40 % on wet nights; an alert and a mail follow, version 2 takes over and precision "
    "recovers; below, frames with the answers of both versions."
)


def main() -> None:
    """Draw the page."""
    build = Path(sys.argv[1])
    story = json.loads((build / "story.json").read_text(encoding="utf-8"))
    drawn(build, story).quantize(128).save(build / "story.png", optimize=True)
    data = base64.b64encode((build / "story.png").read_bytes()).decode()
    head = f"<!doctype html><meta charset=utf-8><title>A highway camera's autumn</title><style>{STYLE}</style>"
    picture = f"<img src='data:image/png;base64,{data}' alt='{ALT}'>"
    (build / "story.html").write_text(f"{head}{picture}{table(story)}\n", encoding="utf-8")
    print(build / "story.html")


if __name__ == "__main__":
    main()
