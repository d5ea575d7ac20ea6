"""A look at a model in words: for the terminal, and for the message to the people who answer for it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_cli.logs import redact
from mlops_cli.metrics.gate import Judgement
from mlops_cli.steps.watch_notify import Message
from mlops_cli.steps.watch_series import Alert, Entry

_WORDS = {"fail": "ALERT", "pass": "ok", "inconclusive": "inconclusive"}


def lines(entry: Entry, told: Sequence[Alert]) -> list[str]:
    """The verdict for people: what fires, what is open, what is well."""
    found = [] if entry.rows else ["no rows in the window: nothing can be said"]
    names = {one.judgement.gate for one in told}
    for one in entry.alerts:
        judged = one.judgement
        known = judged.answer == "fail" and judged.gate not in names and one.told
        again = f", told already at {one.told}" if known else ""
        firing = ", still firing" if judged.answer == "inconclusive" and one.firing else ""
        word = "warning" if judged.answer == "fail" and judged.severity == "warn" else _WORDS[judged.answer]
        asked = f"; {', '.join(_asked(judged))}" if judged.answer != "pass" and _asked(judged) else ""
        found.append(f"{word}: {judged.gate} ({_measured(judged)}{judged.reason}{again}{firing}{asked})")
    return found


def message(entry: Entry, told: Sequence[Alert], ended: Sequence[Alert], place: str, command: str | None) -> Message:
    """The message about alerts that hold and alerts that hold no more; `place` is where the series entry will be."""
    held, over = ([one.judgement.gate for one in some] for some in (told, ended))
    word = "warning" if all(one.judgement.severity == "warn" for one in told) else "ALERT"
    what = f"{word} {_several(held)}" if held else f"cleared: {_several(over)}"
    version = "" if entry.version is None else f"@{entry.version}"
    body = [
        f"Model {entry.model}, version {entry.version or '(not registered)'}"
        + (f", alias {entry.alias}." if entry.alias else "."),
        *(line for one in told for line in ("", *_held(one))),
        *(line for one in ended for line in ("", *_over(one))),
        "",
        f"Judged at {entry.at}: {entry.rows:,} rows {_window(entry)}{_labels(entry)}.",
        "",
        *_advice(entry, bool(told), place, command),
    ]
    return Message(f"[mlops] {entry.model}{version}: {what}", "\n".join(body) + "\n", cleared=not held)


def _held(one: Alert) -> list[str]:
    """An alert that holds."""
    again = f" It was told before, at {one.told}, and still holds." if one.told else ""
    return [
        f"{'Warning' if one.judgement.severity == 'warn' else 'ALERT'}: {one.judgement.gate}",
        f"  measured {_value(one.judgement)}, the bound is {_number(one.judgement.bound)}",
        f"  since {one.since}.{again}",
        *(f"  {line}" for line in _asked(one.judgement)),
    ]


def _asked(judged: Judgement) -> list[str]:
    """Who answers for a gate of a policy, and why it is asked."""
    return [f"{what}: {said}" for what, said in (("owner", judged.owner), ("reason", judged.why)) if said]


def _over(one: Alert) -> list[str]:
    """An alert that holds no more."""
    return [
        f"Cleared: {one.judgement.gate}",
        f"  measured {_value(one.judgement)}, the bound is {_number(one.judgement.bound)}: it holds no more.",
    ]


def _advice(entry: Entry, held: bool, place: str, command: str | None) -> list[str]:
    """What to do, and where to look."""
    found = [f"All that was measured: {place}"]
    if not held:
        return [*found, "Nothing is to be done."]
    if command:
        return [*found, f"What happens: the command of --exec is started after this message: {redact(command)}"]
    found.append("What to do: look at what was measured; correct the data or the device, or train anew and promote.")
    if entry.alias and (entry.version or 1) > 1:
        found.append(f"To go back: mlops promote {entry.model} {entry.alias} --rollback --why '…'")
    return [*found, "This is told again in 24 hours if it still holds, and when it does not any more."]


def _several(gates: Sequence[str]) -> str:
    """One gate, or the first and how many more."""
    return gates[0] if len(gates) == 1 else f"{gates[0]} and {len(gates) - 1} more"


def _window(entry: Entry) -> str:
    length = entry.window.get("length", "all")
    return "since the log began" if length == "all" else f"of the last {length}"


def _labels(entry: Entry) -> str:
    return "" if entry.labels is None else f", {entry.labels.joined:,} of them with a label"


def _value(judged: Judgement) -> str:
    """The value, with its interval where it has one."""
    if judged.low is None or judged.high is None:
        return _number(judged.value)
    return f"{_number(judged.value)} (95 % interval {_number(judged.low)} to {_number(judged.high)})"


def _measured(judged: Judgement) -> str:
    """The value with its interval, for a terminal."""
    if judged.value is None:
        return ""
    interval = "" if judged.low is None or judged.high is None else f" [{judged.low:.4g}, {judged.high:.4g}]"
    return f"{judged.value:.4g}{interval}: "


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
