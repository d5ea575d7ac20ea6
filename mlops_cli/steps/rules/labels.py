"""What rules are called: the reasons that a rejected row carries, and the lines of the report."""

from __future__ import annotations

import dataclasses
import datetime
from decimal import Decimal
from typing import Any

from mlops_cli.steps.rules.rule import Rule

SHOWN = 5  # values of a list
LABEL = 100  # characters


def called(check: Any) -> str:
    """What a check is called in a reason: its name and arguments, a long list of values cut."""
    told = []
    for name, value in check.statistics.items():
        if isinstance(value, list | tuple):
            told += [_shown(one) for one in value[:SHOWN]]
            told += [f"… {len(value)} values"] if len(value) > SHOWN else []
        elif name in ("include_min", "include_max"):
            told += [] if value else [f"{name}=False"]
        elif value is not None:
            told.append(f"{name}={value}" if check.name == "str_length" else _shown(value))
    return f"{check.name}({', '.join(told)})"


def _shown(value: Any) -> str:
    """A value as it is written in rules."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else repr(value)


def distinct(rules: list[Rule]) -> tuple[Rule, ...]:
    """The rules with labels of a bearable length that are all different."""
    taken: dict[str, int] = {}
    out = []
    for rule in rules:
        label = rule.label if len(rule.label) <= LABEL else rule.label[: LABEL - 1] + "…"
        taken[label] = taken.get(label, 0) + 1
        label = label if taken[label] == 1 else f"{label} ({taken[label]})"
        out.append(dataclasses.replace(rule, label=label))
    return tuple(out)
