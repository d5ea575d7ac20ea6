#!/usr/bin/env python3
"""A registry with 10,000 versions: resolve, register and list, in ms beyond the start of the program."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlops_cli.steps import listing
from mlops_cli.steps.context import Context
from mlops_cli.store import artefact, files, manifest, records, registry
from mlops_cli.store.records import Version
from mlops_cli.store.registry import Entry
from mlops_cli.store.workspace import Workspace

VERSIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000


def fill(store: registry.Registry, model: artefact.Artefact, root: Path) -> None:
    """Write the records of so many versions without waiting for the disk."""
    folder = root / "models" / "flights" / "versions"
    folder.mkdir(parents=True)
    before = None
    for number in range(1, VERSIONS + 1):
        record = Version(model.manifest.self_, f"sha256:{number:064d}", [], [], "me", "", records.stamp(), "me", before)
        data = records.encode(record)
        (folder / f"{number:06d}.json").write_bytes(data)
        before = manifest.sha256(data)
    store.bucket.put_tree(model.path, f"objects/{manifest.dirname(model.manifest.self_)}")


def best(work: Callable[[], object], runs: int = 20) -> float:
    """The smallest time of a call in ms."""
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took) * 1000


def model_in(folder: Path, text: str) -> artefact.Artefact:
    """A small model artefact."""
    folder.mkdir()
    (folder / "model.txt").write_text(text)
    return artefact.seal(folder, kind="model", created="2026-01-01T00:00:00Z", tool="bench", command=[], inputs=[])


def main() -> None:
    """Print what each operation takes, and what its fsyncs alone take."""
    folder = Path(tempfile.mkdtemp(dir="."))
    try:
        root = folder / "mlops-registry"
        store = registry.locate(str(root), create=True)
        fill(store, model_in(folder / "model", "tree\n"), root)
        ctx = Context(registry=str(root), workspace=Workspace(folder / ".mlops"))
        models = iter([model_in(folder / f"m{number}", f"{number}\n") for number in range(20)])

        def sync() -> None:
            files.write_new(folder / files.token(), b"x" * 2000)
            files.fsync_dir(folder)

        print(f"{VERSIONS:,} versions")
        print(f"{'one small file written and fsynced (the floor)':<52}{best(sync):>8.2f} ms")
        print(f"{'resolve NAME':<52}{best(lambda: store.resolve('flights', None)):>8.2f} ms  target 2")
        took = best(lambda: store.register("flights", Entry(next(models), [], [], "me", "", "me")))
        print(f"{'register (a model of two files)':<52}{took:>8.2f} ms  target 2")
        print(f"{'list all models':<52}{best(lambda: listing.models(ctx)):>8.2f} ms  target 30")
        took = best(lambda: listing.versions(ctx, "flights", 20))
        print(f"{'list NAME (its newest twenty)':<52}{took:>8.2f} ms  target 30")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
