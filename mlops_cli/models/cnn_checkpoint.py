"""What a fit has reached, kept on disk so that a killed one goes on: one file, replaced in one step, never trusted."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec
import torch
from safetensors import torch as safetensors
from torch import Tensor

from mlops_cli.store import files

_ABOUT = "about"


class Reached(msgspec.Struct):
    """Where a fit is: `work` is the digest of all that decides it, `losses` the mean train loss of each whole epoch,
    `loss` the sum in this one, `best` and `best_epoch` the best metric so far and when."""

    work: str
    step: int = 0
    losses: list[float] = []
    loss: float = 0.0
    best: float | None = None
    best_epoch: int = 0


def write(path: Path, reached: Reached, tensors: dict[str, Tensor]) -> None:
    """Put a checkpoint in the place of the one before, durably. A full disk costs the checkpoint, not the fit."""
    about = torch.frombuffer(bytearray(msgspec.json.encode(reached)), dtype=torch.uint8)
    data = safetensors.save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()} | {_ABOUT: about}
    )
    with contextlib.suppress(OSError):
        files.make_dirs(path.parent)
        for left in path.parent.glob(f".{path.name}.*"):
            left.unlink()  # of a process that was killed while it wrote
        files.replace(path, hashlib.sha256(data).digest() + data)


def read(path: Path, work: str) -> tuple[Reached, dict[str, Tensor]] | str | None:
    """The checkpoint of that work; None when there is none, a reason when it is damaged or of other work."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, data = whole[:32], whole[32:]
    if hashlib.sha256(data).digest() != digest:
        return "it is damaged"
    try:
        tensors = safetensors.load(data)
        reached = msgspec.json.decode(tensors.pop(_ABOUT).numpy().tobytes(), type=Reached)
    except Exception:  # whole, but not ours
        return "it is of another kind"
    return (reached, tensors) if reached.work == work else "it is of other work"
