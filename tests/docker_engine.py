"""A Docker engine and a base image for the tests marked `docker`: the machine's engine, or one of our own as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BASE = "mlops-test-base:bookworm"
TARBALL = ROOT / ".cache" / "base-bookworm.tar.gz"


def _client(address: str | None) -> Any:
    """A client of the engine there, None when none answers."""
    import docker
    import requests

    client = None
    try:
        client = docker.DockerClient(base_url=address) if address else docker.from_env()
        client.ping()
        return client
    except (docker.errors.DockerException, requests.RequestException, OSError):
        if client is not None:
            client.close()
        return None


def _started() -> str:
    """The address of an engine of our own, which all workers of this run share; it ends when the run has ended."""
    if os.geteuid() != 0 or not shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin"):
        _absent("no Docker engine answers; as root, with dockerd installed, the tests start one")
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir(), f"mlops-engine-{run}")
    try:
        folder.mkdir()
    except FileExistsError:
        pass  # another worker starts it
    else:
        subprocess.Popen(
            [ROOT / "scripts" / "docker-engine", "hold", str(run), folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    for _ in range(600):
        state = (folder / "state").read_text().strip() if (folder / "state").exists() else ""
        if state == "ready":
            return f"unix://{folder}/docker.sock"
        if state == "failed":
            break
        time.sleep(0.1)
    return _absent(f"dockerd does not start here, see {folder}/dockerd.log")


def _absent(why: str) -> str:
    """Skip, or fail where the tests are told that Docker must be there."""
    if os.environ.get("MLOPS_TEST_DOCKER") == "required":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[Any]:
    """A client of a Docker engine that has the base image; DOCKER_HOST names that engine while the tests run."""
    client = _client(None)
    with pytest.MonkeyPatch.context() as patch:
        if client is None:
            address = _started()
            patch.setenv("DOCKER_HOST", address)
            client = _client(address)
        assert client is not None
        if not client.images.list(BASE):
            if not TARBALL.exists():
                _absent(f"no base image: scripts/base-image makes {TARBALL.name}")
            repository, _, tag = BASE.partition(":")
            path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            client.api.import_image_from_file(str(TARBALL), repository=repository, tag=tag, changes=path)
        yield client
        client.close()


@pytest.fixture(scope="session")
def docker_base(docker_client: Any) -> str:
    """The name of a base image with Python, which the engine has."""
    return BASE
