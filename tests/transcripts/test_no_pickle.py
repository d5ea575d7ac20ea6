"""No byte of an artefact, an input or a log is ever unpickled: an audit hook listens while every command works."""

from __future__ import annotations

import pickle  # noqa: TID251  # to prove that nobody else does
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

SETS = ("--set", "num_iterations=5", "--set", "min_data_in_leaf=5")
SEARCH = ("--search", "grid", "--space", "num_leaves=3,4", "--jobs", "2")
COMMANDS = [
    ("ingest", "data.csv", "--force"),
    ("validate", "dataset", "--schema", "rules.yaml", "--force"),
    ("validate", "dataset", "--infer"),
    ("split", "good", "--test", "0.3", "--valid", "0.2", "--force"),
    ("train", "parts", "--target", "late", *SETS, *SEARCH, "--force"),
    ("evaluate", "model", "--require", "accuracy>=0", "--force"),
    ("predict", "flights@production", "dataset", "--force"),
    ("register", "model", "--name", "flights", "--force"),
    ("promote", "flights@2", "production"),
    ("report", "flights", "--format", "html"),
    ("inspect", "flights@production", "--lineage", "--verify"),
    ("package", "model", "--target", "docker", "--dry-run"),
    ("list",),
    ("gc", "--dry-run"),
]
_heard: list[str] = []
_listening = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember what was looked up for a pickle. A hook cannot be taken away, so it is switched."""
    if _listening and event == "pickle.find_class":
        _heard.append(".".join(map(str, arguments)))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked up for a pickle since the test began."""
    _heard.clear()
    sys.addaudithook(_hook)
    monkeypatch.setattr(sys.modules[__name__], "_listening", True)
    return _heard


def test_the_hook_hears(heard: list[str]) -> None:
    pickle.loads(pickle.dumps(OrderedDict()))  # noqa: S301
    assert heard == ["collections.OrderedDict"]


def test_no_command_unpickles(life: Path, cli: Any, heard: list[str]) -> None:
    for words in COMMANDS:
        ended = cli(*words)
        assert ended.code == 0, ended.err
        assert heard == [], words


@pytest.mark.parametrize("name", ["x.pkl", "x.joblib", "x.csv", "x.parquet", "x.arrow", "x.ndjson"])
def test_a_pickle_in_disguise_is_not_opened(life: Path, cli: Any, heard: list[str], name: str) -> None:
    Path(name).write_bytes(pickle.dumps([OrderedDict(a=1)] * 50))
    read = (("ingest", name), ("predict", "model", name), ("evaluate", "model", "--data", name), ("inspect", name))
    for words in read:
        ended = cli(*words)
        assert ended.code == 4, (words, ended.err)
        assert len(ended.err.splitlines()) <= 2
    assert heard == []
