"""What a validation found, `validation.json` in the payload, and when that is too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.steps.limit import Limit
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.rules.rule import Rule
from mlops_cli.store.artefact import Artefact

FILE = "validation.json"
EXAMPLES = 5
TOLD = 8  # rules that are told of on stderr; the report has all


class Count(msgspec.Struct):
    """How many rows break one rule; `examples` are the first few values that do, as text."""

    rule: str
    column: str | None
    check: str
    rows: int
    severity: str = "error"  # or "warning": counted, but the rows stay
    examples: list[str] = []


class Report(msgspec.Struct):
    """`rows` came in, `accepted` went out; `rules` is the digest of the rules, None when only the structure counted."""

    rules: str | None
    rows: int
    accepted: int
    rejected: int
    checks: list[Count]
    format: int = 1

    def encode(self) -> bytes:
        """The bytes of `validation.json`."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def report(
    digest: str | None,
    rules: Sequence[Rule],
    rows: int,
    rejected: int,
    counts: Sequence[int],
    examples: Mapping[str, list[str]],
) -> Report:
    """The report of a table of `rows` rows; `counts` are the rows that break each of `rules`."""
    checks = [
        Count(
            rule=rule.label,
            column=rule.column,
            check=rule.check,
            rows=number,
            severity="warning" if rule.warning else "error",
            examples=examples.get(rule.label, []),
        )
        for rule, number in zip(rules, counts, strict=True)
    ]
    return Report(digest, rows, rows - rejected, rejected, checks)


def verdict(report: Report, limit: Limit) -> Verdict:
    """A pass (0), or a finding (1) when more rows were rejected than `limit` allows."""
    passed = limit.allows(report.rejected, report.rows)
    total = f"{report.rows:,} rows in = {report.accepted:,} out + {report.rejected:,} rejected"
    judged = limit.judged(report.rejected, report.rows)
    broken = sorted((check for check in report.checks if check.rows), key=lambda check: -check.rows)
    lines = [total + judged, *(_line(check) for check in broken[:TOLD])]
    if len(broken) > TOLD:
        lines.append(f"and {len(broken) - TOLD} more rules are broken: see {FILE}")
    details = {"passed": passed, "limit": limit.text, "rejected": report.rejected, "rows": report.rows}
    return Verdict(0 if passed else 1, tuple(lines), details)


def _line(check: Count) -> str:
    rows = "1 row" if check.rows == 1 else f"{check.rows:,} rows"
    such = f", such as {', '.join(check.examples[:3])}" if check.examples else ""
    return f"{'warning: ' if check.severity == 'warning' else ''}{check.rule}: {rows}{such}"


def measured(made: Artefact) -> dict[str, Any]:
    """The numbers for `--json`, from the artefact."""
    return numbers(made.json(FILE, Report))


def numbers(found: Report) -> dict[str, Any]:
    """The numbers for `--json`."""
    return {
        "rows": found.rows,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "checks": msgspec.to_builtins(found.checks),
    }


def write(found: Report, directory: Path) -> None:
    """Write the report into a payload."""
    (directory / FILE).write_bytes(found.encode())
