"""How many rows of a log break the rules of the data: those that the model carries, or those of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from mlops_cli.metrics.base import Metric
from mlops_cli.metrics.gate import Gate
from mlops_cli.runtime.rules import Guard, Rule
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import batches, tables, watch_measure
from mlops_cli.steps.watch_log import INPUT, Log
from mlops_cli.steps.watch_types import TYPES

NAME = "broken"


def from_file(path: str, signature: Signature) -> list[Rule]:
    """The rules of a file on the columns that a log of the model may have.

    Errors: those of reading rules; SchemaMismatch for a column of another type than the model's.
    """
    from mlops_cli.steps.rules import compiled, plan, read, resolve  # pandera: half a second that others do not pay

    given = read.load(Path(path))
    there = {column.name: TYPES[column.type] for column in signature.logged}
    columns = tuple(
        msgspec.structs.replace(one, required=False) for one in given.columns if one.regex or one.name in there
    )
    own = msgspec.structs.replace(
        given,
        columns=columns,
        checks=(),
        rows=(),
        dataset=(),
        strict=False,
        ordered=False,
        unique=(),
        add_missing_columns=False,
    )
    return compiled.compile(plan.build(resolve.resolve(own, there, "the log")), there, None).rules


def measure(log: Log, rules: Sequence[Rule] | None, gates: Sequence[Gate]) -> list[Metric]:
    """`broken`, the share of rows that break any rule, `broken[column]` and `broken[label]`, with Wilson's interval.

    Rules on columns that the log does not hold are not looked at. Without rules they are undefined, where an alert
    asks for them.
    """
    there = {column.name: column for column in log.logged}
    held = [rule for rule in rules or () if rule.column in there]
    names = [*dict.fromkeys(rule.column for rule in held), *dict.fromkeys(rule.label for rule in held)]
    asked = {gate.column for gate in gates if gate.metric == NAME} - {None, *names}
    if rules:  # a name that is neither a column nor a rule is a slip, which the gate tells
        asked &= {*log.unlogged, *there, *(rule.label for rule in rules)}
    undefined = [watch_measure.share(NAME, 0, 0, name) for name in sorted(asked, key=str)]
    if not held:
        wanted = rules is not None or any(gate.metric == NAME for gate in gates)
        return [*([watch_measure.share(NAME, 0, 0)] if wanted else []), *undefined]
    counts = _counts(log, Guard(held), [there[name] for name in dict.fromkeys(rule.column for rule in held)])
    return [
        watch_measure.share(NAME, counts.get(None, 0), log.rows),
        *(watch_measure.share(NAME, counts.get(name, 0), log.rows, name) for name in names),
        *undefined,
    ]


def _counts(log: Log, guard: Guard, columns: list[InputColumn]) -> dict[str | None, int]:
    """Rows that break any rule (None), a rule of a column, or a rule by its label."""
    found: dict[str | None, int] = {}
    frame = log.frame.select(pl.col(INPUT + column.name).alias(column.name) for column in columns)
    signature = Signature("", "regression", "", columns)
    with tables.reading("the log"):
        for _, batch in batches.batches(frame, signature, "the log"):
            masks: dict[str | None, np.ndarray] = {}
            for rule, marks in guard.marks(batch):
                for name in (None, rule.column, rule.label):
                    masks[name] = masks[name] | marks if name in masks else marks
            for name, mask in masks.items():
                found[name] = found.get(name, 0) + int(mask.sum())
    return found


def why(of: Gate, rules: Sequence[Rule] | None) -> str:
    """Why `broken` has no value; nothing for another metric."""
    if of.metric != NAME:
        return ""
    if not rules:
        return "the model carries no rules; --schema FILE names some"
    return f"no rule on a logged column is called {of.column}" if of.column else "the log has no column with a rule"
