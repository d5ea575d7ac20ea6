"""What is to be done to a table: rules as one Boolean per row each, so that a single pass finds all failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from mlops_cli.sources.names import exactly

AT_ONCE = 1 << 23
"""Rows whose values are compared in one go: about half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rule as far as it is about one column of a row: what is checked, and the rows that fail."""

    column: str
    check: str
    arguments: Mapping[str, Any]
    fail: pl.Expr


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: which rows break it. `label` is the reason that a rejected row carries."""

    label: str
    column: str | None  # None: the rule is about several columns
    check: str
    fail: pl.Expr | None  # None: `unique` says it, and which values are there twice has to be looked up first
    warning: bool = False  # counted, but the rows stay
    unique: tuple[str, ...] = ()
    shows: str | None = None  # the column that examples are taken from, if it is another
    parts: tuple[Part, ...] = ()  # of a rule that any single row can be held against, elsewhere too


class Look(Protocol):
    """Something that has to be found out of all rows before they can be judged, with code that is no expression."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of the columns of answers."""
        ...

    def answers(self, frame: pl.LazyFrame) -> list[pl.Series]:
        """The columns of answers: of each row, in order, whether it breaks the rule."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to be done to a table: `outputs` gives the columns of the rows that pass, `rules` what is checked."""

    rules: tuple[Rule, ...]
    outputs: Mapping[str, pl.Expr]
    rewrites: bool  # the rows that pass are not simply the rows that came in
    looks: tuple[Look, ...] = ()

    @property
    def rereads(self) -> bool:
        """Whether the rows are read before they are judged, so that they must be there more than once."""
        return bool(self.looks or self.keys())

    @property
    def flags(self) -> list[str]:
        """The columns of answers that `looked` adds."""
        return [name for look in self.looks for name in look.flags]

    def looked(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The rows with the answers of all looks beside them, as columns of which one bit a row is in memory."""
        if not self.looks:
            return frame
        answers = pl.DataFrame([series for look in self.looks for series in look.answers(frame)])
        return pl.concat([frame, answers.lazy()], how="horizontal")

    def keys(self) -> list[tuple[str, ...]]:
        """The sets of columns in which no values may be there twice."""
        return list(dict.fromkeys(rule.unique for rule in self.rules if rule.unique))

    def failures(self, twice: Mapping[tuple[str, ...], pl.DataFrame]) -> list[tuple[Rule, pl.Expr]]:
        """Each rule with the rows that break it; `twice` holds the values that occur more than once, per key."""
        return [(rule, self._unique(rule, twice) if rule.fail is None else rule.fail) for rule in self.rules]

    def _unique(self, rule: Rule, twice: Mapping[tuple[str, ...], pl.DataFrame]) -> pl.Expr:
        values = twice[rule.unique]
        if values.is_empty():
            return pl.lit(False)
        if len(rule.unique) == 1:
            known = values.to_series()
            return self.outputs[rule.unique[0]].is_in(pl.lit(known).implode(), nulls_equal=True)
        row = pl.struct([self.outputs[name].alias(f"key {number}") for number, name in enumerate(rule.unique)])
        return row.is_in(pl.lit(values.to_struct()).implode(), nulls_equal=True)

    def twice(self, frame: pl.LazyFrame) -> dict[tuple[str, ...], pl.DataFrame]:
        """For each key, the values that occur more than once, in memory for AT_ONCE rows.

        A larger table is read several times, each time for the values whose hash has another remainder.
        """
        if not self.keys():
            return {}
        rows = frame.select(pl.len()).collect(engine="streaming").item()
        shares = max(1, -(-rows // AT_ONCE))
        return {
            key: pl.concat([self._repeated(frame, key, one, shares) for one in range(shares)]) for key in self.keys()
        }

    def _repeated(self, frame: pl.LazyFrame, key: tuple[str, ...], share: int, shares: int) -> pl.DataFrame:
        """The values of a key that occur more than once, of those in one share of all values."""
        values = frame.select([self.outputs[name].alias(f"key {number}") for number, name in enumerate(key)])
        if shares > 1:  # the hash of this process and this version of polars will do here
            values = values.filter(pl.struct(pl.all()).hash() % shares == share)
        counted = values.group_by(pl.all()).agg(pl.len().alias("rows")).filter(pl.col("rows") > 1)
        return counted.drop("rows").collect(engine="streaming")


def empty(names: list[str]) -> Plan:
    """The plan without rules: nothing is checked but that every row can be read."""
    return Plan((), {name: exactly(name) for name in names}, False)
