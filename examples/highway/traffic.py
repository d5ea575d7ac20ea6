"""Live traffic: send a day's frames to a served model as its cameras would, and write down what really passed.

usage: traffic.py DAY http://127.0.0.1:8080 --actuals FILE [--readings FILE] [--connections 4] [--seconds 10]
                  [--late 0.05] [--before DAY]
       traffic.py DAY http://127.0.0.1:8080 --again --seconds 10

DAY is a directory of scenes.py. Every frame is a request of its own: PUT /predict?camera=…&time=…, the JPEG as
the body, its name as X-Request-Id, on a few connections that are kept open. Nothing is sent twice: what fails is
counted, never hidden. The last line of the output is a JSON object of counts; exit 1 when a request failed.

With `--seconds` the day passes in so many: a frame of noon is sent in the middle of it, and the times that cameras and
devices say are those of this short day. The counters of the toll gate tell later what passed: all but a share `--late`
is in the actuals when the day is over, the rest is in those of the next day (`--before`). `--again` sends the day over
and over until SIGTERM, under other names.
The standard library alone, as any client could be.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import signal
import sys
import threading
import time
import urllib.parse
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

WAIT_SECONDS = 60


@dataclass(frozen=True)
class Frame:
    """One frame to send."""

    path: Path
    label: str
    camera: str
    time: str

    @property
    def name(self) -> str:
        """What it is called in requests and in the log."""
        return self.path.stem


@dataclass
class Count:
    """What became of the requests."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: int = 0
    right: int = 0
    failed: list[str] = field(default_factory=list)

    def add(self, frame: Frame, status: int, content: bytes) -> None:
        """One answer."""
        with self.lock:
            self.sent += 1
            if status == 200:
                self.right += json.loads(content)["prediction"] == frame.label
            else:
                self.failed.append(f"{frame.name}: HTTP {status}: {content[:200].decode(errors='replace')}")

    def lost(self, frame: Frame, error: Exception) -> None:
        """A request without an answer."""
        with self.lock:
            self.sent += 1
            self.failed.append(f"{frame.name}: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class Clock:
    """When the moments of a day are: in `seconds` from `start`, or (0) when they were."""

    start: datetime
    seconds: float

    def moment(self, time: str) -> str:
        """The time that is told."""
        if not self.seconds:
            return time
        return (self.start + timedelta(seconds=self.wait(time))).isoformat(timespec="microseconds")

    def wait(self, time: str) -> float:
        """Seconds from the start."""
        return second(time) / 86_400 * self.seconds


def second(time: str) -> float:
    """The second of the day of an ISO 8601 time."""
    found = datetime.fromisoformat(time)
    return found.hour * 3600 + found.minute * 60 + found.second


def frames(folder: Path) -> list[Frame]:
    """The frames of a day in the order in which they were taken."""
    if not (folder / "labels.csv").is_file():
        sys.exit(f"{folder}: no labels.csv; give a directory that scenes.py has written")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = (Frame(folder / row["path"], row["label"], row["camera"], row["time"]) for row in rows)
    return sorted(found, key=lambda one: (one.time, one.name))


def connect(address: str) -> http.client.HTTPConnection:
    """A connection that is kept open."""
    url = urllib.parse.urlsplit(address)
    return http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=30)


def await_ready(address: str) -> None:
    """Wait for a server that says it is ready."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        connection = connect(address)
        try:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        if time.monotonic() > end:
            sys.exit(f"{address} is not ready after {WAIT_SECONDS} s")
        time.sleep(0.1)


def send(address: str, share: list[Frame], clock: Clock, count: Count, stop: threading.Event, suffix: str = "") -> None:
    """Send frames on one connection, each when its time has come."""
    connection = connect(address)
    started = time.monotonic()
    for frame in share:
        if stop.wait(max(0.0, started + clock.wait(frame.time) - time.monotonic())):
            break
        query = urllib.parse.urlencode({"camera": frame.camera, "time": clock.moment(frame.time)})
        headers = {"Content-Type": "image/jpeg", "X-Request-Id": frame.name + suffix}
        try:
            connection.request("PUT", f"/predict?{query}", frame.path.read_bytes(), headers)
            answer = connection.getresponse()
            count.add(frame, answer.status, answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            count.lost(frame, error)
            connection.close()
    connection.close()


def day_passes(address: str, day: list[Frame], clock: Clock, connections: int, count: Count, *more: object) -> None:
    """Send a day's frames on several connections."""
    threads = [
        threading.Thread(target=send, args=(address, day[n::connections], clock, count, *more))
        for n in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def late(frame: Frame, share: float) -> bool:
    """Whether the gate is late to tell about a frame: by its name, so always the same."""
    return zlib.crc32(frame.name.encode()) % 1000 < share * 1000


def write_actuals(path: Path, told: list[Frame]) -> None:
    """What really passed, under the name of the request."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"request_id": one.name, "label": one.label}) for one in told]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def add_readings(path: Path, day: Path, clock: Clock) -> None:
    """Add what the devices read on the day, as they said it, to a file of readings."""
    with (day / "telemetry.ndjson").open(encoding="utf-8") as file, path.open("a", encoding="utf-8") as out:
        for line in file:
            row = json.loads(line)
            out.write(json.dumps(row | {"time": clock.moment(row["time"])}) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("day", type=Path, metavar="DAY")
    parser.add_argument("address", metavar="URL")
    parser.add_argument("--actuals", type=Path, metavar="FILE", help="write what really passed there")
    parser.add_argument("--readings", type=Path, metavar="FILE", help="add the devices' readings there")
    parser.add_argument("--before", type=Path, metavar="DAY", help="the day before, whose late labels come now")
    parser.add_argument("--again", action="store_true", help="over and over until SIGTERM")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long the day takes; 0: as fast as it can")
    parser.add_argument("--late", type=float, default=0.05, help="share of the labels that come a day later")
    return parser.parse_args()


def main() -> None:
    """Send the day, and say how it went."""
    given = arguments()
    day, count, stop = frames(given.day), Count(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    await_ready(given.address)
    started, rounds = time.monotonic(), 0
    while not stop.is_set() and (given.again or not rounds):
        rounds += 1
        clock = Clock(datetime.now(UTC).replace(tzinfo=None), given.seconds)
        day_passes(given.address, day, clock, given.connections, count, stop, f"~{rounds}" if given.again else "")
    if given.actuals:
        told = [one for one in day if not late(one, given.late)]
        told += [one for one in frames(given.before) if late(one, given.late)] if given.before else []
        write_actuals(given.actuals, told)
    if given.readings:
        add_readings(given.readings, given.day, clock)
    for line in count.failed[:10]:
        print(line, file=sys.stderr)
    summary = {"sent": count.sent, "failed": len(count.failed), "right": count.right}
    print(json.dumps(summary | {"seconds": round(time.monotonic() - started, 1)}))
    sys.exit(1 if count.failed else 0)


if __name__ == "__main__":
    main()
