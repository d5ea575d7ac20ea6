"""What can be chosen by name: tables name → module, and `load`, the only importlib call."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
from typing import Any

from mlops_cli.errors import MissingExtra, Usage

SOURCES = {  # asked in this order what a file is
    "parquet": "mlops_cli.sources.parquet",
    "arrow": "mlops_cli.sources.arrow",
    "ndjson": "mlops_cli.sources.json",
    "csv": "mlops_cli.sources.csv",
}
PLACES = {"delta": "mlops_cli.sources.delta", "iceberg": "mlops_cli.sources.iceberg"}
"""Where tables lie that are no files: the scheme of a URL, or the kind of a lake → who reads it."""

MODELS = {
    "lightgbm": "mlops_cli.models.lightgbm",
    "cnn": "mlops_cli.models.cnn",
    "onnx": "mlops_cli.models.onnx",
}
DRIFT = {"psi": "mlops_cli.drift.psi", "ks": "mlops_cli.drift.ks"}
TARGETS = {"docker": "mlops_cli.targets.docker"}

_TABLES = {"sources": SOURCES, "places": PLACES, "models": MODELS, "drift": DRIFT, "targets": TARGETS}


def load(table: str, name: str) -> Any:
    """The module of that name: ours, else one that another package offers as entry point `mlops.TABLE`.

    Usage when there is none of that name, MissingExtra when a library it needs is not installed.
    """
    ours = _TABLES[table].get(name)
    try:
        if ours:
            return importlib.import_module(ours)
        for entry in importlib.metadata.entry_points(group=f"mlops.{table}"):
            if entry.name == name:
                return entry.load()
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mlops_cli"):
            raise
        raise MissingExtra.of(error.name or "a library", _extra(table, name)) from None
    near = difflib.get_close_matches(name, _TABLES[table], 1)
    hint = f"did you mean {near[0]}?" if near else "there is: " + ", ".join(_TABLES[table])
    raise Usage(f"{name!r} is none of the {table}", hint)


def _extra(table: str, name: str) -> str:
    """The extra of mlops-cli that installs what a module needs."""
    return name if table in ("models", "targets") else "tables"
