"""One look at a model in use: its log, what came true and what devices measured, as one list of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_cli import extensions
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.steps import (
    tables,
    watch_by,
    watch_columns,
    watch_drift,
    watch_fairness,
    watch_join,
    watch_log,
    watch_measure,
    watch_places,
    watch_readings,
    watch_rules,
    watch_telemetry,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.tables import Table
from mlops_cli.steps.watch_by import LEVEL, Cut
from mlops_cli.steps.watch_drift import Reference
from mlops_cli.steps.watch_join import Joined
from mlops_cli.steps.watch_log import Log, Window
from mlops_cli.steps.watch_readings import Telemetry
from mlops_cli.steps.watch_subject import Subject
from mlops_cli.steps.watch_telemetry import Quarters, Stream


@dataclass(frozen=True)
class Sources:
    """What is looked at: `log` is what serve writes to; `actuals` a table with the target's column, joined by request
    or by `key`; `by` are columns each level of which is measured too; `telemetry` is a table of readings, compared with
    those of `telemetry_reference`, and `time` and `device` its columns where their names do not say so; `schema` is a
    file of rules in the place of the model's."""

    log: str
    actuals: str | None = None
    key: str | None = None
    by: tuple[str, ...] = ()
    telemetry: str | None = None
    telemetry_reference: str | None = None
    time: str | None = None
    device: str | None = None
    schema: str | None = None


@dataclass(frozen=True)
class Look:
    """What one look gave. `why` says why a gate's metric has no value, where that is plain."""

    log: Log
    joined: Joined | None
    by: list[str]
    telemetry: Telemetry | None
    metrics: list[Metric]
    notes: list[str]
    why: Callable[[Gate], str]


def look(
    ctx: Context, sources: Sources, subject: Subject, span: Window, reference: Reference | None, gates: Sequence[Gate]
) -> Look:
    """Read the window and measure all there is to measure."""
    signature, tests = subject.signature, watch_drift.tests(gates)
    stream = _stream(ctx, sources, subject, span)
    device = stream.readings.counts.device if stream else None
    others = [device] if device else []
    rules = subject.rules if sources.schema is None else watch_rules.from_file(sources.schema, signature)
    wanted = watch_places.wanted(sources.by, signature, sources.key)
    with (
        _actuals(ctx, sources) as actuals,
        watch_log.read(ctx, Path(sources.log), span, subject.answered, wanted) as whole,
    ):
        there = [] if actuals is None else tables.schema_of(actuals.frame, actuals.name).names()
        by, late = watch_places.places(sources.by, whole, signature, there, others)
        missed = {*(column.name for column in signature.logged), *by}
        whole = replace(whole, unlogged=[name for name in whole.unlogged if name in missed and name not in late])
        log, cuts = whole, []
        for column in by:
            log, cut = watch_by.cut(log, column, signature)
            cuts.append(cut)
        quarters = Quarters([], 0, {})
        if stream:
            log, quarters = watch_telemetry.quarters(log, stream, signature)
        everything = [*cuts, *quarters.cuts]
        joined, brought = _joined(actuals, sources, log, subject, everything, late)
        everything += brought
        performance, useless = watch_measure.performance(subject.judged, joined, log.rows, everything, subject.costs)
        selected = watch_fairness.measure(log, cuts, subject.judged)
        metrics = [
            Metric("rows", float(log.rows), None, None, max(1, log.rows)),
            *_arrived(joined),
            *watch_fairness.without(performance, selected),
            *selected,
            *watch_measure.operation(whole, signature, subject.features),
            *watch_rules.measure(whole, rules, gates),
            *watch_drift.measure(whole, reference, signature, tests),
            *watch_columns.measure(whole, signature),
            *(one for cut in cuts for one in watch_by.measure(log, cut, reference, signature, tests)),
            *watch_telemetry.by_quarter(log, quarters, signature),
        ]
    if stream:
        each = bool({device, "device", "camera"} & set(sources.by)) and device is not None
        metrics += watch_telemetry.measure(stream, span.until, tests, each)
    by += late
    columns = {*by, *others, *(stream.names.values() if stream else ())}
    metrics += watch_by.missing(gates, metrics, columns)
    metrics += watch_fairness.missing(gates, metrics, by, signature)
    telemetry = watch_telemetry.described(stream, quarters, metrics) if stream else None
    notes = [*_notes(subject, span, reference, log, joined, useless), *_told(telemetry)]

    def why(of: Gate) -> str:
        return _why(of, sources, reference, log, joined, telemetry) or watch_rules.why(of, rules)

    return Look(log, joined, list(sources.by), telemetry, metrics, notes, why)


@contextmanager
def _actuals(ctx: Context, sources: Sources) -> Iterator[Table | None]:
    """What came true; None where nobody says it."""
    if not sources.actuals:
        yield None
        return
    with tables.replayable(tables.open_table(ctx, Given(sources.actuals))) as actuals:
        yield actuals


def _joined(
    actuals: Table | None, sources: Sources, log: Log, subject: Subject, cuts: Sequence[Cut], late: Sequence[str]
) -> tuple[Joined | None, list[Cut]]:
    """The log's rows with what came true, and their cuts by columns that came with it."""
    if actuals is None:
        return None, []
    keep = [LEVEL + cut.column for cut in cuts]
    joined, brought = watch_join.join(log, actuals, subject.signature, sources.key, keep, late), []
    for column in late:
        rows, cut = watch_by.late(joined.rows, column)
        joined = replace(joined, rows=rows)
        brought.append(cut)
    return joined, brought


def _stream(ctx: Context, sources: Sources, subject: Subject, span: Window) -> Stream | None:
    """The readings of devices, if there are any."""
    if sources.telemetry is None:
        return None
    names = (sources.time, sources.device)
    readings = watch_readings.read(ctx, sources.telemetry, *names, span.since, span.until)
    other = sources.telemetry_reference
    compared = None if other is None else watch_readings.read(ctx, other, *names, "", span.until)
    return watch_telemetry.stream(readings, compared, subject.signature)


def _arrived(joined: Joined | None) -> list[Metric]:
    """labelled_rows and labels_arrived_ratio: of the predictions that were not answered again later."""
    labelled = joined.counts.joined if joined else 0
    expected = labelled + joined.counts.waiting if joined else 0
    ratio = labelled / expected if expected else None
    return [
        Metric("labelled_rows", float(labelled), None, None, max(1, expected)),
        Metric("labels_arrived_ratio", ratio, None, None, max(1, expected)),
    ]


def _why(
    of: Gate,
    sources: Sources,
    reference: Reference | None,
    log: Log,
    joined: Joined | None,
    telemetry: Telemetry | None,
) -> str:
    """Why a metric has no value, where that is plain; else nothing."""
    read = {*telemetry.columns, *(watch_telemetry.CLASH + name for name in telemetry.columns)} if telemetry else set()
    if telemetry and of.column in (*read, telemetry.device) and of.level is None:
        if not telemetry.used:
            return "no readings in the window"
        return "no readings before the window to compare with" if of.metric in extensions.DRIFT else ""
    if not log.rows:
        return "no rows in the window"
    if of.column in log.unlogged:
        return f"{of.column} is not in the log"
    if of.metric in extensions.DRIFT:
        return "no profile to compare with" if reference is None or of.column == watch_drift.PREDICTION else ""
    if of.metric.startswith(
        (
            watch_rules.NAME,
            "null_share",
            "unseen_share",
            "latency_",
            "mean",
            "min",
            "max",
            "psi_",
            "ks_",
            "silent",
            "selection_rate",
            "demographic_parity",
        )
    ):
        return ""
    if joined is None:
        return "no --actuals, so no labels to judge it by"
    return "" if joined.counts.joined else f"no label in {sources.actuals} is about a prediction in the window"


def _notes(
    subject: Subject, span: Window, reference: Reference | None, log: Log, joined: Joined | None, useless: int
) -> list[str]:
    """What people should know of the look: whose rows, and every row accounted for."""
    since = "since it began" if not span.since else f"of the last {span.text}"
    notes = [f"{log.rows:,} rows {since} were answered by {subject.found.ref}"]
    for (name, version), count in sorted(log.others.items(), key=str):
        notes.append(f"not judged: {count:,} rows that were answered by {name}@{version or '?'}")
    if joined:
        notes += [*joined.counts.lines, f"joined by {joined.by}"]
    if useless:
        notes.append(f"{useless:,} labels are no value of {subject.signature.target} that the model knows: left out")
    if log.damaged:
        notes.append(f"{log.damaged:,} damaged lines in the log: left out")
    unlogged = [column.name for column in subject.signature.logged if column.name in log.unlogged]
    if log.rows and unlogged:
        notes.append(f"not in the log, so without drift: {', '.join(unlogged)}")
    if reference is None:
        notes.append("the model has no profile of its training data, so no drift; --reference names a table instead")
    return notes


def _told(telemetry: Telemetry | None) -> list[str]:
    """What people should know of the readings."""
    if telemetry is None:
        return []
    return [*telemetry.lines, f"{telemetry.joined:,} predictions have a reading of the 15 minutes before them"]
