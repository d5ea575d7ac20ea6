"""Watch a model in use: look, judge the alerts, tell what has changed, add to the series."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_cli.metrics import gate
from mlops_cli.metrics.gate import Gate
from mlops_cli.steps import (
    policy,
    watch_alerts,
    watch_log,
    watch_look,
    watch_notify,
    watch_prom,
    watch_series,
    watch_subject,
    watch_tell,
    watch_words,
)
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Outcome, Output, Verdict, shown
from mlops_cli.steps.references import Given
from mlops_cli.steps.watch_drift import Reference
from mlops_cli.steps.watch_log import Window
from mlops_cli.steps.watch_look import Look, Sources
from mlops_cli.steps.watch_series import Alert, Entry
from mlops_cli.steps.watch_subject import Subject
from mlops_cli.steps.watch_tell import Ways


@dataclass(frozen=True)
class Options:
    """What to look at and how to judge it: `reference` is a table or model to compare with instead of the model's own
    profile; `window` like 7d; `notify` are addresses to tell; `exec` is not run again within `cooldown`, like 6h;
    `policy` is a file of gates, each of which is an alert turned round."""

    sources: Sources
    reference: str | None = None
    window: str = "7d"
    alerts: tuple[str, ...] = ()
    notify: tuple[str, ...] = field(default=(), repr=False)
    exec: str | None = None
    cooldown: str | None = None
    prom: str | None = None
    dry_run: bool = False
    policy: str | None = None


def run(ctx: Context, given: Given, options: Options, output: Output) -> Outcome:
    """Measure the window that ends now and judge the alerts; the newest entry of the series is the result.

    Exit 1 when an alert holds, 3 when one is inconclusive or the window has no rows. Errors: Usage, Missing,
    InputUnusable and its kin, Busy when another run holds the series, MissingExtra, Outside when telling failed.
    """
    gates = _alerts(options)
    span = watch_log.window(options.window, datetime.now(UTC))
    ways = _ways(options)
    subject = watch_subject.subject(ctx, given)
    series = Path(output.out) if output.out else watch_subject.series(ctx, subject)
    with watch_series.exclusive(series):
        number, last, digest = watch_series.newest(series)
        before = last if last and _same(last, subject) else None
        reference = watch_subject.reference(ctx, options.reference, subject)
        look = watch_look.look(ctx, options.sources, subject, span, reference, gates)
        target = subject.signature.target
        judgements = watch_alerts.judge(gates, look.metrics, subject.evaluated, target, look.why)
        state, told = watch_alerts.advance(judgements, before, span.until, last)
        entry = _entry(subject, span, reference, look, state, watch_alerts.aside(judgements, before), digest)
        for line in [*look.notes, *(f"cleared: {text}" for text in watch_alerts.cleared(state, last))]:
            ctx.note(line)
        path = watch_series.place(series, number + 1)
        lines = watch_words.lines(entry, told)
        if options.dry_run:
            lines += [*watch_tell.plan(ways, entry, told, path), "nothing was told, run or written"]
        else:
            entry = watch_tell.tell(ctx.note, ways, entry, told, path)
            watch_series.append(series, number + 1, entry)
            if options.prom:
                watch_prom.write(Path(options.prom), entry)
            lines += [f"all of it is in {shown(path)}"] if entry.exit else []
    watch_tell.check(entry, path)
    verdict = Verdict(entry.exit, tuple(lines), judgements)
    return Outcome(shown(series if options.dry_run else path), verdict=verdict, measured=watch_series.described(entry))


def _alerts(options: Options) -> list[Gate]:
    """The alerts that are named, and the gates of a policy turned round; what is in both is asked once, as named."""
    asked = policy.load(options.policy, "watch")
    named = [gate.parse(text) for text in options.alerts]
    known = {gate.turned(gate.turned(one)).text for one in named}
    turned = {one.text: one for one in map(gate.turned, asked.gates if asked else ()) if one.text not in known}
    return [*named, *turned.values()]


def _ways(options: Options) -> Ways:
    """In which ways to tell; what is wrong with them is said before anything is looked at."""
    cooldown = watch_log.duration(options.cooldown, "a cool-down") if options.cooldown else timedelta(0)
    return Ways(watch_notify.addresses(options.notify), options.exec, cooldown)


def _same(entry: Entry, subject: Subject) -> bool:
    """Whether an entry is about the version that is watched now."""
    return (entry.model, entry.version, entry.id) == (subject.name, subject.found.version, subject.found.artefact.id)


def _entry(
    subject: Subject,
    span: Window,
    reference: Reference | None,
    look: Look,
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
        by=list(look.by),
        telemetry=look.telemetry,
    )
