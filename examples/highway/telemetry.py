"""Readings of the box that a camera hangs in: they follow the hour and the weather, and one mount is loose."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

MINUTES = 10
LOOSE = "south"
"""The camera whose mount shakes in the wind."""
QUANTITIES = {
    "temperature": "°C in the box",
    "humidity": "% relative",
    "pressure": "hPa at sea level",
    "accelerometer_x": "m/s²",
    "accelerometer_y": "m/s²",
    "accelerometer_z": "m/s²",
    "gyroscope": "rad/s about the upright axis",
    "magnetometer": "µT along the road",
    "supply_voltage": "V",
}


def readings(day: date, device: str, wet: float, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """A day's readings, one every ten minutes. `wet` is how much of the day it rains, 0–1.

    One in fifty has no humidity, and now and then a device says nothing for an hour.
    """
    silent = int(rng.integers(0, 24 * 60 // MINUTES - 6)) if rng.random() < 0.15 else -10
    gust = rng.uniform(0.2, 0.5) + 1.6 * wet
    pressure = 1018 - 14 * wet + rng.normal(0, 2)
    for n in range(24 * 60 // MINUTES):
        minutes = n * MINUTES + rng.uniform(-0.2, 0.2)
        pressure += rng.normal(0, 0.06)
        found = {**_climate(minutes / 60, wet, rng), "pressure": pressure, **_motion(device, gust, rng)}
        if silent <= n < silent + 6:
            continue
        at = datetime.combine(day, time()) + timedelta(minutes=max(0.0, minutes))
        row: dict[str, Any] = {"time": at.isoformat(timespec="seconds") + "Z", "device": device}
        row |= {name: round(float(found[name]), 3) for name in QUANTITIES}
        if rng.random() < 0.02:
            row["humidity"] = None
        yield row


def _climate(hour: float, wet: float, rng: np.random.Generator) -> dict[str, float]:
    """Warmest at three in the afternoon; rain cools and dampens; the battery is charged while the sun shines."""
    warm = math.cos((hour - 15) / 24 * 2 * math.pi)
    sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * (1 - 0.7 * wet)
    return {
        "temperature": 17 - 4 * wet + (7 - 4 * wet) * warm + 5 * sun + rng.normal(0, 0.3),
        "humidity": min(100.0, 62 + 30 * wet - (14 - 9 * wet) * warm + rng.normal(0, 1.5)),
        "supply_voltage": 12.1
        + 1.5 * sun
        - 0.03 * ((hour - 18) % 24 if not 6 <= hour < 18 else 0)
        + rng.normal(0, 0.02),
    }


def _motion(device: str, gust: float, rng: np.random.Generator) -> dict[str, float]:
    """Gravity and a little traffic; a loose mount swings with the wind and turns the compass."""
    loose = device == LOOSE
    swing = 0.02 + (0.25 * gust if loose else 0.015 * gust)
    x, y, z = rng.normal(0, swing), rng.normal(0, swing), 9.81 + rng.normal(0, swing / 2)
    turn = rng.normal(0, swing / 4)
    return {
        "accelerometer_x": x,
        "accelerometer_y": y,
        "accelerometer_z": z,
        "gyroscope": turn,
        "magnetometer": 21.5 + (4 if loose else 0.5) * turn + rng.normal(0, 0.15),
    }
