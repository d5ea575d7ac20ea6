"""Tell what a run has found: people first, then the command of `--exec`, each way once for every change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import Outside
from mlops_cli.logs import redact
from mlops_cli.steps import watch_alerts, watch_exec, watch_notify, watch_words
from mlops_cli.steps.memo import shown
from mlops_cli.steps.watch_exec import Waiting
from mlops_cli.steps.watch_notify import Address, Message
from mlops_cli.steps.watch_series import Alert, Entry, Ran

EXEC = "exec"


@dataclass(frozen=True)
class Ways:
    """In which ways it is told: messages to people, and a command that is not run again within `cooldown`."""

    addresses: list[Address] = field(default_factory=list)
    command: str | None = None
    cooldown: timedelta = timedelta(0)


def plan(ways: Ways, entry: Entry, told: Sequence[Alert], place: Path) -> list[str]:
    """What would be told, for `--dry-run`."""
    found = []
    for address in ways.addresses:
        message = _message(address, ways, entry, told, place)
        if message:
            found += [f"would tell {address.name}: {message.subject}", *message.body.splitlines()]
    if ways.command and _due(told):
        found.append(f"would run {redact(ways.command)}")
    return found


def tell(note: Callable[[str], None], ways: Ways, entry: Entry, told: Sequence[Alert], place: Path) -> Entry:
    """The entry after everything was told that can be told; what failed or waits is told by the next run.

    People are told before the command starts, which may take hours; the command runs whether or not that went well.
    """
    ended = watch_alerts.ended(entry.alerts)
    sent = []
    for address in ways.addresses:
        message = _message(address, ways, entry, told, place)
        if message:
            sent.append(watch_notify.send(address, message))
            note(f"told {address.name}" if sent[-1].sent else f"{address.name} was not told: {sent[-1].reason}")
    ran = _run(note, ways, entry, told, place) if ways.command else None
    if isinstance(ran, Waiting):
        note(ran.reason)
    names = [address.name for address in ways.addresses]
    gone = {one.to for one in sent if one.sent}
    executed = {EXEC} if isinstance(ran, Ran) and ran.exit == 0 else set()
    alerts = watch_alerts.settled(
        entry.alerts, blocking(told), [*names, *([EXEC] if ways.command else [])], gone | executed, entry.at
    )
    warned = [one for one in told if one not in blocking(told)]
    alerts = watch_alerts.settled(alerts, warned, names, gone, entry.at)
    alerts = watch_alerts.settled(alerts, ended, names, gone, entry.at)
    return msgspec.structs.replace(
        entry,
        exec=ran if isinstance(ran, Ran) else None,
        waiting=ran.reason if isinstance(ran, Waiting) else None,
        notified=sent,
        cleared=[one.judgement.gate for one in ended],
        alerts=alerts,
    )


def check(entry: Entry, place: Path) -> None:
    """Outside when something was not told."""
    failed = [f"{one.to} was not told: {one.reason}" for one in entry.notified if not one.sent]
    if entry.exec and entry.exec.exit:
        failed.append(f"the command of --exec ended with {entry.exec.exit}")
    if failed:
        raise Outside("; ".join(failed), f"{shown(place)} has what was measured; the next run tells it again")


def blocking(alerts: Sequence[Alert]) -> list[Alert]:
    """Those that are more than a warning of a policy: the command is run for them."""
    return [one for one in alerts if one.judgement.severity != "warn"]


def _due(told: Sequence[Alert]) -> list[Alert]:
    """The alerts that the command is to be run for."""
    return [one for one in blocking(told) if EXEC not in one.done]


def _message(address: Address, ways: Ways, entry: Entry, told: Sequence[Alert], place: Path) -> Message | None:
    """What one address has not been told yet."""
    held = [one for one in told if address.name not in one.done]
    over = [one for one in watch_alerts.ended(entry.alerts) if address.name not in one.done]
    command = ways.command if blocking(held) or not held else None
    return watch_words.message(entry, held, over, shown(place), command) if held or over else None


def _run(
    note: Callable[[str], None], ways: Ways, entry: Entry, told: Sequence[Alert], place: Path
) -> Ran | Waiting | None:
    """Run the command when there is something that it has not been run for."""
    due = _due(told)
    if not due or not ways.command:
        return None
    alert: dict[str, Any] = {
        "model": entry.model,
        "version": entry.version,
        "alias": entry.alias,
        "at": entry.at,
        "window": entry.window,
        "rows": entry.rows,
        "entry": shown(place),
        "alerts": [{**msgspec.to_builtins(one.judgement), "since": one.since} for one in due],
    }
    version = "" if entry.version is None else str(entry.version)
    note(f"running {redact(ways.command)}")
    environment = {"MLOPS_MODEL": entry.model, "MLOPS_VERSION": version}
    return watch_exec.start(ways.command, alert, environment, place.parent, ways.cooldown, entry.at)
