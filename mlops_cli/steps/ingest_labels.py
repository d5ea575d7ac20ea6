"""What is said of images beside them: a table (CSV, NDJSON, JSON, Parquet) with a path, a label and whatever else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl
from polars.exceptions import PolarsError

from mlops_cli.errors import SchemaMismatch
from mlops_cli.sources.asked import Asked
from mlops_cli.sources.image_files import Collection, Entry, Unreadable
from mlops_cli.steps import ingest_build, ingest_tables
from mlops_cli.steps.context import Context
from mlops_cli.steps.ingest_tables import Origin
from mlops_cli.steps.selection import TABLE, Selection

PATHS = ("file_name", "path", "filename", "image", "file")
LABELS = ("label", "class")
TIMES = ("time", "timestamp", "datetime")
CAMERAS = ("camera", "camera_id")
"""What the columns may be called, the first that is there."""

_MILLISECONDS = 100_000_000_000
"""Whole numbers from here on are milliseconds since 1970 (1973), those below seconds (up to the year 5138)."""


@dataclass(frozen=True)
class Sidecar:
    """A row for each image that something is said of, and one of nulls at the end for all others.

    `rows` are by the number of the collection (-1: any) and the path below it. `label`, `time` (µs since 1970, UTC)
    and `camera` are None for a column that is not there; `extras` are the further columns.
    """

    name: str
    rows: dict[tuple[int, str], int]
    label: list[str | None] | None
    time: list[int | None] | None
    camera: list[str | None] | None
    extras: pl.DataFrame

    def row(self, number: int, collection: Collection, entry: Entry) -> int:
        """The row of an image: found by its path, with or without the source's name before it, else by its name."""
        for path in (entry.path, entry.file):
            for before in ("", collection.wrapper, collection.name):
                for where in (number, -1):
                    found = self.rows.get((where, f"{before}/{path}" if before else path))
                    if found is not None:
                        return found
        found = self.rows.get((-1, PurePosixPath(entry.file).name))
        return self.extras.height - 1 if found is None else found


def given(ctx: Context, path: Path, scratch: Path, own: Sequence[str]) -> Sidecar:
    """The file of `--label`; `own` are the columns that images have anyway. SchemaMismatch."""
    frame = _read(ctx, path, str(path), scratch / "sidecar")
    return _sidecar(ctx, str(path), [(-1, "", frame)], own)


def beside(ctx: Context, collections: Sequence[Collection], scratch: Path, own: Sequence[str]) -> Sidecar | None:
    """The files `metadata.csv` and `metadata.jsonl` that lie among the images; None when there are none."""
    frames: list[tuple[int, str, pl.DataFrame]] = []
    for number, collection in enumerate(collections):
        for name, read in sorted(collection.sidecars.items()):
            path = scratch / f"found-{len(frames)}{PurePosixPath(name).suffix}"
            try:
                path.write_bytes(read())
            except Unreadable as error:
                raise SchemaMismatch(f"{name}: {error}") from None
            below = PurePosixPath(name).parent.as_posix()
            frame = _read(ctx, path, f"{collection.name}/{name}", scratch / f"read-{len(frames)}")
            frames.append((number, "" if below == "." else f"{below}/", frame))
    return _sidecar(ctx, "metadata", frames, own) if frames else None


def _read(ctx: Context, path: Path, name: str, directory: Path) -> pl.DataFrame:
    """The whole table of a sidecar, read as `ingest` reads any table."""
    origin = Origin(name, [], None, ingest_tables.files([(path, name)], Asked()))
    ingest_build.build(ctx, {TABLE: origin}, Selection(), directory)
    return pl.read_parquet(sorted(directory.glob("*.parquet")), glob=False)


def _sidecar(ctx: Context, name: str, frames: Sequence[tuple[int, str, pl.DataFrame]], own: Sequence[str]) -> Sidecar:
    """The tables as one, its columns told apart."""
    rows: dict[tuple[int, str], int] = {}
    for number, below, frame in frames:
        key = _column(frame, PATHS)
        if key is None:
            hint = f"it may be called {', '.join(PATHS)}"
            raise SchemaMismatch(f"{name}: no column says which image is meant", hint)
        for path in frame[key].cast(pl.String).to_list():
            place = (number, below + PurePosixPath(path or "").as_posix())
            if place in rows:
                raise SchemaMismatch(f"{name}: two rows are of the image {place[1]!r}", "leave one of them out")
            rows[place] = len(rows)
    try:
        whole = pl.concat([_plain(frame) for _, _, frame in frames], how="diagonal_relaxed")
    except PolarsError as error:
        reason = str(error).splitlines()[0][:200]
        raise SchemaMismatch(f"{name}: a column is of another type in each file: {reason}") from None
    whole = pl.concat([whole, whole.clear(1)])
    taken = {
        column: _column(whole, names) for column, names in (("label", LABELS), ("time", TIMES), ("camera", CAMERAS))
    }
    others = [column for column in whole.columns if column not in taken.values()]
    lost = [column for column in others if column in own]
    if lost:
        ctx.note(f"{name}: {', '.join(lost)} is left out, since images have it by themselves")
    return Sidecar(
        name,
        rows,
        _texts(whole, taken["label"]),
        _times(whole, taken["time"]),
        _texts(whole, taken["camera"]),
        whole.select(column for column in others if column not in own),
    )


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """A table without the column of paths."""
    return frame.drop(_column(frame, PATHS) or [])


def _column(frame: pl.DataFrame, names: Sequence[str]) -> str | None:
    """The first of the names that is a column."""
    return next((name for name in names if name in frame.columns), None)


def _texts(frame: pl.DataFrame, column: str | None) -> list[str | None] | None:
    """A column as texts."""
    return None if column is None else frame[column].cast(pl.String).to_list()


def _times(frame: pl.DataFrame, column: str | None) -> list[int | None] | None:
    """A column of times as µs since 1970; whole numbers are seconds, or milliseconds; what is no time is null."""
    if column is None:
        return None
    series = frame[column]
    if series.dtype == pl.String:
        series = series.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if series.dtype.is_integer():
        whole = series.cast(pl.Int64, strict=False)
        milliseconds = (whole * 1_000).zip_with(whole.abs() < _MILLISECONDS, whole)
        return (milliseconds * 1_000).to_list()
    if not series.dtype.is_temporal() or series.dtype in (pl.Time, pl.Duration):
        return [None] * frame.height
    return series.cast(pl.Datetime("us")).to_physical().to_list()
