"""The target docker on a real engine: what is called built has answered; all else leaves nothing behind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_cli.errors import Outside
from mlops_cli.targets import context, docker, dockerfile, engine, modules, native, smoke, wheels
from mlops_cli.targets.base import Order

# Serves one fixed answer with the standard library, and proves that the packed libraries load as nobody.
STUB = """
import ctypes, json, os, sys
import httptools, msgspec, numpy, uvicorn, uvloop
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
ctypes.CDLL(os.environ["MLOPS_LIB_LIGHTGBM"])
assert os.getuid() == 65532 and os.getgid() == 65532
try:
    open("/opt/mlops/x", "w")
except OSError:
    pass
else:
    sys.exit("the file system can be written")
%s
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(b'{"live": true}')
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["content-length"])))["dataframe_records"]
        self.reply(json.dumps({"predictions": [{"prediction": True, "proba": [0.25, %s]} for row in rows]}).encode())
    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""

pytestmark = pytest.mark.docker

_STARTED = datetime.now(UTC).isoformat()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`served(before="", answer="0.75")` puts a stub in the place of our own server."""

    def put(before: str = "", answer: str = "0.75") -> None:
        folder = tmp_path / "stub"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "__main__.py").write_text(STUB % (before, answer))
        found = dict.fromkeys(("mlops_cli", "mlops_cli.runtime"), folder / "__init__.py")
        monkeypatch.setattr(modules, "closure", lambda: found | {"mlops_cli.runtime.__main__": folder / "__main__.py"})

    return put


@pytest.fixture(scope="module")
def warm(docker_client: Any, docker_base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An image with the libraries alone stays while the tests run, so that the engine has their layers."""
    folder = tmp_path_factory.mktemp("warm")
    for name in ("src", "model", "log"):
        (folder / name).mkdir()
        (folder / name / ".keep").touch()
    platform = engine.probe(docker_client, docker_client.images.get(docker_base), docker_base)
    wheels.install(platform, folder / "site")
    native.install("lightgbm", platform, folder / "lib")
    order = SimpleNamespace(name="warm", version=None)
    (folder / "Dockerfile").write_text(dockerfile.text(order, docker_base, {"dev.mlops.warm": "1"}))  # type: ignore[arg-type]
    with tempfile.TemporaryFile() as tar:
        context.pack(folder, 0, tar)
        tar.seek(0)
        image = engine.build(docker_client, tar, lambda *a: None)
    image.tag("mlops-test-warm")
    yield
    with contextlib.suppress(Exception):
        docker_client.images.remove("mlops-test-warm")


@pytest.fixture
def here(order: Order, docker_client: Any, docker_base: str, warm: None) -> Iterator[Order]:
    """The order with a base image that is there and a tag of its own; removed after."""
    tag = f"mlops-test-{order.model.id[7:15]}-{time.monotonic_ns()}:1"
    yield dataclasses.replace(order, base=docker_base, tag=tag)
    with contextlib.suppress(Exception):
        docker_client.images.remove(tag, force=True)


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    folder = tmp_path / "payload"
    folder.mkdir()
    return folder


def containers(client: Any, order: Order) -> list[Any]:
    found = client.containers.list(all=True, filters={"label": f"dev.mlops.smoke={order.model.id}"})
    return [one for one in found if one.attrs["Created"] >= _STARTED]  # not what a killed run has left


def images(client: Any, order: Order) -> list[Any]:
    return list(client.images.list(all=False, filters={"label": f"org.opencontainers.image.ref.name={order.tag}"}))


def test_an_image_that_answers_is_tagged(here: Order, docker_client: Any, served: Any, payload: Path) -> None:
    served()
    built = docker.build(here, payload)
    image = docker_client.images.get(here.tag)
    described = json.loads((payload / "package.json").read_bytes())
    assert described["image"] == image.id == built.facts["image"]
    assert (described["smoke"], described["answer"], described["tag"]) == ("passed", "exact", here.tag)
    assert image.attrs["Config"]["User"] == "65532:65532"
    assert image.labels["dev.mlops.model.id"] == here.model.id
    about = image.labels["org.opencontainers.image.description"]
    assert about.startswith('flights 7: lightgbm model (binary) of late "$HOME" \\ n, served by')
    assert (payload / "Dockerfile").read_text().startswith(f"FROM {here.base}\n")
    assert containers(docker_client, here) == []


def test_the_image_holds_no_tools_and_nothing_that_is_writable(
    here: Order, docker_client: Any, served: Any, payload: Path
) -> None:
    served()
    docker.build(here, payload)
    look = """
import importlib.util, os, json
found = [name for name in ("pip", "polars", "pandas", "scipy", "lightgbm", "pyarrow") if importlib.util.find_spec(name)]
bad = []
for folder, names, files in os.walk("/opt/mlops"):
    for name in [*names, *files]:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if os.access(path, os.W_OK) or mode & 0o6000 or name.endswith((".pkl", ".pickle")):
            bad.append(path)
print(json.dumps([found, bad, os.getuid(), os.access("/var/log/mlops", os.W_OK)]))
"""
    command = ["python3", "-c", look]
    printed = docker_client.containers.run(here.tag, entrypoint=command, network_mode="none", remove=True)
    assert json.loads(printed) == [[], [], 65532, True]


def test_the_docker_command_builds_the_same_from_a_dry_run(
    here: Order, docker_client: Any, served: Any, payload: Path
) -> None:
    served()
    docker.build(dataclasses.replace(here, dry_run=True), payload)
    command = ["docker", "build", "-q", "--network", "none", "-t", here.tag, str(payload / "context")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert smoke.check(docker_client, docker_client.images.get(here.tag), here.model) == "exact"


def test_another_answer_leaves_nothing(here: Order, docker_client: Any, served: Any, payload: Path) -> None:
    served(answer="0.74")
    with pytest.raises(Outside, match=r"proba\[1\] is 0\.74, recorded was 0\.75"):
        docker.build(here, payload)
    assert images(docker_client, here) == []
    assert containers(docker_client, here) == []
    assert not (payload / "package.json").exists()


def test_a_server_that_dies_tells_why(here: Order, docker_client: Any, served: Any, payload: Path) -> None:
    served(before="sys.exit('the model of the year 2000')")
    with pytest.raises(Outside, match="ended with 1: the model of the year 2000"):
        docker.build(here, payload)
    assert images(docker_client, here) == []
    assert containers(docker_client, here) == []


def test_a_server_that_never_gets_ready(
    here: Order, docker_client: Any, served: Any, payload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(before="import time; time.sleep(100)")
    monkeypatch.setattr(smoke, "_CLIENT", smoke._CLIENT.replace(f"+ {smoke._SECONDS}", "+ 1"))
    with pytest.raises(Outside, match="not ready"):
        docker.build(here, payload)
    assert containers(docker_client, here) == []


def test_an_image_that_was_there_before_survives_a_failure(
    here: Order, docker_client: Any, served: Any, payload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served()
    docker.build(here, payload)
    before = docker_client.images.get(here.tag).id
    monkeypatch.setattr(smoke, "_judge", lambda *a: (_ for _ in ()).throw(Outside("no")))
    with pytest.raises(Outside):
        docker.build(here, payload)
    assert docker_client.images.get(here.tag).id == before


def test_interrupted_while_it_builds(here: Order, docker_client: Any, served: Any, payload: Path) -> None:
    served()
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(4, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    slow = dataclasses.replace(here, progress=lambda *a: time.sleep(1))
    with pytest.raises(KeyboardInterrupt):
        docker.build(slow, payload)
    timer.cancel()
    assert containers(docker_client, here) == []
    assert here.tag not in [tag for image in docker_client.images.list() for tag in image.tags]


def test_a_base_that_is_nowhere(here: Order, payload: Path) -> None:
    with pytest.raises(Outside, match="not here and cannot be pulled") as caught:
        docker.build(dataclasses.replace(here, base="localhost:9/no/such:1"), payload)
    assert "--base" in caught.value.hint
    assert "\n" not in caught.value.message


def test_push(here: Order, docker_client: Any, served: Any, payload: Path, registry: str) -> None:
    served()
    order = dataclasses.replace(here, tag=f"{registry}/team/flights:7", push=True)
    built = docker.build(order, payload)
    with urllib.request.urlopen(f"http://{registry}/v2/team/flights/tags/list", timeout=10) as answer:
        assert json.load(answer)["tags"] == ["7"]
    assert built.facts["pushed"].startswith("sha256:")
    docker_client.images.remove(order.tag, force=True)


def test_push_that_fails(here: Order, docker_client: Any, served: Any, payload: Path) -> None:
    served()
    order = dataclasses.replace(here, tag="127.0.0.1:9/flights:7", push=True)
    with pytest.raises(Outside, match="docker push") as caught:
        docker.build(order, payload)
    assert "docker push 127.0.0.1:9/flights:7" in caught.value.hint
    docker_client.images.remove(order.tag, force=True)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry of images on loopback."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "images")}}
    config.write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}}))
    running = subprocess.Popen([program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).close()
                break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()
