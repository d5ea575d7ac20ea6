"""Bare data files as tables, for every command that takes a dataset."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import polars as pl

from mlops_cli.sources import packed
from mlops_cli.sources.base import File
from mlops_cli.steps import ingest_files, reading
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Output
from mlops_cli.steps.references import Stdin


def scan(ctx: Context, path: Path) -> pl.LazyFrame:
    """A data file as a lazy frame that can be collected any number of times.

    Text whose types may turn out too narrow half way, and what is compressed, is ingested into the workspace first
    (and found there the next time); Parquet, Arrow and NDJSON are read where they are. Errors: those of `ingest`.
    """
    from mlops_cli.steps import ingest  # not above: it writes tables, and `tables` reads bare files

    file = File(path, str(path))
    if not packed.packing(file.head()):
        prepared = reading.prepare([file], None, Path())
        if prepared.format != "csv":
            # Only an array of objects needs a place for a copy.
            return prepared.scan(_scratch() if prepared.format == "ndjson" else Path(), narrowed=True).frame
    made = ingest.run(ctx, ingest.Sources((str(path),)), ingest.Options(), Output()).artefact
    assert made is not None
    return pl.scan_parquet(made.tables(), glob=False)


def scan_stdin(stdin: Stdin) -> pl.LazyFrame:
    """Data on standard input other than a stream, spooled to `$TMPDIR`, as a lazy frame."""
    scratch = _scratch()
    file = File(ingest_files.receive(stdin.file, scratch), ingest_files.STDIN)
    return reading.prepare([file], stdin.kind, scratch).scan(scratch, narrowed=True).frame


def _scratch() -> Path:
    """A directory below `$TMPDIR`, removed when the process ends."""
    path = Path(tempfile.mkdtemp(prefix="mlops-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
