"""When what a validation found is too much: limits, ages and drift, judged anew each time, of a known result too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from mlops_cli.errors import Usage
from mlops_cli.steps import validate_against
from mlops_cli.steps.limit import Limit
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.validate_report import FILE, Count, Fact, Report

RULE = 60  # letters of a rule's name in the table; longer ones push what follows aside
TOLD = 8  # rules that are told of on stderr; the report has all


class Terms(msgspec.Struct, frozen=True):
    """What the findings are held against: a limit of rejected rows, the time that it is, and how much drift may be."""

    limit: Limit
    now: datetime
    max_drift: float | None = None

    @classmethod
    def of(cls, max_bad: str, now: str | None, max_drift: float | None) -> Terms:
        """Usage for a limit, a time or a drift that is none."""
        if max_drift is not None and not max_drift > 0:
            raise Usage(f"--max-drift {max_drift} is no distance", "0.2 is what is usually called a shift")
        return cls(Limit.parse(max_bad), _time(now), max_drift)


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Usage(f"--now {text!r} is not a time", "ISO 8601, such as 2013-12-31T23:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def verdict(report: Report, terms: Terms) -> Verdict:
    """A pass (0), inconclusive (3) when drift can be neither seen nor excluded, or a finding (1): more rows rejected
    than may be, by all rules or by one with a limit of its own; a table that is not as the rules, or what it is
    compared with, want it.
    """
    limit, counted = terms.limit, report.rejected - report.exempt
    passed = limit.allows(counted, report.rows)
    total = f"{report.rows:,} rows in = {report.accepted:,} out + {report.rejected:,} rejected"
    broken = sorted((check for check in report.checks if check.rows), key=lambda check: -check.rows)
    told = [check for check in broken if not _quiet(check, report.rows)]
    lines = [total + limit.judged(counted, report.rows), *_table(told[:TOLD], report.rows)]
    if len(told) > TOLD:
        lines.append(f"and {len(told) - TOLD} more rules are broken: see {FILE}")
    own = [check for check in broken if check.severity == "error" and not _within(check, report.rows)]
    facts = [(fact, problem) for fact in report.dataset if (problem := _problem(fact, report.rows, terms.now))]
    lines += [f"{'warning: ' if fact.severity == 'warning' else ''}{fact.rule}: {problem}" for fact, problem in facts]
    wrong = [fact.rule for fact, _ in facts if fact.severity == "error"]
    exit, more = 0, list[str]()
    if report.against is not None:
        exit, more = validate_against.judged(report.against, terms.max_drift)
    exit = 1 if not passed or own or wrong else exit
    details: dict[str, object] = {
        "passed": exit == 0,
        "limit": limit.text,
        "rejected": report.rejected,
        "rows": report.rows,
    }
    if own or wrong:
        details["broken"] = [*(check.rule for check in own), *wrong]
    return Verdict(exit, (*lines, *more), details)


def _within(check: Count, rows: int) -> bool:
    """Whether a rule with a limit of its own is broken by no more rows than that."""
    return check.max_bad is None or Limit.parse(check.max_bad).allows(check.rows, rows)


def _quiet(check: Count, rows: int) -> bool:
    """A warning with a limit is none below it."""
    return check.severity == "warning" and check.max_bad is not None and _within(check, rows)


def _table(checks: Sequence[Count], rows: int) -> list[str]:
    """The broken rules as a table for people: numbers to the right, what is of any length last."""
    if not checks:
        return []
    cells = [("rows", "share", "", "rule", "such as")]
    for check in checks:
        several = any(", " in example for example in check.examples)  # values of several columns
        examples = ("; " if several else ", ").join(check.examples[:3])
        cells.append((f"{check.rows:,}", _share(check.rows / rows), _weight(check, rows), check.rule, examples))
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join((a.rjust(wide[0]), b.rjust(wide[1]), c.ljust(wide[2]), d.ljust(min(wide[3], RULE)), e)).rstrip()
        for a, b, c, d, e in cells
    ]


def _share(share: float) -> str:
    """A share in percent; one row is never none, and all but one are not all."""
    text = f"{share:.2%}"
    return "<0.01%" if text == "0.00%" else ">99.99%" if text == "100.00%" and share < 1 else text


def _weight(check: Count, rows: int) -> str:
    """What it means that a rule is broken."""
    if check.max_bad is not None and check.severity == "error":
        return f"{'allowed' if _within(check, rows) else 'error'}: max_bad {check.max_bad}"
    return check.severity


def _problem(fact: Fact, rows: int, now: datetime) -> str:
    """What is wrong with a number of the table; nothing when it is as it should be."""
    if fact.check == "freshness":
        return _stale(fact, now)
    value = fact.value if isinstance(fact.value, int | float) else 0
    if fact.check == "increasing":
        allowed = value == 0 if fact.max_bad is None else Limit.parse(fact.max_bad).allows(int(value), rows)
        return "" if allowed else f"{value:,} rows are before the row above them"
    if fact.min_value is not None and value < fact.min_value:
        return f"{_number(value)} is less than min_value {fact.min_value:,}"
    if fact.max_value is not None and value > fact.max_value:
        return f"{_number(value)} is more than max_value {fact.max_value:,}"
    return ""


def _number(value: int | float) -> str:
    """A count in full, a share in six digits."""
    return f"{int(value):,}" if value == int(value) else f"{value:,.6g}"


def _stale(fact: Fact, now: datetime) -> str:
    if not isinstance(fact.value, str):
        return "there is no time at all"
    newest, most = datetime.fromisoformat(fact.value), timedelta(seconds=fact.max_value or 0)
    age = now - newest
    if age < timedelta(0):  # it would hide how old all others are
        return f"the newest is {fact.value}, {_span(-age)} after now"
    return "" if age <= most else f"the newest is {fact.value}, {_span(age)} old, more than max_age {_span(most)}"


def _span(age: timedelta) -> str:
    """An age in words: minutes below two hours, hours below two days, else days."""
    seconds = age.total_seconds()
    if seconds < 7200:
        return f"{seconds / 60:.4g} min"
    return f"{seconds / 3600:.4g} h" if seconds < 172_800 else f"{seconds / 86_400:,.4g} days"
