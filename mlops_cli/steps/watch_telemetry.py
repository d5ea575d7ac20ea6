"""What devices measured beside a model: extremes, drift and silence, and how the model does by what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import polars as pl

from mlops_cli.drift.base import DriftTest
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import profile, profile_live, tables, watch_by, watch_columns
from mlops_cli.steps.watch_by import Cut
from mlops_cli.steps.watch_drift import distance
from mlops_cli.steps.watch_log import INPUT, Log
from mlops_cli.steps.watch_readings import DEVICES, Quarter, Readings, Telemetry

WITHIN = timedelta(minutes=15)
"""How old the reading before a prediction may be to say something about it."""
CLASH = "telemetry."
"""What the name of a quantity begins with when a column of the log is called the same."""
NONE = "(no reading)"
_QUARTERS = ("q1", "q2", "q3", "q4")
_MOST = 50


@dataclass(frozen=True)
class Stream:
    """Readings under the names that metrics have; `reference` are those to compare with, None when there are none."""

    readings: Readings
    names: dict[str, str]
    reference: pl.DataFrame | None


@dataclass(frozen=True)
class Quarters:
    """The cuts of a log by what was read, how many rows have a reading, and from where to where a quarter goes."""

    cuts: list[Cut]
    joined: int
    bounds: dict[tuple[str, str], tuple[float, float]]


def stream(readings: Readings, reference: Readings | None, signature: Signature) -> Stream:
    """Readings beside a model; they are compared with `reference`, else with those of their own before the window."""
    taken = {column.name for column in signature.logged} | {"prediction"}
    names = {name: CLASH + name if name in taken else name for name in readings.counts.columns}
    before = readings.earlier if reference is None else pl.concat([reference.earlier, reference.frame], how="diagonal")
    return Stream(readings, names, before if before.height else None)


def measure(of: Stream, until: str, tests: dict[str, DriftTest], each_device: bool) -> list[Metric]:
    """`readings`, `silent`, and of each quantity `last`, `min`, `max`, `mean`, `null_share` and `psi`.

    All but `psi` are exact: they say what was read. `silent` are the minutes since the last reading of the device that
    has been silent longest, `silent[device=d]` and `readings[device=d]` are of one device; the rest is of one device
    too, as `max_temperature[device=d]`, with `each_device`.
    """
    frame, device = of.readings.frame, of.readings.counts.device
    found = [Metric("readings", float(frame.height), None, None, max(1, frame.height))]
    ever = pl.concat([of.readings.earlier, frame])
    last = ever.group_by("device").agg(pl.col("at").max()).sort("at")
    end = datetime.fromisoformat(until).replace(tzinfo=None)
    quiet = {name: max(0.0, (end - at).total_seconds() / 60) for name, at in last.iter_rows()}
    found.append(metric("silent", max(quiet.values()), None, len(quiet)) if quiet else _none("silent", None))
    if device is not None:
        counts = dict(frame.group_by("device").len().iter_rows())
        for name in list(quiet)[:_MOST]:
            level, n = "(null)" if name is None else name, counts.get(name, 0)
            found.append(Metric("readings", float(n), None, None, max(1, n), device, level))
            found.append(metric("silent", quiet[name], None, max(1, n), device, level))
            if each_device:
                mine = pl.col("device").eq_missing(pl.lit(name, pl.String))
                before = None if of.reference is None else of.reference.filter(mine)
                part = _quantities(
                    of, frame.filter(mine), before if before is not None and before.height else None, tests
                )
                found += [watch_by.filed(one, device, level) for one in part]
    return [*found, *_quantities(of, frame, of.reference, tests)]


def _quantities(
    of: Stream, frame: pl.DataFrame, reference: pl.DataFrame | None, tests: dict[str, DriftTest]
) -> list[Metric]:
    """What some readings say."""
    found = []
    for column, name in of.names.items():
        values = frame[column].alias("value").drop_nulls()  # of a series that is called ^…$ polars finds none
        n = len(values)
        if n:
            exact = {"last": values[-1], "min": values.min(), "max": values.max(), "mean": values.mean()}
            found += [metric(what, float(value), None, n, name) for what, value in exact.items()]
        else:
            found += [_none(what, name) for what in ("last", "min", "max", "mean")]
        missing = frame[column].null_count() / frame.height if frame.height else None
        found.append(Metric("null_share", missing, None, None, max(1, frame.height), name))
        stored = (
            None
            if reference is None or column not in reference.columns
            else profile.build(reference.lazy(), [column]).columns[0]
        )
        for test, module in tests.items():
            if stored is None or not n:
                found.append(_none(test, name))
                continue
            live = profile_live.against(frame.lazy(), [stored]).columns[0]
            one = distance(test, stored, live, module)
            found += [] if one is None else [msgspec.structs.replace(one, column=name)]
    return found


def quarters(log: Log, of: Stream, signature: Signature) -> tuple[Log, Quarters]:
    """The log cut by the quarter of each quantity that its rows fall into.

    A row belongs to the last reading of its device that is not younger than the row and at most 15 minutes older. The
    quarters `q1` to `q4` hold about equally many of the rows that have a reading; the others are `(no reading)`.
    """
    if not log.rows or not of.readings.frame.height:
        return log, Quarters([], 0, {})
    taken = _taken(log, of, signature)
    cuts: list[Cut] = []
    bounds: dict[tuple[str, str], tuple[float, float]] = {}
    for column, name in of.names.items():
        levels = _levels(taken[column])
        if levels is not None:
            log, cut = watch_by.add(log, name, levels)
            cuts.append(cut)
            ends = pl.DataFrame({"level": levels, "value": taken[column]}).drop_nulls("value").group_by("level")
            for level, least, greatest in ends.agg(low=pl.col("value").min(), high=pl.col("value").max()).iter_rows():
                bounds[name, level] = (least, greatest)
    joined = taken.select(pl.any_horizontal(pl.col(list(of.names)).is_not_null()).sum()).item()
    return log, Quarters(cuts, int(joined), bounds)


def by_quarter(log: Log, of: Quarters, signature: Signature) -> list[Metric]:
    """`rows[temperature=q4]`, and `mean_confidence[temperature=q4]` of a model that has it."""
    found = []
    for cut in of.cuts:
        for level, rows in cut.rows.items():
            found.append(Metric("rows", float(rows), None, None, rows, cut.column, level))
            sure = watch_columns.measure(watch_by.rows_of(log, cut, level), signature, ("confidence",))
            found += [watch_by.filed(one, cut.column, level) for one in sure if one.name == "mean"]
    return found


def described(of: Stream, cuts: Quarters, metrics: Sequence[Metric]) -> Telemetry:
    """What the series keeps: the account of the readings, and how the model did by quarters of each quantity."""
    known = {(one.name, one.column, one.level): one.value for one in metrics}
    table = []
    for cut in cuts.cuts:
        for level in sorted(cut.rows):
            least, greatest = cuts.bounds.get((cut.column, level), (None, None))
            score = known.get(("accuracy", cut.column, level), known.get(("mae", cut.column, level)))
            sure = known.get(("mean_confidence", cut.column, level))
            labelled = int(known.get(("labelled_rows", cut.column, level)) or 0)
            table.append(Quarter(cut.column, level, least, greatest, cut.rows[level], labelled, score, sure))
    return msgspec.structs.replace(of.readings.counts, joined=cuts.joined, quarters=table)


def _taken(log: Log, of: Stream, signature: Signature) -> pl.DataFrame:
    """The reading of every row of the log, in its order; of rows and readings without a device, by time alone."""
    logged = {column.name: column.type for column in log.logged}
    wanted = [of.readings.counts.device, *DEVICES]
    device = next((name for name in wanted if name in logged), None) if of.readings.counts.device else None
    answered = pl.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False)
    known = pl.coalesce(pl.col(INPUT + "time"), answered) if logged.get("time") == "datetime" else answered
    who = pl.lit(None, pl.String) if device is None else pl.col(INPUT + device).cast(pl.String)
    with tables.reading("the log"):
        rows = (
            log.frame.select(known.alias("at"), who.alias("device")).with_row_index("nth").collect(engine="streaming")
        )
    readings = pl.concat([of.readings.earlier, of.readings.frame]).sort("at")
    by = ["device"] if device else None
    if by is None:
        rows, readings = rows.drop("device"), readings.drop("device")
    asked = rows.drop_nulls("at").sort("at")
    found = asked.join_asof(readings, on="at", by=by, strategy="backward", tolerance=WITHIN, check_sortedness=False)
    return rows.select("nth").join(found, on="nth", how="left", maintain_order="left")


def _levels(values: pl.Series) -> pl.Series | None:
    """The quarter of each value; None when there are no quarters to tell apart."""
    ordered = values.drop_nulls().sort()
    if not len(ordered):
        return None
    edges = sorted({ordered[len(ordered) * part // 4] for part in (1, 2, 3)} - {ordered[0]})
    if not edges:
        return None
    names = [_QUARTERS[0], *_QUARTERS[4 - len(edges) :]]  # with fewer than four, the lowest and the highest keep names
    part = sum((values >= edge).cast(pl.Int64) for edge in edges)
    assert isinstance(part, pl.Series)
    return part.replace_strict(list(range(len(names))), names, return_dtype=pl.String).fill_null(NONE)


def _none(name: str, column: str | None) -> Metric:
    """A metric that is undefined."""
    return Metric(name, None, None, None, 1, column)
