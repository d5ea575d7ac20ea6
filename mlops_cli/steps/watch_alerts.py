"""Alerts from run to run: what fires, what is told now, and the command that is run when something is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from mlops_cli.logs import redact
from mlops_cli.metrics import gate
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate, Judgement
from mlops_cli.steps.watch_series import Alert, Entry, Ran

AGAIN = timedelta(hours=24)


def judge(
    gates: Sequence[Gate],
    metrics: Sequence[Metric],
    champion: Sequence[Metric] | None,
    target: str,
    why: Callable[[Gate], str],
) -> list[Judgement]:
    """Every alert's answer: "fail" when it holds. `why` may say why a gate's metric has no value, or nothing.

    The champion of a watch is the model itself as it was evaluated; not known, a comparison with it is inconclusive.
    """
    answers = []
    for one in gates:
        answer = gate.alert(one, metrics, champion=champion, target=target)
        if one.champion and champion is None:
            reason = "the model has no evaluation in the registry to compare with"
            answer = msgspec.structs.replace(answer, answer="inconclusive", reason=reason)
        elif answer.answer == "inconclusive" and answer.value is None:
            answer = msgspec.structs.replace(answer, reason=why(one) or answer.reason)
        answers.append(answer)
    return answers


def advance(judgements: Sequence[Judgement], before: Entry | None, now: str) -> tuple[list[Alert], list[Alert]]:
    """The alerts' new state, and those to tell: that have begun to fire, or were told 24 hours ago and still do.

    `before` is the last entry about the same version, None when there is none: another version starts anew.
    """
    known = _known(before)
    state, told = [], []
    for answer in judgements:
        last = known.get(answer.gate)
        was = last is not None and last.firing
        firing = answer.answer == "fail" or (was and answer.answer == "inconclusive")
        since = last.since if last and was else now
        when = last.told if last and was else None
        one = Alert(answer, firing, since if firing else None, when if firing else None)
        if answer.answer == "fail" and (when is None or _age(when, now) >= AGAIN):
            one = msgspec.structs.replace(one, told=now)
            told.append(one)
        state.append(one)
    return state, told


def aside(judgements: Sequence[Judgement], before: Entry | None) -> list[Alert]:
    """The alerts that fire and were not asked about this time, kept for the run that will."""
    asked = {answer.gate for answer in judgements}
    return [one for text, one in _known(before).items() if one.firing and text not in asked]


def _known(before: Entry | None) -> dict[str, Alert]:
    """The last state of every alert, those that were kept aside too."""
    return {one.judgement.gate: one for one in [*before.aside, *before.alerts]} if before else {}


def cleared(state: Sequence[Alert], before: Entry | None) -> list[str]:
    """The alerts that fired when last asked about and do not any more."""
    firing = {text for text, one in _known(before).items() if one.firing}
    return [one.judgement.gate for one in state if not one.firing and one.judgement.gate in firing]


def untold(state: Sequence[Alert], told: Sequence[Alert], before: Entry | None) -> list[Alert]:
    """The state as it is when telling has failed: the next run tells again."""
    earlier = {text: one.told for text, one in _known(before).items()}
    names = {one.judgement.gate for one in told}
    return [
        msgspec.structs.replace(one, told=earlier.get(one.judgement.gate)) if one.judgement.gate in names else one
        for one in state
    ]


def run(command: str, alert: dict[str, Any], model: str, version: str) -> Ran:
    """Run the command of `--exec` through the shell: the alert as JSON in its environment, its output to our stderr."""
    environment = {
        **os.environ,
        "MLOPS_ALERT": msgspec.json.encode(alert).decode(),
        "MLOPS_MODEL": model,
        "MLOPS_VERSION": version,
    }
    start = time.monotonic()
    # Descriptor 2 and not sys.stderr, which may be anything; standard input is nobody's to answer on.
    ended = subprocess.run(command, shell=True, env=environment, stdin=subprocess.DEVNULL, stdout=2, check=False)
    return Ran(redact(command), ended.returncode, round(time.monotonic() - start, 3))


def _age(earlier: str, now: str) -> timedelta:
    return datetime.fromisoformat(now) - datetime.fromisoformat(earlier)
