"""`ingest -o` and `train -o` killed between any two writes: a process of its own, since polars does not survive a fork.

Nothing here may start polars before it forks; whatever must run, runs in a child.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from crashing import crashes, leftovers

from mlops_cli import cli
from mlops_cli.store import artefact

LIBRARIES = ("polars._utils.parquet", "polars_hash", "pyarrow.compute", "pyarrow.parquet", "lightgbm", "joblib")
OURS = ("models.lightgbm_fit", "runtime.single", "steps.ingest", "steps.split", "sources.csv")
ROWS = 60
FLAGS = ("--set", "num_iterations=3", "--set", "min_data_in_leaf=5")


def table(path: str, rows: int, seed: int) -> None:
    """A tiny table that something can be learnt from."""
    chance = random.Random(seed)
    lines = ["id,distance,carrier,late"]
    for number in range(rows):
        distance = chance.random()
        lines.append(f"{number},{distance:.3f},{chance.choice('AB')},{str(distance > 0.5).lower()}")
    Path(path).write_text("\n".join(lines) + "\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))


def run(*words: str) -> None:
    """A command in a child; its exit code must be 0."""
    child = os.fork()
    if child == 0:
        sys.argv = ["mlops", *words]
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = cli.run([*words, "--quiet"])
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, words


def content(path: str) -> str | None:
    """The id of a whole artefact; None when there is none. It is an error when there is half of one."""
    if not artefact.is_artefact(Path(path)):
        assert not Path(path).exists()
        return None
    found = artefact.open_artefact(Path(path))
    assert artefact.verify(found) == []
    return found.id


def kill_everywhere(words: tuple[str, ...], ids: dict[str | None, str]) -> dict[str, object]:
    """Kill a command that writes `out` at every change; what `out` was afterwards, and what was wrong."""
    before = set(os.listdir("."))
    shutil.copytree(".", "../backup")
    seen, wrong, points = set(), [], 0

    def action() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        assert cli.run([*words, "-o", "out", "--quiet"]) == 0

    for point in crashes(action):
        points += 1
        try:
            seen.add(ids[content("out")])
            extra = leftovers(Path("."), *before)
            if extra:
                wrong.append(f"{point}: {extra}")
            if point % 10 == 1 or point == 0:
                run(*words, "-o", "out")
                assert ids[content("out")] == "new"
        except Exception as error:
            wrong.append(f"{point}: {type(error).__name__}: {error}")
        if point:
            for name in os.listdir("."):
                shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
            shutil.copytree("../backup", ".", dirs_exist_ok=True)
    return {"points": points, "seen": sorted(seen), "wrong": wrong}


def main(command: str) -> None:
    """Prepare, kill, tell."""
    # starting threads, and their waiting for one another, is what takes longest
    os.environ |= {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    for name in (*LIBRARIES, *(f"mlops_cli.{name}" for name in (*OURS, f"steps.{command}"))):
        importlib.import_module(name)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mlops-test-", dir=memory if memory.is_dir() else None) as folder:
        os.environ["TMPDIR"] = folder
        os.mkdir(f"{folder}/work")
        os.chdir(f"{folder}/work")
        os.mkdir(".mlops")
        table("old.csv", ROWS, 1)
        table("new.csv", ROWS + 5, 2)
        if command == "ingest":
            made = {"old": ("ingest", "old.csv"), "new": ("ingest", "new.csv")}
        else:
            run("ingest", "new.csv", "-o", "data")
            run("split", "data", "--test", "0.2", "--valid", "0.2", "-o", "parts")
            words = ("train", "parts", "--target", "late", *FLAGS)
            made = {"old": (*words, "--seed", "1", "--set", "num_leaves=2"), "new": words}
        ids = {}
        for name in ("new", "old"):
            run(*made[name], "-o", "out")
            ids[content("out")] = name
        assert len(ids) == 2
        for path in Path(".mlops/keys").iterdir():
            path.unlink()
        print(json.dumps(kill_everywhere(made["new"], ids)))
        os.chdir("/")


main(sys.argv[1])
