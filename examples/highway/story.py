"""The highway's autumn: days of traffic to a running server, a look of `mlops watch` after each, and what it leads to.

usage: story.py BUILD [--small]

Starts a mailbox and `mlops serve vehicles@production --follow 1s`, sends day after day (traffic.py), and runs
`mlops watch` after each as cron would. When precision is under 40 %, watch mails the owner and runs `make retrain`,
while the cameras go on asking. Every step must do what it should, else this ends with 1 and says which did not.
BUILD/story.json is the account, for page.py.
"""

from __future__ import annotations

import argparse
import csv
import email
import email.policy
import json
import math
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MLOPS = shlex.split(os.environ.get("MLOPS", "mlops"))
FIRST = date(2026, 9, 14)
# Weeks go by between the days that are played: it gets dark earlier, then it rains.
AUTUMN = ("day", "day", "day:5,day+rain", "day:4,dusk", "day:4,dusk,night", "day:2,dusk,night,night+rain:2")
WET_NIGHTS = "night+rain"
STEP = timedelta(days=5)


def say(text: str) -> None:
    """A line about the story, to those who watch it."""
    print(f"-- {text}", file=sys.stderr, flush=True)


def must(holds: bool, what: str) -> None:
    """End the story where it does not go as it should."""
    if not holds:
        sys.exit(f"story: this should be so and is not: {what}")


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def window(started: float, before: float) -> str:
    """The time since a day was `started`, and so long for watch to begin in as lies between it and the day `before`."""
    return f"{math.ceil(time.time() - started) + math.floor(started - before)}s"


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background, ended with SIGTERM."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class Story:
    """What is played, and its account."""

    def __init__(self, build: Path, small: bool) -> None:
        self.build, self.small = build, small
        self.rate, self.seconds = (45, 4.0) if small else (80, 8.0)
        self.ended = time.time() - 60  # the day before the first one
        self.url, self.smtp = f"http://127.0.0.1:{free_port()}", free_port()
        self.readings, self.known = build / "readings.ndjson", build / "known.csv"
        self.days: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        for old in ("days", "logs", "mail", "watch", "devices", "actuals"):
            shutil.rmtree(build / old, ignore_errors=True)
        self.readings.unlink(missing_ok=True)
        owner = f"mailto://127.0.0.1:{self.smtp}?from=watch@highway.example&to=owner@highway.example&mode=insecure\n"
        (build / "owner.url").write_text(owner)
        with (build / "summer" / "labels.csv").open(newline="", encoding="utf-8") as file:
            self.know([(Path(row["path"]).name, row["label"]) for row in csv.DictReader(file)], "w")

    def know(self, labels: list[tuple[str, str]], mode: str = "a") -> None:
        """Add what really passed to the table that `make retrain` learns from."""
        with self.known.open(mode, newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerows([("path", "label"), *labels] if mode == "w" else labels)

    def serve(self) -> list[str]:
        """The command of the server."""
        port = self.url.rpartition(":")[2]
        return [
            *MLOPS,
            "serve",
            "vehicles@production",
            "--port",
            port,
            "--log",
            str(self.build / "logs"),
            "--follow",
            "1s",
        ]

    def draw(self, weather: str) -> Path:
        """The frames of the next day."""
        day = FIRST + STEP * len(self.days)
        out = self.build / "days" / day.isoformat()
        rate = self.rate * (2 if weather == WET_NIGHTS else 1)  # a class that is seldom answered needs many to judge
        scenes = [sys.executable, str(HERE / "scenes.py"), "--out", str(out), "--from", day.isoformat(), "--unlabelled"]
        subprocess.run([*scenes, "--rate", str(rate), "--weather", weather], check=True, stdout=subprocess.DEVNULL)
        return out

    def traffic(self, day: Path, *more: str) -> list[str]:
        """The command that sends a day."""
        return [sys.executable, str(HERE / "traffic.py"), str(day), self.url, "--seconds", str(self.seconds), *more]

    def play(self, weather: str) -> dict[str, Any]:
        """One day: frames, requests, then a look. Returns its account."""
        before = self.build / "days" / self.days[-1]["date"] if self.days else None
        day = self.draw(weather)
        actuals = self.build / "actuals" / f"{day.name}.ndjson"
        started = time.time()
        more = ["--actuals", str(actuals), "--readings", str(self.readings)]
        sent = subprocess.run(
            self.traffic(day, *more, *(["--before", str(before)] if before else [])),
            stdout=subprocess.PIPE,
            check=False,
        )
        counts = json.loads(sent.stdout.splitlines()[-1])
        over = time.time()
        must(sent.returncode == 0 and counts["failed"] == 0, f"no request failed on {day.name}")
        time.sleep(1.5)  # the log is written within a second
        told = [json.loads(line) for line in actuals.read_text().splitlines()]
        self.know([(f"{row['request_id']}.jpg", row["label"]) for row in told])
        account = {"date": day.name, "weather": weather, **counts}
        self.days.append(account)
        account |= self.look(day, actuals, started)
        self.ended = over
        found = "precision {precision:.3f}, version {version}, exit {exit}".format(**account)
        say(f"{day.name}: {weather}: {found}")
        return account

    def look(self, day: Path, actuals: Path, started: float) -> dict[str, Any]:
        """What cron does at the end of a day: is the model still right, and are the devices?"""
        common = [*MLOPS, "watch", "vehicles@production", "--json", "-q", "--log", str(self.build / "logs")]
        common += ["--by", "camera", "--telemetry", str(self.readings), "--notify", f"@{self.build / 'owner.url'}"]
        devices = ["--alert", "max_accelerometer_x[device=south]>1", "-o", str(self.build / "devices")]
        loose = self.run([*common, *devices, "--window", window(started, self.ended)])
        retrain = f"make --no-print-directory -f {HERE / 'Makefile'} retrain"
        model = ["--actuals", str(actuals), "--alert", "precision<0.40", "--exec", retrain, "--cooldown", "1h"]
        model += ["-o", str(self.build / "watch"), "--window", window(started, self.ended)]
        found = self.run([*common, *model])
        for one in (loose, found):
            must(one.returncode in (0, 1, 3), f"watch looks at {day.name} (exit {one.returncode})")
        entry = json.loads(found.stdout)
        value = next((m for m in entry["metrics"] if m["name"] == "precision" and m.get("column") is None), {})
        return {
            "exit": found.returncode, "devices": loose.returncode, "version": entry["version"], "rows": entry["rows"],
            "precision": value.get("value"), "low": value.get("low"), "high": value.get("high"), "exec": entry["exec"],
        }  # fmt: skip

    def run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        """A command as cron runs it; its result is wanted, its words go to stderr."""
        return subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)

    def mails(self) -> list[str]:
        """The subjects of the mails that came."""
        files = sorted((self.build / "mail").glob("*.eml"), key=lambda path: int(path.stem))
        return [
            str(email.message_from_bytes(path.read_bytes(), policy=email.policy.default)["subject"]) for path in files
        ]

    def version(self) -> str:
        """The version that answers now."""
        with urllib.request.urlopen(f"{self.url}/v2/models/vehicles", timeout=10) as answer:
            return str(json.load(answer)["versions"][-1])

    def answered(self) -> dict[str, Counter[str]]:
        """How many requests each version answered, by the log: of the days, and of the time of the change."""
        found: dict[str, Counter[str]] = {"days": Counter(), "change": Counter()}
        for path in sorted((self.build / "logs").rglob("*.ndjson")):
            for line in path.read_text().splitlines():
                row = json.loads(line)
                found["change" if "~" in row["request_id"] else "days"][row["version"]] += 1
        return found

    def event(self, what: str) -> None:
        """Something to mark on the page, on the last day."""
        self.events.append({"date": self.days[-1]["date"], "what": what})
        say(what)

    def write(self) -> None:
        """The account."""
        answered = {name: dict(counts) for name, counts in self.answered().items()}
        story = {"days": self.days, "events": self.events, "mails": self.mails(), "answered": answered}
        (self.build / "story.json").write_text(json.dumps(story, indent=1) + "\n")


def begin() -> None:
    """Version 1 is in production, also when the story is played again."""
    shown = subprocess.run([*MLOPS, "list", "vehicles", "--json"], stdout=subprocess.PIPE, check=True)
    now = [version["ref"] for version in json.loads(shown.stdout)["versions"] if "production" in version["aliases"]]
    if now != ["vehicles@1"]:
        subprocess.run([*MLOPS, "promote", "vehicles@1", "production", "--why", "the story begins anew"], check=True)


def wet_night(story: Story) -> dict[str, Any]:
    """A day like those that the model cannot do, while the cameras go on asking; its look may retrain."""
    day = story.build / "days" / story.days[-1]["date"]
    with running(story.traffic(day, "--again"), story.build / "again.log") as again:
        account = story.play(WET_NIGHTS)
        if account["exit"] == 1:
            end = time.monotonic() + 30
            while story.version() != "2" and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(story.seconds)
            must(story.version() == "2", "the running server took version 2")
    counts = json.loads((story.build / "again.log").read_text().splitlines()[-1])
    must(again.returncode == 0 and counts["failed"] == 0, f"no request failed while versions changed: {counts}")
    return account


def play(story: Story) -> None:
    """All of it, in order."""
    for weather in AUTUMN[:: 3 if story.small else 1]:
        account = story.play(weather)
        must(account["exit"] != 1, f"no alert on {account['date']}, {weather}")
    must(story.days[0]["precision"] >= (0.75 if story.small else 0.85), "the model is good by day")
    for _ in range(5):
        account = wet_night(story)
        if account["exit"] == 1:
            break
    must(account["exit"] == 1, "the alert fired: precision is surely under 40 %")
    story.event("precision is under 40 %: the alert")
    must(any("precision" in subject for subject in story.mails()), "a mail came to the owner")
    story.event("mail to the owner")
    must(account["exec"] is not None and account["exec"]["exit"] == 0, "retraining ran")
    story.event("version 2 is in production")
    for _ in range(1 if story.small else 4):
        account = story.play(WET_NIGHTS)
        must(
            account["version"] == 2 and account["exit"] == 0,
            f"version 2 answers, without an alert, on {account['date']}",
        )
    must(account["precision"] >= (0.5 if story.small else 0.85), "precision has recovered")


def main() -> None:
    """Play the story."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, metavar="BUILD")
    parser.add_argument("--small", action="store_true", help="few days of few vehicles")
    given = parser.parse_args()
    story = Story(given.build.resolve(), given.small)
    begin()
    postbox = [sys.executable, str(HERE / "postbox.py"), str(story.build / "mail"), str(story.smtp)]
    with running(postbox, story.build / "postbox.log"), running(story.serve(), story.build / "serve.log") as server:
        play(story)
    must(server.returncode == 0, "the server drained")
    answered = story.answered()
    must(len(answered["change"]) == 2, f"both versions answered during the change: {dict(answered['change'])}")
    must(answered["days"].total() == sum(day["sent"] for day in story.days), "every request is in the log")
    story.write()


if __name__ == "__main__":
    main()
