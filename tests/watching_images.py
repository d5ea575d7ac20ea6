"""A served model of images without a server: its log has the camera, the time, and what was measured of each image."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from mlops_cli.runtime import image_model
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.log_files import Entry
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import profile
from mlops_cli.store import artefact, registry
from mlops_cli.store.registry import Entry as Registered

CLASSES = ["car", "truck", "van"]
CAMERAS = ["north", "south", "west"]
SIGNATURE = Signature(
    "cnn",
    "multiclass",
    "label",
    [InputColumn("image", "image")],
    CLASSES,
    context=[InputColumn("camera", "string"), InputColumn("time", "datetime")],
    measured=image_model.measured(8, True),
)


def seen(rows: int, seed: int, *, dark: str = "", turned: float = 0.0) -> pl.DataFrame:
    """What is logged: the camera `dark` looks into the night, `turned` moves one coordinate of the embedding."""
    rng = np.random.default_rng(seed)
    cameras = rng.choice(CAMERAS, rows)
    night = cameras == dark
    columns: dict[str, object] = {"camera": cameras, "width": np.full(rows, 64), "height": np.full(rows, 48)}
    for name in ("brightness", "contrast", "sharpness", "red", "green", "blue"):
        columns[name] = rng.normal(120, 15, rows) - 80 * night
    columns["confidence"] = np.clip(rng.beta(8, 2, rows) - 0.3 * night, 0.34, 1)
    for number in range(8):
        columns[f"embedding_{number + 1}"] = rng.normal(size=rows) + (turned if number == 5 else 0)
    return pl.DataFrame(columns)


def register(name: str = "vehicles") -> None:
    """Register a model made of its descriptions alone, alias production."""
    directory = Path("models") / name
    directory.mkdir(parents=True)
    training = seen(4000, seed=100)
    own = profile.prediction(np.arange(4000) % 3, CLASSES)
    stored = msgspec.structs.replace(profile.build(training.lazy(), training.columns), prediction=own)
    (directory / "signature.json").write_bytes(signatures.encode(SIGNATURE))
    (directory / "profile.json").write_bytes(msgspec.json.encode(stored))
    made = artefact.seal(directory, kind="model", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[])
    store = registry.locate(None, create=True)
    number, _ = store.register(name, Registered(made, [], [], "ops", "", "tester"))
    store.move(name, "production", lambda _: (number, "", {}), "tester")


def log(of: pl.DataFrame, *, hours: float = 24.0, directory: str = "logs") -> list[datetime]:
    """Write the rows as a server would have, the last one just now; when each was answered."""
    end = datetime.now(UTC) - timedelta(seconds=2)
    lines: dict[str, list[bytes]] = {}
    times = []
    for number, row in enumerate(of.iter_rows(named=True)):
        at = end - timedelta(hours=hours) * (1 - (number + 1) / of.height)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        sure = row["confidence"]
        proba = [sure, (1 - sure) / 2, (1 - sure) / 2]
        line = Entry(stamp, f"r{number}", 0, None, "vehicles", "1", {**row, "time": stamp}, CLASSES[0], proba, 3.0)
        lines.setdefault(at.date().isoformat(), []).append(msgspec.json.encode(line))
        times.append(at)
    for day, rows in lines.items():
        path = Path(directory) / day / "host-1-0.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join([*rows, b""]))
    return times


def actuals(of: pl.DataFrame, wrong: np.ndarray) -> None:
    """What came true: a car, but where the model was wrong."""
    labels = np.where(wrong, "truck", "car")
    pl.DataFrame({"request_id": [f"r{n}" for n in range(of.height)], "label": labels}).write_parquet("truth.parquet")
