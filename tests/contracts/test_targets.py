"""Every deployment target × every rule that a target must keep."""

from __future__ import annotations

import dataclasses
import inspect
import json
import socket
from pathlib import Path

import pytest

from mlops_cli import extensions
from mlops_cli.errors import MlopsError, Usage
from mlops_cli.store import artefact
from mlops_cli.targets.base import Built, Order, Target

TARGETS = sorted(extensions.TARGETS)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """A model that a target can pack without running it."""
    folder = tmp_path / "model"
    folder.mkdir()
    columns = [{"name": "distance", "type": "float"}]
    signature = {"format": 1, "family": "lightgbm", "task": "regression", "target": "delay", "columns": columns}
    example = {"request": {"dataframe_records": []}, "answer": {"predictions": []}}
    for name, content in {"signature.json": signature, "example.json": example}.items():
        (folder / name).write_text(json.dumps(content))
    made = artefact.seal(folder, kind="model", created="2026-01-02T03:04:05Z", tool="t", command=[], inputs=[])
    return Order(made, "flights", "1", 1_767_323_045, dry_run=True)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", TARGETS)
def test_it_has_the_one_function(name: str) -> None:
    module: Target = extensions.load("targets", name)
    assert list(inspect.signature(module.build).parameters) == ["order", "directory"]
    assert inspect.getdoc(module)


@pytest.mark.parametrize("name", TARGETS)
def test_a_dry_run_asks_nobody_and_repeats(
    name: str, order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("a dry run spoke to the outside")

    monkeypatch.setattr(socket.socket, "connect", refused)
    found = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        built = extensions.load("targets", name).build(order, folder)
        assert isinstance(built, Built)
        found.append(tree(folder))
        described = json.loads((folder / "package.json").read_bytes())
        assert described["target"] == name
        assert described["model"] == {"id": order.model.id, "name": "flights", "version": "1"}
    assert found[0] == found[1]
    assert not [path for path in found[0] if path.startswith("/") or ".." in path]


@pytest.mark.parametrize("name", TARGETS)
def test_it_leaves_the_model_alone(name: str, order: Order, tmp_path: Path) -> None:
    before = tree(order.model.path)
    folder = tmp_path / "out"
    folder.mkdir()
    extensions.load("targets", name).build(order, folder)
    assert tree(order.model.path) == before


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_model_is_not_packed(name: str, order: Order, tmp_path: Path) -> None:
    (order.model.path / "example.json").write_text("{}")
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(MlopsError):
        extensions.load("targets", name).build(order, folder)


def test_an_unknown_target_is_usage_with_a_hint(order: Order) -> None:
    with pytest.raises(Usage) as caught:
        extensions.load("targets", "dokcer")
    assert "docker" in caught.value.hint
    assert dataclasses.is_dataclass(order)
