"""The window of a prediction log that is judged: rows that one version answered, as one typed table."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl
from polars.exceptions import PanicException, PolarsError

from mlops_cli.errors import Usage
from mlops_cli.runtime.log import REDACTED
from mlops_cli.runtime.log_files import Entry
from mlops_cli.runtime.signature import InputColumn
from mlops_cli.steps import tables, watch_files
from mlops_cli.steps.context import Context
from mlops_cli.steps.watch_files import ENVELOPE, Part
from mlops_cli.steps.watch_types import TYPES, text, typed
from mlops_cli.store import records

INPUT = "input."
_HIDDEN = "hidden."
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOOKED_AT = 100


@dataclass(frozen=True)
class Window:
    """From when to when rows are judged: stamps in UTC."""

    text: str
    since: str
    until: str


@dataclass(frozen=True)
class Answered:
    """Whose rows are judged: those of a registered name and version; of both None, all rows."""

    model: str | None
    version: str | None


@dataclass(frozen=True)
class Log:
    """The rows in the window: a frame with the columns of ENVELOPE and `input.NAME` for each logged input column.

    `others` counts rows in the window by model and version that are not judged, `damaged` lines that are no rows.
    `logged` are the input columns that the log keeps, `unlogged` those it does not, or only as `***`.
    """

    frame: pl.LazyFrame
    rows: int
    others: dict[tuple[str | None, str | None], int]
    damaged: int
    logged: list[InputColumn]
    unlogged: list[str]


def window(length: str, now: datetime) -> Window:
    """The window that ends now: `7d`, `12h`, `30m`, `2w`, or `all`; Usage for anything else."""
    until = records.stamp(now)
    if length == "all":
        return Window(length, "", until)
    return Window(length, records.stamp(now - duration(length, "a window", "or all")), until)


def duration(length: str, what: str, more: str = "") -> timedelta:
    """How long `30m`, `12h`, `7d` or `2w` is; Usage for anything else."""
    found = re.fullmatch(r"(\d{1,5})([smhdw])", length)
    if not found or int(found[1]) == 0:
        raise Usage(f"{length!r} is not {what}", f"write it as 30s, 15m, 12h, 7d, 2w {more}".rstrip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@contextmanager
def read(ctx: Context, directory: Path, span: Window, answered: Answered, columns: list[InputColumn]) -> Iterator[Log]:
    """The rows of the log in a window, spooled to `$TMPDIR` so that everything that is measured sees the same rows.

    Errors: Missing without such a directory, InputUnusable for a file that cannot be read.
    """
    since = datetime.fromisoformat(span.since).date() if span.since else date.min
    folder = Path(tempfile.mkdtemp(prefix="mlops-watch-"))
    try:
        with watch_files.held(directory, ctx.note):
            spool = _Spool(folder, span, answered)
            parts = [part for part in watch_files.parts(directory, since) if part.size]
            seen = set().union(*map(_input_names, parts))
            logged = [column for column in columns if column.name in seen]
            for done, part in enumerate(parts):
                ctx.progress("read the log", done, len(parts))
                spool.add(part, logged)
        shown = [column for column in logged if column.name not in spool.redacted]
        unlogged = [column.name for column in columns if column not in shown]
        yield Log(spool.frame(logged), spool.rows, spool.others, spool.damaged, shown, unlogged)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Spool:
    """Takes the files of a log one by one and keeps the rows that are judged, as Parquet."""

    def __init__(self, folder: Path, span: Window, answered: Answered) -> None:
        self._folder, self._span, self._answered = folder, span, answered
        self._files: list[Path] = []
        self.rows = self.damaged = 0
        self.others: dict[tuple[str | None, str | None], int] = {}
        self.redacted: set[str] = set()

    def add(self, part: Part, columns: list[InputColumn]) -> None:
        """Take one file; lines of it that are no rows are counted and left out."""
        data = b"" if part.compacted else _prefix(part)
        try:
            self._take(_rows(part, data, columns), columns)
        except (PolarsError, PanicException):
            with tables.reading(str(part.path)):
                sound, damaged = _sound(data)
                self._take(_rows(part, sound, columns), columns)
                self.damaged += damaged

    def frame(self, columns: list[InputColumn]) -> pl.LazyFrame:
        """All rows that were kept."""
        if self._files:
            return pl.scan_parquet(self._files, glob=False)
        typed = {INPUT + column.name: TYPES[column.type] for column in columns}
        return pl.LazyFrame(schema={**ENVELOPE, **typed})

    def _take(self, rows: pl.LazyFrame, columns: list[InputColumn]) -> None:
        """Write the rows that are judged, and count all of the window, in one pass."""
        target = self._folder / f"{len(self._files):06d}.parquet"
        inside = rows.filter((pl.col("at") >= self._span.since) & (pl.col("at") <= self._span.until))
        mine, hidden = self._mine(), [_HIDDEN + column.name for column in columns]
        sink = inside.filter(mine).drop(hidden).sink_parquet(target, compression="lz4", lazy=True)
        counted = inside.group_by("model", "version", mine.alias("mine")).agg(pl.len(), pl.col(hidden).any())
        _, groups = pl.collect_all([sink, counted], engine="streaming")
        self._files.append(target)
        for group in groups.iter_rows(named=True):
            if group["mine"]:
                self.rows += group["len"]
                self.redacted |= {name.removeprefix(_HIDDEN) for name in hidden if group[name]}
            else:
                who = (group["model"], group["version"])
                self.others[who] = self.others.get(who, 0) + group["len"]

    def _mine(self) -> pl.Expr:
        """Whether a row is judged."""
        if self._answered.model is None:
            return pl.lit(True)
        return (pl.col("model") == self._answered.model).fill_null(False) & pl.col("version").eq_missing(
            pl.lit(self._answered.version)
        )


def _prefix(part: Part) -> bytes:
    """The whole lines of an NDJSON file."""
    with part.path.open("rb") as file:
        return file.read(part.size)


def _sound(data: bytes) -> tuple[bytes, int]:
    """The lines that are rows, and how many are not: a disk that was full may have left some."""
    decoder = msgspec.json.Decoder(Entry)
    kept, damaged = [], 0
    for line in data.split(b"\n"):
        try:
            if line.strip():
                decoder.decode(line)
                kept.append(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            damaged += 1
    return b"\n".join([*kept, b""]), damaged


def _input_names(part: Part) -> set[str]:
    """The input columns that a file holds, by its schema or its first lines."""
    with tables.reading(str(part.path)):
        if part.compacted:
            inputs = pl.scan_parquet(part.path, glob=False).collect_schema().get("inputs")
            return {field.name for field in inputs.fields} if isinstance(inputs, pl.Struct) else set()
    names: set[str] = set()
    with suppress(msgspec.DecodeError), part.path.open("rb") as file:
        for line in islice(file, _LOOKED_AT):
            names.update(msgspec.json.decode(line, type=Entry).inputs)
    return names


def _rows(part: Part, data: bytes, columns: list[InputColumn]) -> pl.LazyFrame:
    """A file's rows: the columns of ENVELOPE, `input.NAME` of its type, and `hidden.NAME` where it is redacted."""
    if part.compacted:
        frame = pl.scan_parquet(part.path, glob=False)
    else:
        inputs = {"inputs": pl.Struct({column.name: pl.String for column in columns})} if columns else {}
        frame = pl.scan_ndjson(data, schema={**ENVELOPE, **inputs})
    schema = frame.collect_schema()
    kinds = _kinds(schema.get("inputs"))
    wanted = [_envelope(name, schema.get(name)) for name in ENVELOPE]
    for column in columns:
        kind, value = kinds.get(column.name), pl.col("inputs").struct.field(column.name)
        logged = pl.lit(None, TYPES[column.type]) if kind is None else typed(value, kind, column.type)
        redacted = value == REDACTED if kind == pl.String else pl.lit(False)
        wanted += [logged.alias(INPUT + column.name), redacted.alias(_HIDDEN + column.name)]
    return frame.select(wanted)


def _kinds(inputs: pl.DataType | None) -> dict[str, pl.DataType]:
    """The polars types of the logged inputs."""
    if not isinstance(inputs, pl.Struct):
        return {}
    return dict(pl.Schema(inputs).items())


def _envelope(name: str, kind: pl.DataType | None) -> pl.Expr:
    """One column of ENVELOPE as it is typed there."""
    want = ENVELOPE[name]
    if kind is None:
        return pl.lit(None, want).alias(name)
    return (text(pl.col(name), kind) if name in ("key", "prediction") else pl.col(name).cast(want)).alias(name)
