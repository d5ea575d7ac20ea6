"""Without a Docker engine: one line, code 8, and what to do instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlops_cli.errors import Outside
from mlops_cli.targets import docker, engine
from mlops_cli.targets.base import Order


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9", "nonsense://x", "tcp://["])
def test_no_engine_answers(order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(Outside, match="no Docker engine answers") as caught:
        docker.build(order, tmp_path)
    assert "--dry-run" in caught.value.hint
    assert caught.value.exit == 8
    assert list(tmp_path.glob("package*")) == []


def test_docker_context_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert engine._address() is None
    (tmp_path / "config.json").write_text('{"currentContext": "broken"}')
    assert engine._address() is None


def test_the_default_base_is_our_own_version(order: Order, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import dataclasses

    built = docker.build(dataclasses.replace(order, dry_run=True), tmp_path)
    assert built.facts["base"]["name"] == f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
