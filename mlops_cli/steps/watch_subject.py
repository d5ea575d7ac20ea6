"""What is watched: the model, what it learnt from, how it was evaluated, and where its series lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET

from mlops_cli.drift.base import Profile
from mlops_cli.errors import SchemaMismatch, Usage
from mlops_cli.metrics.base import Label, Measurements, Metric, comparable
from mlops_cli.runtime import features as preparation
from mlops_cli.runtime import rules
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.features import Features
from mlops_cli.runtime.rules import Rule
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import costs as pricing
from mlops_cli.steps import profile, references, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given, Resolved
from mlops_cli.steps.watch_drift import Reference
from mlops_cli.steps.watch_log import Answered
from mlops_cli.store import registry

PROFILE = "profile.json"
FOLDER = "watch"


@dataclass(frozen=True)
class Subject:
    """The model that is watched. `evaluated` are the metrics of its newest evaluation in the registry, if any.

    `judged` is its signature with the positive class of that evaluation, so that a gate means the same in both.
    """

    found: Resolved
    signature: Signature
    features: Features | None
    profile: Profile | None
    evaluated: list[Metric] | None
    rules: list[Rule] | None = None
    positive: Label | None = None
    costs: Costs | None = None

    @property
    def judged(self) -> Signature:
        """The signature that metrics are measured by."""
        if self.positive is None or self.positive not in (self.signature.classes or ()):
            return self.signature
        return msgspec.structs.replace(self.signature, positive=self.positive)

    @property
    def name(self) -> str:
        """What it is called: the registered name, else the path."""
        return self.found.name or self.found.ref

    @property
    def answered(self) -> Answered:
        """Whose rows in the log are its own."""
        return Answered(self.found.name, None if self.found.version is None else str(self.found.version))


def subject(ctx: Context, given: Given) -> Subject:
    """The model that `given` means. Errors: those of `references.resolve`, Corrupt, Integrity."""
    found = references.resolve(ctx, given, "model")
    model = found.artefact
    signature = signatures.decode(model.read(signatures.FILE))
    costs = pricing.of_model(model, signature)
    evaluated = _evaluated(ctx, found)
    return Subject(
        found,
        signature,
        preparation.decode(model.read(preparation.FILE)) if model.has(preparation.FILE) else None,
        model.json(PROFILE, Profile) if model.has(PROFILE) else None,
        _comparable(evaluated, costs) if evaluated else None,
        rules.decode(model.read(rules.FILE)).rules if model.has(rules.FILE) else None,
        evaluated.positive if evaluated else None,
        costs,
    )


def reference(ctx: Context, ref: str | None, of: Subject) -> Reference | None:
    """What live rows are compared with: the model's own profile, or that of the model or table `ref`.

    Predictions are compared with those of a model always. None when the model has no profile.
    """
    if ref is None:
        return None if of.profile is None else Reference(of.profile, of.profile.prediction, of.found.ref)
    given = Given(ref)
    own = of.profile.prediction if of.profile else None
    if references.is_file(given) is None:
        found = references.resolve(ctx, given, "model", "dataset", "split", "predictions")
        if found.artefact.kind == "model":
            stored = found.artefact.json(PROFILE, Profile)
            return Reference(stored, stored.prediction, found.ref)
        part = "train" if found.artefact.kind == "split" else None
        table = tables.from_artefact(found.artefact, found.input, part)
    else:
        table = tables.open_table(ctx, given)
    there = tables.schema_of(table.frame, table.name).names()
    columns = [column.name for column in of.signature.logged if column.name in there]
    if not columns:
        raise SchemaMismatch(f"{ref} has none of the model's input columns", "give a table like the training data")
    with tables.reading(table.name):
        frame = None if table.once else table.frame
        return Reference(profile.build(table.frame, columns), own, table.name, frame)


def series(ctx: Context, of: Subject) -> Path:
    """Where the series lies without -o: `watch/NAME@ALIAS/` beside the registry; Usage for a model that is a path."""
    found = of.found
    if found.name is None:
        raise Usage(f"{found.ref} is not registered, so its series has no place of its own", "say where with -o SERIES")
    which = found.alias or found.version
    return Path(registry.locate(ctx.registry).bucket.url).parent / FOLDER / f"{found.name}@{which}"


def _comparable(measured: Measurements, costs: Costs | None) -> list[Metric]:
    """The metrics of an evaluation; its cost only by the model's own `costs`."""
    return comparable(measured, msgspec.structs.replace(measured, costs=UNSET if costs is None else costs))


def _evaluated(ctx: Context, found: Resolved) -> Measurements | None:
    """The newest evaluation among a version's evidence."""
    if found.name is None or found.version is None:
        return None
    store = registry.locate(ctx.registry)
    evaluations = [item for item in store.evidence(found.name, found.version) if item.kind == "evaluation"]
    if not evaluations:
        return None
    return store.object(evaluations[-1].object).json("metrics.json", Measurements)
