"""A real server of S3's protocol on this machine, and one of Azure's where it is installed."""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "canary-Zx81-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a store with the bucket `road`."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        with urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/road", method="PUT")):
            pass
        yield f"http://{host}:{port}"
    finally:
        running.stop()


@pytest.fixture
def put(server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, bytes]], None]:
    """Puts objects into the bucket; the environment says how."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    import obstore

    store = obstore.store.S3Store("road")

    def write(prefix: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            obstore.put(store, prefix + name, data)

    return write


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server of Azure's blob protocol; scripts/system-parts installs it where npm is."""
    program = ROOT / ".cache" / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists() or not shutil.which("node"):
        pytest.skip("azurite is not installed: scripts/system-parts does it where there is npm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("azurite")
    command = [program, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", folder]
    running = subprocess.Popen([*command, "--blobHost", "127.0.0.1", "--blobPort", str(port)])
    try:
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert running.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()
