"""The examples as a reader would run them, on few of their flights: all of `make`, then a `make` without work."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
RAW = ("month", "day", "dep_time", "dep_delay", "arr_delay", "carrier", "flight", "origin", "dest", "distance")
RAW += ("hour", "minute", "time_hour", "tailnum")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples with tables in the raw form, made from the flights that mlops ships."""
    folder = tmp_path / "examples"
    shutil.copytree(
        ROOT / "examples", folder, ignore=shutil.ignore_patterns("build", ".mlops", "mlops-registry", "logs")
    )
    with gzip.open(ROOT / "mlops_cli" / "demo" / "flights.csv.gz", "rt", encoding="utf-8") as packed:
        rows = list(csv.DictReader(packed))[::5]
    for place in ("flights", "ci"):
        with (folder / place / "flights.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, RAW, extrasaction="ignore")
            writer.writeheader()
            for row in rows:
                year_month_day = row["time_hour"].split("T")[0].split("-")
                scheduled = row["sched_dep_time"].zfill(4)
                more = {"month": int(year_month_day[1]), "day": int(year_month_day[2]), "dep_time": row["dep_delay"]}
                writer.writerow(row | more | {"hour": int(scheduled[:2]), "minute": int(scheduled[2:])})
        _weather_and_planes(folder / place, rows)
    return folder


def _weather_and_planes(folder: Path, rows: list[dict[str, str]]) -> None:
    """The tables that are joined to the flights: some hours and planes are unknown, and some values of the others."""
    hours = sorted({(row["origin"], row["time_hour"]) for row in rows})[::2]
    tails = sorted({row["tailnum"] for row in rows} - {"", "NA"})[::2]
    with (folder / "weather.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("origin", "time_hour", "visib", "wind_speed", "precip"))
        writer.writerows(
            (*hour, n % 11, "NA" if n % 9 == 0 else n % 23 + 0.5, n % 3 / 10) for n, hour in enumerate(hours)
        )
    with (folder / "planes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("tailnum", "year", "seats"))
        writer.writerows((tail, "NA" if n % 7 == 0 else 1990 + n % 23, 50 + n % 200) for n, tail in enumerate(tails))


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make there, without any Docker engine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLOPS_")}
    environment |= {"PATH": f"{BIN}:{environment['PATH']}", "DOCKER_HOST": "unix:///nowhere.sock"}
    return subprocess.run(
        ["make", f"PORT={port}", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_flights(examples: Path) -> None:
    folder = examples / "flights"
    first = make(folder)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "no Docker engine answers" in first.stderr
    assert "flights in" in (folder / "build" / "traffic").read_text()
    assert (folder / "build" / "card.md").read_text().startswith("# flights@1")
    assert not list((folder / "build" / "data").glob("*.csv"))
    second = make(folder)
    assert "mlops" not in second.stdout, second.stdout


def test_delivery(examples: Path) -> None:
    folder = examples / "ci"
    for stage in ("gate", "staging", "bulk", "production"):
        done = make(folder, stage)
        assert done.returncode == 0, f"{stage}\n{done.stdout}{done.stderr}"
    assert (folder / "build" / "delivered").read_text() == "flights@1\n"
    assert "Nothing to be done" in make(folder).stdout
    shutil.rmtree(folder / "build")
    refused = make(folder, "gate", "GATE=roc_auc>=0.999")
    assert refused.returncode == 2
    assert not (folder / "build" / "registered").exists()
