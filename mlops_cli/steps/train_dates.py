"""Columns of text that are dates or times: read as such when all of them are ISO 8601, refused in two formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from mlops_cli.errors import InputUnusable
from mlops_cli.sources.names import exactly
from mlops_cli.steps import ingest_cast

_CLOCK = r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_ISO = "YYYY-MM-DD"
_SHAPES = {
    _ISO: rf"^([0-9]{{3}}[1-9]|[0-9]{{2}}[1-9]0|[0-9][1-9]00|[1-9]000)-[0-9]{{2}}-[0-9]{{2}}{_CLOCK}$",
    "DD/MM/YYYY or MM/DD/YYYY": r"^[0-9]{1,2}/[0-9]{1,2}/([0-9]{2}|[0-9]{4})( .*)?$",
    "DD.MM.YYYY": r"^[0-9]{1,2}\.[0-9]{1,2}\.([0-9]{2}|[0-9]{4})( .*)?$",
    "DD-MM-YYYY": r"^[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}( .*)?$",
    "YYYY/MM/DD": r"^[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}( .*)?$",
    "DD Month YYYY": r"^[0-9]{1,2}\.?[ -]\p{L}{3,9}\.?[ -][0-9]{2,4}( .*)?$",
    "Month DD, YYYY": r"^\p{L}{3,9}\.? [0-9]{1,2},? [0-9]{4}( .*)?$",
}
_FIRST = 10_000
"""Rows at the beginning that decide whether the others are looked at."""


@dataclass(frozen=True)
class Dates:
    """What makes the columns of text dates and times, and what to tell of it."""

    casts: Sequence[pl.Expr] = ()
    notes: list[str] = field(default_factory=list)

    def read(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame with its dates as dates."""
        return frame.with_columns(self.casts) if self.casts else frame


def find(parts: Sequence[pl.LazyFrame], names: Sequence[str]) -> Dates:
    """Look at those of the columns `names` that hold text, in all `parts`.

    A column is read as dates, or as times in UTC, when every text is ISO 8601. InputUnusable for one whose texts are
    all dates but in more than one format.
    """
    schema = parts[0].collect_schema()
    texts = [name for name in names if schema[name] == pl.String and all(name in p.collect_schema() for p in parts)]
    casts: list[pl.Expr] = []
    notes: list[str] = []
    for name in _likely(parts[0], texts):
        cast, note = _column(parts, name)
        casts += [] if cast is None else [cast]
        notes += [note] if note else []
    return Dates(casts, notes)


def _likely(frame: pl.LazyFrame, names: Sequence[str]) -> list[str]:
    """The columns whose first values all look like dates."""
    if not names:
        return []
    first = frame.select([exactly(name) for name in names]).head(_FIRST).collect()
    found = []
    for name in names:
        values = first[name].alias("value").drop_nulls()
        if not len(values):
            values = frame.select(exactly(name).alias("value").drop_nulls().head(1)).collect().to_series()
        if len(values) and all(
            values.head(many).str.contains(f"({'|'.join(_SHAPES.values())})").all() for many in (20, _FIRST)
        ):
            found.append(name)
    return found


def _column(parts: Sequence[pl.LazyFrame], name: str) -> tuple[pl.Expr | None, str]:
    """The cast of a column, and what to tell."""
    value = exactly(name)
    asked = [value.count().alias("values"), (value.str.len_chars() == 10).sum().alias("short")]
    for number, shape in enumerate(_SHAPES.values()):
        fits = value.str.contains(shape)
        asked += [fits.sum().alias(f"{number}"), value.filter(fits).first().alias(f"{number} first")]
    rows = [part.select(asked).collect(engine="streaming").row(0, named=True) for part in parts]
    total = sum(row["values"] for row in rows)
    seen = [(sum(row[str(n)] for row in rows), shape, n) for n, shape in enumerate(_SHAPES)]
    seen = sorted((one for one in seen if one[0]), reverse=True)
    if sum(count for count, _, _ in seen) != total:
        return None, ""
    example = {n: next(row[f"{n} first"] for row in rows if row[f"{n} first"] is not None) for _, _, n in seen}
    if len(seen) > 1:
        (one, a, x), (other, b, y) = seen[:2]
        raise InputUnusable(
            f"column {name!r} has dates in two formats: {one:,} as {a} ({example[x]!r}), {other:,} as {b} "
            f"({example[y]!r})",
            f"mlops ingest … --cast {name}=date tells which row is not ISO 8601; or leave it out, --exclude {name}",
        )
    _, shape, number = seen[0]
    if shape != _ISO:
        return None, f"{name}: text like {example[number]!r} is not read as a date; where it is made, write {_ISO}"
    kind = "date" if all(row["short"] == row["values"] for row in rows) else "datetime[us,UTC]"
    cast = ingest_cast.parse(name, kind)
    if any(ingest_cast.misfit(part, cast, pl.String()) for part in parts):
        return None, f"{name}: some texts look like {_ISO} but are no day of the calendar, so it is used as text"
    return ingest_cast.strict(cast, pl.String()), f"{name}: text in ISO 8601, used as {kind.partition('[')[0]}"
