"""Whatever table is written as CSV, by whichever writer, is read back as it was."""

import csv as writer
import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.sources import csv
from mlops_cli.sources.base import File, Options

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map("t{}".format)
HARD = st.sampled_from(['t,"', 't"', "t\n", "t\r\n\n", "t ", "t;|\t", "t\u2028", 't""', "t\ufeff"])
DAYS = st.dates(datetime.date(1, 1, 1), datetime.date(9999, 12, 31))
TIMES = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))
COLUMNS = st.sampled_from(
    [
        (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
        (pl.Float64, st.floats().map(lambda value: value + 0.5 if value.is_integer() else value)),
        (pl.String, TEXT | HARD),
        (pl.Boolean, st.booleans()),
        (pl.Date, DAYS),
        (pl.Datetime("us"), TIMES),
    ]
)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    """A table of at least two columns and one row, with nulls, and at least one value in every column."""
    rows = draw(st.integers(1, 12))
    columns = []
    for number in range(draw(st.integers(2, 5))):
        kind, values = draw(COLUMNS)
        drawn = draw(st.lists(values | st.none(), min_size=rows, max_size=rows))
        drawn[draw(st.integers(0, rows - 1))] = draw(values)
        columns.append(pl.Series(f"c{number}", drawn, dtype=kind))
    frame = pl.DataFrame(columns)
    whole = [name for name, kind in frame.schema.items() if kind == pl.Float64 and not needs_a_point(frame[name])]
    return frame.drop(whole) if len(whole) < frame.width - 1 else pl.DataFrame({"a": ["t"], "b": [1]})


def needs_a_point(values: pl.Series) -> bool:
    """Whether a column of numbers cannot be taken for integers."""
    return bool((values.is_nan() | values.is_infinite() | (values % 1 != 0)).any())


def by_hand(frame: pl.DataFrame, path: Path, separator: str, quoting: int, end: str) -> None:
    """Write a table as the standard library does; null is the empty field without quotes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = writer.writer(file, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
        out.writerow(frame.columns)
        for row in frame.iter_rows():
            out.writerow("NA" if value is None else value if isinstance(value, str) else str(value) for value in row)


def back(folder: Path, paths: list[Path]) -> pl.DataFrame:
    """Read, with the check that `ingest` runs beside."""
    scanned = csv.scan([File(path, path.name) for path in paths], Options(folder))
    frame = scanned.frame.collect(engine="streaming")
    assert scanned.check is not None
    assert scanned.check(lambda: False) == frame.height
    assert scanned.notes == ()
    return frame


@settings(deadline=None, max_examples=80)
@given(frames(), st.sampled_from([",", ";", "\t", "|"]), st.integers(1, 4))
def test_what_polars_writes(
    tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame, separator: str, files: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    size = -(-frame.height // files)
    paths = []
    for start in range(0, frame.height, size):
        paths.append(folder / f"{start}.csv")
        part = frame.slice(start, size)
        part.write_csv(paths[-1], separator=separator, datetime_format="%Y-%m-%d %H:%M:%S%.6f")
    assert back(folder, paths).equals(frame)


@settings(deadline=None, max_examples=80)
@given(
    frames(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([writer.QUOTE_MINIMAL, writer.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_standard_library_writes(
    tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame, separator: str, quoting: int, end: str
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    by_hand(frame, folder / "x.csv", separator, quoting, end)
    assert back(folder, [folder / "x.csv"]).equals(frame)
