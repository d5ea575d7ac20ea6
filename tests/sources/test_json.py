"""NDJSON and JSON arrays as tables."""

import datetime
from pathlib import Path

import polars as pl
import pytest
from polars.exceptions import PolarsError

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable, SchemaMismatch
from mlops_cli.sources import json
from mlops_cli.sources.base import File, Options, Scanned


def scan(folder: Path, *contents: bytes) -> Scanned:
    files = []
    for number, data in enumerate(contents):
        path = folder / f"x{number}.ndjson"
        path.write_bytes(data)
        files.append(File(path, path.name))
    return json.scan(files, Options(folder))


def table(folder: Path, *contents: bytes) -> pl.DataFrame:
    scanned = scan(folder, *contents)
    try:
        return scanned.frame.collect(engine="streaming")
    except PolarsError as error:
        assert scanned.widen is not None
        scanned.widen(str(error))
        raise


def test_keys_and_types_of_late_rows_count(tmp_path: Path) -> None:
    frame = table(tmp_path, b'{"a":1,"b":"x"}\n' * 20_000 + b'{"c":true,"b":null,"a":2.5}\n')
    assert frame.schema == {"a": pl.Float64, "b": pl.String, "c": pl.Boolean}
    assert frame.columns == ["a", "b", "c"]
    assert frame.row(-1) == (2.5, None, True)


def test_text_and_numbers_in_one_column_are_text(tmp_path: Path) -> None:
    assert table(tmp_path, b'{"a":1}\n{"a":"x"}\n')["a"].to_list() == ["1", "x"]
    assert table(tmp_path, b'{"a":1}\n', b'{"a":"x"}\n')["a"].to_list() == ["1", "x"]


def test_dates_and_times(tmp_path: Path) -> None:
    rows = (
        b'{"d":"2013-01-31","t":"2013-01-31T10:00","z":"2013-01-31T10:00:00Z","m":"2013-01-31","n":"x"}\n'
        b'{"d":null,"t":"2013-01-31 10:00:01.25","z":"2013-01-31T10:00:00.5+02:00","m":"later","n":null}\n'
        b'{"d":"1999-12-31","t":"2013-02-01","z":null,"m":null,"n":null}\n'
    )
    frame = table(tmp_path, rows)
    utc = datetime.UTC
    assert frame["d"].to_list() == [datetime.date(2013, 1, 31), None, datetime.date(1999, 12, 31)]
    assert frame["t"].to_list() == [
        datetime.datetime(2013, 1, 31, 10),
        datetime.datetime(2013, 1, 31, 10, 0, 1, 250_000),
        datetime.datetime(2013, 2, 1),
    ]
    assert frame["z"].to_list() == [
        datetime.datetime(2013, 1, 31, 10, tzinfo=utc),
        datetime.datetime(2013, 1, 31, 8, 0, 0, 500_000, tzinfo=utc),
        None,
    ]
    assert frame.schema["m"] == frame.schema["n"] == pl.String


def test_an_array_of_objects(tmp_path: Path) -> None:
    assert table(tmp_path, b' [\n {"a": 1, "b": "x"},\n {"a": 2}]\n').rows() == [(1, "x"), (2, None)]


def test_null_columns_and_integers_beyond_64_bits_are_text(tmp_path: Path) -> None:
    scanned = scan(tmp_path, b'{"a":null,"b":9223372036854775808}\n')
    assert scanned.frame.collect().rows() == [(None, "9223372036854775808")]
    assert scanned.notes == ("column b: integers that do not fit 64 bits; reading it as text",)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b" \n", EmptyInput, "x0.ndjson is empty"),
        (b"[]", EmptyInput, "x0.ndjson is an empty array"),
        (b"{}\n{}\n", EmptyInput, "x0.ndjson has rows without columns"),
        (b'{"a":1}\n{"a":\n', Corrupt, "x0.ndjson:2: not a JSON object: Input data was truncated"),
        (b'{"a":1}\n5\n', Corrupt, "x0.ndjson:2: a row must be a JSON object, this is: 5"),
        (b'{"a":1}\n\n{"a":true}\n', SchemaMismatch, "x0.ndjson:3: a is true or false, on line 1 it is a number"),
        (b'{"a":{"b":1}}\n{"a":[1]}\n', SchemaMismatch, "x0.ndjson:2: a is an array, on line 1 it is an object"),
        (b'\xef\xbb\xbf{"a":1}\n', Corrupt, "x0.ndjson:1: a byte order mark, which JSON has not"),
        (b'{"a":1}\n{"b":{"c":1,"c":2}}\n', SchemaMismatch, "x0.ndjson:2: the key 'c' is there twice"),
        (b'[{"a":1},', Corrupt, "x0.ndjson is not an array of JSON objects: Input data was truncated"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, error: type[InputUnusable], message: str) -> None:
    with pytest.raises(InputUnusable) as caught:
        table(tmp_path, data)
    assert (type(caught.value), caught.value.message) == (error, message)


DEEP = b'{"a":' + b"[" * 99_999


@pytest.mark.parametrize("text", [b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\xff"}', b'{"a":1}{"a":2}', DEEP])
def test_what_is_no_json_is_told_with_its_line(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(Corrupt, match=r"x0.ndjson:2: "):
        table(tmp_path, b'{"a":null}\n' + text + b"\n")


def test_files_that_nest_differently(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"x1.ndjson: column a is"):
        table(tmp_path, b'{"a":{"b":1}}\n', b'{"a":{"c":1}}\n')
