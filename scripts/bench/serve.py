#!/usr/bin/env python3
"""Requests a second of `serve` against the same server answering an empty handler of the same size, side by side.

usage: scripts/bench/serve.py [MODEL_DIR] [--seconds 2] [--rounds 3]      (needs wrk; without a model it trains one)

The empty handler takes the whole body and sends back as many bytes as the model's answer has, under the same
number of headers: what it cannot do is decode, predict and encode. Both servers run all the time, wrk asks one
after the other, and the ratio is that of each pair of runs; the median over the rounds is printed, and the CPU
time that a server spends on one request, which is steadier than the rate when the machine is not one's own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import _run

TARGET = 0.85
QUIET = 0.2
LUA = """wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local file = io.open("%s", "rb")
wrk.body = file:read("*a")
"""
CONNECTIONS = (1, 16, 64)


class Empty:
    """An application that answers everything with the same body."""

    draining = False

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Take the body, send ours."""
        while (await receive()).get("more_body"):
            pass
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self._body)),
            (b"x-request-id", b"0123456789abcdef-00000001"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def serve_empty(body: bytes) -> None:
    """Be the server with the empty handler, as `runtime.server.work` would run it."""
    import asyncio
    import gc

    import uvloop

    from mlops_cli.runtime import server

    listener = server.listen("127.0.0.1", 0)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    where = f"mlops serve: empty on http://127.0.0.1:{listener.getsockname()[1]}\n"
    made = server.Server(Empty(body), 0, lambda: print(where, end="", file=sys.stderr, flush=True))  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(made.serve(sockets=[listener]))


class Served:
    """A server process."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+:(\d+)", line)
        if found is None:
            raise SystemExit(f"{name} did not start: {line}{self.process.stderr.read()}")
        self.url = f"http://127.0.0.1:{found[1]}"

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait()


@dataclass
class Measured:
    """One run of wrk: requests a second, µs of the server's CPU for each, p50 / p99, whether others were at work."""

    rate: float
    cpu: float
    latency: str
    disturbed: bool


def busy() -> float:
    """Seconds of CPU that all processes of the machine have used."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def children() -> float:
    """Seconds of CPU of the processes that we have waited for: wrk."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wrk(served: Served, path: str, script: Path, connections: int, seconds: int) -> Measured:
    """Ask for some seconds."""
    all_before, server_before, wrk_before, began = busy(), served.cpu(), children(), time.monotonic()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), served.url + path]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"{served.name} has failed requests:\n{out}")
    own = served.cpu() - server_before
    others = (busy() - all_before - own - (children() - wrk_before)) / (time.monotonic() - began)
    requests = int(_found(r"(\d+) requests in", out))
    latency = " / ".join(_found(rf"{quantile}%\s+(\S+)", out) for quantile in (50, 99))
    return Measured(float(_found(r"Requests/sec:\s+([\d.]+)", out)), own * 1e6 / requests, latency, others > QUIET)


def _found(pattern: str, text: str) -> str:
    """The group of a pattern that is there."""
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]


def bodies(model: Path, rows: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Path and body by protocol, from the model's recorded example, `rows` rows each."""
    recorded = json.loads((model / "example.json").read_text())["request"]["dataframe_records"]
    given = [recorded[index % len(recorded)] for index in range(rows)]
    kinds = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}
    inputs = [
        {
            "name": name,
            "shape": [rows],
            "datatype": kinds.get(type(value), "FP64"),
            "data": [row[name] for row in given],
        }
        for name, value in given[0].items()
    ]
    return {
        "mlflow": ("/invocations", {"dataframe_records": given}),
        "v2": ("/v2/models/bench/infer", {"inputs": inputs}),
    }


def compare(name: str, model: Path, flags: list[str], rows: int, arguments: argparse.Namespace) -> None:
    """Print the rows of one table: a protocol, with or without log, at several numbers of connections."""
    protocol = name.split()[0]
    path, body = bodies(model, rows)[protocol]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "body.json")
        data.write_text(json.dumps(body, separators=(",", ":")))
        script = Path(folder, "post.lua")
        script.write_text(LUA % data)
        flags = [flag.replace("LOG", f"{folder}/log") for flag in flags]
        base = [sys.executable, "-m", "mlops_cli.runtime", str(model), "--name", "bench", "--port", "0"]
        ours = Served(name, [*base, *flags])
        asked = Request(ours.url + path, data.read_bytes(), {"content-type": "application/json"})
        size = len(urlopen(asked).read())
        empty = Served("empty", [sys.executable, __file__, "--empty", str(size)])
        try:
            for connections in CONNECTIONS:

                def pair(count: int = connections) -> tuple[Measured, Measured]:
                    low = wrk(empty, path, script, count, arguments.seconds)
                    return low, wrk(ours, path, script, count, arguments.seconds)

                told(name, rows, connections, undisturbed(pair, arguments.rounds, arguments.tries))
        finally:
            ours.end()
            empty.end()


def undisturbed(
    pair: Callable[[], tuple[Measured, Measured]], rounds: int, tries: int
) -> list[tuple[Measured, Measured]]:
    """`rounds` pairs while no others were at work, if `tries` are enough for that; else what there is."""
    pairs: list[tuple[Measured, Measured]] = []
    for _ in range(max(rounds, tries)):
        pairs.append(pair())
        quiet = [one for one in pairs if not (one[0].disturbed or one[1].disturbed)]
        if len(quiet) >= rounds:
            return quiet
    return quiet or pairs


def told(name: str, rows: int, connections: int, pairs: list[tuple[Measured, Measured]]) -> None:
    """One row of the table."""
    ratio = statistics.median(ours.rate / empty.rate for empty, ours in pairs)
    rate, empty_rate = (statistics.median(pair[side].rate for pair in pairs) for side in (1, 0))
    cpu, empty_cpu = (min(pair[side].cpu for pair in pairs) for side in (1, 0))
    star = "*" if any(one.disturbed for pair in pairs for one in pair) else " "
    verdict = ("met" if ratio >= TARGET else "missed") if rows == 1 else ""
    print(
        f"{name:<14}{rows:>5}{connections:>6}{rate:>10.0f}{empty_rate:>10.0f}{ratio:>8.2f}{star} "
        f"{cpu:>7.0f}{empty_cpu:>7.0f}   {pairs[-1][1].latency:<20}{verdict}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("model", type=Path, nargs="?", help="a model directory")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tries", type=int, default=3, help="how often to try for runs that nobody disturbs")
    parser.add_argument("--empty", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.empty is not None:
        serve_empty(b"x" * arguments.empty)
        return
    if shutil.which("wrk") is None:
        parser.error("the program wrk is needed")
    if arguments.model is None:
        with tempfile.TemporaryDirectory(dir=".") as name:
            arguments.model = _run.model(Path(name).resolve())
            measure(arguments)
    else:
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Print the table."""
    head = f"{'':<14}{'rows':>5}{'conn':>6}{'req/s':>10}{'empty':>10}{'ratio':>8}  {'µs CPU':>7}{'empty':>7}"
    print(f"{head}   p50 / p99      (* others used more than {QUIET} of a processor)")
    compare("mlflow", arguments.model, [], 1, arguments)
    compare("v2", arguments.model, [], 1, arguments)
    compare("v2 with log", arguments.model, ["--log", "LOG"], 1, arguments)
    compare("v2", arguments.model, [], 100, arguments)


if __name__ == "__main__":
    main()
