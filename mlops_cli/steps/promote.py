"""Move an alias to a version, if the gates hold against the evidence; and look at where it has pointed."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from mlops_cli.errors import Inconclusive, Missing, Usage
from mlops_cli.metrics import gate, wording
from mlops_cli.metrics.base import Measurements, Metric, Subject, comparable
from mlops_cli.metrics.gate import Gate
from mlops_cli.steps import policy
from mlops_cli.steps.context import Context
from mlops_cli.steps.environment import actor
from mlops_cli.steps.memo import Outcome, Verdict
from mlops_cli.store import artefact, records, registry
from mlops_cli.store.records import Move
from mlops_cli.store.registry import Registry

_LOOKED_AT = 20  # evaluations of a version, the newest ones


class Options(msgspec.Struct, frozen=True):
    """Which alias, by which gates, and why. `rollback` goes back to the version that the alias named before.

    `accept_leaks` is the reason why metrics count that were measured on the test part of a split without a clean
    certificate. `policy` is a file of gates with owner, severity and reason.
    """

    alias: str
    require: tuple[str, ...] = ()
    point: bool = False
    rollback: bool = False
    why: str = ""
    dry_run: bool = False
    accept_leaks: str = ""
    policy: str | None = None


class _Evidence(msgspec.Struct, frozen=True):
    """What is known of a version: the newest evaluation, where it lies."""

    measured: Measurements
    object: str


class _Refused(Exception):
    """The gates do not hold."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict


class _AlreadyThere(Exception):
    """The alias names that version."""


def run(ctx: Context, ref: str, options: Options) -> Outcome:
    """Move `NAME@alias` to the version `ref` names, atomically, with the verdict in its record.

    The gates are judged by the newest evaluation among the version's evidence; none is inconclusive. When another
    writer moves the alias meanwhile they are judged again, against the new champion. Errors: Usage, Missing, Integrity,
    Busy.
    """
    name, which = _split(ref)
    records.check_alias(options.alias)
    store = registry.locate(ctx.registry)
    if options.rollback and which:
        raise Usage(f"--rollback chooses the version itself, {ref} names another", f"mlops promote {name} --rollback")
    asked = policy.load(options.policy, "promote")
    gates = [*map(gate.parse, options.require), *(asked.gates if asked else ())]
    version = None if options.rollback else store.resolve(name, which)
    decided: list[tuple[Verdict, int]] = []

    def decide(current: Move | None) -> tuple[int, str, dict[str, Any]]:
        target = _before(store, name, options.alias) if version is None else version
        if current is not None and current.version == target and not ctx.force:
            verdict, _ = _judge(store, name, target, None, [one for one in gates if not one.champion], options)
            decided[:] = [(verdict, target)]
            raise _Refused(verdict) if verdict.exit else _AlreadyThere
        artefact.check(store.object(store.version(name, target).object))
        verdict, evidence = _judge(store, name, target, current, gates, options)
        decided[:] = [(verdict, target)]
        if verdict.exit or options.dry_run:
            raise _Refused(verdict)
        record = {"judgements": msgspec.to_builtins(verdict.details), "evidence": evidence}
        if asked:
            record["policy"] = asked.record
        if options.accept_leaks:
            record["accepted_leaks"] = options.accept_leaks
        return target, options.why or ("rollback" if options.rollback else ""), record

    try:
        move = store.move(name, options.alias, decide, actor())
    except _AlreadyThere:
        store.settle(name, options.alias)
        number = store.resolve(name, options.alias)
        measured = {"name": name, "alias": options.alias, "version": number, "moved": False}
        note = f"{name}@{options.alias} names version {number} already"
        return Outcome(f"{name}@{number}", measured=measured, notes=(note,))
    except _Refused as refused:
        measured = {"name": name, "alias": options.alias, "version": decided[0][1], "moved": False}
        notes = (f"would move {name}@{options.alias} to version {decided[0][1]}",) if refused.verdict.exit == 0 else ()
        return Outcome(f"{name}@{decided[0][1]}", None, refused.verdict, measured=measured, notes=notes)
    verdict = decided[0][0]
    measured = {"name": name, "alias": options.alias, "version": move.version, "moved": True, "at": move.at}
    notes = (f"{name}@{options.alias} is version {move.version} now",)
    return Outcome(f"{name}@{move.version}", None, verdict, measured=measured, notes=notes)


def history(ctx: Context, ref: str, alias: str) -> list[Move]:
    """All moves of an alias, oldest first; Missing when it never named anything."""
    moves = registry.locate(ctx.registry).moves(_split(ref)[0], alias)
    if not moves:
        raise Missing(f"{_split(ref)[0]}@{alias} has never named a version", f"mlops promote {ref} {alias}")
    return moves


def at(ctx: Context, ref: str, alias: str, time: str) -> Move:
    """What an alias named at a time (ISO 8601); Missing when it named nothing yet."""
    move = registry.locate(ctx.registry).at(_split(ref)[0], alias, records.parse_time(time))
    if move is None:
        raise Missing(f"{_split(ref)[0]}@{alias} named no version at {time}", "--history shows all of them")
    return move


def _split(ref: str) -> tuple[str, str | None]:
    """A registered reference as name and version or alias."""
    bare = ref.removeprefix("models:/")
    separator = "@" if "@" in bare else "/"
    name, _, which = bare.partition(separator if bare != ref or "@" in bare else "@")
    records.check_name(name)
    return name, which or None


def _before(store: Registry, name: str, alias: str) -> int:
    """The version that an alias named before the one it names now."""
    moves = store.moves(name, alias)
    earlier = [move.version for move in moves if move.version != moves[-1].version]
    if not earlier:
        raise Missing(f"{name}@{alias} has no earlier version to go back to", "--history shows where it pointed")
    return earlier[-1]


def _judge(
    store: Registry, name: str, target: int, current: Move | None, gates: list[Gate], options: Options
) -> tuple[Verdict, str | None]:
    """Judge the gates by the newest evaluation of a version, and of the champion where one asks for it."""
    evidence = _evaluation(store, name, target)
    if not gates:
        doubt = _doubt(evidence, options) if evidence else ""
        return Verdict(details=[], lines=(f"warning: {doubt}",) if doubt else ()), None
    if evidence is None:
        raise Inconclusive(
            f"{name}@{target} has no evaluation among its evidence", f"mlops evaluate … | mlops register --name {name}"
        )
    measured = evidence.measured
    champion: list[Metric] | None = None
    paired: list[Metric] = []
    if current is not None and any(one.champion for one in gates):
        behind = _evaluation(store, name, current.version, measured.data)
        if behind is None:
            raise Inconclusive(f"the champion {name}@{current.version} has no evaluation", "register one for it")
        if behind.measured.positive != measured.positive:
            about = f"{measured.positive!r}, that of the champion about {behind.measured.positive!r}"
            raise Inconclusive(f"the evaluation is about {about}", "evaluate both with the same --positive")
        champion = comparable(behind.measured, measured)
        if measured.data and measured.data.id:
            from mlops_cli.steps import evaluate_pair  # not above: it reads tables, and most promotions need none

            paired = evaluate_pair.differences(store.object(evidence.object), store.object(behind.object))
    judgements = [
        gate.judge(one, measured.metrics, champion=champion, paired=paired, point=options.point, target=measured.target)
        for one in gates
    ]
    doubt = _doubt(evidence, options)
    judgements = [gate.doubted(one, doubt) for one in judgements] if doubt else judgements
    return Verdict(gate.exit_code(judgements), tuple(wording.table(judgements)), judgements), evidence.object


def _doubt(evidence: _Evidence, options: Options) -> str:
    """Why the newest evaluation may flatter; nothing when it does not, or that was accepted."""
    certificate = evidence.measured.certificate
    return "" if certificate is UNSET or options.accept_leaks else certificate.doubt


def _evaluation(store: Registry, name: str, version: int, data: Subject | None = None) -> _Evidence | None:
    """The newest evaluation of a version: of those on the same `data` if there are any, so that rows can be paired."""
    found = [item.object for item in store.evidence(name, version) if item.kind == "evaluation"]
    every = [_Evidence(store.object(one).json("metrics.json", Measurements), one) for one in found[-_LOOKED_AT:]]
    same = [one for one in every if data is not None and data.id is not None and one.measured.data == data]
    return next(reversed(same or every), None)


def dated(move: Move) -> str:
    """A move in one line, tab separated: when, version, who, why."""
    return f"{move.at}\t{move.version}\t{move.by}\t{move.why or '-'}"
