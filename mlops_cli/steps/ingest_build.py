"""Write what was read as one Parquet table: checked beside, and again with wider types when a value does not fit."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable
from mlops_cli.sources.base import File, Scanned
from mlops_cli.steps import ingest_files, reading, tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_query import select
from mlops_cli.steps.selection import Selection
from mlops_cli.steps.tables import Written


def build(
    ctx: Context, files: Sequence[File], format: str | None, selection: Selection, directory: Path
) -> tuple[Written, str]:
    """Convert files of one format to a table in `directory`; what was written, and the format. EmptyInput: no rows."""
    with ingest_files.scratch() as scratch:
        prepared = reading.prepare(files, format, scratch)
        scanned = prepared.scan(scratch, narrowed=selection.narrows)
        written = _convert(ctx, scanned, selection, directory)
    if written.rows == 0:
        what = "the selection leaves no rows" if selection.drops_rows else "there are no rows"
        raise EmptyInput(f"{files[0].name}: {what}")
    return written, prepared.format


def _convert(ctx: Context, scanned: Scanned, selection: Selection, directory: Path) -> Written:
    """Write a table as Parquet, its rows checked beside; again with wider types when a value does not fit."""
    with _checking(scanned) as check, _ticking(ctx, directory):
        while True:
            for line in scanned.notes:
                ctx.note(line)
            frame = select(scanned.frame, selection)
            try:
                written = tables.write_table(frame, directory)
                break
            except InputUnusable as error:
                check.result()
                wider = scanned.widen(str(error.__context__ or error)) if scanned.widen else None
                if wider is None:
                    raise
                scanned = wider
        rows = check.result()
    if rows is not None and not selection.drops_rows and rows != written.rows:
        raise Corrupt(f"there are {rows:,} rows, but {written.rows:,} could be read", "please report it")
    return written


class _Check:
    """The check of a source, in a thread of its own."""

    def __init__(self, scanned: Scanned, pool: ThreadPoolExecutor, over: threading.Event) -> None:
        self._future = pool.submit(scanned.check, over.is_set) if scanned.check else None

    def result(self) -> int | None:
        """Wait for the number of rows that it counted; raises what it found."""
        return self._future.result() if self._future else None


@contextlib.contextmanager
def _checking(scanned: Scanned) -> Iterator[_Check]:
    """Run the check of a source beside the conversion; it gives up when that has failed."""
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
