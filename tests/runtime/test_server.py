"""The server as a process: raw sockets, ports, several workers, and what it imports."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from serving import ROW, Running, ask, eventually, logged, make_model, v2

INFER = "/v2/models/flights/infer"
NAMED = ("--name", "flights", "--model-version", "7")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "binary")


@pytest.fixture(scope="module")
def served(model):
    with Running(model, *NAMED, "--max-body", "1MB") as running:
        yield running
        assert running.end() == 0
        assert running.said.count("\n") == 1, running.said  # nothing that a client did was worth a line


def raw(port: int, data: bytes, seconds: float = 5) -> bytes:
    """What comes back for bytes that may be no HTTP at all."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def test_endpoints_over_http(served):
    status, headers, answer = served.ask("POST", INFER, v2(ROW, id="abc"))
    assert status == 200 and answer["id"] == "abc" and headers["x-request-id"] == "abc"
    assert served.ask("GET", "/v2")[2]["name"] == "mlops"
    about = served.ask("GET", "/v2/models/flights")[2]
    assert about["versions"] == ["7"] and about["platform"] == "mlops_lightgbm"
    assert [tensor["name"] for tensor in about["inputs"]] == list(ROW)
    assert about["outputs"][1]["shape"] == [-1, 2]
    index = served.ask("GET", "/")[2]
    assert INFER in index["post"] and all(served.ask("GET", path)[0] == 200 for path in index["get"])
    assert served.ask("GET", "/version")[2] == b"0.1.0"
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.request("HEAD", "/v2/health/ready")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b""
    assert ask(connection, "POST", INFER, v2(ROW))[0] == 200  # the same connection goes on


def test_large_bodies_are_refused_and_the_connection_lives(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    for _ in range(2):
        status, _, answer = ask(connection, "POST", INFER, b" " * 3_000_000)
        assert status == 413 and "1000000 bytes" in answer["error"]
    pieces = (b" " * 65536 for _ in range(60))
    status, _, _ = ask(connection, "POST", "/invocations", pieces, {"content-type": "application/json"})  # chunked
    assert status == 413
    assert ask(connection, "POST", INFER, v2(ROW))[0] == 200
    # A client that asks first is told before it sends anything.
    with socket.create_connection(("127.0.0.1", served.port)) as asking:
        asking.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert asking.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nshort",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    ],
)  # fmt: skip
def test_what_is_hardly_http_is_no_5xx(served, data):
    answer = raw(served.port, data)
    assert answer == b"" or re.match(rb"HTTP/1.[01] [24]\d\d ", answer), answer[:100]
    assert served.ask("GET", "/v2/health/ready")[0] == 200


def test_an_endless_head_ends_the_connection(served):
    start = b"GET / HTTP/1.1\r\n"
    for data in (b"GET /" + b"a" * 600_000, start + b"X: " + b"a" * 600_000, start + b"a: b\r\n" * 80_000):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            try:
                connection.sendall(data)
                assert connection.recv(100) == b""  # without having waited for its end
            except ConnectionError:
                pass


def test_pipelined_requests_are_answered_in_order(served):
    one = json.dumps(v2(ROW, id="one")).encode()
    two = json.dumps(v2(ROW, 500, id="two")).encode()  # through the thread
    head = b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: "
    requests = [head + str(len(body)).encode() + b"\r\n\r\n" + body for body in (two, one, two, one)]
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"".join(requests))
        answer = b""
        while answer.count(b'"model_name"') < 4 or not answer.endswith(b"]}]}"):
            answer += connection.recv(65536)
    assert re.findall(rb"x-request-id: (\w+)", answer) == [b"two", b"one", b"two", b"one"]


def test_port_in_use(model, served):
    done = subprocess.run(
        [sys.executable, "-m", "mlops_cli.runtime", str(model), "--port", str(served.port)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 8
    assert (
        done.stderr
        == f"mlops serve: outside: port {served.port} is in use\nhint: give another --port, or 0 for any free one\n"
    )


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--port", "99999"], 2, "--port 99999"),
        (["--workers", "0"], 2, "--workers"),
        (["--max-body", "lots"], 2, "'lots' is not a size"),
        (["--retain", "soon", "--log", "x"], 2, "'soon' is not a number of days"),
        (["--retain", "3d"], 2, "need --log"),
        (["--drain-seconds", "nan"], 2, "--drain-seconds"),
        (["--host", "no.such.host.invalid"], 8, "cannot listen on"),
        (["--token-file", "/does/not/exist"], 4, "token file"),
        (["--log", "/proc/nothing"], 8, "log directory"),
        (["--log-columns", "speed", "--log", "log"], 4, "'speed'"),
        (["--workers", "2", "--log-columns", "speed", "--log", "log"], 4, "'speed'"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
def test_what_cannot_be_served(model, tmp_path, flags, code, said):
    command = [sys.executable, "-m", "mlops_cli.runtime", str(model), "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_damaged_model_is_told_in_one_line(tmp_path, workers):
    broken = make_model(tmp_path / "model")
    text = broken / "model.txt"
    text.write_bytes(text.read_bytes().replace(b"leaf_value", b"leaf_valuX", 1))
    command = [sys.executable, "-m", "mlops_cli.runtime", str(broken), "--port", "0", "--workers", workers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 2 and done.stderr.startswith("mlops serve: integrity: ")
    assert subprocess.run([*command[:3], str(tmp_path / "no"), "--port", "0"], capture_output=True).returncode == 4


def test_imports(model):
    code = f"""
import sys
from mlops_cli.runtime import prometheus, server, settings, stdio, supervisor, __main__
from pathlib import Path
server.build(settings.Settings(Path({str(model)!r}), "flights"), prometheus.Shared(), 0, print).close()
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"numpy", "msgspec", "uvicorn", "uvloop", "httptools"} <= loaded
    # Beside the standard library: what is meant to be there, and what uvicorn itself needs.
    foreign = (
        loaded - set(sys.stdlib_module_names) - {"numpy", "msgspec", "uvicorn", "uvloop", "httptools", "mlops_cli"}
    )
    assert not foreign & {
        "polars",
        "pyarrow",
        "typer",
        "lightgbm",
        "pandas",
        "scipy",
        "sklearn",
        "pandera",
        "rich",
        "yaml",
    }
    assert {name for name in foreign if not name.startswith("_")} <= {
        "click",
        "h11",
        "colorama",
        "typing_extensions",
        "cython_runtime",
    }


def numbers(running) -> dict[str, float]:
    """The metrics by name with labels."""
    text = running.ask("GET", "/metrics")[2].decode()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def state(pid: int) -> str:
    """The state of a process: R, S, Z…; nothing when there is none."""
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def children(pid: int) -> set[int]:
    return set(map(int, open(f"/proc/{pid}/task/{pid}/children").read().split()))


def test_workers_share_counters_and_are_replaced(model, tmp_path):
    with Running(model, *NAMED, "--workers", "2", "--log", tmp_path / "log") as running:
        assert "2 workers" in running.said
        before = children(running.process.pid)
        assert len(before) == 2
        for _ in range(30):
            assert running.ask("POST", INFER, v2(ROW))[0] == 200
        name = 'mlops_requests_total{model="flights",version="7",protocol="v2",code="200"}'
        assert numbers(running)[name] == 30  # whichever worker is asked
        eventually(lambda: len(logged(tmp_path / "log")) == 30)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        after = eventually(lambda: len(children(running.process.pid) - {victim}) == 2 and children(running.process.pid))
        assert victim not in after
        new = (after - before).pop()

        def served_by_new():
            running.ask("POST", INFER, v2(ROW))
            return any(f"-{new}-" in path.name for path in (tmp_path / "log").glob("*/*"))

        eventually(served_by_new)
        assert numbers(running)[name] > 30  # and the dead worker's requests are not forgotten
        assert numbers(running)["mlops_requests_in_progress"] == 0
        assert running.end() == 0, running.said
        assert "killed by signal 9; it is started again" in running.said
    assert len({path.name for path in (tmp_path / "log").glob("*/*")}) >= 3


def test_workers_end_when_their_supervisor_is_killed(model):
    with Running(model, "--workers", "2", "--drain-seconds", "0.1") as running:
        workers = children(running.process.pid)
        running.process.kill()

        def gone():
            return all(state(pid) in ("", "Z") for pid in workers)

        assert eventually(gone)


def test_a_worker_that_always_dies_is_given_up(model, tmp_path):
    """Its library kills it while the model is loading, again and again."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if any(word.endswith('mlops_cli.runtime') or word == 'mlops_cli.runtime' for word in sys.orig_argv):\n"
        "    import mlops_cli.runtime.predictors as p\n"
        "    p.load = lambda *_: os.kill(os.getpid(), 11)\n"
        "    import mlops_cli.runtime.supervisor as s\n"
        "    s._FIRST_WAIT = 0.01\n"
    )
    command = [sys.executable, "-m", "mlops_cli.runtime", str(model), "--port", "0", "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 8 and "was killed by signal 11, 8 times in a row" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_costs_lines_not_requests(model, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        with Running(model, *NAMED, "--log", disk / "log") as running:
            for _ in range(400):
                assert running.ask("POST", INFER, v2(ROW))[0] == 200
            lost = eventually(lambda: numbers(running)["mlops_log_errors_total"])
            (path,) = (disk / "log").glob("*/*")
            assert path.read_bytes().endswith(b"}\n")  # no half line
            assert running.end() == 0
            assert running.said.count("No space left on device") == 1
            assert len(logged(disk / "log")) + lost <= 400
    finally:
        subprocess.run(["umount", disk], check=True)
