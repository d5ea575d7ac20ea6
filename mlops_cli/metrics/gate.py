"""The one expression for gates and alerts, `METRIC[COLUMN=LEVEL] OP VALUE`, and its three answers."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from mlops_cli.errors import Usage, listed
from mlops_cli.metrics.base import CLASS, Metric

Answer = Literal["pass", "fail", "inconclusive"]
Severity = Literal["block", "warn"]

SEVERITIES: tuple[str, ...] = get_args(Severity)
"""What a gate of a policy does when it does not pass: decide the exit code, or be told only."""

PAIRED = "compared row by row"
"""What the reason of a judgement says when it was drawn from differences on the same rows."""

FEWEST = 10
"""Below this many rows an interval is not worth the name, so no answer is drawn from one."""

MANY = 1_000_000
"""More rows than this are not counted when people are told how many would decide."""

_ENDLESS = 1e6  # times as narrow an interval as this, nobody will ever have the rows for
_SHAPE = re.compile(
    r"""\s*(?P<metric>[A-Za-z_][\w.]*)\s*
        (?:\[\s*(?P<column>[^\]=]*?)\s*(?:=(?P<level>[^\]]*))?\])?\s*
        (?P<op>[<>=!]=|[<>=])\s*(?P<value>.*?)\s*""",
    re.VERBOSE | re.DOTALL,
)
_CHAMPION = re.compile(r"champion\s*(?:(?P<sign>[+-])\s*(?P<offset>[\d.].*))?")
_ASKED = (
    (r"flip_rate|changed_answers|\w+_(?:drop|rise)", "--robustness"),
    (r"worst_slice_\w+", "--slices ROWS"),
    (r"cost|cost_total", "--cost FILE"),
    (r"\w+_(?:ratio|difference)|selection_rate|fpr|calibration_gap|mean_prediction", "--by {}"),
)
"""Names of metrics that are measured only where a flag of `evaluate` asks for them."""

_GRAMMAR = (
    "write METRIC OP VALUE, METRIC[COLUMN] OP VALUE or METRIC[COLUMN=LEVEL] OP VALUE, where OP is >= > <= < and "
    "VALUE a number or champion, champion-0.01; for instance 'recall[label=truck]>=0.6'"
)


class Gate(msgspec.Struct, frozen=True):
    """One parsed expression. `value` is None when `champion` is set; the bound is then the champion's + `offset`.

    A gate of a policy has a severity, and perhaps an owner and why it is asked.
    """

    metric: str
    column: str | None
    level: str | None
    op: str
    value: float | None
    champion: bool
    offset: float
    text: str
    owner: str = ""
    severity: Severity | UnsetType = UNSET
    why: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """The answer to one gate, with the numbers that it was drawn from and the reason in words.

    `more_rows` is how many more labelled rows would decide an inconclusive answer, about; None if nobody can say.
    Of a gate of a policy also who answers for it, its severity, and why it is asked.
    """

    gate: str
    answer: Answer
    value: float | None
    low: float | None
    high: float | None
    bound: float | None
    reason: str
    more_rows: int | None = None
    owner: str | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    why: str | UnsetType = UNSET


def parse(text: str) -> Gate:
    """The gate that a text such as `precision>=0.40` or `f1 >= champion-0.01` means; Usage if it means none."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["column"] == "":
        raise Usage(f"{text!r} is not a gate", _GRAMMAR)
    op = found["op"]
    if op in ("==", "!=", "="):
        raise Usage(
            f"{text!r}: a metric is measured, so it is never exactly a value, and {op} cannot be a gate",
            "use >= > <= or <",
        )
    champion = _CHAMPION.fullmatch(found["value"])
    offset = 0.0
    if champion and champion["offset"]:
        offset = _number(champion["offset"], text) * (-1 if champion["sign"] == "-" else 1)
    return Gate(
        metric=found["metric"],
        column=found["column"],
        level=found["level"],
        op=op,
        value=None if champion else _number(found["value"], text),
        champion=champion is not None,
        offset=offset,
        text=text.strip(),
    )


def judge(
    gate: Gate,
    metrics: Sequence[Metric],
    *,
    champion: Sequence[Metric] | None = None,
    paired: Sequence[Metric] = (),
    point: bool = False,
    target: str | None = None,
) -> Judgement:
    """Whether the gate holds: pass, fail, or inconclusive where the metric's interval leaves it open.

    An exact metric, and with `point` any, is compared by its value alone. `target` is the target's name: as a
    column it means the class, like "label". Without `champion` a comparison with it passes, and says so.
    `paired` are differences between candidate and champion on the same rows: where the metric is among them, the
    interval of its difference, put on top of the champion's value, is held against the bound. Else the candidate's own
    interval is, which is stricter. A metric that was not measured is
    Usage; one that is undefined, or whose level had no rows, is inconclusive: never a pass.
    """
    metric = _asked(gate, metrics, target)
    if metric is None:
        return _open(gate, None, None, f"no rows of {gate.column}={gate.level}")
    bound = gate.value
    if gate.champion:
        if champion is None:
            return _answer(gate, "pass", metric, None, "no champion yet to compare with")
        known = _champions(gate, champion, target)
        if known is None or known.value is None:
            return _open(gate, metric, None, f"the champion has no value of {_name(gate)}")
        bound = known.value + gate.offset
        metric = _on_top(metric, known.value, paired)
    if bound is None or metric.value is None:
        why = f"on these {metric.n:,} rows"
        if gate.column is not None and gate.level is None and gate.metric.endswith(("_ratio", "_difference")):
            why = "where fewer than two groups are large enough to compare, or the largest rate is 0"
        return _open(gate, metric, bound, f"{_name(gate)} is undefined {why}")
    if not point and metric.groups is not UNSET and metric.groups < FEWEST:
        return _open(
            gate, metric, bound, f"only {metric.groups} group{'s' * (metric.groups > 1)}, too few for an interval"
        )
    if point or metric.low is None or metric.high is None:
        holds = _holds(gate.op, metric.value, bound)
        return _answer(gate, "pass" if holds else "fail", metric, bound, "by its value alone")
    found = _by_interval(gate, metric, metric.low, metric.high, bound)
    same = gate.champion and any(_same(one, metric) for one in paired)
    return msgspec.structs.replace(found, reason=f"{found.reason} ({PAIRED})") if same else found


def _on_top(metric: Metric, champion: float, paired: Sequence[Metric]) -> Metric:
    """The candidate's metric with the interval of its difference from the champion's value, where that is known."""
    for one in paired:
        if _same(one, metric) and one.low is not None and one.high is not None:
            return msgspec.structs.replace(metric, low=champion + one.low, high=champion + one.high)
    return metric


def _same(one: Metric, other: Metric) -> bool:
    return (one.name, one.column, one.level) == (other.name, other.column, other.level) and one.low is not None


def alert(
    gate: Gate,
    metrics: Sequence[Metric],
    *,
    champion: Sequence[Metric] | None = None,
    point: bool = False,
    target: str | None = None,
) -> Judgement:
    """The same expression turned round: when it holds, that is the finding ("fail"); surely not is a "pass"."""
    found = judge(gate, metrics, champion=champion, point=point, target=target)
    if found.answer == "inconclusive" or (gate.champion and champion is None):
        return found
    return msgspec.structs.replace(found, answer="fail" if found.answer == "pass" else "pass")


def doubted(judgement: Judgement, why: str) -> Judgement:
    """The same judgement about metrics that cannot be trusted: what passed is inconclusive."""
    if judgement.answer != "pass":
        return judgement
    return msgspec.structs.replace(judgement, answer="inconclusive", reason=f"{judgement.reason}, but {why}")


def turned(gate: Gate) -> Gate:
    """The alert that holds where the gate surely fails: `precision<0.4` for `precision>=0.40`."""
    op = {">=": "<", ">": "<=", "<=": ">", "<": ">="}[gate.op]
    if gate.value is not None:
        bound = f"{gate.value:.12g}"
    else:
        bound = f"champion{gate.offset:+.12g}" if gate.offset else "champion"
    return msgspec.structs.replace(gate, op=op, text=f"{_name(gate)}{op}{bound}")


def exit_code(judgements: Iterable[Judgement]) -> int:
    """1 if any gate failed, else 3 if any is inconclusive, else 0; those that only warn do not count."""
    answers = {judgement.answer for judgement in judgements if judgement.severity != "warn"}
    return 1 if "fail" in answers else 3 if "inconclusive" in answers else 0


def _by_interval(gate: Gate, metric: Metric, low: float, high: float, bound: float) -> Judgement:
    """The answer where every value in the interval agrees on it, else how many more rows would make it so."""
    if metric.n < FEWEST:
        return _open(gate, metric, bound, f"only {metric.n} rows, too few for an interval", FEWEST - metric.n)
    if _holds(gate.op, low, bound) and _holds(gate.op, high, bound):
        return _answer(gate, "pass", metric, bound, "the whole 95 % interval meets it")
    if not _holds(gate.op, low, bound) and not _holds(gate.op, high, bound):
        return _answer(gate, "fail", metric, bound, "the whole 95 % interval misses it")
    more = more_rows(metric, low, high, bound)
    reason = "the 95 % interval holds the bound"
    if more is not None:
        of = f" of {metric.column}={metric.level}" if metric.level is not None else ""
        reason += f"; {in_words(metric, more)}{of} would decide"
    return _open(gate, metric, bound, reason, more)


def in_words(metric: Metric, more: int) -> str:
    """How many more rows, or groups where rows belong together, since more rows of the same groups say little."""
    if metric.groups is UNSET:
        return f"{_about(more)} more labelled rows"
    each = metric.n / max(1, metric.groups)
    groups = max(1, math.ceil(more / max(1.0, each)))
    return f"{_about(groups)} more group{'s' * (groups > 1)} (of {each:.3g} labelled rows each)"


def _about(more: int) -> str:
    """A guess in no more digits than it bears: three, and none beyond a million, where the distance is all noise."""
    if more > MANY:
        return f"more than {MANY:,}"
    step = int(10 ** max(0, len(str(more)) - 3))
    return f"about {-(-more // step) * step:,}"


def more_rows(metric: Metric, low: float, high: float, bound: float) -> int | None:
    """Rows missing until the bound leaves the interval, if the value stays and the width shrinks with sqrt(n)."""
    distance = abs((metric.value or 0.0) - bound)
    half = (high if (metric.value or 0.0) < bound else low) - (metric.value or 0.0)
    if distance == 0 or not abs(half / distance) < _ENDLESS:
        return None
    return max(1, math.ceil(metric.n * (half / distance) ** 2 * (1 - 1e-9)) - metric.n)


def known(gate: Gate, metrics: Sequence[Metric], target: str | None = None) -> None:
    """Refuse a gate about none of the metrics that will be measured; Usage. Levels of columns are not looked at."""
    _asked(gate, metrics, target)


def _asked(gate: Gate, metrics: Sequence[Metric], target: str | None) -> Metric | None:
    """The metric that a gate names; what a policy asks and this command does not measure, it may ask of others only."""
    try:
        return _find(gate, metrics, target)
    except Usage as error:
        if gate.severity is UNSET:
            raise
        only = 'only = ["watch"] or only = ["evaluate", "promote"]'
        hint = f"{error.hint}; a gate that not every command can judge names those that can: {only}"
        raise Usage(f"the policy's gate {gate.text}: {error.message}", hint) from None


def _champions(gate: Gate, champion: Sequence[Metric], target: str | None) -> Metric | None:
    """The champion's metric; None too where it was not asked for, as of an evaluation without --robustness."""
    try:
        return _find(gate, champion, target)
    except Usage:
        return None


def _find(gate: Gate, metrics: Sequence[Metric], target: str | None) -> Metric | None:
    """The metric that a gate names; None where it was measured on that column, but this level had no rows."""
    column = CLASS if gate.column is not None and gate.column == target else gate.column
    named = [metric for metric in metrics if metric.name == gate.metric]
    if not named:
        raise _unknown(gate, metrics)
    there = [metric for metric in named if metric.column == column]
    if not there:
        where = f"{gate.metric} of column {column!r}" if column is not None else f"{gate.metric} without a column"
        by = column not in (None, CLASS) and "--by" in (_flag(gate) or "--by")
        hint = f"--by {column} measures it for each level of the column; " if by else ""
        raise Usage(f"{where} was not measured", f"{hint}there is {listed(dict.fromkeys(map(_label, named)))}")
    if gate.level is None and there[0].level is not None:
        names = listed(dict.fromkeys(map(_label, there)))
        raise Usage(f"{gate.metric}[{gate.column}] was measured level by level", f"name one: {names}")
    if gate.level is not None and there[0].level is None:
        whole = _written(gate.metric, gate.column, None)
        raise Usage(f"{whole} is of the column, not of one of its levels", f"write {whole}")
    exact = [metric for metric in there if metric.level == gate.level]
    folded = [metric for metric in there if _fold(metric.level) == _fold(gate.level)]
    chosen = next(iter(exact or folded), None)
    return chosen if chosen is None or chosen.n > 0 else None


def _fold(level: str | None) -> str | None:
    return None if level is None else level.strip().casefold()


def _holds(op: str, value: float, bound: float) -> bool:
    if op == ">=":
        return value >= bound
    if op == ">":
        return value > bound
    return value <= bound if op == "<=" else value < bound


def _answer(gate: Gate, answer: Answer, metric: Metric, bound: float | None, reason: str) -> Judgement:
    return _judged(gate, Judgement(gate.text, answer, metric.value, metric.low, metric.high, bound, reason))


def _open(gate: Gate, metric: Metric | None, bound: float | None, reason: str, more: int | None = None) -> Judgement:
    value, low, high = (metric.value, metric.low, metric.high) if metric else (None, None, None)
    return _judged(gate, Judgement(gate.text, "inconclusive", value, low, high, bound, reason, more))


def _judged(gate: Gate, found: Judgement) -> Judgement:
    """The judgement with what a policy says of its gate."""
    if gate.severity is UNSET:
        return found
    return msgspec.structs.replace(found, owner=gate.owner, severity=gate.severity, why=gate.why)


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Usage(f"{whole!r}: {text!r} is neither a number nor champion, champion-0.01", _GRAMMAR) from None
    if not math.isfinite(value):
        raise Usage(f"{whole!r}: {text!r} is not a finite number", _GRAMMAR)
    return value


def _unknown(gate: Gate, metrics: Sequence[Metric]) -> Usage:
    there = list(dict.fromkeys(metric.name for metric in metrics))
    flag = _flag(gate)
    near = difflib.get_close_matches(gate.metric, there, n=1, cutoff=0.9 if flag else 0.6)
    hint = f"did you mean {near[0]}? " if near else flag
    if not flag and gate.column is not None and not any(metric.column == gate.column for metric in metrics):
        hint += f"--by {gate.column} measures more of that column; "
    return Usage(f"no metric {gate.metric!r} was measured", f"{hint}there is {', '.join(there) or 'none'}")


def _flag(gate: Gate) -> str:
    """The flag that has a metric measured which is not measured otherwise; nothing for a name that none measures."""
    flag = next((flag for names, flag in _ASKED if re.fullmatch(names, gate.metric)), None)
    return f"mlops evaluate {flag.format(gate.column or 'COLUMN')} measures it; " if flag else ""


def _name(gate: Gate) -> str:
    return _written(gate.metric, gate.column, gate.level)


def _label(metric: Metric) -> str:
    return _written(metric.name, metric.column, metric.level)


def _written(name: str, column: str | None, level: str | None) -> str:
    if column is None:
        return name
    return f"{name}[{column}]" if level is None else f"{name}[{column}={level}]"
