"""A watch's measurements as a textfile for Prometheus' node_exporter, so that cron needs no daemon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mlops_cli import extensions
from mlops_cli.errors import Outside
from mlops_cli.metrics.base import CLASS, Metric
from mlops_cli.steps.watch_series import Entry
from mlops_cli.store import files

# Only what lies between 0 and 1 may be called a ratio; other metrics of performance are scores in their own unit.
RATIOS = frozenset({"precision", "recall", "f1", "accuracy", "balanced_accuracy", "specificity"}) | {
    "roc_auc",
    "average_precision",
    "brier",
    "ece",
}
_OTHERS = frozenset({"readings", "silent"})
_HELP = {
    "mlops_model_info": "The model version that was watched; always 1.",
    "mlops_watch_last_run_timestamp_seconds": "When the watch last ran, seconds since the epoch.",
    "mlops_watch_rows": "Rows of the prediction log in the window.",
    "mlops_labels_arrived_ratio": "Share of the predictions in the window whose label has arrived.",
    "mlops_performance_ratio": "Performance on the rows whose label has arrived, for metrics from 0 to 1.",
    "mlops_performance_score": "Performance on the rows whose label has arrived, for metrics in units of their own.",
    "mlops_drift_score": "Distance of a column from its reference.",
    "mlops_null_ratio": "Share of missing values in a column of the requests.",
    "mlops_unseen_ratio": "Share of the requests' levels in a column that the model has never learnt.",
    "mlops_latency_seconds": "Quantiles of the time that requests took until their answer was computed.",
    "mlops_watch_value": "What else was measured: of a column (feature), of the rows of a level (slice), of devices.",
    "mlops_alert_firing": "Whether an alert is firing.",
}


def write(path: Path, entry: Entry) -> None:
    """Write the textfile in one step; Outside when it cannot be."""
    try:
        files.replace(path, render(entry).encode())
    except OSError as error:
        hint = "--prom names a file in a directory that exists"
        raise Outside(f"cannot write {path}: {error.strerror}", hint) from None


def render(entry: Entry) -> str:
    """The measurements in Prometheus' text format; what is undefined is left out."""
    lines: list[str] = []
    for name, samples in _samples(entry).items():
        if samples:
            lines += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge", *samples]
    return "\n".join([*lines, ""])


def _samples(entry: Entry) -> dict[str, list[str]]:
    """The lines of every metric, in the order of `_HELP`."""
    version = "" if entry.version is None else str(entry.version)
    values: list[tuple[str, float, dict[str, str]]] = [
        ("mlops_model_info", 1, {"version": version, "digest": entry.id}),
        ("mlops_watch_last_run_timestamp_seconds", datetime.fromisoformat(entry.at).timestamp(), {}),
        ("mlops_watch_rows", entry.rows, {}),
        *(_sample(one, one.value) for one in entry.metrics if one.value is not None),
        *(("mlops_alert_firing", int(one.firing), {"alert": one.judgement.gate}) for one in entry.alerts),
    ]
    found: dict[str, list[str]] = {name: [] for name in _HELP}
    for name, value, labels in values:
        if name in found:
            found[name].append(_line(name, value, {"model": entry.model, "alias": entry.alias or "", **labels}))
    return found


def _sample(one: Metric, value: float) -> tuple[str, float, dict[str, str]]:
    """What a metric is called there, its value in base units, and its labels; an empty name where it has no place."""
    if one.name == "labels_arrived_ratio":
        return "mlops_labels_arrived_ratio", value, {}
    if one.name.startswith("latency_p") and one.column is None:
        quantile = float(one.name.removeprefix("latency_p").removesuffix("_ms")) / 100
        return "mlops_latency_seconds", value / 1000, {"quantile": f"{quantile:g}"}
    if one.name in extensions.DRIFT and one.column is not None:
        return "mlops_drift_score", value, {"feature": one.column, "method": one.name}
    if one.name.endswith("_share") and one.column is not None:
        return f"mlops_{one.name.removesuffix('_share')}_ratio", value, {"feature": one.column}
    if one.name in ("rows", "labelled_rows", "support") and one.column in (None, CLASS):
        return "", value, {}
    cut = "" if one.level is None else f"{one.column}={one.level}"
    if (one.column not in (None, CLASS) and one.name not in RATIOS) or one.name in _OTHERS:
        feature = "" if one.level is not None else one.column or ""
        return "mlops_watch_value", value, {"metric": one.name, "feature": feature, "slice": cut}
    kind = "ratio" if one.name in RATIOS else "score"
    return f"mlops_performance_{kind}", value, {"metric": one.name, "slice": cut, "kind": "actual"}


def _line(name: str, value: float, labels: Mapping[str, str]) -> str:
    """One sample; every label is there in every sample of a name, as node_exporter demands."""
    text = ",".join(f'{label}="{_escaped(of)}"' for label, of in labels.items())
    return f"{name}{{{text}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
