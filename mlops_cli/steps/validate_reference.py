"""What a table is compared with: the profile that a model carries, or the one of a dataset, a split or a file."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mlops_cli.drift.base import Profile
from mlops_cli.errors import MlopsError, SchemaMismatch
from mlops_cli.models.kinds import type_of
from mlops_cli.runtime import signature as signatures
from mlops_cli.steps import profile, references, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.tables import Table
from mlops_cli.store.artefact import Artefact

PROFILE = "profile.json"


@dataclass(frozen=True)
class Loaded:
    """Column → type in a signature's words, and how the values were distributed."""

    types: dict[str, str]
    profile: Profile


@dataclass(frozen=True)
class Reference:
    """What is compared with. `id` is that of its content; `aside` are columns that are not the reference's to judge."""

    kind: str
    id: str
    ref: str
    aside: tuple[str, ...] = (ERRORS,)
    model: Artefact | None = None
    table: Table | None = None

    def loaded(self) -> Loaded:
        """Read it: a model's own profile, else one is made of the table (see `profile.build`)."""
        if self.model is not None:
            signature = signatures.decode(self.model.read(signatures.FILE))
            types = {column.name: str(column.type) for column in signature.columns}
            return Loaded(types, self.model.json(PROFILE, Profile))
        assert self.table is not None
        with tables.reading(self.table.name):
            schema = self.table.frame.collect_schema()
            types = {name: type_of(kind) or str(kind).lower() for name, kind in schema.items() if name != ERRORS}
            named = [name for name, kind in types.items() if _profiled(name, schema[name]) and kind != "image"]
            return Loaded(types, profile.build(self.table.frame, named))


def find(ctx: Context, ref: str) -> Reference:
    """What `ref` means: a model, a dataset, a split (its train part) or a data file.

    Errors: those of `references.resolve`; SchemaMismatch for a model that has no profile.
    """
    given = Given(ref)
    if references.is_file(given) is not None:
        table = tables.open_table(ctx, given)
        return Reference("file", table.inputs[0].id, ref, table=table)
    found = references.resolve(ctx, given, "model", "dataset", "split", "predictions")
    made = found.artefact
    if made.kind != "model":
        table = tables.from_artefact(made, found.input, "train" if made.kind == "split" else None)
        return Reference(made.kind, made.id, found.ref, table=table)
    if not made.has(PROFILE):
        raise SchemaMismatch(f"{ref} does not say what it was trained on", "compare with its split or dataset")
    signature = signatures.decode(made.read(signatures.FILE))
    aside = (ERRORS, signature.target, *(column.name for column in signature.context))
    return Reference("model", made.id, found.ref, aside, model=made)


def _profiled(name: str, dtype: pl.DataType) -> bool:
    try:
        profile.kind_of(name, dtype)
    except MlopsError:
        return False
    return dtype != pl.Null
