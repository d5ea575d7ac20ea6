#!/usr/bin/env python3
"""CPU time (user + system, ms, the smallest of twenty runs) of the commands that must be instant."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from pathlib import Path

from _run import MLOPS, PYTHON

RUNS = 20
TARGET = 80


def cpu(command: list[str], cwd: Path) -> float:
    """The smallest CPU time of a command in ms; it must end with 0."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best * 1000


def prepare(folder: Path) -> None:
    """A registry with one small model that is in production."""
    from mlops_cli.store import artefact, registry
    from mlops_cli.store.registry import Entry

    model = folder / "model"
    model.mkdir()
    (model / "model.txt").write_text("tree\n")
    made = artefact.seal(
        model, kind="model", created="2026-01-01T00:00:00Z", tool="bench", command=["bench"], inputs=[]
    )
    store = registry.locate(str(folder / "mlops-registry"), create=True)
    store.register("flights", Entry(made, [], [], "bench", "", "bench"))
    store.move("flights", "production", lambda _: (1, "", {}), "bench")


def main() -> None:
    """Print a row for each command: ms, the bare interpreter's ms, and the target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.pop("MLOPS_REGISTRY", None)
        prepare(folder)
        floor = cpu([PYTHON, "-c", "pass"], folder)
        typer = cpu([PYTHON, "-c", "import typer"], folder)
        print(f"{'command':<40}{'CPU ms':>8}{'x floor':>9}  target")
        print(f"{'python -c pass (the floor)':<40}{floor:>8.0f}{1.0:>9.1f}")
        print(f"{'python -c import typer':<40}{typer:>8.0f}{typer / floor:>9.1f}")
        for words in (["--help"], ["inspect", "flights"], ["promote", "flights@1", "production"], ["list"]):
            took = cpu([MLOPS, *words], folder)
            verdict = "met" if took <= TARGET else "missed"
            print(f"{'mlops ' + ' '.join(words):<40}{took:>8.0f}{took / floor:>9.1f}  <= {TARGET}: {verdict}")


if __name__ == "__main__":
    main()
