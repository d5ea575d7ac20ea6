"""Live traffic: send a day's frames to a served model as its cameras would, and write down what really passed.

usage: traffic.py DAY http://127.0.0.1:8080 --actuals actuals.ndjson [--connections 4] [--seconds 10] [--late 0.05]

DAY is a directory of scenes.py. Every frame is a request of its own: PUT /predict?camera=…&time=…, the JPEG as the body,
its name as X-Request-Id, on a few connections that are kept open. Nothing is sent twice: what fails is counted, never
hidden. The counters of the toll gate tell later what passed: all but a share `--late` goes into the actuals when the
day is over; the rest, and what was late the day before, into the actuals of the next day (`--before`). The last line of
the output is a JSON object of counts.
The standard library alone, as any client could be.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import sys
import threading
import time
import urllib.parse
import zlib
from collections import Counter
from dataclasses import dataclass, field
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
    versions: Counter[str] = field(default_factory=Counter)

    def add(self, frame: Frame, status: int, content: bytes) -> None:
        """One answer."""
        with self.lock:
            self.sent += 1
            if status != 200:
                self.failed.append(f"{frame.name}: HTTP {status}: {content[:200].decode(errors='replace')}")
                return
            found = json.loads(content)
            self.right += found["prediction"] == frame.label
            self.versions[str(found.get("version"))] += 1

    def lost(self, frame: Frame, error: Exception) -> None:
        """A request without an answer."""
        with self.lock:
            self.sent += 1
            self.failed.append(f"{frame.name}: {type(error).__name__}: {error}")


def frames(folder: Path) -> list[Frame]:
    """The frames of a day in the order in which they were taken."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(
        (Frame(folder / row["path"], row["label"], row["camera"], row["time"]) for row in rows), key=lambda one: (one.time, one.name)
    )


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


def send(address: str, share: list[tuple[float, Frame]], started: float, count: Count) -> None:
    """Send frames on one connection, each when its time has come."""
    connection = connect(address)
    for when, frame in share:
        time.sleep(max(0.0, started + when - time.monotonic()))
        query = urllib.parse.urlencode({"camera": frame.camera, "time": frame.time})
        headers = {"Content-Type": "image/jpeg", "X-Request-Id": frame.name}
        try:
            connection.request("PUT", f"/predict?{query}", frame.path.read_bytes(), headers)
            answer = connection.getresponse()
            count.add(frame, answer.status, answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            count.lost(frame, error)
            connection.close()
    connection.close()


def late(frame: Frame, share: float) -> bool:
    """Whether the gate is late to tell about a frame: by its name, so always the same."""
    return zlib.crc32(frame.name.encode()) % 1000 < share * 1000


def write_actuals(path: Path, told: list[Frame]) -> None:
    """What really passed, under the name of the request."""
    lines = [json.dumps({"request_id": one.name, "label": one.label, "camera": one.camera, "time": one.time}) for one in told]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main() -> None:
    """Send the day, and say how it went; exit 1 when a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("day", type=Path, metavar="DAY")
    parser.add_argument("address", metavar="URL")
    parser.add_argument("--actuals", type=Path, required=True, metavar="FILE")
    parser.add_argument("--before", type=Path, metavar="DAY", help="the day before, whose late labels come now")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long the day takes; 0: as fast as it can")
    parser.add_argument("--late", type=float, default=0.05, help="share of the labels that come a day later")
    given = parser.parse_args()
    day = frames(given.day)
    timed = [(given.seconds * n / len(day), frame) for n, frame in enumerate(day)]
    await_ready(given.address)
    count, started = Count(), time.monotonic()
    threads = [
        threading.Thread(target=send, args=(given.address, timed[n :: given.connections], started, count))
        for n in range(given.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    told = [one for one in day if not late(one, given.late)]
    told += [one for one in frames(given.before) if late(one, given.late)] if given.before else []
    write_actuals(given.actuals, told)
    for line in count.failed[:10]:
        print(line, file=sys.stderr)
    summary = {"sent": count.sent, "failed": len(count.failed), "right": count.right, "versions": dict(count.versions)}
    print(json.dumps(summary | {"seconds": round(took, 1)}))
    sys.exit(1 if count.failed else 0)


if __name__ == "__main__":
    main()
