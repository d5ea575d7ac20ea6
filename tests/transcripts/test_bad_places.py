"""A disk that is full, and one that cannot be written to: one line, exit 8, and nothing left behind."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SETS = ("--set", "num_iterations=5", "--set", "min_data_in_leaf=5", "--set", "num_leaves=4")
OUT = ("-o", "disk/out")
WRITES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ingest": (("ingest", "big.csv"), OUT),
    "validate": (("validate", "big"), OUT),
    "split": (("split", "big"), OUT),
    "train": (("train", "parts", "--target", "late", *SETS), OUT),
    "evaluate": (("evaluate", "model"), OUT),
    "predict": (("predict", "model", "big.csv", "--keep", "id,distance"), OUT),
    "rejects": (("validate", "big", "--schema", "strict.yaml", "--max-bad", "99.9%"), ("--reject", "disk/bad.parquet")),
    "register": (("register", "evaluation", "--name", "m"), ("--registry", "disk/registry")),
}
"""What is done, and what says that it goes onto the disk."""


@pytest.fixture
def disk(life: Path, cli: Any) -> Iterator[Callable[..., None]]:
    """`disk(size, mode)` mounts a small file system at `disk/`; large tables to fill it with."""
    chance = random.Random(1)
    rows = (f"{n},{chance.random() * 1000},{chance.choice('ABC')},2026-01-01,true" for n in range(20_000))
    Path("big.csv").write_text("id,distance,carrier,day,late\n" + "\n".join(rows) + "\n")
    Path("strict.yaml").write_text("columns:\n  distance:\n    dtype: float64\n    checks:\n      less_than: 1\n")
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    Path("disk").mkdir()

    def mount(*options: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "small", "disk"], capture_output=True)
        if done.returncode:
            pytest.skip(f"no small disk here: {done.stderr.decode()}")

    assert cli("ingest", "big.csv", "-o", "big", "-q").code == 0
    yield mount
    subprocess.run(["umount", "disk"], check=False, capture_output=True)


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("hit", [False, True])
def test_a_full_disk(disk: Callable[..., None], cli: Any, name: str, hit: bool) -> None:
    words, place = WRITES[name]
    if hit:
        assert cli(*words, "-q").code == 0
    disk("size=12k" if name in ("train", "evaluate", "register") else "size=64k")
    before = {path.name for path in Path(".").iterdir()}
    ended = cli(*words, *place, "-q")
    assert ended.code == 8, ended.err
    assert "No space left on device" in ended.err or "os error 28" in ended.err
    assert len(ended.err.splitlines()) <= 2 and "Traceback" not in ended.err
    left = [path for path in Path("disk").rglob("*") if path.is_file() and path.name != "registry.json"]
    assert left == []
    assert {path.name for path in Path(".").iterdir()} == before


@pytest.mark.parametrize("name", WRITES)
def test_a_disk_that_is_read_only(disk: Callable[..., None], cli: Any, name: str) -> None:
    disk("size=1m", "ro")
    words, place = WRITES[name]
    ended = cli(*words, *place, "-q")
    assert ended.code == 8, ended.err
    assert "Read-only file system" in ended.err
    assert len(ended.err.splitlines()) <= 2 and "Traceback" not in ended.err


def test_a_workspace_that_is_read_only(disk: Callable[..., None], cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    disk("size=1m", "ro")
    monkeypatch.setenv("MLOPS_HOME", "disk/.mlops")
    ended = cli("ingest", "data.csv")
    assert ended.code == 8 and "Read-only file system" in ended.err
    assert cli("inspect", "model", "--verify").code == 0, "looking needs no workspace"
