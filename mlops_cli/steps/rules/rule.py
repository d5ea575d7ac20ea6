"""What is to be done to a table: rules as one Boolean per row each, so that a single pass finds all failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules.form import DatasetRule

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
    fail: pl.Expr | None  # None: which values of `key` are bad has to be looked up first
    warning: bool = False  # counted, but the rows stay
    key: tuple[str, ...] = ()  # of these columns no values may be there twice, or none that are not in `known`
    known: pl.LazyFrame | None = None
    shows: tuple[str, ...] = ()  # the columns that examples are taken from, if they are others
    max_bad: str | None = None  # how many rows may break it, if it has a limit of its own
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
class Measure:
    """One number of a table as a whole: an aggregate, folded over the batches of a table, or counted in a pass of its
    own; None for both is the number of rows."""

    rule: DatasetRule
    label: str
    aggregate: pl.Expr | None = None
    largest: bool = False  # fold by the larger one, else by the sum
    counted: Callable[[pl.LazyFrame], int] | None = None

    def fold(self, one: int | None, other: int | None) -> int | None:
        """The number of two parts of a table, from those of each; None is that of no values."""
        if one is None or other is None:
            return other if one is None else one
        return max(one, other) if self.largest else one + other


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to be done to a table: `outputs` gives the columns of the rows that pass, `rules` what is checked."""

    rules: tuple[Rule, ...]
    outputs: Mapping[str, pl.Expr]
    rewrites: bool  # the rows that pass are not simply the rows that came in
    looks: tuple[Look, ...] = ()

    prepared: Mapping[str, pl.Expr] = field(default_factory=dict)  # columns that rules look at, by their names
    measures: tuple[Measure, ...] = ()  # what is counted of the table as a whole

    @property
    def rereads(self) -> bool:
        """Whether the rows are read before they are judged, so that they must be there more than once."""
        return bool(self.looks or self.keyed() or any(measure.counted for measure in self.measures))

    @property
    def flags(self) -> list[str]:
        """The columns that `looked` adds."""
        return [*(name for look in self.looks for name in look.flags), *self.prepared]

    def looked(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The rows with the answers of all looks beside them, as columns of which one bit a row is in memory, and with
        the columns that were prepared."""
        if self.looks:
            answers = pl.DataFrame([series for look in self.looks for series in look.answers(frame)])
            frame = pl.concat([frame, answers.lazy()], how="horizontal")
        return frame.with_columns(**self.prepared) if self.prepared else frame

    def keyed(self) -> list[Rule]:
        """The rules that need their values looked up."""
        return [rule for rule in self.rules if rule.key]

    def failures(self, bad: Mapping[str, pl.DataFrame]) -> list[tuple[Rule, pl.Expr]]:
        """Each rule with the rows that break it; `bad` holds the values that no row may have, by the rule's label."""
        return [(rule, self._among(rule, bad) if rule.fail is None else rule.fail) for rule in self.rules]

    def _among(self, rule: Rule, bad: Mapping[str, pl.DataFrame]) -> pl.Expr:
        values = bad[rule.label]
        if values.is_empty():
            return pl.lit(False)
        if len(rule.key) == 1:
            known = values.to_series()
            return self.outputs[rule.key[0]].is_in(pl.lit(known).implode(), nulls_equal=True)
        row = pl.struct([self.outputs[name].alias(f"key {number}") for number, name in enumerate(rule.key)])
        return row.is_in(pl.lit(values.to_struct()).implode(), nulls_equal=True)

    def bad_values(self, frame: pl.LazyFrame) -> dict[str, pl.DataFrame]:
        """For each rule with a key, the values that occur more than once or are not known, by its label.

        In memory: the values of AT_ONCE rows, or those that are known; and all that are found. A larger table is read
        several times, each time for the values whose hash has another remainder.
        """
        if not self.keyed():
            return {}
        rows = frame.select(pl.len()).collect(engine="streaming").item()
        shares = max(1, -(-rows // AT_ONCE))
        twice: dict[tuple[str, ...], pl.DataFrame] = {}
        found = {}
        for rule in self.keyed():
            if rule.known is not None:
                found[rule.label] = self._unknown(frame, rule.key, rule.known)
                continue
            if rule.key not in twice:
                parts = [self._repeated(frame, rule.key, one, shares) for one in range(shares)]
                twice[rule.key] = pl.concat(parts)
            found[rule.label] = twice[rule.key]
        return found

    def _values(self, frame: pl.LazyFrame, key: tuple[str, ...]) -> pl.LazyFrame:
        return frame.select([self.outputs[name].alias(f"key {number}") for number, name in enumerate(key)])

    def _unknown(self, frame: pl.LazyFrame, key: tuple[str, ...], known: pl.LazyFrame) -> pl.DataFrame:
        """The values of a key that are not in the table that is known; a missing value is nobody's to know."""
        values = self._values(frame, key).drop_nulls()
        names = [f"key {number}" for number in range(len(key))]
        return values.join(known, on=names, how="anti").unique().collect(engine="streaming")

    def _repeated(self, frame: pl.LazyFrame, key: tuple[str, ...], share: int, shares: int) -> pl.DataFrame:
        """The values of a key that occur more than once, of those in one share of all values."""
        values = self._values(frame, key)
        if shares > 1:  # the hash of this process and this version of polars will do here
            values = values.filter(pl.struct(pl.all()).hash() % shares == share)
        counted = values.group_by(pl.all()).agg(pl.len().alias("rows")).filter(pl.col("rows") > 1)
        return counted.drop("rows").collect(engine="streaming")


def empty(names: list[str]) -> Plan:
    """The plan without rules: nothing is checked but that every row can be read."""
    return Plan((), {name: exactly(name) for name in names}, False)
