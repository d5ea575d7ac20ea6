"""Where the columns to cut by come from: the log of what a model answered, or what came true of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from mlops_cli.errors import UnknownColumn, Usage, listed
from mlops_cli.metrics.base import CLASS
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import evaluate_rows
from mlops_cli.steps.watch_log import Log


def wanted(by: Sequence[str], signature: Signature, key: str | None = None) -> list[InputColumn]:
    """What to read from the log: what it has of every row, and as text what of `by` and `key` rows may have brought.

    Usage for what no log can be cut by.
    """
    if CLASS in by:
        raise Usage(f"--by {CLASS}: {CLASS!r} means the classes in gates", "cut by another column")
    known = {column.name for column in signature.logged}
    more = [name for name in dict.fromkeys([*by, key]) if name is not None and name not in known]
    return [*signature.logged, *(InputColumn(name, "string") for name in more)]


def places(
    by: Sequence[str], log: Log, signature: Signature, actuals: Collection[str], others: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The columns of `by` to take from the log, and those that only the `actuals` bring; UnknownColumn for the rest.

    `others` are known elsewhere. One that the log may have and does not hold is of the log where the actuals lack it.
    """
    held = {column.name for column in log.logged}
    known = list(dict.fromkeys([*(column.name for column in signature.logged), *signature.aside, *held]))
    late = [column for column in dict.fromkeys(by) if column not in held and column not in others and column in actuals]
    for column in by:
        if column not in known and column not in others and column not in late:
            has = f"the log may have {listed(known, 30)}" + (
                f"; the actuals have {listed(actuals, 30)}" if actuals else ""
            )
            raise UnknownColumn(f"--by {column}: neither the log nor the actuals have such a column", has)
    return [column for column in dict.fromkeys(by) if column in known and column not in late], late


def numbers(values: pl.Series) -> pl.Series:
    """Logged texts of a column whose type nobody knows, as numbers where all are and there are too many for levels."""
    if values.dtype != pl.String or values.n_unique() <= evaluate_rows.MOST_LEVELS:
        return values
    numbers = values.cast(pl.Float64, strict=False)
    return values if numbers.null_count() > values.null_count() else numbers
