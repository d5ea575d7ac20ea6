"""The image of a model of images: onnxruntime and no torch inside, and a JPEG classified as `predict` does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx_models
import polars as pl
import pytest
from onnx_models import LABELS

from mlops_cli.targets import wheels
from mlops_cli.targets.platforms import assumed

NEVER = {"torch", "onnx", "polars", "pyarrow", "pandas", "scipy", "lightgbm", "sympy", "pip"}
SETTINGS = ["model=m.onnx", "mean=0.5", "std=0.25", "embedding=embedding"]


@pytest.fixture
def model(work: Path) -> str:
    """The command line that makes a model of images in ./model, from pictures in ./i.parquet."""
    colours = dict(zip(LABELS, ("red", "green", "blue"), strict=True))
    labels = [LABELS[n % 3] for n in range(9)]
    files = [onnx_models.picture(colours[label], seed=n) for n, label in enumerate(labels)]
    found = [{"bytes": data, "path": f"{n}.jpg"} for n, data in enumerate(files)]
    kind = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    table = pl.DataFrame({"image": pl.Series(found, dtype=kind), "label": labels, "camera": ["north"] * 9})
    table.write_parquet(work / "i.parquet")
    (work / "car.jpg").write_bytes(files[1])
    (work / "m.onnx").write_bytes(onnx_models.colours())
    words = " ".join(f"--set {setting}" for setting in SETTINGS)
    return f"mlops train i.parquet --target label --family onnx {words} -o model >/dev/null"


@pytest.fixture
def container(docker_client: Any) -> Iterator[Callable[[str], Any]]:
    """`container(tag)` runs an image locked down, without a way out; removed after."""
    running: list[Any] = []

    def start(tag: str) -> Any:
        locked = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
        published = {"8080/tcp": ("127.0.0.1", None)}
        started = docker_client.containers.run(tag, detach=True, ports=published, **locked)
        running.append((started, tag))
        return started

    yield start
    for one, tag in running:
        one.remove(force=True)
        docker_client.images.remove(tag, force=True)


def test_a_context_without_an_engine(shell: Callable[..., Any], model: str, work: Path) -> None:
    """What is packed: numpy, onnxruntime and pillow, and neither torch nor what onnxruntime has for training."""
    ended = shell(f"{model} && mlops package model -n -o image")
    assert ended.ref == "image", ended.err
    site = work / "image" / "context" / "site"
    folders = {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")}
    assert {"numpy", "onnxruntime", "PIL", "uvicorn"} <= folders and not folders & NEVER
    assert not list(site.glob("onnxruntime/transformers")) and not list(site.rglob("libonnxruntime.so*"))
    assert not list(Path("image/context/lib").glob("*lightgbm*"))
    packages = json.loads(Path("image/package.json").read_text())["packages"]
    assert {"onnxruntime", "pillow", "numpy"} <= packages.keys() and not packages.keys() & NEVER
    tables = {found.metadata["Name"] for found in wheels.distributions(assumed())}
    assert "onnxruntime" not in tables and "pillow" not in tables  # a table's image has none of it


@pytest.mark.docker
def test_a_container_classifies_a_jpeg_as_predict_does(
    shell: Callable[..., Any], model: str, work: Path, docker_base: str, container: Callable[[str], Any]
) -> None:
    tag = f"mlops-test-images-{time.monotonic_ns()}:1"
    ended = shell(
        f"{model} && mlops package model --base {docker_base} --tag {tag} -o image"
        " && mlops predict model i.parquet --proba -o predictions >/dev/null"
    )
    assert ended.ref == "image", ended.err
    assert json.loads(Path("image/package.json").read_text())["answer"] == "exact"
    started = container(tag)
    for _ in range(100):
        started.reload()
        published = started.ports.get("8080/tcp")
        address = f"http://127.0.0.1:{published[0]['HostPort']}" if published else "http://127.0.0.1:1"
        asked = shell(f"curl -fsS -T car.jpg -H 'Content-Type: image/jpeg' '{address}/predict?camera=north'")
        if asked.code == 0:
            break
        time.sleep(0.1)
    assert asked.code == 0, started.logs().decode()
    predicted = pl.read_parquet("predictions/*.parquet").row(1, named=True)
    answer = json.loads(asked.out)
    assert answer["prediction"] == predicted["prediction"] == "car"
    assert list(answer["proba"].values()) == predicted["proba"]  # digit by digit
    code, listed = started.exec_run(["ls", "/opt/mlops/site"])
    names = set(listed.decode().split())
    assert code == 0 and {"numpy", "onnxruntime", "PIL"} <= names and not names & NEVER
