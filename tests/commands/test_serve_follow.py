"""`serve --follow`: the alias moves under load, and no request notices but by the version that answers."""

import http.client
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from onnx_models import make_image_model, picture
from serving import ROW, Running, ask, eventually, logged, make_model, v2

from mlops_cli.store import artefact, registry
from mlops_cli.store.registry import Entry

MLOPS = [str(Path(sys.executable).parent / "mlops"), "serve"]
INFER = "/v2/models/flights/infer"

# What a server would do that takes the next version before it is there.
EARLY = """
import dataclasses, sys
from mlops_cli.runtime.takeover import Takeover
take = Takeover._take
async def early(self, version):
    self._app._now = dataclasses.replace(self._app._now, wires={})
    return await take(self, version)
Takeover._take = early
from mlops_cli.__main__ import main
sys.argv[0] = "mlops"
sys.exit(main())
"""


@pytest.fixture
def store(work):
    """Three versions of a model, the first in production."""
    store = registry.locate(str(work / "mlops-registry"), create=True)
    for rounds in (20, 25, 30):
        path = make_model(work / f"model{rounds}", rounds=rounds)
        store.register("flights", Entry(artefact.open_artefact(path), [], [], "test", "", "test"))
    store.move("flights", "production", lambda _: (1, "", {}), "test")
    return store


def move(store, number, name="flights"):
    store.move(name, "production", lambda _: (number, "", {}), "test")


class Clients:
    """Clients that ask all the time; the versions that answered each, and what failed."""

    def __init__(self, port, count=4):
        self.port, self.failed, self.versions = port, [], [[] for _ in range(count)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(seen,)) for seen in self.versions]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, seen):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        body = v2(ROW)
        while not self._over.is_set():
            try:
                status, _, answer = ask(connection, "POST", INFER, body)
                if status == 200:
                    seen.append(answer["model_version"])
                else:
                    self.failed.append((status, answer))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
        connection.close()


def follow(*words, command=MLOPS):
    return Running(Path(), command=[*command, "flights@production", "--drain-seconds", "0.3", *map(str, words)])


def served(server):
    """The versions that a few connections find."""
    return {server.ask("GET", "/v2/models/flights")[2]["versions"][0] for _ in range(6)}


def says(server, text):
    """Read what the server says until `text` is in it."""
    while text not in server.said:
        line = server.process.stderr.readline()
        assert line, server.said
        server.said += line


@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_fails_while_the_alias_moves(store, workers):
    moves = [2, 3, 1, 2, 3]
    with follow("--follow", "0.1s", "--workers", workers, "--log", "logs") as server:
        with Clients(server.port) as clients:
            for number in moves:
                move(store, number)
                server.said = ""
                says(server, f"flights {number} answers from now on")
                time.sleep(0.15)
        eventually(lambda: served(server) == {"3"})
        assert server.ask("GET", "/v2/models/flights/versions/2")[0] == 404
        assert 'version="3"' in server.ask("GET", "/metrics")[2].decode()
        assert server.end() == 0
    assert clients.failed == []
    for seen in clients.versions if workers == 1 else ():
        order = [number for i, number in enumerate(seen) if i == 0 or seen[i - 1] != number]
        assert order == [str(number) for number in (1, *moves)]  # every request ends on the version it began with
    counts = {number: sum(seen.count(number) for seen in clients.versions) for number in ("1", "2", "3")}
    lines = [line["version"] for line in logged(Path("logs"))]
    assert {number: lines.count(number) for number in counts} == counts and min(counts.values()) > 20


def test_a_version_that_is_swapped_in_before_it_is_loaded_fails_requests(store):
    """The mutant: that the test above can see a lost request."""
    early = [sys.executable, "-c", EARLY, "serve"]
    with follow("--follow", "0.1s", command=early) as server, Clients(server.port) as clients:
        for number in (2, 3, 1, 2, 3):
            move(store, number)
            server.said = ""
            says(server, f"flights {number} answers from now on")
    assert clients.failed


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_asks_at_once(store, workers):
    with follow("--follow", "9999s", "--workers", workers) as server:
        move(store, 2)
        server.process.send_signal(signal.SIGHUP)
        says(server, "flights 2 answers from now on")
        eventually(lambda: served(server) == {"2"})
        assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_version_that_cannot_be_served_is_told_once_and_the_one_before_goes_on(store, work, workers):
    digest = store.version("flights", 2).object
    broken = store.object(digest).path / "model.txt"
    broken.chmod(0o644)
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    with follow("--follow", "0.1s", "--workers", workers) as server:
        move(store, 2)
        says(server, "the digest does not match")
        time.sleep(0.5)
        assert server.ask("GET", "/v2/models/flights")[2]["versions"] == ["1"]
        move(store, 3)
        says(server, "flights 3 answers from now on")
        assert server.end() == 0
    assert server.said.count("does not match") == 1 and "the one before goes on" in server.said


def test_a_worker_that_is_started_again_begins_with_the_version_that_was_taken(store):
    with follow("--follow", "0.1s", "--workers", "2") as server:
        move(store, 2)
        says(server, "flights 2 answers from now on")
        for child in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        says(server, "is started again")
        assert served(server) == {"2"}
        assert server.end() == 0


def test_images_too(work):
    store = registry.locate(str(work / "mlops-registry"), create=True)
    for seed in (0, 1):
        path = make_image_model(work / f"m{seed}", seed)
        store.register("flights", Entry(artefact.open_artefact(path), [], [], "test", "", "test"))
    move(store, 1)
    with follow("--follow", "0.1s") as server:
        first = server.ask("PUT", "/predict", picture(), {"content-type": "image/jpeg"})[2]
        move(store, 2)
        says(server, "flights 2 answers from now on")
        second = server.ask("PUT", "/predict", picture(), {"content-type": "image/jpeg"})[2]
        assert first["prediction"] == second["prediction"] == "bus" and first["proba"] != second["proba"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("flights@1 --follow 10s", 2, "--follow needs a name that moves, flights@1 does not"),
        ("model20 --follow 10s", 2, "--follow needs a name that moves"),
        ("flights --follow 10", 2, "'10' is not a time"),
        ("flights --follow 0s", 2, "is not a time"),
        ("flights --context carrier=UA", 2, "--context goes with --stdio"),
        ("flights --stdio --context speed=3", 2, "the model takes no such column"),
        ("flights --stdio --context carrier", 2, "is no column and value"),
    ],
)
def test_usage(store, shell, words, code, said):
    ended = shell(f"echo '{{}}' | mlops serve {words} --port 0")
    assert (ended.code, ended.out) == (code, "") and said in ended.err
