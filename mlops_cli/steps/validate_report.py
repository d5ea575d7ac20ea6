"""What a validation found, `validation.json` in the payload."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.steps.rules.rule import Measure, Rule
from mlops_cli.steps.validate_against import Comparison
from mlops_cli.store.artefact import Artefact

FILE = "validation.json"
EXAMPLES = 5


class Count(msgspec.Struct):
    """How many rows break one rule; `examples` are the first few values that do, as text."""

    rule: str
    column: str | None
    check: str
    rows: int
    severity: str = "error"  # or "warning": counted, but the rows stay
    examples: list[str] = []
    share: float = 0.0
    max_bad: str | None = None  # its own limit, a share or a number of rows


class Fact(msgspec.Struct):
    """One number of the whole table, and what the rules want it to be.

    `value` is a number of rows (rows), of different values (distinct) or of rows that are less than the one before
    (increasing), a share (null_share), or the newest time as ISO 8601 text (freshness, whose `max_value` is an age in
    seconds); None when there is no value at all.
    """

    rule: str
    column: str | None
    check: str
    value: int | float | str | None
    min_value: int | float | None = None
    max_value: int | float | None = None
    max_bad: str | None = None
    severity: str = "error"


class Report(msgspec.Struct):
    """`rows` came in, `accepted` went out; `rules` is the digest of the rules, None when only the structure counted.

    `exempt` of the rejected broke only rules with a limit of their own. `against` is there when the table was compared
    with another one.
    """

    rules: str | None
    rows: int
    accepted: int
    rejected: int
    checks: list[Count]
    format: int = 1
    exempt: int = 0
    dataset: list[Fact] = []
    against: Comparison | None = None

    def encode(self) -> bytes:
        """The bytes of `validation.json`."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


class Found(msgspec.Struct):
    """What was counted of a table: its rows, the rejected ones and of them the exempt, the rows that break each rule,
    the number of each measure, and examples by the label of a rule."""

    rows: int
    counts: Sequence[int]
    measured: Sequence[int | None]
    examples: dict[str, list[str]]
    rejected: int = 0
    exempt: int = 0
    against: Comparison | None = None


def report(digest: str | None, rules: Sequence[Rule], measures: Sequence[Measure], found: Found) -> Report:
    """The report of a table."""
    checks = [
        Count(
            rule=rule.label,
            column=rule.column,
            check=rule.check,
            rows=number,
            severity=_severity(rule.warning),
            examples=found.examples.get(rule.label, []),
            share=number / found.rows,
            max_bad=rule.max_bad,
        )
        for rule, number in zip(rules, found.counts, strict=True)
    ]
    facts = [_fact(measure, number, found.rows) for measure, number in zip(measures, found.measured, strict=True)]
    accepted = found.rows - found.rejected
    return Report(digest, found.rows, accepted, found.rejected, checks, 1, found.exempt, facts, found.against)


def _fact(measure: Measure, number: int | None, rows: int) -> Fact:
    value: int | float | str | None = number
    rule = measure.rule
    if rule.kind == "null_share":
        value = (number or 0) / rows
    if rule.kind == "freshness" and number is not None:
        value = instant(number).isoformat()
    return Fact(
        rule=measure.label,
        column=rule.columns[0] if rule.columns else None,
        check=rule.kind,
        value=value,
        min_value=rule.min_value,
        max_value=rule.max_value,
        max_bad=rule.max_bad,
        severity=_severity(rule.raise_warning),
    )


def instant(micros: int) -> datetime:
    """Microseconds since 1970 as a time; what no calendar has is its last day or its first."""
    try:
        return datetime.fromtimestamp(micros / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return (datetime.max if micros > 0 else datetime.min).replace(tzinfo=UTC)


def _severity(warning: bool) -> str:
    return "warning" if warning else "error"


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`, from the artefact."""
    return numbers(made.json(FILE, Report))


def numbers(found: Report) -> dict[str, Any]:
    """The numbers for `--json`."""
    plain = msgspec.to_builtins(found)
    keys = ("rows", "accepted", "rejected", "checks", "dataset", "against")
    return {key: plain[key] for key in keys if plain[key] is not None}


def write(found: Report, directory: Path) -> None:
    """Write the report into a payload."""
    (directory / FILE).write_bytes(found.encode())
