"""Live traffic: ask a served model about every flight of November and December as it leaves.

usage: traffic.py FOLDER http://127.0.0.1:8080, with flights.csv, weather.csv and planes.csv in the folder

The standard library alone, as any client could be. All flights of an hour go in one request, MLflow's
`dataframe_records`; the flight's own name goes along as `flight_id`, under which its outcome comes in later.
"""

from __future__ import annotations

import csv
import http.client
import itertools
import json
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIRST_MONTH = 11
WAIT_SECONDS = 30


def number(text: str) -> float | None:
    """A number, or None where there is none."""
    return None if text in ("", "NA") else float(text)


def by(path: Path, *keys: str) -> dict[tuple[str, ...], dict[str, str]]:
    """The rows of a CSV file by the values of some columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}


def departures(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The hour and what is known at departure, for every flight that left."""
    weather, planes = by(folder / "weather.csv", "origin", "time_hour"), by(folder / "planes.csv", "tailnum")
    with (folder / "flights.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["month"]) >= FIRST_MONTH and row["dep_time"] not in ("", "NA"):
                sky, plane = weather.get((row["origin"], row["time_hour"]), {}), planes.get((row["tailnum"],), {})
                built = number(plane.get("year", ""))
                yield (
                    row["time_hour"],
                    {
                        "flight_id": "-".join(row[name] for name in ("month", "day", "carrier", "flight", "origin")),
                        "carrier": row["carrier"],
                        "origin": row["origin"],
                        "dest": row["dest"],
                        "distance": int(row["distance"]),
                        "hour": int(row["hour"]),
                        "minute": int(row["minute"]),
                        "dep_delay": int(row["dep_delay"]),
                        "departs": row["time_hour"],
                        **{name: number(sky.get(name, "")) for name in ("visib", "wind_speed", "precip")},
                        "plane_age": None if built is None else 2013 - built,
                        "seats": number(plane.get("seats", "")),
                    },
                )


def connect(address: str) -> http.client.HTTPConnection:
    """A connection to a server that is ready, for which is waited."""
    url = urllib.parse.urlsplit(address)
    end = time.monotonic() + WAIT_SECONDS
    while True:
        connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=30)
        try:
            connection.request("GET", "/v2/health/ready")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return connection
        except OSError:
            connection.close()
        if time.monotonic() > end:
            sys.exit(f"{address} is not ready after {WAIT_SECONDS} s")
        time.sleep(0.1)


def ask(connection: http.client.HTTPConnection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The predictions for some flights."""
    body = json.dumps({"dataframe_records": rows})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        sys.exit(f"HTTP {answer.status}: {content.decode(errors='replace')}")
    found: list[dict[str, Any]] = json.loads(content)["predictions"]
    return found


def main() -> None:
    """Send all of it, hour by hour, and say how many there were."""
    folder, address = Path(sys.argv[1]), sys.argv[2]
    hours: list[list[dict[str, Any]]] = []
    for _, group in itertools.groupby(sorted(departures(folder), key=lambda item: item[0]), key=lambda item: item[0]):
        hours.append([row for _, row in group])
    connection = connect(address)
    started = time.monotonic()
    late = sum(answer["prediction"] is True for rows in hours for answer in ask(connection, rows))
    rows = sum(len(rows) for rows in hours)
    print(f"{rows} flights in {len(hours)} requests, {late} will be late, {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
