"""What every source must do: every name in the table × every rule."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_cli import extensions
from mlops_cli.errors import EmptyInput, InputUnusable, MlopsError, SchemaMismatch
from mlops_cli.sources.base import HEAD, File, Options, Scanned
from mlops_cli.steps import tables

WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": lambda frame, path: frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.6f"),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
    "parquet": lambda frame, path: frame.write_parquet(path),
    "arrow": lambda frame, path: frame.write_ipc(path),
}

FRAME = pl.DataFrame(
    {
        "whole": [1, None, -3, 2**53],
        "real": [0.5, None, -1e300, 2.0],
        "text": ['x, "y"', "", "ü\n☃", None],
        "flag": [True, False, None, True],
        "day": [datetime.date(2013, 1, 31), None, datetime.date(1999, 12, 1), datetime.date(2024, 2, 29)],
        "at": [datetime.datetime(2013, 1, 31, 10, 5, 1, 250), None, datetime.datetime(1999, 12, 1), None],
    }
)


def every(name: str) -> Any:
    """The rule for every source."""
    return pytest.mark.parametrize(name, list(extensions.SOURCES))


def written(folder: Path, name: str, *frames: pl.DataFrame) -> list[File]:
    files = []
    for number, frame in enumerate(frames):
        path = folder / f"part{number}.{name}"
        WRITERS[name](frame, path)
        files.append(File(path, path.name))
    return files


def scanned(folder: Path, name: str, files: list[File]) -> Scanned:
    found: Scanned = extensions.load("sources", name).scan(files, Options(folder))
    return found


def read(folder: Path, name: str, files: list[File]) -> pl.DataFrame:
    """All there is, the way that ingest reads it; whatever is wrong is one of our errors."""
    found = scanned(folder, name, files)
    try:
        with tables.reading(files[0].name):
            frame = found.frame.collect(engine="streaming")
    except InputUnusable as error:
        if found.check:
            found.check(lambda: False)
        wider = found.widen(str(error.__context__ or error)) if found.widen else None
        if wider is None:
            raise
        frame = wider.frame.collect(engine="streaming")
    if found.check:
        assert found.check(lambda: False) == frame.height
    return frame


def test_every_source_has_a_writer_here() -> None:
    assert set(WRITERS) == set(extensions.SOURCES)


@every("name")
def test_is_recognised_by_its_bytes_and_by_no_one_before_it(tmp_path: Path, name: str) -> None:
    (file,) = written(tmp_path, name, FRAME)
    head = file.path.read_bytes()[:HEAD]
    claims = [other for other in extensions.SOURCES if extensions.load("sources", other).matches("data", head)]
    assert claims[0] == name


@every("name")
def test_reads_what_was_written(tmp_path: Path, name: str) -> None:
    frame = read(tmp_path, name, written(tmp_path, name, FRAME))
    assert frame.equals(FRAME)
    assert frame.schema == FRAME.schema


@every("name")
def test_can_be_collected_again_in_part_and_in_order(tmp_path: Path, name: str) -> None:
    frame = scanned(tmp_path, name, written(tmp_path, name, FRAME)).frame
    assert frame.select("text", "whole").collect(engine="streaming").equals(FRAME.select("text", "whole"))
    assert frame.head(2).collect(engine="streaming").equals(FRAME.head(2))
    assert frame.filter(pl.col("flag")).collect(engine="streaming").equals(FRAME.filter(pl.col("flag")))


@every("name")
def test_rows_are_there_when_no_column_is_wanted(tmp_path: Path, name: str) -> None:
    frame = scanned(tmp_path, name, written(tmp_path, name, FRAME)).frame
    pairs = frame.join(pl.LazyFrame({"other": [1, 2, 3]}), how="cross").select("other")
    assert pairs.collect(engine="streaming").height == 3 * FRAME.height


@every("name")
def test_files_follow_one_another(tmp_path: Path, name: str) -> None:
    files = written(tmp_path, name, FRAME.head(1), FRAME.slice(1, 2), FRAME.tail(1))
    assert read(tmp_path, name, files).equals(FRAME)


@every("name")
def test_numbers_of_several_files_are_as_wide_as_the_widest(tmp_path: Path, name: str) -> None:
    files = written(tmp_path, name, pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [0.5]}))
    frame = read(tmp_path, name, files)
    assert frame.schema == {"x": pl.Float64}
    assert frame["x"].to_list() == [1.0, 2.0, 0.5]


@every("name")
def test_other_columns_in_another_file_are_refused_by_name(tmp_path: Path, name: str) -> None:
    if name == "ndjson":
        pytest.skip("a key that a row lacks is null")
    for other in (pl.DataFrame({"x": [1], "z": [2]}), pl.DataFrame({"y": [1], "x": [2]}), pl.DataFrame({"x": [1]})):
        files = written(tmp_path, name, pl.DataFrame({"x": [1], "y": [2]}), other)
        with pytest.raises(SchemaMismatch, match="part1"):
            read(tmp_path, name, files)


@every("name")
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "none"
    path.write_bytes(b"")
    with pytest.raises(EmptyInput, match="none"):
        scanned(tmp_path, name, [File(path, "none")])


@every("name")
def test_more_rows_than_a_batch(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"n": range(200_000), "s": [f"v{number % 97}" for number in range(200_000)]})
    assert read(tmp_path, name, written(tmp_path, name, frame)).equals(frame)


@every("name")
def test_damage_is_told_in_one_line_and_never_kills(tmp_path: Path, name: str) -> None:
    frame = pl.concat([FRAME] * 50)
    (file,) = written(tmp_path, name, frame)
    data, dice = file.path.read_bytes(), random.Random(name)
    for _ in range(60):
        mutant = bytearray(data)
        if dice.random() < 0.3:
            mutant = mutant[: dice.randrange(1, len(mutant))]
        else:
            for _ in range(dice.choice([1, 1, 3, 10])):
                mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        file.path.write_bytes(mutant)
        try:
            read(tmp_path, name, [file])
        except MlopsError as error:
            assert isinstance(error, InputUnusable)
            assert "\n" not in error.message
            assert file.name in error.message


@every("name")
def test_the_same_table_has_the_same_bytes_whichever_way_it_came(tmp_path: Path, name: str) -> None:
    frame = pl.concat([FRAME] * 20)
    whole = written(tmp_path, name, frame)
    reference = tables.write_table(frame.lazy(), tmp_path / "reference")
    made = tables.write_table(scanned(tmp_path, name, whole).frame, tmp_path / "made")
    parts = written(tmp_path, name, *(frame.slice(start, 30) for start in range(0, frame.height, 30)))
    tables.write_table(scanned(tmp_path, name, parts).frame, tmp_path / "parts")
    assert made == reference
    contents = {(tmp_path / place / "part-00000.parquet").read_bytes() for place in ("reference", "made", "parts")}
    assert len(contents) == 1
