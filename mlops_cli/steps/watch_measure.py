"""What a window of a prediction log measures: performance where labels came, latency, missing and unseen values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from mlops_cli.metrics.base import Label, Metric, metric, text_of
from mlops_cli.metrics.shares import wilson
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.features import Features
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import evaluate_cost, evaluate_measure, tables
from mlops_cli.steps.evaluate_rows import Answers, Slice
from mlops_cli.steps.watch_by import LEVEL, Cut
from mlops_cli.steps.watch_join import Joined
from mlops_cli.steps.watch_log import INPUT, Log

LABELLED = "labelled_rows"
_Z = 1.959963984540054  # of a 95 % interval


def performance(
    signature: Signature, joined: Joined | None, rows: int, cuts: Sequence[Cut] = (), costs: Costs | None = None
) -> tuple[list[Metric], int]:
    """What `evaluate` measures, on the joined rows; and how many labels are of no use (no number, no known class).

    With `costs` also what the answers cost. Of each level of the `cuts` too, whose rows are called labelled_rows there.

    Without labels every metric of the task is there and undefined, so that an alert about it is inconclusive. A class
    that a multiclass model never learnt counts against it; a binary model or a regression cannot be judged by such a
    label, which is left out and counted.
    """
    if joined is None:
        return _undefined(signature, rows, costs), 0
    answers = _values(joined.rows, cuts) if signature.classes is None else _codes(signature, joined.rows, cuts)
    lost = joined.rows.height - len(answers.actual)
    if not len(answers.actual):
        return _undefined(signature, rows, costs), lost
    found = _measured(answers, signature, costs)
    # Here the rows are those of the log.
    cut = [msgspec.structs.replace(one, name=LABELLED) if one.name == "rows" else one for one in found if one.level]
    return [*(one for one in found if one.name != "rows" and not one.level), *cut], lost


def _values(joined: pl.DataFrame, cuts: Sequence[Cut]) -> Answers:
    """The pairs of finite numbers."""
    pairs = joined.with_columns(pl.col("label", "prediction").cast(pl.Float64, strict=False))
    usable = pairs.filter(pl.all_horizontal(pl.col("label", "prediction").is_finite().fill_null(False)))
    values = usable["label"].to_numpy(), usable["prediction"].to_numpy()
    return Answers(*values, None, [], 0, _slices(usable, cuts))


def _codes(signature: Signature, joined: pl.DataFrame, cuts: Sequence[Cut]) -> Answers:
    """The pairs of classes, by their text, as codes into the model's classes and then those that only labels have."""
    labels: list[Label] = list(signature.classes or ())
    if signature.task == "multiclass":
        labels += sorted(set(joined["label"].unique().to_list()) - {text_of(label) for label in labels})
    codes = {text_of(label): code for code, label in enumerate(labels)}
    coded = pl.col("label", "prediction").replace_strict(codes, default=None, return_dtype=pl.Int64)
    usable = joined.with_columns(coded).drop_nulls(["label", "prediction"])
    proba = _probabilities(usable["proba"], len(signature.classes or ()))
    values = usable["label"].to_numpy(), usable["prediction"].to_numpy()
    return Answers(*values, proba, labels, 0, _slices(usable, cuts))


def _slices(rows: pl.DataFrame, cuts: Sequence[Cut]) -> list[Slice]:
    """The levels of the cuts of these rows."""
    found = []
    for cut in cuts:
        if cut.rows:
            codes = rows[LEVEL + cut.column].replace_strict(cut.levels, range(len(cut.rows)), return_dtype=pl.Int64)
            found.append(Slice(cut.column, codes.to_numpy(), cut.levels))
    return found


def _probabilities(proba: pl.Series, classes: int) -> np.ndarray | None:
    """Logged probabilities as an array (rows, classes); None unless every row has them all."""
    lengths = proba.list.len()
    if not len(proba) or lengths.null_count() or not (lengths == classes).all():
        return None
    flat = proba.explode().to_numpy().astype(np.float64)
    return flat.reshape(-1, classes) if np.isfinite(flat).all() else None


def _measured(answers: Answers, signature: Signature, costs: Costs | None) -> list[Metric]:
    """What an evaluation measures."""
    return evaluate_cost.added(evaluate_measure.measure(answers, signature, seed=0), answers, costs, 0).metrics


def _undefined(signature: Signature, rows: int, costs: Costs | None) -> list[Metric]:
    """Every metric of the task, none with a value: their names are those of a measurement of two made-up rows."""
    labels: list[Label] = list(signature.classes or ())
    two = np.arange(2) if labels else np.arange(2.0)
    answers = Answers(two, two, np.eye(2, len(labels)) if labels else None, labels, 0)
    found = _measured(answers, signature, costs)
    return [Metric(m.name, None, None, None, max(rows, 1), m.column, m.level) for m in found if m.name != "rows"]


def operation(log: Log, signature: Signature, features: Features | None) -> list[Metric]:
    """latency_p50_ms and latency_p99_ms of requests; null_share[column], unseen_share[column] of unlearnt levels.

    Those of columns that the log does not hold are undefined.
    """
    there = [] if features is None else features.columns
    levels = {c.name: [*c.levels, *(c.rare or ())] for c in there if c.levels is not None}
    wanted = []
    for column in log.logged:
        values = pl.col(INPUT + column.name)
        wanted.append(values.null_count().alias(f"null_share[{column.name}]"))
        known = levels.get(column.name)
        if known is not None:
            wanted.append((values.is_not_null() & ~values.is_in(known)).sum().alias(f"unseen_share[{column.name}]"))
    with tables.reading("the log"):
        shares = log.frame.select(wanted).collect(engine="streaming") if wanted else pl.DataFrame()
        times = log.frame.filter(pl.col("row") == 0).select("ms").drop_nulls().collect(engine="streaming")["ms"]
    found = _latency(np.sort(times.to_numpy()))
    counts = shares.row(0, named=True) if wanted else {}
    for column in signature.logged:
        for name in ["null_share", *(["unseen_share"] if column.name in levels else [])]:
            count = counts.get(f"{name}[{column.name}]")
            found.append(share(name, count or 0, 0 if count is None else log.rows, column.name))
    return found


def share(name: str, count: int, rows: int, column: str | None = None) -> Metric:
    """A share of rows with Wilson's score interval (1927); undefined without rows."""
    if not rows:
        return Metric(name, None, None, None, 1, column)
    return metric(name, count / rows, wilson(count, rows), rows, column)


def _latency(ordered: np.ndarray) -> list[Metric]:
    """Quantiles of sorted times with the distribution-free interval between two order statistics (normal approx.)."""
    n, found = len(ordered), []
    for name, q in (("latency_p50_ms", 0.5), ("latency_p99_ms", 0.99)):
        if not n:
            found.append(Metric(name, None, None, None, 1))
            continue
        reach = _Z * math.sqrt(n * q * (1 - q))
        low, high = max(0, math.floor(n * q - reach)), min(n - 1, math.ceil(n * q + reach))
        value = float(ordered[min(n - 1, int(n * q))])
        found.append(metric(name, value, (float(ordered[low]), float(ordered[high])), n))
    return found
