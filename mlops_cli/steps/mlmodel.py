"""The file `MLmodel`, which makes a model directory one that MLflow loads."""

from __future__ import annotations

from typing import Any

import msgspec

from mlops_cli.runtime.signature import Label, Signature

FILE = "MLmodel"
LOADER = "mlops_cli.runtime.pyfunc"

_TYPES = {
    "bool": "boolean",
    "int": "long",
    "float": "double",
    "string": "string",
    "date": "datetime",
    "datetime": "datetime",
    "image": "binary",
}


def encode(signature: Signature) -> bytes:
    """The bytes of `MLmodel`: flavour and signature; no time, no run, no environment of the maker."""
    inputs = [
        {"type": _TYPES[column.type], "name": column.name, "required": not column.nullable}
        for column in signature.columns
    ]
    lines = [
        "flavors:",
        "  python_function:",
        f"    loader_module: {LOADER}",
        "    python_version: '3.11'",
        "signature:",
        f"  inputs: {_quoted(inputs)}",
        f"  outputs: {_quoted(_outputs(signature))}",
        "  params: null",
    ]
    return ("\n".join(lines) + "\n").encode()


def _outputs(signature: Signature) -> list[dict[str, Any]]:
    """The columns of the answer."""
    if signature.classes is None:
        return [{"type": "double", "name": "prediction", "required": True}]
    return [
        {"type": _label(signature.classes[0]), "name": "prediction", "required": True},
        {"type": "array", "items": {"type": "double"}, "name": "proba", "required": True},
    ]


def _label(label: Label) -> str:
    """MLflow's type of a class."""
    if isinstance(label, bool):
        return "boolean"
    return {int: "long", float: "double"}.get(type(label), "string")


def _quoted(value: Any) -> str:
    """JSON inside a YAML string: a JSON string is one of YAML's too."""
    return msgspec.json.encode(msgspec.json.encode(value).decode()).decode()
