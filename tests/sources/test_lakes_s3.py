"""Lake tables in an object store: a real server of S3's protocol on this machine."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lakes
import polars as pl
import pytest

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")
pytest.importorskip("moto.server")

FRAME = pl.DataFrame({"n": [1, 2, 3], "s": ["a", None, "c"]})
SECRET = "canary-Zx81-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a store with the bucket `lake`, in a process of its own: deltalake waits with the GIL held."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _bucket(f"http://127.0.0.1:{port}/lake")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def _bucket(url: str) -> None:
    """Make a bucket as soon as the server is there."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="PUT")):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    lakes.s3(server, monkeypatch)
    return server


def test_delta(store: str, cli: Callable[..., Any], work: Path) -> None:
    lakes.delta("s3://lake/delta t", FRAME, FRAME.head(1), storage_options={"AWS_S3_ALLOW_UNSAFE_RENAME": "true"})
    ended = cli("ingest", "delta+s3://lake/delta t", "-o", "out")
    assert ended.ref == "out"
    assert "version 1 of 20" in ended.err
    assert pl.read_parquet("out/*.parquet").equals(pl.concat([FRAME, FRAME.head(1)]))
    assert cli("ingest", "delta+s3://lake/delta t@0", "-o", "old").ref == "old"
    assert pl.read_parquet("old/*.parquet").equals(FRAME)
    gone = cli("ingest", "delta+s3://lake/none")
    assert gone.code == 4
    assert SECRET not in ended.err + gone.err


def test_iceberg(store: str, cli: Callable[..., Any], work: Path) -> None:
    lakes.iceberg("s3://lake/ice", FRAME, FRAME.head(1), **{"s3.endpoint": store, "s3.region": "us-east-1"})
    ended = cli("ingest", "iceberg+s3://lake/ice/n/t", "-o", "out")
    assert ended.ref == "out"
    assert pl.read_parquet("out/*.parquet").equals(pl.concat([FRAME, FRAME.head(1)]))
    gone = cli("ingest", "iceberg+s3://lake/none")
    assert gone.code == 4
    assert SECRET not in ended.err + gone.err


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_store_that_does_not_answer(
    kind: str, store: str, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ended = cli("ingest", f"{kind}+s3://lake/t")
    assert ended.code == 8, ended.err
    assert SECRET not in ended.err


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_credentials_in_a_url_are_refused(kind: str, cli: Callable[..., Any]) -> None:
    ended = cli("ingest", f"{kind}+s3://key:{SECRET}@lake/t")
    assert ended.code == 2
    assert SECRET not in ended.err
