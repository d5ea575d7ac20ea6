"""What the tables of lakes are called: directories, and URLs whose scheme says the kind; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path


def kind(name: str) -> str | None:
    """`delta` or `iceberg` for a directory that is such a table, perhaps with `@VERSION`; None for anything else."""
    for path in (Path(name), Path(name.rpartition("@")[0] or name)):
        if (path / "_delta_log").is_dir():
            return "delta"
        if name.endswith(".metadata.json") or any((path / "metadata").glob("*.metadata.json")):
            return "iceberg"
    return None
