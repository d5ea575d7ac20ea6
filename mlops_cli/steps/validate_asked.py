"""What a table is held against: rules, the tables that their foreign keys point to, and a table or model beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.steps import tables, validate_reference
from mlops_cli.steps.context import Context
from mlops_cli.steps.references import Given
from mlops_cli.steps.rules import resolve, rule
from mlops_cli.steps.rules.form import Rules
from mlops_cli.steps.rules.rule import Plan
from mlops_cli.steps.tables import Table
from mlops_cli.steps.validate_reference import Reference
from mlops_cli.store.manifest import Input


@dataclass(frozen=True)
class Asked:
    """What a table is held against: rules, the tables that their foreign keys point to, and a table beside it."""

    rules: Rules | None
    known: dict[str, Table]
    reference: Reference | None

    @classmethod
    def of(cls, ctx: Context, schema: str | None, against: str | None) -> Asked:
        """Find the rules file `schema`, what it names, and the reference `against`; no table is read yet."""
        rules = load_rules(schema)
        reference = validate_reference.find(ctx, against) if against else None
        return cls(rules, _foreign(ctx, rules), reference)

    @property
    def digest(self) -> str | None:
        """The digest of the rules."""
        return self.rules.digest() if self.rules else None

    @property
    def key(self) -> dict[str, object]:
        """The share of a memo key: what the rules say, and what lies in the other tables."""
        key: dict[str, object] = {"rules": self.digest}
        if self.known:
            key["known"] = {name: table.key for name, table in self.known.items()}
        return key | ({"against": self.reference.id} if self.reference else {})

    @property
    def inputs(self) -> list[Input]:
        """What else than the table decided which rows passed: the tables that foreign keys point to."""
        return [source for table in self.known.values() for source in table.inputs]

    @property
    def params(self) -> dict[str, object]:
        """What the manifest says of it."""
        params: dict[str, object] = {"rules": self.digest}
        if self.reference:
            params["against"] = {"kind": self.reference.kind, "id": self.reference.id, "ref": self.reference.ref}
        return params

    def plan(self, schema: Mapping[str, pl.DataType], name: str) -> Plan:
        """What is to be checked and done in a table of these columns, called `name` in messages."""
        return plan_for(self.rules, schema, name, {to: table.frame for to, table in self.known.items()})


def load_rules(path: str | None) -> Rules | None:
    """The rules in a file; None without a path."""
    if path is None:
        return None
    from mlops_cli.steps.rules import read  # PyYAML is an extra, not needed to check a structure

    return read.load(Path(path))


def _foreign(ctx: Context, rules: Rules | None) -> dict[str, Table]:
    """The tables that foreign keys point to: files beside the rules, else whatever the reference means."""
    found: dict[str, Table] = {}
    if rules is None:
        return found
    for one in rules.dataset:
        if one.to is None or one.to in found:
            continue
        beside = Path(rules.source).parent / one.to
        try:
            found[one.to] = tables.open_table(ctx, Given(str(beside) if beside.exists() else one.to))
        except InputUnusable as error:
            raise type(error)(f"{rules.source}: {one.where}.to: {error.message}", error.hint) from error
    return found


def plan_for(
    rules: Rules | None, schema: Mapping[str, pl.DataType], name: str, known: Mapping[str, pl.LazyFrame] | None = None
) -> Plan:
    """What is to be checked and done in a table of these columns, called `name` in messages; `known` are the tables
    that foreign keys point to."""
    if rules is None:
        return rule.empty([column for column in schema if column != resolve.ERRORS])
    from mlops_cli.steps.rules import plan  # imports pandera, half a second that a cached result does not pay

    return plan.build(resolve.resolve(rules, schema, name), known)
