"""The shape of CSV files: ragged rows, quotes and bytes that are no text, told with their line."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.errors import Corrupt, InputUnusable
from mlops_cli.sources import csv_check
from mlops_cli.sources.base import File

HEADER = b"a,b,c\n"


def rows(path: Path, data: bytes, *, columns: int = 3, exact: bool = False) -> int:
    path.write_bytes(data)
    return csv_check.rows(File(path, "x.csv"), csv_check.Shape(columns, b",", exact), lambda: False)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"1,2,3\n", 1),
        (b"1,2,3", 1),
        (b"1,2,3\r\n4,5,6\r\n", 2),
        (b',,\n,,""\n', 2),
        (b'1,"x\ny, ""z""",3\n4,5,6\n', 2),
        (b'1,5"x"6,3\n', 1),
        ("1,é,☃\n".encode(), 1),
        (b"", 0),
    ],
)
def test_counts_rows(tmp_path: Path, data: bytes, count: int, exact: bool) -> None:
    assert rows(tmp_path / "x", HEADER + data, exact=exact) == count


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1,2,3\n4,5\n", "x.csv:3: 2 fields, the header has 3"),
        (b"1,2,3\n4,5,6,7\n", "x.csv:3: 4 fields, the header has 3"),
        (b"1,2,3\n4\n", "x.csv:3: 1 field, the header has 3"),
        (b'1,"x\n\ny",3\n4,5\n', "x.csv:5: 2 fields, the header has 3"),
        (b"1,2,3\n\n4,5,6\n", "x.csv:3: a blank line among rows of 3 fields"),
        (b'1,2,3\n4,"x,6\n', "x.csv:3: a quote is opened and never closed"),
        (b'1,2,3\n4,5" a,6" b\n', "x.csv:3: a quote inside a field that is not quoted"),
        (b"1,2,3\n4,\xff,6\n", "x.csv:3: byte 0xff is not UTF-8"),
        (b"1,2,3\n4,\0,6\n", "x.csv:3: a zero byte: this is not text"),
    ],
)
def test_tells_the_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputUnusable) as caught:
        rows(tmp_path / "x", HEADER + data)
    assert caught.value.message == message


def test_long_and_short_rows_that_make_up_for_each_other_are_found_when_asked(tmp_path: Path) -> None:
    data = HEADER + b"1,2,3\n4,5\n6,7,8,9\n"
    assert rows(tmp_path / "x", data) == 3  # here the parser refuses the long one
    with pytest.raises(InputUnusable, match=r"x.csv:3: 2 fields"):
        rows(tmp_path / "x", data, exact=True)


def test_far_into_a_file_of_many_blocks(tmp_path: Path) -> None:
    lines = b"".join(b'%d,"text, with\nline ends",x\n' % number for number in range(30_000))
    assert rows(tmp_path / "x", HEADER + lines) == 30_000
    with pytest.raises(InputUnusable, match=r"x.csv:60002: 2 fields"):
        rows(tmp_path / "x", HEADER + lines + b"1,2\n" + lines)


def test_an_open_quote_does_not_take_the_file_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_check, "_LONGEST", 1 << 16)
    with pytest.raises(Corrupt, match="never closed"):
        rows(tmp_path / "x", HEADER + b'1,"2,3\n' + b"4,5,6\n" * 200_000)


def test_gives_up_when_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(HEADER + b"1,2\n")
    assert csv_check.rows(File(tmp_path / "x", "x"), csv_check.Shape(3, b",", False), lambda: True) == 0


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(['"', ",", '",\n"'])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=30), st.integers(16, 64), st.booleans())
def test_whatever_is_well_written_passes(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, str]], block: int, exact: bool
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("a", "b"), *table])
    path = tmp_path_factory.mktemp("x") / "x"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_check, "_BLOCK", block)
        assert rows(path, text.getvalue().encode(), columns=2, exact=exact) == len(table)


def test_the_line_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(HEADER + b'1,"x\ny",3\n4,5,6\n7,"\n\n",9\n10,11,12')
    assert [csv_check.line_of(File(path, "x"), row) for row in range(4)] == [2, 4, 5, 8]
