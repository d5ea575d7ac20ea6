"""The rules of the data that a model learnt from, as data: `rules.json`, and which rows of a batch break which rule."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.runtime import rows
from mlops_cli.runtime.columns import Batch, Column, rows_of
from mlops_cli.runtime.patterns import Pattern
from mlops_cli.runtime.signature import Signature, Type
from mlops_cli.store.artefact import open_artefact

FORMAT = 1
FILE = "rules.json"
MODES = ("off", "warn", "reject")

_Marks = NDArray[np.bool_]
_Test = Callable[[Any], Any]
_Single = tuple[str, _Test | None, list[str], list[str], list[tuple[str, _Test]]]


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule on one column. `label` is what it is called everywhere.

    `arguments` are those of the check, by pandera's names; times are µs since 1970 UTC, an infinity is the text
    "inf" or "-inf". `missing` and `nan` say whether a missing value and NaN break it. `single`: the column held floats
    of 32 bits, to which a value is rounded before it is compared, as the arguments have been.
    """

    label: str
    column: str
    type: Type
    check: str
    arguments: dict[str, Any] = {}
    missing: bool = False
    nan: bool = False
    severity: Literal["error", "warning"] = "error"
    single: bool = False


class LeftOut(msgspec.Struct, frozen=True):
    """A rule that no single row can be held against here, and why."""

    label: str
    reason: str


class Rules(msgspec.Struct, frozen=True):
    """`rules.json`. `source` is the digest of the rules file that they are from."""

    source: str | None
    rules: list[Rule]
    left_out: list[LeftOut] = []
    format: int = FORMAT

    def encode(self) -> bytes:
        """The bytes of `rules.json`, the same for the same rules."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def decode(data: bytes) -> Rules:
    """Read `rules.json`; Corrupt if it is not one that this version understands."""
    try:
        found = msgspec.json.decode(data, type=Rules)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{FILE}: {error}") from None
    if found.format > FORMAT:
        raise Corrupt(f"{FILE}: format {found.format} is newer than this mlops ({FORMAT})", "upgrade mlops-cli")
    return found


def guard(directory: Path, signature: Signature, mode: str) -> Guard | None:
    """What the rows of a model are held against; None when `mode` is off, or when the model has no rules.

    Corrupt for rules that are not understood; InputUnusable when rows are to be rejected by rules that are not there.
    """
    model = open_artefact(directory, ("model",)) if mode != "off" else None
    found = decode(model.read(FILE)).rules if model and model.has(FILE) else []
    known = {column.name for column in (*signature.accepted, *signature.measured)}
    found = [rule for rule in found if rule.column in known]
    if not found and mode == "reject":
        hint = "train on what mlops validate --schema has passed, or serve with --rules warn"
        raise InputUnusable("the model has no rules to reject rows by", hint)
    return Guard(found, reject=mode == "reject") if found else None


class Guard:
    """Rules ready to be held against rows; safe to use from several threads."""

    def __init__(self, rules: Sequence[Rule], reject: bool = False) -> None:
        """`reject`: a row that breaks a rule is not answered. Corrupt for a check that is not understood."""
        self.rules = list(rules)
        self.reject = reject
        self.labels = list(dict.fromkeys(rule.label for rule in rules))
        self.errors = frozenset(rule.label for rule in rules if rule.severity == "error")
        self._tests = [_test(rule) for rule in rules]
        self._columns = [self._column(name) for name in dict.fromkeys(rule.column for rule in rules)]

    def _column(self, name: str) -> _Single:
        """The rules of one column, for one value at a time."""
        own = [(rule, test) for rule, test in zip(self.rules, self._tests, strict=True) if rule.column == name]
        return (
            name,
            _reading(own[0][0]),
            [rule.label for rule, _ in own if rule.missing],
            [rule.label for rule, _ in own if rule.nan],
            [(rule.label, test) for rule, test in own if rule.check != "not_nullable"],
        )

    def row(self, row: Mapping[str, Any]) -> list[str]:
        """The labels of the rules that one row of JSON values breaks; its values are of their columns' types."""
        broken: list[str] = []
        for column, read, missing, nan, tests in self._columns:
            given = row.get(column)
            if given is None:
                broken += missing
            elif given != given:
                broken += nan
            else:
                value = given if read is None else read(given)
                for label, test in tests:
                    if not test(value):
                        broken.append(label)
        return list(dict.fromkeys(broken)) if broken else broken

    def batch(self, batch: Batch) -> list[list[str]]:
        """The same for every row of a batch; rules on columns that it does not have are left out."""
        found: list[list[str]] = [[] for _ in range(rows_of(batch))]
        for rule, marks in self.marks(batch):
            for row in np.flatnonzero(marks).tolist():
                if rule.label not in found[row]:
                    found[row].append(rule.label)
        return found

    def marks(self, batch: Batch) -> list[tuple[Rule, _Marks]]:
        """Each rule on a column of the batch, with a mask of shape (n,), True for the rows that break it."""
        tested = zip(self.rules, self._tests, strict=True)
        return [(rule, _marks(rule, test, batch[rule.column])) for rule, test in tested if rule.column in batch]


def _marks(rule: Rule, test: Callable[[Any], Any], column: Column) -> _Marks:
    """The rows of a column that break a rule."""
    values = column.values
    if column.levels is not None:
        fails = [not test(level) for level in column.levels]
        marks = np.array([*fails, rule.missing], dtype=np.bool_)[values]  # the code -1 is null, and takes the last
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            values = values.astype(np.float32) if rule.single else values
            marks = np.broadcast_to(~np.asarray(test(values), dtype=np.bool_), values.shape).copy()
        if values.dtype.kind == "f":
            marks[np.isnan(values)] = rule.nan
    if column.null is not None:
        marks[column.null] = rule.missing
    return marks


def _reading(rule: Rule) -> Callable[[Any], Any] | None:
    """What makes a JSON value one that can be compared; None where it is one."""
    if rule.single:
        return lambda value: ctypes.c_float(value).value
    return (lambda text: rows.micros(text, rule.type)) if rule.type in ("date", "datetime") else None


def _test(rule: Rule) -> Callable[[Any], Any]:
    """What says whether a value passes: of text one at a time, of anything else arrays too."""
    make = (_TEXTS if rule.type == "string" else {}).get(rule.check) or _ANY.get(rule.check)
    if make is None or (rule.check in _TEXTS and rule.type != "string"):
        raise Corrupt(f"{FILE}: {rule.label}: the check {rule.check!r} is not known here", "upgrade mlops-cli")
    try:
        return make({name: _argument(value, rule.type) for name, value in rule.arguments.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt(f"{FILE}: {rule.label}: {error}") from None


def _argument(value: Any, kind: Type) -> Any:
    """An argument as it is compared: JSON has no infinity."""
    if isinstance(value, list):
        return [_argument(one, kind) for one in value]
    return float(value) if kind == "float" and isinstance(value, str) else value


def _in_range(to: Mapping[str, Any]) -> Callable[[Any], Any]:
    low, high = to["min_value"], to["max_value"]
    from_low, to_high = to.get("include_min", True), to.get("include_max", True)
    if from_low and to_high:
        return lambda value: (value >= low) & (value <= high)
    return lambda value: (
        ((value >= low) if from_low else (value > low)) & ((value <= high) if to_high else (value < high))
    )


def _among(values: Sequence[Any]) -> Callable[[Any], Any]:
    known, array = frozenset(values), np.array(list(values))
    return lambda value: np.isin(value, array) if isinstance(value, np.ndarray) else value in known


def _not(test: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: ~test(value) if isinstance(value, np.ndarray) else not test(value)


def _length(to: Mapping[str, Any]) -> Callable[[Any], Any]:
    exact, least, most = to.get("exact_value"), to.get("min_value"), to.get("max_value")
    if exact is not None:
        return lambda text: len(text) == exact
    low, high = 0 if least is None else least, float("inf") if most is None else most
    return lambda text: low <= len(text) <= high


def _compared(how: Callable[[Any, Any], Any], name: str) -> Callable[[Mapping[str, Any]], Callable[[Any], Any]]:
    """A comparison with one argument: of a number, or of all in an array."""

    def make(to: Mapping[str, Any]) -> Callable[[Any], Any]:
        bound = to[name]
        return lambda value: how(value, bound)

    return make


_ANY: dict[str, Callable[[Mapping[str, Any]], Callable[[Any], Any]]] = {
    "not_nullable": lambda to: lambda value: True,
    "equal_to": _compared(operator.eq, "value"),
    "not_equal_to": _compared(operator.ne, "value"),
    "greater_than": _compared(operator.gt, "min_value"),
    "greater_than_or_equal_to": _compared(operator.ge, "min_value"),
    "less_than": _compared(operator.lt, "max_value"),
    "less_than_or_equal_to": _compared(operator.le, "max_value"),
    "in_range": _in_range,
    "isin": lambda to: _among(to["allowed_values"]),
    "notin": lambda to: _not(_among(to["forbidden_values"])),
}
_TEXTS: dict[str, Callable[[Mapping[str, Any]], Callable[[Any], Any]]] = {
    "str_matches": lambda to: Pattern(to["pattern"], anchored=True).search,
    "str_contains": lambda to: Pattern(to["pattern"]).search,
    "str_startswith": _compared(str.startswith, "string"),
    "str_endswith": _compared(str.endswith, "string"),
    "str_length": _length,
}


def problem(rule: Rule) -> str:
    """Why a rule cannot be executed here; nothing when it can."""
    try:
        _test(rule)
    except Corrupt as error:
        return error.message.removeprefix(f"{FILE}: {rule.label}: ")
    return ""
