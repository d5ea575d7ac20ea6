"""Conditions on the columns of one row, in SQL, as polars expressions: no aggregates, no windows, no clock."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import InputUnusable, SchemaMismatch, UnknownColumn, listed
from mlops_cli.steps.rules import types
from mlops_cli.steps.rules.form import ExpressionRule


def _words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_WORDS = _words("""
    and or not in is null true false between like ilike rlike regexp similar to escape case when then else end
    distinct from as interval extract position div
""")
FUNCTIONS = _words("""
    abs array_contains array_length bit_length cbrt ceil ceiling char_length character_length coalesce concat
    concat_ws cos date_part div ends_with exp extract floor greatest if ifnull initcap least left length ln log
    log10 log1p log2 lower ltrim mod month nullif octet_length position pow power regexp_like replace reverse right
    round rtrim sign sin sqrt starts_with strftime strpos substr substring trim try_cast upper year
""")
"""Functions whose answer is about one row, and the same every time."""
ONE_ROW = "a condition is about one row, and its answer is the same every time: docs/validate.md has the functions"
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<word>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<space>\s+)
        |(?P<comment>--|/\*)|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_TYPED = ("date", "timestamp", "time", "interval")  # words that make a literal of the text behind them
_TYPES = _words("""
    int integer bigint smallint tinyint float real double precision decimal numeric text varchar string boolean bool
    date timestamp time interval
""")
_FIELDS = _words("""
    century day decade dow doy epoch hour isodow isoyear microsecond microseconds millisecond milliseconds minute
    month nanosecond nanoseconds quarter second time timezone week year
""")


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that is true, false or null for each row of a table with the `prepared` columns beside its own."""

    value: pl.Expr
    prepared: dict[str, pl.Expr]
    columns: tuple[str, ...]  # that it names, in the order in which it does


Columns = Mapping[str, tuple[pl.Expr, pl.DataType]]


def condition(rule: ExpressionRule, data: Mapping[str, pl.DataType], columns: Columns, source: str) -> Condition:
    """The condition for a table whose columns are `data`, and `columns` as they are judged.

    Those that are converted or filled before, times with a zone, which are compared in UTC, and narrow integers, which
    are made wide, come from columns that have to be added (`prepared`). InputUnusable for what is not a condition
    on one row, UnknownColumn, SchemaMismatch for types that do not go together; all with the place.
    """
    where = f"{source}: {rule.where}.expr"
    tokens = _tokens(rule.expr, where)
    prepared: dict[str, pl.Expr] = {}
    named: dict[str, None] = {}
    said = []
    for number, (kind, token) in enumerate(tokens):
        name = _column(tokens, number) if kind in ("word", "quoted") else None
        if name is None:
            said.append(token)
            continue
        if name not in columns:
            raise _absent(name, columns, where)
        named[name] = None
        if (value := _prepared(name, *columns[name])) is not None:
            prepared[_beside(name)] = value
            said.append('"' + _beside(name).replace('"', '""') + '"')
        else:
            said.append(token)
    if not named:
        raise InputUnusable(f"{where}: {rule.expr!r} names no column")
    value = _parsed("".join(said), rule.expr, where)
    _typed(value, data, prepared, rule.expr, where)
    return Condition(value, prepared, tuple(named))


def _tokens(text: str, where: str) -> list[tuple[str, str]]:
    """The expression in pieces that together are it; InputUnusable for calls of what is no function of one row."""
    tokens = [(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(text)]
    if any(kind == "comment" for kind, _ in tokens):
        raise InputUnusable(f"{where}: a comment has no place in a condition", "write it behind # in the YAML")
    if "::" in (token + behind[1] for (_, token), behind in pairwise(tokens)):
        raise InputUnusable(f"{where}: a value that cannot be converted would end it all", "try_cast(a as integer)")
    if any(kind == "other" and token in "'\";" for kind, token in tokens):
        raise InputUnusable(f"{where}: {text!r} is more than one condition, or a quote in it has no end")
    for number, (kind, token) in enumerate(tokens):
        word = token.lower()
        if kind == "word" and _next(tokens, number) == "(" and word not in FUNCTIONS | _WORDS:
            near = difflib.get_close_matches(word, FUNCTIONS, n=1, cutoff=0.7)
            hint = f"did you mean {near[0]}?" if near else ONE_ROW
            raise InputUnusable(f"{where}: {token}() is no function of one row", hint)
    return tokens


def _next(tokens: list[tuple[str, str]], number: int, step: int = 1) -> str:
    """The token before or behind one, spaces left out."""
    number += step
    while 0 <= number < len(tokens) and tokens[number][0] == "space":
        number += step
    return tokens[number][1] if 0 <= number < len(tokens) else ""


def _column(tokens: list[tuple[str, str]], number: int) -> str | None:
    """The column that a word means; None for a word of the language, a function, a type, a field of a struct."""
    kind, token = tokens[number]
    before, behind = _next(tokens, number, -1), _next(tokens, number)
    if before == ".":
        return None
    if kind == "quoted":
        return token[1:-1].replace('""', '"')
    word = token.lower()
    if word in _WORDS or (word in FUNCTIONS and behind == "("):
        return None
    if word in _TYPED and behind.startswith("'"):
        return None
    if word in _TYPES and (before in ("::", ":") or before.lower() == "as"):
        return None
    if word == "precision" and before.lower() == "double":
        return None
    return None if word in _FIELDS and behind.lower() == "from" and before == "(" else token


def _absent(name: str, data: Columns, where: str) -> UnknownColumn:
    near = difflib.get_close_matches(name, data, n=1)
    if name.lower() in ("over", "select", "current_date", "current_timestamp", "current_time", "now"):
        hint = ONE_ROW
    else:
        hint = f"did you mean {near[0]}?" if near else f"it has {listed(data)}"
    return UnknownColumn(f"{where}: there is no column {name!r}", hint)


def _prepared(name: str, value: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """The column that stands in for one; None when it can be taken as it is."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if (wide := _wide(dtype)) != dtype:
        return value.cast(wide)
    return None if value.meta.eq(pl.col(name)) and not name.startswith("^") else value


def _wide(dtype: pl.DataType) -> pl.DataType:
    """The type whose sums and differences do not overflow where those of a narrower one do; polars only wraps them."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: _wide(field.dtype) for field in dtype.fields})  # type: ignore[arg-type]
    if isinstance(dtype, pl.UInt64):
        return pl.Int128()
    return pl.Int64() if dtype.is_integer() and types.bounds(dtype)[1] < types.bounds(pl.Int64())[1] else dtype


def _beside(name: str) -> str:
    """The name of a prepared column, which no table has."""
    return f"\x01{name}\x01"


def _parsed(text: str, shown: str, where: str) -> pl.Expr:
    try:
        return pl.sql_expr(text)
    except (PolarsError, PanicException) as error:
        raise InputUnusable(f"{where}: {shown!r} is not a condition: {_why(error)}") from error


def _typed(
    value: pl.Expr, data: Mapping[str, pl.DataType], prepared: Mapping[str, pl.Expr], shown: str, where: str
) -> None:
    """The condition is tried on a table without rows."""
    empty = pl.DataFrame(schema=dict(data)).lazy()
    try:
        made = empty.with_columns(**prepared).select(value.alias("passes")).collect()
    except (PolarsError, PanicException) as error:
        why = _why(error)
        hint = "write date '2013-01-31' or timestamp '2013-01-31 12:00:00'" if "date/datetime" in why else ""
        raise SchemaMismatch(f"{where}: {shown!r} does not go with the columns' types: {why}", hint) from error
    if made.schema["passes"] not in (pl.Boolean, pl.Null):
        raise SchemaMismatch(f"{where}: {shown!r} is a value of type {made.schema['passes']}, not a condition")


def _why(error: BaseException) -> str:
    """The line of a message that says what is wrong."""
    text = str(error).strip().replace("\x01", "")
    if "regex parse error" in text:
        return "the regular expression is none: " + text.rsplit("error: ", 1)[-1].split("\n")[0]
    return text.split("\n", 1)[0].split(" (create native")[0][:200]
