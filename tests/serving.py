"""What the tests of the server need: small real models as artefacts, servers as processes, and plain clients."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightgbm
import numpy as np

from mlops_cli.runtime import features, lightgbm_text, prometheus, rows, server, settings, signature
from mlops_cli.runtime.features import FeatureColumn, Features
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.store import artefact

ROW = {"carrier": "UA", "hour": 17, "distance": 1400.5, "weekend": False, "departs": "2013-11-03T17:05:00"}
COLUMNS = [
    FeatureColumn("carrier", "string", "category", levels=["AA", "B6", "DL", "UA"]),
    FeatureColumn("hour", "int", "number"),
    FeatureColumn("distance", "float", "number"),
    FeatureColumn("weekend", "bool", "boolean"),
    FeatureColumn("departs", "datetime", "time", parts=["month", "hour"]),
]
CLASSES = {"binary": [False, True], "multiclass": ["early", "late", "on time"], "regression": None}
INFER = "/v2/models/flights/infer"
JSON = [(b"content-type", b"application/json")]
_SAID = re.compile(r"on http://\S+:(\d+)")


def sample(count: int, seed: int = 0) -> list[dict]:
    """Rows as a client would send them."""
    random = np.random.default_rng(seed)
    return [
        {
            "carrier": ["AA", "B6", "DL", "UA", "ZZ", None][random.integers(6)],
            "hour": int(random.integers(24)),
            "distance": round(float(random.uniform(80, 3000)), 1),
            "weekend": bool(random.integers(2)),
            "departs": "2013-{:02d}-{:02d}T{:02d}:05:00".format(*random.integers((1, 1, 0), (13, 28, 24))),
        }
        for _ in range(count)
    ]


def make_model(directory: Path, task: str = "binary", rounds: int = 20) -> Path:
    """A model artefact, trained on rows whose outcome depends on hour and carrier."""
    positive = True if task == "binary" else None
    columns = [InputColumn(column.name, column.type) for column in COLUMNS]
    made = Signature("lightgbm", task, "late", columns, CLASSES[task], positive, aside=["late", "tail"])
    prepared = Features(COLUMNS)
    given = sample(2000)
    matrix = features.matrix(prepared, rows.batch_from_rows(made, given))
    noise = np.random.default_rng(1).normal(size=len(given))
    signal_ = np.array([row["hour"] / 6 + (row["carrier"] == "UA") for row in given]) + noise
    target = {"binary": signal_ > 2, "multiclass": np.digitize(signal_, [1.5, 2.5]), "regression": signal_}[task]
    names = [f"f{index}" for index in range(prepared.width)]
    data = lightgbm.Dataset(matrix, target, categorical_feature=[0], feature_name=names)
    options = {"objective": task, "verbose": -1, "seed": 0, "num_threads": 1, "num_leaves": 15}
    booster = lightgbm.train(options | ({"num_class": 3} if task == "multiclass" else {}), data, rounds)
    directory.mkdir(parents=True)
    (directory / "model.txt").write_bytes(lightgbm_text.strip(booster.model_to_string().encode()))
    (directory / signature.FILE).write_bytes(signature.encode(made))
    (directory / features.FILE).write_bytes(features.encode(prepared))
    artefact.seal(
        directory, kind="model", created="2026-11-23T10:00:00Z", tool="mlops test", command=["test"], inputs=[],
        params={}, seed=0, schema={}, environment={},
    )  # fmt: skip
    return directory


def v2(row: dict, count: int = 1, **more) -> dict:
    """A V2 request with the same row `count` times."""
    kinds = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}
    inputs = [
        {"name": name, "shape": [count], "datatype": kinds[type(value)], "data": [value] * count}
        for name, value in row.items()
    ]
    return {"inputs": inputs} | more


class Running:
    """A server as a process of its own: `python -m mlops_cli.runtime DIR --port 0 …`."""

    def __init__(self, directory: Path, *flags: object, environment: dict | None = None, command: list | None = None):
        command = command or [sys.executable, "-m", "mlops_cli.runtime", str(directory)]
        words = [*command, "--port", "0", *map(str, flags)]
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | (environment or {})
        )
        self.said = ""
        while not (found := _SAID.search(self.said)):
            line = self.process.stderr.readline()
            if not line:
                raise AssertionError(f"did not start, exit {self.process.wait()}: {self.said}")
            self.said += line
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.process.stdout.close()

    def ask(self, method: str, path: str, body=None, headers: dict | None = None):
        """Status, headers (lower case) and body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            return ask(connection, method, path, body, headers)
        finally:
            connection.close()

    def end(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Send a signal and wait: the exit code, negative for a death by signal."""
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        self.said += self.process.stderr.read()
        return code


def ask(connection, method: str, path: str, body=None, headers: dict | None = None):
    """Status, headers (lower case) and body (decoded when JSON) of one request."""
    if isinstance(body, (dict, list)):
        body, headers = json.dumps(body), {"content-type": "application/json"} | (headers or {})
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    told = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, told, json.loads(data) if told.get("content-type") == "application/json" else data


def logged(directory: Path) -> list[dict]:
    """All lines of a prediction log."""
    files = sorted(directory.glob("*/*.ndjson"))
    lines = [line for path in files for line in path.read_text().splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def eventually(check, seconds: float = 10):
    """What `check` returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def call(app, *request, **more):
    """One request as `called` makes it, in a loop of its own."""
    return asyncio.run(called(app, *request, **more))


async def called(app, method: str, path: str, body: bytes = b"", headers=(), chunks: int = 1):
    """One request straight into the application, without a socket: status, headers and body."""
    pieces = [body] if chunks == 1 else [body[i : i + chunks] for i in range(0, len(body), chunks)] or [b""]
    messages = [
        {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
        for index, piece in enumerate(pieces)
    ]
    sent = []

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "query_string": query.encode()}
    await app(scope, receive, send)
    if not sent:
        return None
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def make_app(directory: Path, **told):
    """The application of one worker, and what it reported as bugs."""
    said: list[str] = []
    told = {"name": "flights", "version": "7"} | told
    chosen = settings.Settings(directory, **told)
    return server.build(chosen, prometheus.Shared(), 0, said.append), said


def post(app, path, body, headers=JSON, **more):
    """Status and JSON body of a POST straight into the application."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, told_, answer = call(app, "POST", path, data, headers, **more)
    assert told_[b"content-length"] == str(len(answer)).encode()
    return status, json.loads(answer)


def invocations(app, body, headers=JSON, **more):
    """The same for MLflow's protocol."""
    return post(app, "/invocations", body, headers, **more)


def tensor(name="hour", shape=(1,), datatype="INT64", data=(1,)):
    """One input of a V2 request."""
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": list(data)}


def curl_lines(page: Path) -> list[str]:
    """The commands with curl on a page of the documentation, each with its continuations."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks if "curl" in block for line in re.split(r"\n(?=curl|printf)", block.strip())]
