"""What is on record about a registered version at a moment: gathered from the registry alone, the same anywhere."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import msgspec

from mlops_cli.errors import Missing
from mlops_cli.metrics.base import Measurements
from mlops_cli.runtime import features as preparation
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.features import Features
from mlops_cli.runtime.signature import Signature
from mlops_cli.store import artefact
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Manifest
from mlops_cli.store.records import Move, Version
from mlops_cli.store.registry import Registry

METRICS = "metrics.json"


class Held(msgspec.Struct, frozen=True):
    """A time for which an alias named the version; `until` is None when it still did, `successor` what came after."""

    alias: str
    since: str
    by: str
    why: str
    verdict: dict[str, Any]
    until: str | None = None
    successor: int | None = None


class Proof(msgspec.Struct, frozen=True):
    """An artefact that is evidence for the version; of an evaluation also what it measured."""

    kind: str
    id: str
    object: str
    at: str
    by: str
    measured: Measurements | None = None


class Story(msgspec.Struct, frozen=True):
    """Everything on record. `lineage` holds the manifests of the ancestors, nearest first."""

    name: str
    version: int
    as_of: str | None
    record: Version
    model: Manifest
    signature: Signature | None
    features: Features | None
    trained: Measurements | None
    lineage: list[dict[str, Any]]
    held: list[Held]
    evidence: list[Proof]


def gather(store: Registry, name: str, number: int, as_of: str | None) -> Story:
    """The story of a version, up to the stamp `as_of` if there is one; Missing when it was registered later."""
    record = store.version(name, number)
    if as_of is not None and record.at > as_of:
        raise Missing(f"{name}@{number} was registered at {record.at}, after {as_of}", f"mlops list {name}")
    model = store.object(record.object)
    held = [period for alias in store.aliases(name) for period in _held(alias, store.moves(name, alias), number, as_of)]
    evidence = [item for item in store.evidence(name, number) if as_of is None or item.at <= as_of]
    return Story(
        name=name,
        version=number,
        as_of=as_of,
        record=record,
        model=model.manifest,
        signature=signatures.decode(model.read(signatures.FILE)) if model.has(signatures.FILE) else None,
        features=preparation.decode(model.read(preparation.FILE)) if model.has(preparation.FILE) else None,
        trained=_measured(model),
        lineage=record.lineage,
        held=sorted(held, key=lambda one: (one.since, one.alias)),
        evidence=[_proof(store.object(one.object), one.object, one.at, one.by) for one in evidence],
    )


def version_at(store: Registry, name: str, which: str | None, as_of: str | None) -> int:
    """The number that NAME, NAME@7 or NAME@alias meant at a moment, or means now; Missing when it meant none."""
    if as_of is None or (which is not None and which.isdigit()):
        return store.resolve(name, which)
    if which is not None:
        move = store.at(name, which, as_of)
        if move is None:
            raise Missing(f"{name}@{which} named no version at {as_of}", f"mlops promote {name} {which} --history")
        return move.version
    number = store.resolve(name, None)
    while number and store.version(name, number).at > as_of:
        number -= 1
    if not number:
        raise Missing(f"{name} had no version at {as_of}", f"mlops list {name}")
    return number


def _held(alias: str, moves: list[Move], number: int, as_of: str | None) -> list[Held]:
    """The periods in which an alias named a version."""
    known = [move for move in moves if as_of is None or move.at <= as_of]
    periods = []
    for move, after in zip_longest(known, known[1:]):
        if move.version == number:
            ended = (after.at, after.version) if after else (None, None)
            periods.append(Held(alias, move.at, move.by, move.why, move.verdict, *ended))
    return periods


def _proof(item: Artefact, object: str, at: str, by: str) -> Proof:
    return Proof(item.kind, item.id, object, at, by, _measured(item) if item.kind == "evaluation" else None)


def _measured(item: Artefact) -> Measurements | None:
    """The measurements that an artefact holds; None where it holds none."""
    if not item.has(METRICS):
        return None
    found = item.json(METRICS, Measurements)
    return found if found.metrics else None


def judgements(story: Story) -> list[tuple[Held, dict[str, Any]]]:
    """Every gate that was judged when an alias was moved to the version, as its record has it."""
    return [(one, gate) for one in story.held for gate in one.verdict.get("judgements") or [] if isinstance(gate, dict)]


def raw_inputs(story: Story) -> list[dict[str, str]]:
    """Where the lineage ends: what was read that no command of ours had made, each once, in order."""
    inputs = [*msgspec.to_builtins(story.model.inputs), *(one for m in story.lineage for one in m.get("inputs", []))]
    ends = [one for one in inputs if one["kind"] not in artefact.KINDS]
    return list({(one["id"], one["ref"]): one for one in ends}.values())
