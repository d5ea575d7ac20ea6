"""How a server ends: SIGTERM loses no request, SIGINT is prompt, a second signal is at once."""

import http.client
import json
import signal
import socket
import threading
import time

import pytest
from serving import ROW, Running, ask, logged, make_model, v2

INFER = "/v2/models/flights/infer"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "binary")


class Balanced:
    """Clients behind a balancer that asks for readiness now and then, and what became of their requests."""

    def __init__(self, running: Running, every: float = 0.5, keep: int = 4, fresh: int = 4) -> None:
        self.running = running
        self._every = every
        self.answered = 0
        self.failed: list[str] = []
        self._in = threading.Event()  # the server is in the balancer's rotation
        self._in.set()
        self._over = threading.Event()
        self._lock = threading.Lock()
        jobs = [self._watch] + [lambda: self._client(True)] * keep + [lambda: self._client(False)] * fresh
        self._threads = [threading.Thread(target=job) for job in jobs]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            try:
                if self.running.ask("GET", "/v2/health/ready")[0] == 200:
                    continue
            except OSError:
                pass
            self._in.clear()
            return

    def _client(self, keep: bool) -> None:
        connection = None
        body = json.dumps(v2(ROW))
        while self._in.is_set() and not self._over.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=10)
                status, headers, _ = ask(connection, "POST", INFER, body)
                assert status == 200, status
                if headers.get("connection") == "close" or not keep:
                    connection.close()
                    connection = None
                with self._lock:
                    self.answered += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                with self._lock:
                    self.failed.append(f"{'kept' if keep else 'new'} connection: {error!r}")
                connection = None
                time.sleep(0.01)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_fails_no_request(model, tmp_path, workers):
    flags = ("--name", "flights", "--workers", workers, "--log", tmp_path / "log", "--drain-seconds", "1.5")
    with Running(model, *flags) as running, Balanced(running) as clients:
        time.sleep(1)
        assert running.end() == 0
    assert clients.failed == []
    assert clients.answered > 200
    assert len(logged(tmp_path / "log")) == clients.answered  # and every line of the log is there


def test_without_the_drain_requests_fail(model):
    """That the test above can see a lost request: a server that shuts its door at once loses some."""
    with Running(model, "--name", "flights", "--drain-seconds", "0") as running, Balanced(running, every=5) as clients:
        time.sleep(0.5)
        assert running.end() == 0
        time.sleep(0.3)
    assert clients.failed


def test_what_is_in_flight_is_finished(model, tmp_path):
    """Bodies that are still on their way when the signal comes, and a batch that is being computed."""
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: "
    body = json.dumps(v2(ROW, 20_000))
    with Running(model, "--name", "flights", "--drain-seconds", "0.1") as running:
        connections = [socket.create_connection(("127.0.0.1", running.port), timeout=20) for _ in range(3)]
        for connection in connections:
            connection.sendall(f"{head}{len(body)}\r\n\r\n{body[:5000]}".encode())
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.6)  # the grace is over
        for connection in connections:
            connection.sendall(body[5000:].encode())
        for connection in connections:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200 and len(json.loads(answer.read())["outputs"][0]["data"]) == 20_000
        assert running.process.wait(10) == 0


def test_drain_is_told_to_clients(model):
    with Running(model, "--name", "flights", "--drain-seconds", "3") as running:
        kept = http.client.HTTPConnection("127.0.0.1", running.port)
        assert ask(kept, "GET", "/v2/health/ready")[0] == 200
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        status, headers, _ = ask(kept, "GET", "/v2/health/ready")
        assert status == 503 and headers["connection"] == "close"
        status, headers, _ = running.ask("POST", INFER, v2(ROW))  # a new connection is still accepted
        assert status == 200 and headers["connection"] == "close"
        begun = time.monotonic()
        assert running.end() == 143 and time.monotonic() - begun < 1  # the second signal: at once


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigint_is_prompt(model, tmp_path, workers):
    with Running(model, "--name", "flights", "--workers", workers, "--log", tmp_path / "log") as running:
        assert running.ask("POST", INFER, v2(ROW))[0] == 200
        begun = time.monotonic()
        assert running.end(signal.SIGINT) == 130
        assert time.monotonic() - begun < 2
        assert "Traceback" not in running.said
    assert len(logged(tmp_path / "log")) == 1


def test_a_second_sigterm_ends_several_workers_at_once(model):
    with Running(model, "--workers", "2", "--drain-seconds", "20") as running:
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.end(timeout=3) == 143
