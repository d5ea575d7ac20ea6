"""The family ONNX: a classifier or regressor made elsewhere; nothing is learnt, data says what it takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mlops_cli.errors import Missing, Usage
from mlops_cli.models.base import Settings, Tables, Trainer
from mlops_cli.models.target import Target
from mlops_cli.runtime.signature import Task

LIBRARIES = ("onnxruntime", "numpy")


def settings(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of `--set`, checked; Usage for an unknown name or a bad value, Missing for no such file."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        if name not in _READ:
            near = get_close_matches(name, _READ, 1)
            hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(_READ)}"
            raise Usage(f"--set {name}: the family onnx has no such setting", hint)
        try:
            found[name] = _READ[name](text)
        except ValueError:
            raise Usage(f"--set {name}={text}: {_WANTED[name]}") from None
    if "model" in found:  # the same command on another file is other work
        found["digest"] = hashlib.sha256(read(found["model"])).hexdigest()
    return found


def metrics(task: Task, settings: Settings) -> dict[str, bool]:
    """What `--metric` may be: it decides nothing, since nothing is learnt."""
    return {"rmse": False} if task == "regression" else {"accuracy": True}


def trainer(tables: Tables, target: Target, metric: str, seed: int, settings: Settings) -> Trainer:
    """The model that the settings name, beside data that it fits."""
    if "model" not in settings:
        raise Usage("--family onnx wraps a model that is there already", "say which: --set model=FILE.onnx")
    from mlops_cli.models import onnx_wrap

    return onnx_wrap.Wrapped(tables, target, settings, read(settings["model"]))


def read(name: str) -> bytes:
    """The bytes of a model's file; Missing when it cannot be read."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Missing(f"{name}: {error.strerror}", "--set model=FILE.onnx names the model, in one file") from None


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return check


def _names(text: str) -> list[str]:
    found = [part.strip() for part in text.split(",")]
    if not all(found) or len(set(found)) != len(found):
        raise ValueError(text)
    return found


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _positive(text: str) -> list[float]:
    found = _numbers(text)
    if min(found) <= 0:
        raise ValueError(text)
    return found


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text)
    if found is None or not 0 < int(found[1]) <= 4096 or not 0 < int(found[2] or found[1]) <= 4096:
        raise ValueError(text)
    return int(found[1]), int(found[2] or found[1])


_READ: dict[str, Callable[[str], Any]] = {
    "model": str,
    "columns": _names,
    "classes": _names,
    "output": str,
    "gives": _one_of("probabilities", "logits"),
    "embedding": str,
    "mean": _numbers,
    "std": _positive,
    "size": _size,
    "layout": _one_of("nchw", "nhwc"),
    "resize": _one_of("stretch", "crop", "pad"),
}
SHARED = tuple(_READ)
TERMS = ()
_WANTED = {
    "columns": "names of different columns, a,b,c, in the order that the model takes them",
    "classes": "the classes in the model's own order, a,b,c",
    "gives": "probabilities or logits",
    "mean": "one number, or one for each channel, of pixels from 0 to 1",
    "std": "one number above 0, or one for each channel, of pixels from 0 to 1",
    "size": "32, or HEIGHTxWIDTH such as 32x48",
    "layout": "nchw or nhwc",
    "resize": "stretch, crop or pad",
}
