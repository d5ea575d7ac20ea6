"""The build context holds what serving needs and nothing else, and its bytes repeat."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from mlops_cli.errors import Integrity, Usage
from mlops_cli.store import manifest
from mlops_cli.targets import context, docker, dockerfile
from mlops_cli.targets.base import Order
from mlops_cli.targets.platforms import assumed


@pytest.fixture
def folder(order: Order, tmp_path: Path) -> Path:
    target = tmp_path / "context"
    target.mkdir()
    context.assemble(order, assumed(), "python:3.11-slim", None, target)
    return target


def test_nothing_but_what_serving_needs(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["Dockerfile", "lib", "log", "model", "site", "src"]
    names = sorted(path.name for path in (folder / "model").iterdir())
    assert names == ["example.json", "manifest.json", "model.txt", "signature.json"]
    site = {path.name.split("-")[0].lower() for path in (folder / "site").iterdir()}
    assert not site & {"pip", "polars", "pandas", "scipy", "sklearn", "lightgbm", "pyarrow", "docker", "setuptools"}
    suffixes = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert not suffixes & {".pyc", ".pkl", ".pickle", ".joblib", ".pyi", ".a", ".h", ".env"}
    assert not [path for path in folder.rglob("*") if path.is_dir() and path.name == "tests"]
    assert not [path for path in folder.rglob("*") if path.is_symlink()]


def test_the_tar_repeats_whenever_and_wherever_it_is_made(folder: Path, tmp_path: Path, order: Order) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    context.pack(folder, order.created, first)
    time.sleep(0.01)
    again = tmp_path / "again"
    again.mkdir()
    context.assemble(order, assumed(), "python:3.11-slim", None, again)
    (again / "Dockerfile").chmod(0o600)
    context.pack(again, order.created, second)
    assert first.getvalue() == second.getvalue()
    first.seek(0)
    with tarfile.open(fileobj=first) as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(order.created, 0, 0, "")}
    assert [m.name for m in members] == sorted((m.name for m in members), key=lambda name: name.split("/"))


def test_a_damaged_model_is_refused(order: Order, tmp_path: Path) -> None:
    (order.model.path / "model.txt").write_text("tree?")
    with pytest.raises(Integrity):
        context.assemble(order, assumed(), "python:3.11-slim", None, tmp_path / "c")
    assert (order.model.path / manifest.NAME).exists()


def test_the_dockerfile_runs_as_nobody_and_says_what_it_holds(folder: Path, order: Order) -> None:
    text = (folder / "Dockerfile").read_text()
    lines = text.splitlines()
    assert lines[0] == "FROM python:3.11-slim"
    assert "USER 65532:65532" in lines[lines.index("USER 0:0") + 1 :]
    assert f'dev.mlops.model.id="{order.model.id}"' in text
    assert 'org.opencontainers.image.created="2026-01-02T03:04:05Z"' in text
    assert 'dev.mlops.evaluation.id="sha256:eee' in text
    assert r"late \"\$HOME\" \\ n" in text
    entry = json.loads(lines[-1].removeprefix("ENTRYPOINT "))
    assert entry[:4] == ["python3", "-m", "mlops_cli.runtime", "/opt/mlops/model"]
    assert entry[-4:] == ["--name", "flights", "--model-version", "7"]


def test_labels_cannot_break_out_of_their_line() -> None:
    assert dockerfile._quoted('a\n"; RUN evil\x00\\') == '"a \\"; RUN evil \\\\"'


def test_a_model_outside_a_registry_has_no_version(order: Order) -> None:
    loose = dataclasses.replace(order, name="model", version=None)
    assert "--model-version" not in dockerfile.entry_point(loose)
    assert loose.shown_version == order.model.id[7:19]


def test_labels_of_source_and_licence_come_from_the_user(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_cli.runtime.signature import load_signature

    signature = load_signature(order.model.path)
    monkeypatch.setenv("MLOPS_IMAGE_LICENSES", "CC0-1.0")
    labels = dockerfile.labels(order, signature, "base:1", "sha256:" + "b" * 64)
    assert labels["org.opencontainers.image.licenses"] == "CC0-1.0"
    assert labels["org.opencontainers.image.base.digest"] == "sha256:" + "b" * 64
    assert "org.opencontainers.image.source" not in labels


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": "a b"},
        {"base": "x\nRUN evil"},
        {"base": "-v"},
        {"tag": "Flights:1"},
        {"tag": "a:b:c"},
        {"tag": ""},
        {"push": True},
        {"push": True, "tag": "x:1", "dry_run": True},
    ],
)
def test_orders_that_make_no_sense(order: Order, tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(Usage) as caught:
        docker.build(dataclasses.replace(order, **wrong), tmp_path)  # type: ignore[arg-type]
    assert caught.value.hint or "exclude" in caught.value.message


@pytest.mark.parametrize("good", ["flights:1", "127.0.0.1:5000/a/b-c:1.0_x", "localhost/x", "r.example.com/x__y:z"])
def test_tags_that_an_engine_takes(good: str) -> None:
    assert docker._TAG.fullmatch(good)


def test_the_context_is_the_same_without_git_or_clock(order: Order, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for place in (one, two):
        place.mkdir()
        built = docker.build(dataclasses.replace(order, dry_run=True), place)
        assert built.facts["image"] is None
    assert (one / "package.json").read_bytes() == (two / "package.json").read_bytes()
    shutil.rmtree(one)
