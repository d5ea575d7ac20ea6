"""Alerts from run to run: what fires, what is to be told now, and what has been."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from mlops_cli.metrics import gate
from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate, Judgement
from mlops_cli.steps.watch_series import Alert, Entry

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


def advance(
    judgements: Sequence[Judgement], before: Entry | None, now: str, earlier: Entry | None = None
) -> tuple[list[Alert], list[Alert]]:
    """The alerts' new state, and those to tell: that have begun to fire, or were told 24 hours ago and still do.

    `before` is the last entry about the same version, None when there is none: another version starts anew. `earlier`
    is the last entry, whatever it is about: what was told of it stays open until the alert surely does not hold.
    """
    known, open_ = _known(before), _known(before or earlier)
    state, told = [], []
    for answer in judgements:
        last = known.get(answer.gate)
        was = last is not None and last.firing
        if answer.answer == "fail" or (was and answer.answer == "inconclusive"):
            since, when, done = (last.since, last.told, last.done) if last and was else (now, None, [])
            one = Alert(answer, True, since, when, done)
            if answer.answer == "fail" and (when is None or _age(when, now) >= AGAIN):
                told.append(one)
        else:
            one, past = Alert(answer, False), open_.get(answer.gate)
            if past and (past.told or past.done):
                one = Alert(answer, False, None, past.told or now, [] if past.firing else past.done)
        state.append(one)
    return state, told


def ended(state: Sequence[Alert]) -> list[Alert]:
    """The alerts that somebody was told of and that surely do not hold any more: this is to be told too."""
    return [one for one in state if one.told and not one.firing and one.judgement.answer == "pass"]


def settled(
    state: Sequence[Alert], due: Sequence[Alert], ways: Collection[str], gone: Collection[str], now: str
) -> list[Alert]:
    """The state after telling those that were `due` in all `ways`, of which only those in `gone` went well.

    What is told in every way is told now; else the ways that went well are kept, so that the next run goes the others.
    """
    names = {one.judgement.gate for one in due}
    found = []
    for one in state:
        if one.judgement.gate in names:
            done = sorted({*one.done, *gone})
            if set(ways) <= set(done):
                one = msgspec.structs.replace(one, told=now if one.firing else None, done=[])
            else:
                one = msgspec.structs.replace(one, done=done)
        found.append(one)
    return found


def aside(judgements: Sequence[Judgement], before: Entry | None) -> list[Alert]:
    """The alerts that fire, or whose end is to be told, and were not asked about this time: for the run that will."""
    asked = {answer.gate for answer in judgements}
    return [one for text, one in _known(before).items() if (one.firing or one.told) and text not in asked]


def _known(before: Entry | None) -> dict[str, Alert]:
    """The last state of every alert, those that were kept aside too."""
    return {one.judgement.gate: one for one in [*before.aside, *before.alerts]} if before else {}


def cleared(state: Sequence[Alert], before: Entry | None) -> list[str]:
    """The alerts that fired when last asked about and do not any more."""
    firing = {text for text, one in _known(before).items() if one.firing}
    return [one.judgement.gate for one in state if not one.firing and one.judgement.gate in firing]


def _age(earlier: str, now: str) -> timedelta:
    return datetime.fromisoformat(now) - datetime.fromisoformat(earlier)
