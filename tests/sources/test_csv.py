"""CSV files as tables: dialects, nulls, types from a sample, and wider ones where they do not fit."""

from pathlib import Path

import polars as pl
import pytest

from mlops_cli.errors import Corrupt, EmptyInput, InputUnusable, SchemaMismatch
from mlops_cli.sources import csv, csv_table
from mlops_cli.sources.base import File, Options, Scanned


def scan(folder: Path, *contents: bytes, narrowed: bool = False) -> Scanned:
    files = []
    for number, data in enumerate(contents):
        path = folder / f"x{number}.csv"
        path.write_bytes(data)
        files.append(File(path, path.name))
    return csv.scan(files, Options(folder, narrowed))


def table(folder: Path, *contents: bytes) -> pl.DataFrame:
    return scan(folder, *contents).frame.collect(engine="streaming")


@pytest.mark.parametrize("separator", [b",", b"\t", b";", b"|"])
def test_separators(tmp_path: Path, separator: bytes) -> None:
    data = b"a,b\n1,x y\n2,z\n".replace(b",", separator)
    assert table(tmp_path, data).rows() == [(1, "x y"), (2, "z")]


def test_another_separator_inside_the_fields(tmp_path: Path) -> None:
    assert table(tmp_path, b"day;price\n1;2,5\n2;3,5\n").rows() == [(1, "2,5"), (2, "3,5")]
    assert table(tmp_path, b'"a,b",c\n"1;2;3",4\n').rows() == [("1;2;3", 4)]


def test_byte_order_mark_line_ends_and_quotes(tmp_path: Path) -> None:
    frame = table(tmp_path, b'\xef\xbb\xbf"a ""q""",b\r\n"x\ny, ""z""",1\r\n"",\r\n')
    assert frame.columns == ['a "q"', "b"]
    assert frame.rows() == [('x\ny, "z"', 1), ("", None)]


def test_nulls(tmp_path: Path) -> None:
    frame = table(tmp_path, b"a,b\n1,x\nNA,null\n,\n" + b'"",""\nNULL,None\nN/A,"NA"\n')
    assert frame["a"].to_list() == [1, None, None, None, None, None]
    assert frame["b"].to_list() == ["x", None, None, "", None, None]


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    assert table(tmp_path, b"a,b\n1,2\n\n\r\n\n").rows() == [(1, 2)]


def test_a_blank_line_is_a_null_where_there_is_one_column(tmp_path: Path) -> None:
    assert table(tmp_path, b"a\n1\n\n3\n").rows() == [(1,), (None,), (3,)]


def test_columns_without_a_name(tmp_path: Path) -> None:
    assert table(tmp_path, b'"",b\n1,2\n').columns == ["column_1", "b"]


def test_a_column_of_nulls_is_text_and_one_that_begins_with_nulls_is_what_follows(tmp_path: Path) -> None:
    rows = b"".join(b"%d,,\n" % number for number in range(csv_table.SAMPLE + 5))
    frame = table(tmp_path, b"a,b,c\n" + rows + b"1,,2.5\n")
    assert frame.dtypes == [pl.Int64, pl.String, pl.Float64]


def test_a_misfit_is_told_with_its_line_and_widens_only_its_column(tmp_path: Path) -> None:
    rows = b'"x\ny",1,1,2013-01-01\n' * (csv_table.SAMPLE + 10)
    scanned = scan(tmp_path, b"t,a,b,c\n" + rows + b"z,2.5,2,x\n")
    with pytest.raises(pl.exceptions.ComputeError) as caught:
        scanned.frame.collect(engine="streaming")
    assert scanned.widen is not None
    wider = scanned.widen(str(caught.value))
    assert wider is not None
    frame = wider.frame.collect(engine="streaming")
    assert frame.dtypes == [pl.String, pl.Float64, pl.Int64, pl.String]
    assert frame.height == csv_table.SAMPLE + 11
    assert wider.notes == (
        'column a: "2.5" at line 20022 is not an integer; reading it as numbers',
        'column c: "x" at line 20022 is not a date; reading it as text',
    )


def test_a_word_for_null_that_the_sample_has_not(tmp_path: Path) -> None:
    rows = b"1,x\nNA,null\n" * (csv_table.SAMPLE // 2 + 5)
    scanned = scan(tmp_path, b"a,b\n" + rows + b"NULL,None\n2,NULL\n")
    with pytest.raises(pl.exceptions.ComputeError) as caught:
        scanned.frame.collect(engine="streaming")
    assert scanned.widen is not None
    again = scanned.widen(str(caught.value))
    assert again is not None
    assert again.notes == ('column a: "NULL" at line 10012 stands for no value; reading it again',)
    frame = again.frame.collect(engine="streaming")
    assert frame.dtypes == [pl.Int64, pl.String]
    assert frame.tail(3).rows() == [(None, None), (None, None), (2, None)]


def test_several_files_take_the_widest_type(tmp_path: Path) -> None:
    frame = table(tmp_path, b"a,b\n1,2\n", b"a,b\n2.5,x\n", b"a,b\n", b"a,b\n,\n")
    assert frame.rows() == [(1.0, "2"), (2.5, "x"), (None, None)]


def test_a_misfit_in_the_second_file_names_it(tmp_path: Path) -> None:
    first, second = (b"a\n" + b"1\n" * (csv_table.SAMPLE + 10) for _ in range(2))
    scanned = scan(tmp_path, first, second + b"x\n")
    with pytest.raises(pl.exceptions.ComputeError) as caught:
        scanned.frame.collect(engine="streaming")
    assert scanned.widen is not None
    wider = scanned.widen(str(caught.value))
    assert wider is not None
    assert wider.notes == (f'column a: "x" at x1.csv:{csv_table.SAMPLE + 12} is not an integer; reading it as text',)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (b"b,a\n1,2\n", "x1.csv: column 1 is 'b', in x0.csv it is 'a'"),
        (b"a,b,c\n1,2,3\n", "x1.csv and x0.csv differ: only x1.csv has a column 'c'"),
        (b"a\n1\n", "x1.csv and x0.csv differ: only x0.csv has a column 'b'"),
    ],
)
def test_files_with_other_columns(tmp_path: Path, second: bytes, message: str) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        scan(tmp_path, b"a,b\n1,2\n", second)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"\n", EmptyInput, "x0.csv is empty"),
        (b"a,b\n", EmptyInput, "x0.csv has a header and no rows"),
        (b"a,b", EmptyInput, "x0.csv has a header and no rows"),
        (b"a,a\n1,2\n", SchemaMismatch, "x0.csv:1: two columns are called 'a' (fields 1 and 2)"),
        (b"1,2\n3,4\n", InputUnusable, "x0.csv:1: the first line is numbers (1, 2), it should name the columns"),
        (b"\n\na,b\n", Corrupt, "x0.csv:1: the first line is blank, it should name the columns"),
        (b"a,b\r1,2\r", Corrupt, "x0.csv ends its lines with CR alone"),
        ("a,b\n1,2\n".encode("utf-16"), Corrupt, "x0.csv is UTF-16 text, not UTF-8"),
        ("a,b\n1,2\n".encode("utf-32"), Corrupt, "x0.csv is UTF-32 text, not UTF-8"),
        (b"\x7fELF\0\0\0", Corrupt, "x0.csv is not text: it has a zero byte at offset 4"),
        (b"a,b\n1,2\n3\n", InputUnusable, "x0.csv:3: 1 field, the header has 2"),
        (b"a,b\n1,2,3\n", InputUnusable, "x0.csv:2: 3 fields, the header has 2"),
        (b'a,b\n1,"x"y\n', Corrupt, "x0.csv:2: ',' expected after '\"'"),
        (b'a,b\n1,"x\n', Corrupt, "x0.csv:2: a quote is opened and never closed"),
        (b'a,b\n1,5" pipe\n2,6\n', Corrupt, "x0.csv:2: a quote inside a field that is not quoted"),
        (b"a,b\n1,\xe9\n", Corrupt, "x0.csv:2: byte 0xe9 is not UTF-8"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, error: type[InputUnusable], message: str) -> None:
    with pytest.raises(InputUnusable) as caught:
        scanned = scan(tmp_path, data)
        assert scanned.check is not None
        scanned.check(lambda: False)
        scanned.frame.collect(engine="streaming")
    assert (type(caught.value), caught.value.message) == (error, message)


def test_a_rare_break_of_quoting_far_into_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    good = b'"some text, to fill more than one of the blocks that the parser reads",x\n' * 100_000
    scanned = scan(tmp_path, b"a,b\n" + good + b'1,"x"y\n')
    with pytest.raises(pl.exceptions.ComputeError) as caught:
        scanned.frame.collect(engine="streaming")
    assert scanned.widen is not None
    with pytest.raises(Corrupt, match=r"x0.csv:100002: ',' expected"):
        scanned.widen(str(caught.value))


@pytest.mark.parametrize("name", ["[x].csv", "*.csv", "a b.csv", "é.csv", "#.csv", "-x.csv"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"a\n1\n")
    assert csv.scan([File(path, name)], Options(tmp_path)).frame.collect().rows() == [(1,)]
