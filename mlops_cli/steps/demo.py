"""A model's whole life on built-in flights, as a newcomer would type it: each command shown before its result."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_cli.errors import Finding, Outside, WrongKind

_DATA = Path(__file__).parents[1] / "demo" / "flights.csv.gz"
_KNOWN = "time_hour, carrier, origin, dest, distance, sched_dep_time, sched_arr_time, dep_delay"
_ID = "concat(carrier, flight, '-', origin, '-', strftime(time_hour, '%Y%m%dT%H')) as id"
_BATCH = 100

Say = Callable[[str], None]


@dataclass(frozen=True)
class Scene:
    """A command and what it is for. `ends` is the exit code that the story expects of it."""

    why: str
    line: str
    ends: int = 0


HISTORY = (
    Scene(
        "Real flights, until October; what is known when the aircraft leaves, and whether it came 15 minutes late.",
        f'mlops ingest flights.csv.gz -o history --sql "select {_KNOWN}, arr_delay > 15 as delayed from data'
        " where arr_delay is not null and time_hour < '2013-11-01'\"",
    ),
    Scene(
        "What the data look like becomes rules that later data must meet.",
        "mlops validate history --infer > rules.yaml",
    ),
    Scene(
        "One line: rows that pass, parts that do not leak, a model, its measures, a gate, a name and a version.",
        "mlops validate history --schema rules.yaml | mlops split --time time_hour --test 0.2"
        " | mlops train --target delayed | mlops evaluate --require 'roc_auc>=0.70' | mlops register --name flights",
    ),
    Scene(
        "Into production, if the gate holds against the evidence.",
        "mlops promote flights@1 production --require 'precision>=0.40' --why 'the first model'",
    ),
    Scene("Where does it come from? Down to the digest of the raw file.", "mlops inspect flights@production --lineage"),
)
LIVE = (
    Scene(
        "November and December are the traffic; what really happened comes later.",
        f'mlops ingest flights.csv.gz -o live --sql "select {_KNOWN}, {_ID} from data'
        " where arr_delay is not null and time_hour >= '2013-11-01'\"",
    ),
    Scene(
        "",
        f'mlops ingest flights.csv.gz -o landed --sql "select {_ID}, arr_delay > 15 as delayed from data'
        " where arr_delay is not null and time_hour >= '2013-11-01'\"",
    ),
    Scene("A table can be answered without a server.", "mlops predict flights@production live --proba -o predictions"),
)
AFTER = (
    Scene(
        "How good was it on what really happened? An alert would end with 1.",
        "mlops watch flights@production --log logs --actuals landed --key id --alert 'precision<0.40'",
    ),
    Scene(
        "An alert that fires starts what you say.",
        "mlops watch flights@production --log logs --actuals landed --key id --alert 'precision<0.99'"
        " --exec 'echo retraining would start now'",
        ends=Finding.exit,
    ),
    Scene("What ran, when and why.", "mlops report flights@production -o report.md && head -n 30 report.md"),
    Scene("", "mlops list flights"),
)


def run(directory: Path, say: Say) -> None:
    """Live the whole life in `directory`, which must be new or empty. Errors: WrongKind, Outside when a scene fails."""
    if directory.exists() and any(directory.iterdir()):
        raise WrongKind(f"{directory} is not empty", "mlops demo OTHER_DIRECTORY")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_DATA, directory / _DATA.name)
    started = time.monotonic()
    say(f"# A model's life in {directory}/. Every line behind $ can be typed there.")
    for scene in (*HISTORY, *LIVE):
        play(scene, directory, say)
    with _served(directory, say) as address:
        _traffic(directory, address, say)
    for scene in AFTER:
        play(scene, directory, say)
    say(f"\n# Done in {time.monotonic() - started:.0f} s. An image: mlops package flights@production --target docker")


def play(scene: Scene, directory: Path, say: Say) -> None:
    """Show a command, run it in a real shell, show what it printed; Outside when it does not end as it should."""
    if scene.why:
        say(f"\n# {scene.why}")
    say(f"$ {scene.line}")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", scene.line],
        cwd=directory,
        env=_environment(directory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.stdout.strip():
        say(done.stdout.rstrip())
    if done.returncode:
        say(f"(exit {done.returncode})")
    if done.returncode != scene.ends:
        raise Outside(f"the demo stopped: exit {done.returncode}, {scene.ends} was expected", f"look into {directory}")


def _environment(directory: Path) -> dict[str, str]:
    """An environment in which `mlops` is this one, at home in `directory`, and nothing of the user's settings shows."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("MLOPS_")}
    home = directory.absolute()
    return own | {
        "PATH": f"{Path(sys.executable).parent}:{own.get('PATH', '')}",
        "NO_COLOR": "1",
        "MLOPS_HOME": str(home / ".mlops"),
        "MLOPS_REGISTRY": str(home / "mlops-registry"),
    }


@contextmanager
def _served(directory: Path, say: Say) -> Iterator[str]:
    """A running server on a free port; ended by SIGTERM, which drains it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = f"mlops serve flights@production --port {port} --log logs --key id"
    say(f"\n# Now as a service, which logs what it answers.\n$ {line} &")
    log = directory / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            line.split(),
            cwd=directory,
            env=_environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server, log)
        yield address
        server.send_signal(signal.SIGTERM)
        say(f"$ kill %1    # SIGTERM drains: exit {server.wait(30)}")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server is ready."""
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/v2/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Outside(f"the server did not start: {log.read_text()[-300:]}")


def _traffic(directory: Path, address: str, say: Say) -> None:
    """Send all live rows to the server, and show the first request as it could be typed."""
    import polars as pl

    rows = pl.read_parquet(directory / "live" / "*.parquet").with_columns(
        pl.col("time_hour").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
    first = json.dumps({"dataframe_records": rows.head(1).to_dicts()})
    say(f"$ curl -s {address}/invocations -H 'Content-Type: application/json' -d '{first}'")
    say(_post(address, first))
    for start in range(1, rows.height, _BATCH):
        _post(address, json.dumps({"dataframe_records": rows.slice(start, _BATCH).to_dicts()}))
    say(f"# … and so on: {rows.height:,} flights were answered")


def _post(address: str, body: str) -> str:
    """One request; its answer."""
    request = urllib.request.Request(
        f"{address}/invocations", body.encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        raise Outside(f"the server answered {error.code}: {error.read().decode()[:300]}") from None
