"""Write what was read as one Parquet table: checked beside, and again with wider types when a value does not fit."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable
from mlops_cli.sources.base import Scanned
from mlops_cli.steps import ingest_files, ingest_grow, ingest_shape, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_shape import Shaped
from mlops_cli.steps.ingest_since import Growth
from mlops_cli.steps.ingest_tables import Origin
from mlops_cli.steps.selection import Selection
from mlops_cli.steps.tables import Written
from mlops_cli.store.manifest import Input


@dataclass(frozen=True)
class Built:
    """What was written: the table, the rows that were dropped for their key, the formats it was read from by name, and
    the inputs as they turned out."""

    written: Written
    dropped: int
    formats: Mapping[str, str]
    inputs: list[Input]


def build(
    ctx: Context, origins: Mapping[str, Origin], selection: Selection, directory: Path, growth: Growth | None = None
) -> Built:
    """Convert tables (name in a query → table) to one in `directory`, only what is new of them to one that grows.

    Errors: EmptyInput for no rows; those of `ingest_grow.add`.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(ingest_files.scratch())
        opened = {}
        for number, (name, origin) in enumerate(origins.items()):
            place = scratch / str(number)
            place.mkdir()
            opened[name] = stack.enter_context(origin.opener(place, selection.narrows))
        scanned = {name: one.scanned for name, one in opened.items()}
        shaped = _convert(ctx, scanned, selection, scratch, directory, growth)
        inputs = [found for name, one in opened.items() for found in (one.settled or _known(origins[name]))()]
    if growth:
        shaped = replace(shaped, written=ingest_grow.add(growth, directory, shaped.written))
    if shaped.written.rows == 0:
        what = "the selection leaves no rows" if selection.drops_rows else "there are no rows"
        raise EmptyInput(f"{next(iter(origins.values())).name}: {what}")
    return Built(shaped.written, shaped.dropped, {name: one.format for name, one in opened.items()}, inputs)


def _known(origin: Origin) -> Callable[[], list[Input]]:
    """The inputs of a table that was known before it was read."""
    return lambda: origin.inputs


def _convert(
    ctx: Context,
    scanned: dict[str, Scanned],
    selection: Selection,
    scratch: Path,
    directory: Path,
    growth: Growth | None,
) -> Shaped:
    """Write a table as Parquet, its sources checked beside; again with wider types when a value does not fit."""
    for one in scanned.values():
        _tell(ctx, one)

    def sink(frame: pl.LazyFrame) -> Written:
        if growth is None:
            return tables.write_table(frame, directory)
        return tables.write_table(ingest_grow.wanted(frame, growth), directory, ingest_grow.part(growth))

    with _checking(scanned) as check, _ticking(ctx, directory):
        while True:
            frames = {name: one.frame for name, one in scanned.items()}
            try:
                shaped = ingest_shape.write(frames, selection, scratch, sink)
                break
            except InputUnusable as error:
                check.result()
                wider = _widened(scanned, str(error.__context__ or error))
                if not wider:
                    raise
                for one in wider.values():
                    _tell(ctx, one)
                scanned = scanned | wider
        rows = check.result()
    drops = selection.drops_rows or (growth is not None and growth.before is not None)
    read = shaped.written.rows + shaped.dropped
    if rows is not None and not drops and rows != read:
        raise Corrupt(f"there are {rows:,} rows, but {read:,} could be read", "please report it")
    return shaped


def _widened(scanned: Mapping[str, Scanned], message: str) -> dict[str, Scanned]:
    """The tables that have a wider reading after a parser failed with that message."""
    found = {name: one.widen(message) for name, one in scanned.items() if one.widen}
    return {name: one for name, one in found.items() if one is not None}


def _tell(ctx: Context, scanned: Scanned) -> None:
    """Tell people what was noticed of a table."""
    for line in scanned.notes:
        ctx.note(line)


class _Check:
    """The checks of the sources, in a thread of their own."""

    def __init__(self, scanned: Mapping[str, Scanned], pool: ThreadPoolExecutor, over: threading.Event) -> None:
        self._futures = [pool.submit(one.check, over.is_set) if one.check else None for one in scanned.values()]

    def result(self) -> int | None:
        """Wait for the number of rows counted, None unless all were; raises what was found."""
        counts = [future.result() if future else None for future in self._futures]
        return None if None in counts else sum(count or 0 for count in counts)


@contextlib.contextmanager
def _checking(scanned: Mapping[str, Scanned]) -> Iterator[_Check]:
    """Run the checks of sources beside the conversion; they give up when that has failed."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            yield _Check(scanned, pool, over)
        finally:
            over.set()


@contextlib.contextmanager
def _ticking(ctx: Context, directory: Path) -> Iterator[None]:
    """Tell every half second how many bytes have been written."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(0.5):
            written = sum(path.stat().st_size for path in directory.glob("*"))
            ctx.progress("writing Parquet", written, None)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
