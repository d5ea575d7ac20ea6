"""A served model without a server: a registered model, its prediction log, and what came true."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mlops_cli.metrics.base import Measurements, Metric
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.features import FeatureColumn, Features
from mlops_cli.runtime.log_files import Entry
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import profile
from mlops_cli.store import artefact, registry
from mlops_cli.store.registry import Entry as Registered

COLUMNS = [
    InputColumn("x", "float"),
    InputColumn("carrier", "string"),
    InputColumn("stops", "int"),
    InputColumn("late", "bool"),
    InputColumn("leaves", "datetime"),
]
BINARY = Signature("lightgbm", "binary", "won", COLUMNS, [False, True], True)
MULTICLASS = Signature("lightgbm", "multiclass", "won", COLUMNS, ["a", "b", "c"])
REGRESSION = Signature("lightgbm", "regression", "won", COLUMNS)


def inputs(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Rows as a model would be asked them; `shift` moves x and makes a carrier that it never saw common."""
    rng = np.random.default_rng(seed)
    carriers = np.array(["AA", "UA", "ZZ" if shift else "DL"])
    return pl.DataFrame(
        {
            "x": rng.normal(size=rows) + shift,
            "carrier": rng.choice(carriers, rows),
            "stops": rng.integers(0, 4, rows),
            "late": rng.random(rows) < 0.3,
            "leaves": pl.Series(rng.integers(0, 10**12, rows)).cast(pl.Datetime("us")),
        }
    )


def register(
    signature: Signature = BINARY, name: str = "flights", *, tag: str = "", evaluated: float | None = None
) -> int:
    """Register a model made of its descriptions alone, alias production, in ./mlops-registry; its version number."""
    made = model(Path("models") / f"{name}{tag}", signature, tag)
    evidence = (
        [] if evaluated is None else [_evaluation(Path("models") / f"{name}{tag}-evaluation", signature, evaluated)]
    )
    store = registry.locate(None, create=True)
    number, _ = store.register(name, Registered(made, [], evidence, "ops", "", "tester"))
    store.move(name, "production", lambda _: (number, "", {}), "tester")
    return number


def model(directory: Path, signature: Signature = BINARY, tag: str = "") -> artefact.Artefact:
    """A model's directory without the model itself."""
    directory.mkdir(parents=True)
    training = inputs(4000, seed=100)
    levels = sorted(training["carrier"].unique())
    uses = {"float": "number", "int": "number", "bool": "boolean", "string": "category", "datetime": "time"}
    features = Features(
        [
            FeatureColumn(
                c.name,
                c.type,
                uses[c.type],
                levels if c.type == "string" else None,
                ["hour"] if c.type == "datetime" else None,
            )
            for c in signature.columns
        ]
    )
    answers = _answers(signature, training)
    if signature.task == "binary":
        own = profile.prediction(np.array([proba[1] for _, proba in answers]))
    elif signature.task == "multiclass":
        own = profile.prediction(np.array(["abc".index(label) for label, _ in answers]), ["a", "b", "c"])
    else:
        own = profile.prediction(np.array([value for value, _ in answers]))
    stored = msgspec.structs.replace(profile.build(training.lazy(), training.columns), prediction=own)
    (directory / "signature.json").write_bytes(signatures.encode(signature))
    (directory / "features.json").write_bytes(msgspec.json.encode(features))
    (directory / "profile.json").write_bytes(msgspec.json.encode(stored))
    (directory / "model.txt").write_text(tag)
    return artefact.seal(directory, kind="model", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[])


def _evaluation(directory: Path, signature: Signature, precision: float) -> artefact.Artefact:
    directory.mkdir(parents=True)
    measured = Measurements(
        task=signature.task,
        target=signature.target,
        rows=1000,
        metrics=[Metric("precision", precision, precision - 0.02, precision + 0.02, 1000)],
    )
    (directory / "metrics.json").write_bytes(msgspec.json.encode(measured))
    return artefact.seal(
        directory, kind="evaluation", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[]
    )


def _answers(signature: Signature, asked: pl.DataFrame) -> list[tuple[Any, list[float] | None]]:
    """What the imaginary model answers."""
    x = asked["x"].to_numpy()
    if signature.task == "regression":
        return [(float(value), None) for value in x]
    chance = 1 / (1 + np.exp(-2 * np.clip(x, -50, 50)))
    if signature.task == "binary":
        return [(bool(p >= 0.5), [1 - float(p), float(p)]) for p in chance]
    return [("abc"[min(2, int(3 * p))], [0.2, 0.3, 0.5]) for p in chance]


def truth(signature: Signature, asked: pl.DataFrame, seed: int, noise: float = 0.0) -> list[Any]:
    """What comes true: what the model expects, but for a share `noise` of the rows."""
    rng = np.random.default_rng(seed)
    answers = [answer for answer, _ in _answers(signature, asked)]
    wrong = rng.random(len(answers)) < noise
    if signature.task == "regression":
        return [value + (5.0 if bad else 0.1) for value, bad in zip(answers, wrong, strict=True)]
    others: Mapping[Any, Any] = {True: False, False: True, "a": "b", "b": "c", "c": "a"}
    return [others[answer] if bad else answer for answer, bad in zip(answers, wrong, strict=True)]


def log(
    directory: Path | str,
    asked: pl.DataFrame,
    signature: Signature = BINARY,
    *,
    version: str | None = "1",
    model: str = "flights",
    prefix: str = "r",
    process: str = "host-1-0",
    days: float = 3.0,
    keys: Sequence[Any] | None = None,
    batch: int = 1,
    hide: Sequence[str] = (),
    redact: Sequence[str] = (),
    age: float = 3600.0,
    now: datetime | None = None,
) -> list[Path]:
    """Write rows as `serve` logs them, spread over the last `days`; the files, untouched for `age` seconds."""
    end = now or datetime.now(UTC)
    lines: dict[str, list[bytes]] = {}
    answers = _answers(signature, asked)
    for number, row in enumerate(asked.iter_rows(named=True)):
        at = end - timedelta(days=days) * (1 - number / asked.height) - timedelta(seconds=1)
        sent = {name: value.isoformat() + "Z" if name == "leaves" and value else value for name, value in row.items()}
        sent = {name: value for name, value in sent.items() if name not in hide}
        sent |= dict.fromkeys(redact, "***")
        prediction, proba = answers[number]
        entry = Entry(
            at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            f"{prefix}{number // batch}",
            number % batch,
            None if keys is None else keys[number],
            model,
            version,
            sent,
            prediction,
            proba,
            0.5 + number % 7,
        )
        lines.setdefault(at.date().isoformat(), []).append(msgspec.json.encode(entry))
    written = []
    for day, rows in lines.items():
        path = Path(directory) / day / f"{process}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join([*rows, b""]))
        os.utime(path, (time.time() - age,) * 2)
        written.append(path)
    return written


def actuals(
    values: Sequence[Any], *, prefix: str = "r", column: str = "request_id", keys: Sequence[Any] | None = None
) -> pl.DataFrame:
    """What came true, by request or by `keys`."""
    names = [f"{prefix}{number}" for number in range(len(values))] if keys is None else list(keys)
    return pl.DataFrame({column: names, "won": values})
