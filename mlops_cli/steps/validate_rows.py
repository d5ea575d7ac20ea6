"""Rows against rules: counted in one pass, and the rejected ones with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from polars import selectors

from mlops_cli.models.kinds import IMAGES
from mlops_cli.sources.names import exactly
from mlops_cli.steps.rules.resolve import ERRORS
from mlops_cli.steps.rules.rule import Measure, Plan, Rule
from mlops_cli.steps.validate_report import EXAMPLES

Failures = Sequence[tuple[Rule, pl.Expr]]
LONGEST = 60  # characters of an example
AT_MOST = 1000  # rows that are looked at for examples of a rule


def bad(failures: Failures) -> pl.Expr:
    """True for rows that are rejected: those that break a rule that is not just a warning; never null."""
    errors = [fail for rule, fail in failures if not rule.warning]
    return pl.any_horizontal(errors) if errors else pl.lit(False)


def counts(failures: Failures, measures: Sequence[Measure] = ()) -> list[pl.Expr]:
    """Sums over all rows: rows, the rows that break each rule, and what is measured of the table as a whole.

    How many rows break any is not asked here: it costs half as much again, and mostly none does.
    """
    each = [fail.sum().cast(pl.Int64).alias(f"rule {number}") for number, (_, fail) in enumerate(failures)]
    whole = [
        (pl.lit(None, dtype=pl.Int64) if measure.aggregate is None else measure.aggregate).alias(f"measure {number}")
        for number, measure in enumerate(measures)
    ]
    return [pl.len().cast(pl.Int64).alias("rows"), *each, *whole]


def folded(measures: Sequence[Measure], one: Sequence[int | None], other: Sequence[int | None]) -> list[int | None]:
    """The numbers of two parts of a table together: those of `counts`."""
    plain = len(one) - len(measures)
    sums = [(first or 0) + (second or 0) for first, second in zip(one[:plain], other[:plain], strict=True)]
    pairs = zip(measures, one[plain:], other[plain:], strict=True)
    return [*sums, *(measure.fold(first, second) for measure, first, second in pairs)]


def measured(
    measures: Sequence[Measure], frame: pl.LazyFrame, found: Sequence[int | None], rows: int
) -> list[int | None]:
    """The number of each measure: `found` beside the rows, counted in a pass of its own, or the number of rows."""
    numbers: list[int | None] = []
    for measure, number in zip(measures, found, strict=True):
        if measure.counted is not None:
            numbers.append(measure.counted(frame))
        else:
            numbers.append(rows if measure.aggregate is None else number)
    return numbers


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


def exempt(failures: Failures) -> pl.Expr | None:
    """True for rows that are rejected, but only by rules with a limit of their own; None when there are no such."""
    if not any(rule.max_bad and not rule.warning for rule, _ in failures):
        return None
    others = [(rule, fail) for rule, fail in failures if not rule.max_bad]
    return bad(failures) & bad(others).not_()


def exempted(frame: pl.LazyFrame, failures: Failures) -> int:
    """How many rows of a table those are; a pass of its own, only where there are such rules."""
    only = exempt(failures)
    return 0 if only is None else int(frame.select(only.sum()).collect(engine="streaming").item() or 0)


def examples(rejected: pl.LazyFrame, failures: Failures, numbers: Sequence[int]) -> dict[str, list[str]]:
    """For each rule that rejected rows the first few different values; `numbers` are the counts per rule."""
    found: dict[str, list[str]] = {}
    for (rule, _), number in zip(failures, numbers, strict=True):
        if number and not rule.warning:
            found[rule.label] = _values(rejected.filter(pl.col(ERRORS).list.contains(rule.label)), rule)
    return found


def warned(
    frame: pl.LazyFrame, failures: Failures, numbers: Sequence[int], found: dict[str, list[str]]
) -> dict[str, list[str]]:
    """`found`, and for each warning of which it has too few the first values in `frame` that broke it."""
    for (rule, fail), number in zip(failures, numbers, strict=True):
        if number and rule.warning and len(found.get(rule.label, [])) < EXAMPLES:
            more = _values(frame.filter(fail), rule)
            found[rule.label] = list(dict.fromkeys([*found.get(rule.label, []), *more]))[:EXAMPLES]
    return found


def _values(rows: pl.LazyFrame, rule: Rule) -> list[str]:
    """The first few different values of the columns that a rule is about."""
    schema = rows.collect_schema()
    names = list(rule.shows or rule.key or ((rule.column,) if rule.column else ()))
    if not names:
        return []
    shown = (
        rows.head(AT_MOST)
        .select([_shown(name, schema[name]) for name in names])
        .unique(maintain_order=True)
        .head(EXAMPLES)
    )
    return [", ".join(_short(value) for value in row) for row in _python(shown.collect())]


def _python(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """The rows as Python's values; times that its calendar does not have as numbers since 1970."""
    try:
        return frame.rows()
    except (ValueError, OverflowError):
        return frame.with_columns(selectors.temporal().to_physical()).rows()


def _shown(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as examples show it: an image by its path."""
    return exactly(name).struct.field("path").alias(name) if dtype in IMAGES else exactly(name)


def _short(value: object) -> str:
    if isinstance(value, bytes | dict | list):
        return f"({type(value).__name__})"
    text = "null" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
