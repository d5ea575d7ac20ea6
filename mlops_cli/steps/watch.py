"""Watch a model in use: read its prediction log, join what came true, measure, judge the alerts, add to the series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mlops_cli import extensions
from mlops_cli.errors import Outside
from mlops_cli.metrics import gate
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate, Judgement
from mlops_cli.steps import (
    tables,
    watch_alerts,
    watch_drift,
    watch_join,
    watch_log,
    watch_measure,
    watch_prom,
    watch_series,
    watch_subject,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Outcome, Output, Verdict, shown
from mlops_cli.steps.references import Given
from mlops_cli.steps.watch_drift import Reference
from mlops_cli.steps.watch_join import Joined
from mlops_cli.steps.watch_log import Log, Window
from mlops_cli.steps.watch_series import Alert, Entry
from mlops_cli.steps.watch_subject import Subject


@dataclass(frozen=True)
class Options:
    """`log` is what serve writes to; `actuals` a table with the target's column, joined by request or by `key`;
    `reference` a table or model to compare with instead of the model's own profile; `window` like 7d."""

    log: str
    actuals: str | None = None
    key: str | None = None
    reference: str | None = None
    window: str = "7d"
    alerts: tuple[str, ...] = ()
    exec: str | None = None
    prom: str | None = None


@dataclass(frozen=True)
class _Look:
    """What one look at the log gave."""

    log: Log
    joined: Joined | None
    metrics: list[Metric]
    notes: list[str]
    why: Callable[[Gate], str]


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Measure the window that ends now and judge the alerts; the newest entry of the series is the result.

    Exit 1 when an alert holds, 3 when one is inconclusive or the window has no rows. Errors: Usage, Missing,
    InputUnusable and its kin, Busy when another run holds the series, Outside when the command of --exec failed.
    """
    gates = [gate.parse(text) for text in options.alerts]
    span = watch_log.window(options.window, datetime.now(UTC))
    subject = watch_subject.subject(ctx, given)
    series = Path(output.out) if output.out else watch_subject.series(ctx, subject)
    with watch_series.exclusive(series):
        number, last, digest = watch_series.newest(series)
        before = last if last and _same(last, subject) else None
        reference = watch_subject.reference(ctx, options.reference, subject)
        look = _look(ctx, options, subject, span, reference, gates)
        target = subject.signature.target
        judgements = watch_alerts.judge(gates, look.metrics, subject.evaluated, target, look.why)
        state, told = watch_alerts.advance(judgements, before, span.until)
        entry = _entry(subject, span, reference, look, state, watch_alerts.aside(judgements, before), digest)
        for line in [*look.notes, *(f"cleared: {text}" for text in watch_alerts.cleared(state, before))]:
            ctx.note(line)
        if told and options.exec:
            entry = _tell(ctx, options.exec, entry, told, before)
        path = watch_series.append(series, number + 1, entry)
        if options.prom:
            watch_prom.write(Path(options.prom), entry)
    if entry.exec and entry.exec.exit:
        hint = f"{shown(path)} has the alert; the next run tells it again"
        raise Outside(f"the command of --exec ended with {entry.exec.exit}", hint)
    lines = _lines(entry, told) + ([f"all of it is in {shown(path)}"] if entry.exit else [])
    verdict = Verdict(entry.exit, tuple(lines), judgements)
    return Outcome(shown(path), verdict=verdict, measured=watch_series.described(entry))


def _same(entry: Entry, subject: Subject) -> bool:
    """Whether an entry is about the version that is watched now."""
    return (entry.model, entry.version, entry.id) == (subject.name, subject.found.version, subject.found.artefact.id)


def _look(
    ctx: Context, options: Options, subject: Subject, span: Window, reference: Reference | None, gates: Sequence[Gate]
) -> _Look:
    """Read the window and measure all there is to measure."""
    signature, drift_tests = subject.signature, watch_drift.tests(gates)
    with watch_log.read(ctx, Path(options.log), span, subject.answered, signature.logged) as log:
        joined = None
        if options.actuals:
            with tables.replayable(tables.open_table(ctx, Given(options.actuals))) as actuals:
                joined = watch_join.join(log, actuals, signature, options.key)
        performance, useless = watch_measure.performance(signature, joined, log.rows)
        metrics = [
            Metric("rows", float(log.rows), None, None, max(1, log.rows)),
            *_arrived(joined),
            *performance,
            *watch_measure.operation(log, signature, subject.features),
            *watch_drift.measure(log, reference, signature, drift_tests),
        ]
    notes = _notes(subject, span, reference, log, joined, useless)
    return _Look(log, joined, metrics, notes, lambda of: _why(of, options, reference, log, joined))


def _arrived(joined: Joined | None) -> list[Metric]:
    """labelled_rows and labels_arrived_ratio: of the predictions that were not answered again later."""
    labelled = joined.counts.joined if joined else 0
    expected = labelled + joined.counts.waiting if joined else 0
    ratio = labelled / expected if expected else None
    return [
        Metric("labelled_rows", float(labelled), None, None, max(1, expected)),
        Metric("labels_arrived_ratio", ratio, None, None, max(1, expected)),
    ]


def _why(of: Gate, options: Options, reference: Reference | None, log: Log, joined: Joined | None) -> str:
    """Why a metric has no value, where that is plain; else nothing."""
    if not log.rows:
        return "no rows in the window"
    if of.column in log.unlogged:
        return f"{of.column} is not in the log"
    if of.metric in extensions.DRIFT:
        return "no profile to compare with" if reference is None or of.column == watch_drift.PREDICTION else ""
    if of.metric.startswith(("null_share", "unseen_share", "latency_")):
        return ""
    if joined is None:
        return "no --actuals, so no labels to judge it by"
    return "" if joined.counts.joined else f"no label in {options.actuals} is about a prediction in the window"


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
    if log.rows and log.unlogged:
        notes.append(f"not in the log, so without drift: {', '.join(log.unlogged)}")
    if reference is None:
        notes.append("the model has no profile of its training data, so no drift; --reference names a table instead")
    return notes


def _entry(
    subject: Subject,
    span: Window,
    reference: Reference | None,
    look: _Look,
    state: list[Alert],
    aside: list[Alert],
    digest: str | None,
) -> Entry:
    """The entry of this run; its exit code is that of the alerts, and 3 for a window without rows."""
    found, exit_code = subject.found, gate.exit_code(one.judgement for one in state)
    return Entry(
        at=span.until,
        model=subject.name,
        alias=found.alias,
        version=found.version,
        id=found.artefact.id,
        window={"length": span.text, "since": span.since, "until": span.until},
        reference=reference.ref if reference else None,
        rows=look.log.rows,
        other_rows=sum(look.log.others.values()),
        damaged_lines=look.log.damaged,
        unlogged=look.log.unlogged,
        joined_by=look.joined.by if look.joined else None,
        labels=look.joined.counts if look.joined else None,
        metrics=look.metrics,
        alerts=state,
        aside=aside,
        exec=None,
        exit=exit_code if look.log.rows or exit_code else 3,
        previous=digest,
    )


def _tell(ctx: Context, command: str, entry: Entry, told: list[Alert], before: Entry | None) -> Entry:
    """Run the command of --exec; what it failed to tell stays untold."""
    alert = {
        "model": entry.model,
        "version": entry.version,
        "alias": entry.alias,
        "at": entry.at,
        "window": entry.window,
        "rows": entry.rows,
        "alerts": [{**msgspec.to_builtins(one.judgement), "since": one.since} for one in told],
    }
    ctx.note(f"running {command}")
    ran = watch_alerts.run(command, alert, entry.model, "" if entry.version is None else str(entry.version))
    alerts = watch_alerts.untold(entry.alerts, told, before) if ran.exit else entry.alerts
    return msgspec.structs.replace(entry, exec=ran, alerts=list(alerts))


def _lines(entry: Entry, told: Sequence[Alert]) -> list[str]:
    """The verdict for people: what fires, what is open, what is well."""
    lines = [] if entry.rows else ["no rows in the window: nothing can be said"]
    names = {one.judgement.gate for one in told}
    words = {"fail": "ALERT", "pass": "ok", "inconclusive": "inconclusive"}
    for one in entry.alerts:
        judged: Judgement = one.judgement
        again = "" if judged.answer != "fail" or judged.gate in names else f", told already at {one.told}"
        firing = ", still firing" if judged.answer == "inconclusive" and one.firing else ""
        lines.append(f"{words[judged.answer]}: {judged.gate} ({_measured(judged)}{judged.reason}{again}{firing})")
    return lines


def _measured(judged: Judgement) -> str:
    """The value with its interval."""
    if judged.value is None:
        return ""
    interval = "" if judged.low is None or judged.high is None else f" [{judged.low:.4g}, {judged.high:.4g}]"
    return f"{judged.value:.4g}{interval}: "
