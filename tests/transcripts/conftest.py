"""A model's life on a tiny table, lived once; every test gets a copy."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RULES = """columns:
  distance:
    dtype: float64
    checks:
      greater_than_or_equal_to: 0
"""
FLAGS = "--set num_iterations=5 --set min_data_in_leaf=5 --set num_leaves=4"
LIFE = f"""set -e
mlops ingest data.csv -o dataset
mlops validate dataset --schema rules.yaml -o good
mlops split good --test 0.3 --valid 0.2 -o parts
mlops train parts --target late {FLAGS} -o model
mlops evaluate model -o evaluation
mlops register evaluation --name flights
mlops promote flights@1 production
"""


def table(rows: int, seed: int = 1, distance: str = "") -> str:
    """A table from which something can be learnt; `distance` takes the place of the last one."""
    chance = random.Random(seed)
    lines = ["id,distance,carrier,day,late"]
    for number in range(rows):
        far, carrier = chance.random() * 1000, chance.choice("ABC")
        late = far + (200 if carrier == "A" else 0) + chance.random() * 200 > 600
        shown = distance if distance and number == rows - 1 else f"{far:.1f}"
        lines.append(f"{number},{shown},{carrier},2026-01-{1 + number % 28:02d},{str(late).lower()}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory where it was lived."""
    folder = tmp_path_factory.mktemp("life")
    (folder / ".mlops").mkdir()
    (folder / "data.csv").write_text(table(160))
    (folder / "other.csv").write_text(table(170, 2))
    (folder / "bad.csv").write_text(table(160, 1, "-1"))
    (folder / "ragged.csv").write_text(table(30) + "1,2\n")
    (folder / "rules.yaml").write_text(RULES)
    for path in folder.glob("*.*"):
        os.utime(path, (1_750_000_000, 1_750_000_000))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLOPS_")}
    subprocess.run(["bash", "-c", LIFE], cwd=folder, env=clean | {"PATH": path}, check=True, capture_output=True)
    return folder


@pytest.fixture
def life(lived: Path, work: Path) -> Path:
    """A copy of one's own, which is the current directory."""
    shutil.copytree(lived, work, dirs_exist_ok=True)
    return work
