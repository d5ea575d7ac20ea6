"""CSV files of one dialect as a table: its types by a sample, and by all values where the sample has misled."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import Corrupt
from mlops_cli.sources import csv_check, csv_types
from mlops_cli.sources.base import File, Scanned
from mlops_cli.sources.csv_dialect import Dialect
from mlops_cli.sources.csv_types import NULLS, Facts
from mlops_cli.sources.names import exactly

SAMPLE = 10_000
"""Rows from which types are taken, shared among the files."""

_COLUMN = re.compile(r"at column '(.*)' \(column number \d+\)", re.DOTALL)
_ROW = "\0row"

Kinds = Mapping[str, pl.DataType]


@dataclass(frozen=True)
class Sample:
    """What the first rows of all files are like: facts by column, and which words for null each column has."""

    rows: int
    facts: dict[str, Facts]
    words: dict[str, frozenset[str]]


@dataclass(frozen=True)
class Table:
    """Files of one dialect. `narrowed`: not every row and column of them will be parsed; `texts`: columns that are read
    as text, whatever they look like."""

    files: tuple[File, ...]
    dialect: Dialect
    narrowed: bool
    texts: frozenset[str] = frozenset()

    def typed(self, sample: Sample) -> Scanned:
        """The table with the types that a sample suggests."""
        facts = dict(sample.facts)
        unknown = [name for name, found in facts.items() if found.values == 0]
        if unknown and sample.rows >= SAMPLE // 2:
            facts |= self.facts(unknown)
        kinds = {name: csv_types.decide(found) or pl.String() for name, found in facts.items()}
        kinds |= {name: pl.String() for name in self.texts if name in kinds}
        seen = [sample.words[name] for name, kind in kinds.items() if kind != pl.String]
        long = [name for name, found in facts.items() if csv_types.too_long(found) and name not in self.texts]
        notes = [f"column {name}: integers that do not fit 64 bits; reading it as text" for name in long]
        return self.scanned(kinds, frozenset().union(*seen), notes)

    def scanned(self, kinds: Kinds, words: Collection[str], notes: Sequence[str]) -> Scanned:
        """The table with those types, in which those words are known to stand for null in columns that are not text."""
        frame = self.lazy(self.files, kinds, words)
        return Scanned(frame, tuple(notes), self.check, lambda error: self.widen(kinds, words, error))

    def lazy(
        self, files: Sequence[File], kinds: Kinds, words: Collection[str], *, lenient: bool = False
    ) -> pl.LazyFrame:
        """Files with those types; `lenient`: null for what does not fit.

        The parser compares every field with every word that it is given, a tenth of its time with all of them. So it
        is given those that the sample has, and texts are compared after; any other word in a number is a misfit.
        """
        frame = self._scan(files, kinds, words, lenient=lenient)
        later = [word for word in NULLS if word not in words]
        texts = [exactly(name) for name, kind in kinds.items() if kind == pl.String] if later else []
        return frame.with_columns(pl.when(~_is_any(text, later)).then(text) for text in texts)

    def text(self, files: Sequence[File], words: Sequence[str] = (*NULLS, "")) -> pl.LazyFrame:
        """Files as text with the number of the row, null where there is no value."""
        return self._scan(files, dict.fromkeys(self.dialect.names, pl.String()), words, row=_ROW)

    def _scan(
        self,
        files: Sequence[File],
        kinds: Kinds,
        words: Collection[str],
        *,
        lenient: bool = False,
        row: str | None = None,
    ) -> pl.LazyFrame:
        """What the parser makes of files."""
        return pl.scan_csv(
            [file.path for file in files],
            has_header=False,
            skip_rows=1,
            schema=dict(kinds),
            separator=self.dialect.separator,
            null_values=sorted(words) or None,
            ignore_errors=lenient,
            row_index_name=row,
            glob=False,
        )

    def sample(self) -> Sample:
        """Look at the first rows of every file. Errors: those of the check, Corrupt."""
        names = self.dialect.names
        facts, words, rows = dict.fromkeys(names, Facts()), dict.fromkeys(names, frozenset[str]()), 0
        for file in self.files:
            try:
                raw = self.text([file], [""]).head(max(100, SAMPLE // len(self.files))).collect(engine="streaming")
            except (PolarsError, PanicException) as error:
                csv_check.rows(file, self.shape(), lambda: False)
                self.find_fault()
                raise Corrupt(f"{file.name}: {str(error).splitlines()[0]}") from None
            for name in names:
                values = raw[name].alias("value")  # of a series that is called ^…$ polars finds none
                words[name] |= frozenset(NULLS) & frozenset(values.unique())
            part = raw.select(pl.when(~_is_any(exactly(name), NULLS)).then(exactly(name)) for name in names)
            found = csv_types.read(part.select(csv_types.count(names)).row(0, named=True))
            facts = {name: facts[name] + found[name] for name in names}
            rows += raw.height
        return Sample(rows, facts, words)

    def facts(self, columns: Sequence[str]) -> dict[str, Facts]:
        """What all values of some columns are like."""
        facts = dict.fromkeys(columns, Facts())
        for file in self.files:
            counted = self.text([file]).select(csv_types.count(columns)).collect(engine="streaming")
            found = csv_types.read(counted.row(0, named=True))
            facts = {name: facts[name] + found[name] for name in facts}
        return facts

    def shape(self) -> csv_check.Shape:
        """What every record must be like."""
        return csv_check.Shape(len(self.dialect.names), self.dialect.separator.encode(), self.narrowed)

    def check(self, give_up: Callable[[], bool]) -> int:
        """Look at every record of every file; the number of rows."""
        return sum(csv_check.rows(file, self.shape(), give_up) for file in self.files)

    def find_fault(self) -> None:
        """Raise what is wrong with the quotes that made a parser fail, with its line, if that can be found."""
        for file in self.files:
            fault = csv_check.find_fault(file, self.shape())
            if fault:
                raise fault

    def widen(self, kinds: Kinds, words: Collection[str], error: str) -> Scanned | None:
        """The table with wider types for the columns that do not fit theirs, each told with the first such value."""
        told = _COLUMN.search(error)
        if told is None or kinds.get(told[1], pl.String()) == pl.String:
            self.find_fault()
            return None
        misfits = self.misfits(kinds)
        if not misfits and len(words) < len(NULLS):
            late = [word for word in NULLS if word not in words]
            where = self.place(told[1], _is_any(exactly(told[1]), late), [])
            return self.scanned(kinds, NULLS, [f"column {told[1]}: {where} stands for no value; reading it again"])
        misfits = misfits or [told[1]]
        facts = self.facts(misfits)
        wider = {name: csv_types.decide(facts[name]) or pl.String() for name in misfits}
        wider |= {name: pl.String() for name in misfits if wider[name] == kinds[name]}
        return self.scanned({**kinds, **wider}, NULLS, [self.tell(name, kinds[name], wider[name]) for name in misfits])

    def misfits(self, kinds: Kinds) -> list[str]:
        """The columns with a value that its type does not allow: those that lose values when they are read with it."""
        typed = [name for name, kind in kinds.items() if kind != pl.String]
        values = [exactly(name).count() for name in typed]
        try:
            kept = self.lazy(self.files, kinds, NULLS, lenient=True).select(values).collect(engine="streaming").row(0)
            there = self.text(self.files).select(values).collect(engine="streaming").row(0)
        except (PolarsError, PanicException):
            return []
        return [name for name, one, other in zip(typed, kept, there, strict=True) if one != other]

    def tell(self, column: str, old: pl.DataType, new: pl.DataType) -> str:
        """Say which value made a column wider, and where it is."""
        where = self.place(column, exactly(column).is_not_null() & ~csv_types.fits(column, old))
        return f"column {column}: {where} is not {csv_types.called(old)}; reading it as {csv_types.plural(new)}"

    def place(self, column: str, bad: pl.Expr, words: Sequence[str] = (*NULLS, "")) -> str:
        """The first value of a column for which `bad` holds, and its line."""
        for file in self.files:
            rows = self.text([file], words).filter(bad).select(_ROW, exactly(column))
            first = rows.head(1).collect(engine="streaming")
            if first.height:
                row, value = first.row(0)
                line = csv_check.line_of(file, row)
                where = f"line {line}" if len(self.files) == 1 else f"{file.name}:{line}"
                return f'"{value[:40]}" at {where}'
        return "a value"


def _is_any(text: pl.Expr, words: Sequence[str]) -> pl.Expr:
    """Whether a text is one of some words; null where it is null."""
    return functools.reduce(operator.or_, [text == word for word in words])
