#!/usr/bin/env python3
"""Images: quality of `mlops train` on held-out images with its defaults, and its speed beside bare loops.

    python scripts/bench/images.py quality TRAIN.parquet TEST.parquet [--set K=V …]
    python scripts/bench/images.py cifar FOLDER.tar.xz OUT          (folders train/CLASS/*.jpg → two tables)
    python scripts/bench/images.py fashion IDX-FOLDER OUT           (idx gzip files → two tables)
    python scripts/bench/images.py speed TRAIN.parquet [--images N]

`speed` has a bare torch loop of the same network and batch size, a bare onnxruntime loop, and decoding alone. It
should have the machine for itself; side by side it says how much the other uses of the cores matter.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import _run
import numpy as np
import polars as pl

IMAGE = pl.Struct({"bytes": pl.Binary, "path": pl.String})
HELD_OUT = 5_000
BARE = """
import os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import torch
from torch import nn
from torch.nn import functional as F

class Unit(nn.Module):
    def __init__(self, a, b, pool):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b)
        self.norm.weight.requires_grad_(False)
        self.pool = pool
    def forward(self, x):
        x = self.conv(x)
        return self.norm(F.max_pool2d(x, 2) if self.pool else x)

class Net(nn.Module):
    def __init__(self, c, stem, stages, classes):
        super().__init__()
        self.stem = nn.Conv2d(c, stem, 2, bias=False).requires_grad_(False)
        sides = list(zip([stem, *stages], stages))
        self.enter = nn.ModuleList(Unit(a, b, True) for a, b in sides)
        self.rest = nn.ModuleList(Unit(b, b, False) for _, b in sides)
        self.head = nn.Linear(stages[-1], classes, bias=False)
    def forward(self, x):
        x = F.relu(self.stem(x))
        for enter, rest in zip(self.enter, self.rest):
            x = F.relu(enter(x))
            x = F.relu(rest(x) + x)
        return self.head(x.amax((2, 3))) / 9

steps, batch, c, side, classes = map(int, sys.argv[1:])
net = Net(c, 2 * min(12, 4 * c), [64, 256, 256], classes).to(memory_format=torch.channels_last)
learning = [p for p in net.parameters() if p.requires_grad]
opt = torch.optim.SGD(learning, lr=0.1, momentum=0.85, nesterov=True, weight_decay=1e-3)
x = torch.randn(batch, c, side, side).to(memory_format=torch.channels_last)
y = torch.randint(0, classes, (batch,))
half = torch.cpu.get_capabilities().get("avx512_bf16", False)
def step():
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        out = net(x)
    loss = F.cross_entropy(out.float(), y, label_smoothing=0.1)
    opt.zero_grad()
    loss.backward()
    opt.step()
step()
began, cpu = time.perf_counter(), time.process_time()
for _ in range(steps):
    step()
print(time.perf_counter() - began, time.process_time() - cpu)
"""
OURS = """
import os, sys, time
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import numpy as np
from mlops_cli.models import cnn_fit, cnn_learn, cnn_network, cnn_settings
from mlops_cli.models.cnn_checkpoint import Reached
steps, batch, c, side, classes = map(int, sys.argv[1:])
dice = np.random.default_rng(0)
rows = steps * batch
pixels = dice.integers(0, 256, (rows, side, side, c), np.uint8)
half = np.full(c, 0.5, np.float32)
given = cnn_learn.Examples(pixels, dice.integers(0, classes, rows), None, half, half / 2)
recipe = cnn_settings.recipe({"epochs": 1, "batch_size": batch}, rows, 1.0)
designed = cnn_network.designed(c, side, side, 64, 1, classes)
network = cnn_network.begun(designed, cnn_learn.tensor(given, np.arange(64)), 0)
learner = cnn_learn.Learner(given, recipe, network, 0, len(os.sched_getaffinity(0)))
stamps = []
def note(done, total):
    stamps.append((time.perf_counter(), time.process_time()))
learner.run(Reached(""), None, None, None, note)
(began, cpu), (ended, used) = stamps[0], stamps[-1]
print((ended - began) * steps / (steps - 1), (used - cpu) * steps / (steps - 1))
"""


def main() -> None:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quality", "speed", "cifar", "fashion"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--images", type=int, default=4_000)
    given = parser.parse_args()
    if given.what in ("cifar", "fashion"):
        source, out = given.paths
        out.mkdir(parents=True, exist_ok=True)
        (_cifar if given.what == "cifar" else _fashion)(source, out)
    elif given.what == "quality":
        _quality(*given.paths, given.set)
    else:
        _speed(given.paths[0], given.images)


def _quality(train: Path, test: Path, settings: list[str]) -> None:
    """One training and one evaluation through the command line."""
    train, test = train.resolve(), test.resolve()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        flags = [word for text in settings for word in ("--set", text)]
        took = _run.measure([_run.MLOPS, "train", str(train), "--target", "label", *flags, "-o", "model"], folder)
        told = subprocess.run(
            [_run.MLOPS, "evaluate", "model", "--data", str(test), "--json"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        found = {entry: value for entry, value in json.loads(told.stdout).items() if entry not in ("ref", "id")}
        print(f"{train.name}: trained in {took.wall:,.0f} s ({took.cpu:,.0f} s of CPU, {took.peak:,.0f} MiB)")
        print(json.dumps(found, indent=1))


def _speed(table: Path, count: int) -> None:
    """Training beside a bare loop of steps, answering beside a bare onnxruntime loop, and decoding alone."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        few = pl.read_parquet(table).head(count)
        few.write_parquet(folder / "few.parquet", row_group_size=1_024)
        fit = [_run.MLOPS, "train", "few.parquet", "--target", "label", "--set", "epochs=1", "-o", "model", "--force"]
        _run.measure(fit, folder)
        image = json.loads((folder / "model" / "image.json").read_text())
        steps, classes = 8, few["label"].n_unique()
        words = [str(word) for word in (steps, 512, image["channels"], image["height"], classes)]
        pairs = [(_loop(OURS, words, folder), _loop(BARE, words, folder)) for _ in range(3)]
        _compare(f"training, {steps} steps of 512 (wall)", [a[0] for a, _ in pairs], [b[0] for _, b in pairs])
        _compare(f"training, {steps} steps of 512 (CPU)", [a[1] for a, _ in pairs], [b[1] for _, b in pairs])
        _answering(folder, few)


def _loop(code: str, words: list[str], folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds that a loop says of itself."""
    done = subprocess.run(
        [_run.PYTHON, "-c", code, *words], cwd=folder, capture_output=True, check=True, text=True, env=os.environ
    )
    wall, cpu = done.stdout.split()
    return float(wall), float(cpu)


def _answering(folder: Path, few: pl.DataFrame) -> None:
    """Decoding alone, and our session beside a bare onnxruntime loop on what it gives, on one thread each."""
    import time

    import onnxruntime

    from mlops_cli.runtime import images, onnx_session

    preparation = images.decode((folder / "model" / "image.json").read_bytes())
    data = (folder / "model" / "model.onnx").read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(data, options)
    session = onnx_session.Session(data, [preparation.input], [preparation.logits])
    decoding, ours, floor = [], [], []
    for _ in range(3):
        began = time.process_time()
        pixels = [images.pixels(images.opened(one), preparation) for one in few["image"].struct.field("bytes")]
        decoding.append(time.process_time() - began)
        tensors = [images.tensor(one[None], preparation) for one in pixels]
        began = time.process_time()
        for tensor in tensors:
            bare.run([preparation.logits], {preparation.input: tensor})
        floor.append(time.process_time() - began)
        began = time.process_time()
        for tensor in tensors:
            session.run([tensor])
        ours.append(time.process_time() - began)
    _compare(f"answering {len(few):,} tensors (CPU, one thread)", ours, floor)
    print(f"decoding {len(few):,} images once: {min(decoding):.2f} s of CPU; they are answered in {min(ours):.2f} s")


def _compare(what: str, ours: list[float], floor: list[float]) -> None:
    """A row of the table."""
    ratio = min(ours) / min(floor)
    verdict = "met" if ratio <= 1.15 else "missed"
    print(f"{what:<46} {min(ours):7.2f} s {min(floor):7.2f} s  x {ratio:4.2f}  target 1.15: {verdict}", flush=True)


def _cifar(source: Path, out: Path) -> None:
    """Two tables of an archive of images in folders, 5,000 images drawn to be the test."""
    rows = []
    with tarfile.open(source) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if file:
                rows.append((file.read(), Path(member.name).parent.name))
    order = np.random.default_rng(7).permutation(len(rows))
    _write([rows[index] for index in order[:HELD_OUT]], out / "test.parquet")
    _write([rows[index] for index in order[HELD_OUT:]], out / "train.parquet")


def _fashion(source: Path, out: Path) -> None:
    """Two tables of idx files, as PNG."""
    from PIL import Image

    for part, name in (("train", "train"), ("t10k", "test")):
        raw = gzip.decompress((source / f"{part}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((source / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
        rows = []
        for pixels, label in zip(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28), labels, strict=True):
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            rows.append((file.getvalue(), f"class {label}"))
        _write(rows, out / f"{name}.parquet")


def _write(rows: list[tuple[bytes, str]], path: Path) -> None:
    """Images and labels as Parquet."""
    data = pl.Series([{"bytes": image, "path": None} for image, _ in rows], dtype=IMAGE)
    pl.DataFrame({"image": data, "label": [label for _, label in rows]}).write_parquet(path, row_group_size=1_024)
    print(f"{path}: {len(rows):,} images", file=sys.stderr)


if __name__ == "__main__":
    main()
