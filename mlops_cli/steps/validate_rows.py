"""Rows against rules: counted in one pass, and the rejected ones with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.rules.rule import Plan, Rule
from mlops_cli.steps.validate_report import EXAMPLES

Failures = Sequence[tuple[Rule, pl.Expr]]
LONGEST = 60  # characters of an example


def bad(failures: Failures) -> pl.Expr:
    """True for rows that are rejected: those that break a rule that is not just a warning; never null."""
    errors = [fail for rule, fail in failures if not rule.warning]
    return pl.any_horizontal(errors) if errors else pl.lit(False)


def counts(failures: Failures) -> list[pl.Expr]:
    """Sums over all rows: rows, and the rows that break each rule.

    How many rows break any is not asked here: it costs half as much again, and mostly none does.
    """
    each = [fail.sum().cast(pl.Int64).alias(f"rule {number}") for number, (_, fail) in enumerate(failures)]
    return [pl.len().cast(pl.Int64).alias("rows"), *each]


def any_broken(failures: Failures, numbers: Sequence[int]) -> bool:
    """Whether a row is rejected, from the rows that break each rule."""
    return any(number and not rule.warning for (rule, _), number in zip(failures, numbers, strict=True))


def accepted(plan: Plan, failures: Failures) -> tuple[pl.Expr, list[pl.Expr]]:
    """Which rows pass, and their columns."""
    return bad(failures).not_(), [value.alias(name) for name, value in plan.outputs.items()]


def reasons(failures: Failures) -> pl.Expr:
    """The labels of the rules that a row breaks, as a list, in the order of the rules."""
    labels = [pl.when(fail).then(pl.lit(rule.label)) for rule, fail in failures if not rule.warning]
    if not labels:
        return pl.lit([], dtype=pl.List(pl.String)).alias(ERRORS)
    return pl.concat_list(labels).list.drop_nulls().alias(ERRORS)


def examples(rejected: pl.LazyFrame, failures: Failures, numbers: Sequence[int]) -> dict[str, list[str]]:
    """For each broken rule the first few different values that break it; `numbers` are the counts per rule."""
    found: dict[str, list[str]] = {}
    schema = rejected.collect_schema()
    for (rule, _), number in zip(failures, numbers, strict=True):
        names = list(rule.unique) or [name for name in (rule.shows or rule.column,) if name]
        if number and names and not rule.warning:
            rows = (
                rejected.filter(pl.col(ERRORS).list.contains(rule.label))
                .select([_shown(name, schema[name]) for name in names])
                .unique(maintain_order=True)
                .head(EXAMPLES)
            )
            found[rule.label] = [", ".join(_short(value) for value in row) for row in rows.collect().rows()]
    return found


def _shown(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as examples show it: an image by its path."""
    return exactly(name).struct.field("path").alias(name) if dtype in IMAGES else exactly(name)


def _short(value: object) -> str:
    if isinstance(value, bytes | dict | list):
        return f"({type(value).__name__})"
    text = "null" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
