"""Several models side by side: the parameters that differ first, then metrics with their intervals, then data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mlops_cli.errors import Missing, Usage, WrongKind
from mlops_cli.metrics.base import Measurements, Metric
from mlops_cli.steps import references, search_trials
from mlops_cli.steps.context import Context
from mlops_cli.steps.inspect import Account, plain
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.steps.search_trials import Trials
from mlops_cli.store import registry
from mlops_cli.store.artefact import Artefact

_WIDEST = 48


class _Profile(msgspec.Struct):
    """Of `profile.json` how many rows it was made from."""

    rows: int | None = None


class Compared(msgspec.Struct, frozen=True):
    """One of those compared: `valid` was measured by `train` on the valid rows, `evaluated` by `evaluate`.

    `settings` are what the fit had: those of `--set`, those that a search found, and the objective.
    """

    ref: str
    kind: str
    id: str
    created: str
    params: dict[str, Any]
    settings: dict[str, Any]
    valid: list[Metric]
    evaluated: list[Metric]
    data: dict[str, Any]


def run(ctx: Context, given: Sequence[Given]) -> Account:
    """Describe models, registered versions or evaluations in a table. Usage for fewer than two, WrongKind, Missing."""
    if len(given) < 2:
        raise Usage("--compare needs at least two references", "mlops inspect --compare model-a model-b")
    found = [_one(ctx, references.resolve(ctx, one)) for one in given]
    fields = {"compared": [msgspec.to_builtins(one) for one in found], "differ": _differing(found)}
    return Account(fields, _lines(found), [])


def _one(ctx: Context, found: Resolved) -> Compared:
    """What is known of one: of an evaluation its model too, of a registered version its newest evaluation."""
    artefact = found.artefact
    if artefact.kind not in ("model", "evaluation"):
        raise WrongKind(f"{found.ref} is a {artefact.kind}, not a model or an evaluation", "mlops train makes a model")
    model, evaluation = (artefact, _evidence(ctx, found)) if artefact.kind == "model" else (None, artefact)
    if model is None:
        try:
            model = references.ancestor(ctx, artefact, ("model",))
        except Missing:
            model = None  # its numbers can be compared without it
    params = dict(model.manifest.params) if model else {}
    settings = dict(params.pop("set", None) or {})
    if model and model.has(search_trials.FILE):
        trials = model.json(search_trials.FILE, Trials)
        settings |= trials.trials[trials.best].settings
    if params.get("family") == "lightgbm" and params.get("task"):
        settings.setdefault("objective", params["task"])  # where none is set it has the name of the task
    return Compared(
        found.ref,
        artefact.kind,
        artefact.id,
        artefact.manifest.created,
        params,
        settings,
        _metrics(model),
        _metrics(evaluation),
        _data(model, evaluation),
    )


def _evidence(ctx: Context, found: Resolved) -> Artefact | None:
    """The newest evaluation that a registered version has."""
    if not found.name or not found.version:
        return None
    store = registry.locate(ctx.registry)
    known = [one for one in store.evidence(found.name, found.version) if one.kind == "evaluation"]
    return store.object(known[-1].object) if known else None


def _metrics(artefact: Artefact | None) -> list[Metric]:
    """The metrics over all rows; those of a class or a slice are left to the evaluation's own page."""
    if artefact is None or not artefact.has("metrics.json"):
        return []
    return [one for one in artefact.json("metrics.json", Measurements).metrics if one.column is None]


def _data(model: Artefact | None, evaluation: Artefact | None) -> dict[str, Any]:
    """What was learnt from and measured on."""
    known: dict[str, Any] = {}
    if model is not None:
        known["learnt from"] = ", ".join(f"{one.kind} {one.id[7:19]}" for one in model.manifest.inputs) or None
        known["rows"] = model.json("profile.json", _Profile).rows if model.has("profile.json") else None
        known["columns"] = len(model.manifest.schema)
    if evaluation is not None:
        measured = evaluation.json("metrics.json", Measurements)
        known["measured on"] = measured.data.id[7:19] if measured.data and measured.data.id else None
        known["measured rows"] = measured.rows
        if isinstance(measured.certificate, msgspec.Struct):
            known["doubt"] = measured.certificate.doubt or None
    return known


def _differing(found: Sequence[Compared]) -> list[str]:
    """The names of settings and parameters that are not alike in all."""
    tables = [one.settings | one.params for one in found]
    return [name for name in _names(tables) if len({plain(table.get(name)) for table in tables}) > 1]


def _lines(found: Sequence[Compared]) -> list[str]:
    """The table, aligned, `-` where one has no such thing."""
    differing = _differing(found)
    tables = [one.settings | one.params for one in found]
    rows = [
        ("", [one.ref for one in found]),
        ("kind", [one.kind for one in found]),
        ("id", [one.id[7:19] for one in found]),
        ("created", [one.created for one in found]),
        ("parameters that differ", None if differing else ["none"]),
        *_rows(differing, tables),
        ("parameters that are alike", None),
        *_rows([name for name in _names(tables) if name not in differing], tables),
    ]
    for title, kind in (("metrics on the valid rows", "valid"), ("metrics of the evaluation", "evaluated")):
        numbers = [{one.name: _told(one) for one in getattr(column, kind)} for column in found]
        if any(numbers):
            rows += [(title, None), *_rows(_names(numbers), numbers)]
    data = [one.data for one in found]
    lines = _aligned([*rows, ("data", None), *_rows(_names(data), data)])
    for what, title in (("learnt from", "valid rows"), ("measured on", "evaluations")):
        if len({one[what] for one in data if one.get(what)}) > 1:
            lines.append(f"the {title} are of different data: the metrics on them cannot be compared")
    return lines


def _names(tables: Sequence[dict[str, Any]]) -> list[str]:
    """The keys of all tables, in the order in which they come."""
    return list(dict.fromkeys(name for table in tables for name in table))


def _rows(names: Sequence[str], tables: Sequence[dict[str, Any]]) -> list[tuple[str, list[str] | None]]:
    """A line for each name."""
    return [
        (f"  {name}", ["-" if table.get(name) is None else plain(table[name]) for table in tables]) for name in names
    ]


def _told(metric: Metric) -> str | None:
    """A metric with its interval."""
    if metric.value is None:
        return None
    between = "" if metric.low is None or metric.high is None else f" [{metric.low:.4g}, {metric.high:.4g}]"
    return f"{metric.value:.4g}{between}"


def _aligned(rows: Sequence[tuple[str, list[str] | None]]) -> list[str]:
    """Columns of one width each, which long values may break."""
    first = max(len(name) for name, values in rows if values)
    filled = [values for _, values in rows if values and len(values) > 1]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*filled, strict=True)]
    lines = []
    for name, values in rows:
        cells = [value.ljust(width) for value, width in zip(values or (), widths, strict=False)]
        lines.append("  ".join([name.ljust(first), *cells]).rstrip() if values else name)
    return lines
