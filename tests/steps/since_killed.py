"""`ingest --since` killed between any two writes, then run again: no row twice, none lost.

Nothing here may start polars before it forks; whatever must run, runs in a child.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from crashing import crashes

from mlops_cli import cli
from mlops_cli.store import artefact

MODULES = (
    "polars._utils.parquet", "pyarrow.compute", "pyarrow.parquet", "mlops_cli.steps.ingest", "mlops_cli.steps.stream",
    "mlops_cli.sources.csv", "mlops_cli.steps.ingest_build",
)  # fmt: skip


def command(out: str | None) -> list[str]:
    """What is killed."""
    return ["ingest", "log.csv", "--since", "at", *(["-o", out] if out else [])]


def run(out: str | None) -> tuple[int, str]:
    """The command in a child: its code, and the path that it printed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        sys.argv = ["mlops", *command(out)]
        code = 1
        try:
            code = cli.run([*command(out), "--quiet"])
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        printed = told.read().strip()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), printed


def rows(path: str) -> list[str]:
    """The rows of a dataset, read in a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        import pyarrow.parquet as pq

        made = artefact.open_artefact(Path(path))
        whole = not artefact.verify(made)
        found = [f"{row['at']},{row['n']}" for table in made.tables() for row in pq.read_table(table).to_pylist()]
        os.write(writing, json.dumps(found if whole else ["damaged"]).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        return list(json.loads(told.read()))


def log(*lines: str) -> None:
    """The source, as old as it always is."""
    Path("log.csv").write_text("\n".join(["at,n", *lines]) + "\n")
    os.utime("log.csv", (1_700_000_000, 1_700_000_000))


def restore() -> None:
    """Everything as it was before the killed command."""
    for name in os.listdir("."):
        shutil.rmtree(name) if os.path.isdir(name) else os.unlink(name)
    shutil.copytree("../backup", ".", dirs_exist_ok=True)


def main(out: str | None) -> None:
    """Take two rows, kill the taking of two more everywhere, take one more; what was wrong."""
    os.environ |= {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name in MODULES:
        importlib.import_module(name)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mlops-test-", dir=memory if memory.is_dir() else None) as folder:
        os.environ["TMPDIR"] = folder
        os.mkdir(f"{folder}/work")
        os.chdir(f"{folder}/work")
        os.mkdir(".mlops")
        log("1,1", "2,2")
        assert run(out)[0] == 0
        second, third = ["1,1", "2,2", "2,3", "3,4"], ["1,1", "2,2", "2,3", "3,4", "3,4", "3,5"]
        log(*second)
        shutil.copytree(".", "../backup")

        def action() -> None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            assert cli.run([*command(out), "--quiet"]) == 0

        wrong, points = [], 0
        for point in crashes(action):
            points += 1
            if out and rows(out) not in (second, second[:2]):
                wrong.append(f"{point}: neither before nor after: {rows(out)}")
            for wanted in (third,) if point % 2 else (second, third):
                log(*wanted)
                code, path = run(out)
                if code or rows(path) != wanted:
                    wrong.append(f"{point}: exit {code}, {rows(path) if not code else path}, not {wanted}")
            if point:
                restore()
        print(json.dumps({"points": points, "wrong": wrong}))
        os.chdir("/")


main(sys.argv[1] if sys.argv[1:] else None)
