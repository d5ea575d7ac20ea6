"""A model directory whose image can be built without training anything."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from mlops_cli.store import artefact
from mlops_cli.store.artefact import Artefact
from mlops_cli.targets.base import Order

SIGNATURE = {
    "format": 1,
    "family": "lightgbm",
    "task": "binary",
    "target": 'late "$HOME" \\ n',
    "classes": [False, True],
    "positive": True,
    "columns": [{"name": "distance", "type": "float"}],
}
EXAMPLE: dict[str, Any] = {
    "request": {"dataframe_records": [{"distance": 1.5}]},
    "answer": {"predictions": [{"prediction": True, "proba": [0.25, 0.75]}]},
}


@pytest.fixture
def model(tmp_path: Path) -> Artefact:
    """A sealed model; beside its payload lies a file that is none of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "signature.json").write_text(json.dumps(SIGNATURE))
    (folder / "example.json").write_text(json.dumps(EXAMPLE))
    # Unlike any other: tests side by side must not see each other's containers.
    (folder / "model.txt").write_text(f"tree {uuid.uuid4()}\n")
    made = artefact.seal(folder, kind="model", created="2026-01-02T03:04:05Z", tool="mlops", command=[], inputs=[])
    (folder / "secrets.env").write_text("PASSWORD=x")
    return made


@pytest.fixture
def order(model: Artefact) -> Order:
    """The order to package it as flights, version 7."""
    return Order(model, "flights", "7", 1_767_323_045, evaluations=("sha256:" + "e" * 64,))
