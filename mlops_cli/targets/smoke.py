"""The one start of a new image: locked down, without network, it must answer the recorded request as recorded."""

from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import msgspec

from mlops_cli.errors import Outside
from mlops_cli.runtime import signature as signatures
from mlops_cli.store.artefact import Artefact
from mlops_cli.targets import dockerfile, engine

EXAMPLE = "example.json"
_SECONDS = 60
_TOLERANCE = 1e-9  # relative
_TOLERANCES = {"cnn": 1e-4, "onnx": 1e-4}  # these compute in 32 bits
_LINES = 3

# Runs inside the container, which has no way out: waits until the server is ready, asks, prints status and answer.
_CLIENT = f"""
import json, sys, time, urllib.error, urllib.request
server = "http://127.0.0.1:{dockerfile.PORT}"
end = time.monotonic() + {_SECONDS}
while True:
    try:
        urllib.request.urlopen(server + "/v2/health/ready", timeout=2).close()
        break
    except OSError as error:
        if time.monotonic() > end:
            sys.exit("not ready after {_SECONDS} s: %s" % error)
        time.sleep(0.05)
with open("{dockerfile.MODEL}/{EXAMPLE}", "rb") as file:
    body = json.dumps(json.load(file)["request"]).encode()
request = urllib.request.Request(server + "/invocations", body, {{"Content-Type": "application/json"}})
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit("HTTP %d: %s" % (error.code, error.read().decode(errors="replace")))
"""


class Example(msgspec.Struct, frozen=True):
    """A recorded request and its answer."""

    request: dict[str, Any]
    answer: dict[str, Any]


def check(client: Any, image: Any, model: Artefact) -> str:
    """Start `image` once and ask it: `exact`, or e.g. `within 1e-09` where only last digits of floats differ.

    (So they may between processors and C libraries.) Outside when it does not start, does not answer, or answers
    something else. The container can write nowhere, has no rights, no network, and is always removed.
    """
    expected = model.json(EXAMPLE, Example).answer
    family = signatures.decode(model.read(signatures.FILE)).family
    with engine.failures("the image cannot be started"):
        container = client.containers.create(
            image.id,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=512,
            network_mode="none",
            labels={"dev.mlops.smoke": model.id},
        )
    try:
        with engine.failures("the image cannot be started"):
            container.start()
        printed = _ask(container)
    finally:
        with contextlib.suppress(Outside), engine.failures("docker rm"):
            container.remove(force=True, v=True)
    return _judge(printed, expected, _TOLERANCES.get(family, _TOLERANCE))


def _ask(container: Any) -> bytes:
    """What the server in a container answers to the client in there; Outside when it does not."""
    try:
        with engine.failures("docker exec"):
            code, (printed, problem) = container.exec_run(["python3", "-c", _CLIENT], demux=True)
    except Outside as error:  # the server has died already
        code, printed, problem = None, b"", error.message.encode()
    if code != 0:
        raise Outside(f"the image does not answer: {_why(container, problem)}", "nothing was tagged")
    return bytes(printed or b"")


def _judge(printed: bytes, expected: dict[str, Any], tolerance: float = _TOLERANCE) -> str:
    """How well an answer matches the recorded one; Outside when it does not."""
    try:
        answer = msgspec.json.decode(printed, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Outside(f"the image does not answer with a JSON object: {error}", "nothing was tagged") from None
    if not different(answer.get("predictions"), expected["predictions"], 0.0, "predictions"):
        return "exact"
    difference = different(answer.get("predictions"), expected["predictions"], tolerance, "predictions")
    if difference:
        raise Outside(f"the image answers differently than the model did: {difference}", "nothing was tagged")
    return f"within {tolerance}"


def different(found: Any, expected: Any, tolerance: float, where: str) -> str:
    """The first place in which two JSON values differ, told in a line; empty when they are the same."""
    if isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        below = (different(found[key], expected[key], tolerance, f"{where}.{key}") for key in expected)
        return next(filter(None, below), "")
    if isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return next(filter(None, (different(a, b, tolerance, f"{where}[{n}]") for n, (a, b) in pairs)), "")
    if type(found) is type(expected) and found == expected:
        return ""
    if isinstance(found, float) and isinstance(expected, float) and math.isclose(found, expected, rel_tol=tolerance):
        return ""
    return f"{where} is {_short(found)}, recorded was {_short(expected)}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 120 else text[:117] + "..."


def _why(container: Any, problem: bytes | None) -> str:
    """What went wrong inside: the last lines of a server that died, else what the client in there said."""
    with contextlib.suppress(Outside), engine.failures("docker logs"):
        for _ in range(1 if problem else 20):  # a client that said nothing was taken along by the end of the server
            container.reload()
            if container.status != "running":
                lines = container.logs().decode("utf-8", "replace").strip().splitlines()[-_LINES:]
                return f"it ended with {container.attrs['State']['ExitCode']}: " + " | ".join(lines)
            time.sleep(0.1)
    return (problem or b"no answer").decode("utf-8", "replace").strip()
