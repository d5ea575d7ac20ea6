"""Renames, casts, target schemas and one row of each key: right values, or an error that names the row."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_cli.errors import InputUnusable, MlopsError, SchemaMismatch, UnknownColumn, Usage
from mlops_cli.steps import ingest_shape, tables
from mlops_cli.steps.selection import TABLE, Selection, pairs

UTC = datetime.UTC


def at(*parts: int, zone: datetime.tzinfo | None = None) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=zone)


def shaped(frame: pl.DataFrame, folder: Path, **wanted: Any) -> pl.DataFrame:
    selection = Selection(**wanted)
    selection.check()
    scratch, out = folder / "scratch", folder / "out"
    scratch.mkdir(exist_ok=True)
    ingest_shape.write({TABLE: frame.lazy()}, selection, scratch, lambda made: tables.write_table(made, out))
    assert not list(scratch.iterdir())
    return pl.read_parquet(out / "*.parquet")


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], "string", ["1", None, "3"]),
        ([1, 0, None], "bool", [True, False, None]),
        ([1.0, -3.0, None], "int8", [1, -3, None]),
        (["1", " -7 ", None], "int64", [1, -7, None]),
        (["1.5", "1e3", "nan"], "float64", [1.5, 1000.0, float("nan")]),
        (["1.50", "-2", None], "decimal(10,2)", [Decimal("1.50"), Decimal("-2.00"), None]),
        ([0.1, 2.25, None], "decimal(10,2)", [Decimal("0.10"), Decimal("2.25"), None]),
        ([True, None], "int8", [1, None]),
        (["true", "FALSE", None], "boolean", [True, False, None]),
        (["2020-02-29", None], "date", [datetime.date(2020, 2, 29), None]),
        (["2020-02-29 10:00", None], "datetime", [at(2020, 2, 29, 10), None]),
        (["2020-02-29T10:00:01.5"], "datetime", [at(2020, 2, 29, 10, 0, 1, 500_000)]),
        (["2020-02-29T10:00Z", None], "datetime[us, UTC]", [at(2020, 2, 29, 10, zone=UTC), None]),
        (["2020-02-29T10:00:00+02:00"], "datetime[us, UTC]", [at(2020, 2, 29, 8, zone=UTC)]),
        (["2020-02-29"], "datetime[us, UTC]", [at(2020, 2, 29, zone=UTC)]),
        ([at(2020, 7, 1, 12)], "datetime[us,Europe/Berlin]", [at(2020, 7, 1, 10, zone=UTC)]),
        ([at(2020, 7, 1, 12, zone=UTC)], "datetime[us,Europe/Berlin]", [at(2020, 7, 1, 12, zone=UTC)]),
        ([datetime.date(2020, 7, 1)], "datetime", [at(2020, 7, 1)]),
        ([at(2020, 7, 1)], "date", [datetime.date(2020, 7, 1)]),
        (["10:30", "10:30:01"], "time", [datetime.time(10, 30), datetime.time(10, 30, 1)]),
        (["a", None], "category", ["a", None]),
        ([None, None], "int64", [None, None]),
    ],
)  # fmt: skip
def test_values_that_fit(tmp_path: Path, values: list[Any], kind: str, expected: list[Any]) -> None:
    found = shaped(pl.DataFrame({"x": values}), tmp_path, casts=(("x", kind),))
    assert found["x"].equals(pl.Series("x", expected, dtype=found["x"].dtype))


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (["1", "12,5"], "float64", "row 2: '12,5'"),
        (["1", "1.0"], "int64", "row 2: '1.0'"),
        (["1", ""], "int64", "row 2: ''"),
        (["1", "9223372036854775808"], "int64", "row 2"),
        ([1, 300], "uint8", "row 2: 300"),
        ([1.0, 2.5], "int64", "row 2: 2.5"),
        ([1.0, float("nan")], "int64", "row 2: nan"),
        ([1.0, 1e300], "float32", "row 2"),
        ([1, 2**53 + 1], "float64", "row 2: 9007199254740993"),
        ([1, 2], "bool", "row 2: 2"),
        (["1.5", "1.239"], "decimal(10,2)", "row 2: '1.239'"),
        ([1.5, 1.239], "decimal(10,2)", "row 2: 1.239"),
        (["true", "yes"], "bool", "row 2: 'yes'"),
        (["2020-01-01", "2020-02-30"], "date", "row 2: '2020-02-30'"),
        (["2020-01-01", "1.2.2020"], "date", "row 2"),
        (["2020-01-01T10:00", "2020-01-01T10:00Z"], "datetime", "row 2"),
        (["2020-01-01T10:00", "2020-10-25T02:30"], "datetime[us,Europe/Berlin]", "comes twice in Europe/Berlin"),
        ([at(2020, 1, 1), at(2020, 3, 29, 2, 30)], "datetime[us,Europe/Berlin]", "30:00 does not exist in Europe"),
        ([at(2020, 1, 1), at(2020, 1, 1, 1)], "date", "row 2"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_named_with_their_row(
    tmp_path: Path, values: list[Any], kind: str, words: str
) -> None:
    with pytest.raises(InputUnusable) as caught:
        shaped(pl.DataFrame({"y": [1, 2], "x": values}), tmp_path, casts=(("y", "int8"), ("x", kind)))
    assert words in caught.value.message
    assert caught.value.hint


def test_the_row_is_right_far_into_a_table(tmp_path: Path) -> None:
    values = [str(number) for number in range(200_000)]
    values[170_123] = "x"
    values[190_000] = "y"
    with pytest.raises(InputUnusable, match="row 170,124: 'x'"):
        shaped(pl.DataFrame({"x": values}), tmp_path, casts=(("x", "int32"),))


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1], "datetime"), ([[1]], "int64"), ([at(2020, 1, 1, zone=UTC)], "datetime"), ([True], "float64")],
)
def test_types_that_do_not_go_together(tmp_path: Path, values: list[Any], kind: str) -> None:
    with pytest.raises(SchemaMismatch, match="--cast x="):
        shaped(pl.DataFrame({"x": values}), tmp_path, casts=(("x", kind),))


FRAME = pl.DataFrame({"a": [1, 2, 1, None, None, 2], "b": list("uvwxyz"), "n": range(6)})


def test_names_change_all_at_once_and_before_types(tmp_path: Path) -> None:
    found = shaped(FRAME, tmp_path, renames=(("a", "b"), ("b", "a")), casts=(("b", "string"),), columns=("b", "a"))
    assert found.columns == ["b", "a"]
    assert found["b"].to_list() == ["1", "2", "1", None, None, "2"]


@pytest.mark.parametrize(("keep", "kept"), [("last", [2, 4, 5]), ("first", [0, 1, 3])])
def test_one_row_of_each_key_in_the_order_of_the_input(tmp_path: Path, keep: str, kept: list[int]) -> None:
    found = shaped(FRAME, tmp_path, dedupe=("a",), keep=keep)
    assert found["n"].to_list() == kept
    assert shaped(FRAME, tmp_path, dedupe=("a", "b"), keep=keep).equals(FRAME)
    assert shaped(FRAME, tmp_path, dedupe=("a",), keep=keep, columns=("b",), limit=2).height == 2


def test_keys_are_compared_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_cli.steps import ingest_dedupe

    keys = [None if n % 17 == 0 else [0.0, -0.0, float("nan"), n % 5000][n % 4] for n in range(100_000)]
    frame = pl.DataFrame(
        {"k": pl.Series(keys, dtype=pl.Float64), "s": [f"v{n % 3}" for n in range(100_000)], "n": range(100_000)}
    )
    whole = shaped(frame, tmp_path, dedupe=("k", "s"))
    monkeypatch.setattr(ingest_dedupe, "AT_ONCE", 9_000)
    assert shaped(frame, tmp_path, dedupe=("k", "s")).equals(whole)
    assert whole.equals(frame.unique(["k", "s"], keep="last", maintain_order=True))


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"renames": (("q", "r"),)}, UnknownColumn, "--rename: there is no column 'q'"),
        ({"renames": (("a", "b"),)}, Usage, "two columns would be called 'b'"),
        ({"renames": (("a", "q"), ("a", "r"))}, Usage, "names 'a' twice"),
        ({"casts": (("q", "int8"),)}, UnknownColumn, "--cast: there is no column 'q'"),
        ({"casts": (("a", "inte"),)}, Usage, "'inte' is not a type"),
        ({"casts": (("a", "datetime[us,Mars/North]"),)}, Usage, "time zone"),
        ({"dedupe": ("q",)}, UnknownColumn, "--dedupe: there is no column 'q'"),
        ({"dedupe": ("a",), "keep": "best"}, Usage, "neither first nor last"),
        ({"columns": ("q",)}, UnknownColumn, "--columns: there is no column 'q'"),
        ({"target": (("q", None, True),)}, UnknownColumn, "--target-schema: there is no column 'q'"),
        ({"target": (("a", "bool", True),)}, InputUnusable, "--target-schema a=bool: row 2: 2"),
        ({"target": (("a", None, True),), "columns": ("a",)}, Usage, "both say which columns"),
    ],
)
def test_refusals(tmp_path: Path, wanted: dict[str, Any], error: type[MlopsError], words: str) -> None:
    with pytest.raises(error) as caught:
        shaped(FRAME, tmp_path, **wanted)
    assert words in caught.value.message


def test_pairs() -> None:
    assert pairs("--cast", ["a=decimal(10,2),b=datetime[us, UTC]", "c=int8"]) == (
        ("a", "decimal(10,2)"), ("b", "datetime[us, UTC]"), ("c", "int8"),
    )  # fmt: skip
    for bad in ("a", "=b", "a=", ""):
        with pytest.raises(Usage):
            pairs("--cast", [bad])


def test_text_of_csv_stays_as_it_is_written(work: Path, cli: Callable[..., Any]) -> None:
    Path("p.csv").write_text("id,price,big\n1,1.50,0.10\n2,2.25,12345678901234.56\n")
    cast = "id=str,eur=decimal(20,2),big=string"
    assert cli("ingest", "p.csv", "--rename", "price=eur", "--cast", cast, "-o", "out").ref == "out"
    assert pl.read_parquet("out/*.parquet").rows() == [
        ("1", Decimal("1.50"), "0.10"), ("2", Decimal("2.25"), "12345678901234.56"),
    ]  # fmt: skip


def test_dropped_rows_are_told_and_counted_again_when_it_is_known(work: Path, cli: Callable[..., Any]) -> None:
    FRAME.write_parquet("f.parquet")
    first = cli("ingest", "f.parquet", "--dedupe", "a", "--json")
    again = cli("ingest", "f.parquet", "--dedupe", "a", "--json")
    for ended in (first, again):
        assert json.loads(ended.out)["dropped"] == 3
        assert "6 rows = 3 + 3 dropped, the last row of each a kept" in ended.err
    assert "cached" in again.err
    assert "cached" not in cli("ingest", "f.parquet", "--dedupe", "a", "--keep", "first").err


def test_a_target_is_a_rules_file_or_a_dataset(work: Path, cli: Callable[..., Any]) -> None:
    FRAME.write_parquet("f.parquet")
    Path("s.yaml").write_text(
        "columns:\n  n: {dtype: string}\n  z: {dtype: int8, required: false}\n  a: {dtype: float64, nullable: true}\n"
    )
    assert cli("ingest", "f.parquet", "--target-schema", "s.yaml", "-o", "one").ref == "one"
    found = pl.read_parquet("one/*.parquet")
    assert found.schema == {"n": pl.String, "a": pl.Float64}
    pl.DataFrame({"a": [7], "n": ["x"], "b": ["y"]}).write_csv("g.csv")
    assert cli("ingest", "g.csv", "--target-schema", "one", "-o", "two").ref == "two"
    assert pl.read_parquet("two/*.parquet").schema == found.schema
    assert json.loads(Path("two/manifest.json").read_text())["params"]["target_schema"] == "one"
    for bad, code in (("nothing.yaml", 4), ("nothing", 4), ("p.yaml", 4)):
        Path("p.yaml").write_text("columns:\n  ^a.*$: {dtype: int8}\n")
        assert cli("ingest", "g.csv", "--target-schema", bad).code == code
