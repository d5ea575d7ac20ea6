"""A rules file is read strictly: every word is pandera's, or the file is refused with the place named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlops_cli.errors import InputUnusable, Missing, MlopsError
from mlops_cli.steps.rules import read, types, yaml_text
from mlops_cli.steps.rules.form import Rules


def parse(text: str) -> Rules:
    return read.parse(yaml_text.plain(yaml.safe_load(text)), "rules.yaml")


SPELLINGS = {
    "nested": "columns: {a: {dtype: int64, checks: {greater_than: 0, in_range: {min_value: 1, max_value: 5}}}}",
    "value": "columns: {a: {dtype: int64, checks: {greater_than: {value: 0}, in_range: {min_value: 1, max_value: 5}}}}",
    "options": (
        "columns: {a: {dtype: int64, checks: {greater_than: {value: 0, options: {ignore_na: true}},"
        " in_range: {min_value: 1, max_value: 5, options: {raise_warning: false}}}}}"
    ),
    "flat": "columns: {a: {dtype: int64, greater_than: 0, in_range: {min_value: 1, max_value: 5}}}",
    "list": (
        "columns: {a: {dtype: int64, checks: [{value: 0, options: {check_name: greater_than}},"
        " {min_value: 1, max_value: 5, options: {check_name: in_range}}]}}"
    ),
    "short names": "columns: {a: {dtype: int64, checks: {gt: 0, between: {min_value: 1, max_value: 5}}}}",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_pandera_means_the_same(name: str) -> None:
    (column,) = parse(SPELLINGS[name]).columns
    assert [(check.name, check.arguments) for check in column.checks] == [
        ("greater_than", {"min_value": 0}),
        ("in_range", {"min_value": 1, "max_value": 5}),
    ]


def test_what_pandera_writes_in_full_is_read() -> None:
    rules = parse("""
schema_type: dataframe
version: 0.20.4
columns:
  a:
    title: null
    description: A number
    dtype: int64
    nullable: true
    checks:
      greater_than_or_equal_to: {value: 0, options: {raise_warning: true, ignore_na: false}}
    unique: false
    coerce: true
    required: false
    regex: false
checks: null
index: null
dtype: null
coerce: false
strict: filter
name: flights
ordered: false
unique: [a]
report_duplicates: all
unique_column_names: false
add_missing_columns: false
title: null
description: null
""")
    (column,) = rules.columns
    assert (column.nullable, column.coerce, column.required) == (True, True, False)
    assert column.checks[0].raise_warning and not column.checks[0].ignore_na
    assert (rules.strict, rules.unique, rules.name) == ("filter", (("a",),), "flights")


def test_digest_is_of_what_is_said_not_of_how() -> None:
    one = read.parse(yaml.safe_load("columns: {a: {dtype: int64, nullable: false, gt: 0}} # said"), "one.yaml")
    text = "schema_type: dataframe\ncolumns:\n  a:\n    dtype: Int64\n    checks: {greater_than: {value: 0}}\n"
    assert one.digest() == read.parse(yaml.safe_load(text), "other.yaml").digest()
    others = [
        "dtype: int32, gt: 0",
        "dtype: int64, gt: 1",
        "dtype: int64, ge: 0",
        "dtype: int64, gt: {value: 0, error: x}",
    ]
    assert len({one.digest(), *(parse(f"columns: {{a: {{{other}}}}}").digest() for other in others)}) == 5


def test_the_documented_example_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "validate.md").read_text()
    rules = parse(page.split("```yaml")[1].split("```")[0])
    assert [column.name for column in rules.columns] == ["dep_delay", "carrier", "time_hour", "^arr_.*$"]


REFUSED = {
    "columns: {a: {dtpye: int64}}": ("columns.a.dtpye", "unknown key", "dtype"),
    "colums: {}": ("colums", "unknown key", "columns"),
    "columns: {a: {checks: {in_rnge: 1}}}": ("columns.a.checks.in_rnge", "unknown check", "in_range"),
    "columns: {a: {checks: {in_range: {min: 1, max: 2}}}}": (
        "columns.a.checks.in_range.min",
        "unknown key",
        "min_value",
    ),
    "columns: {a: {checks: {in_range: 3}}}": ("columns.a.checks.in_range", "not enough", ""),
    "columns: {a: {checks: {in_range: {min_value: 3}}}}": ("columns.a.checks.in_range", "max_value is missing", ""),
    "columns: {a: {checks: {gt: {value: 1, options: {ignore_nan: true}}}}}": (
        "gt.ignore_nan",
        "unknown key",
        "ignore_na",
    ),
    "columns: {a: {checks: [{value: 1}]}}": ("columns.a.checks[0]", "check_name is missing", ""),
    "columns: {a: {checks: 3}}": ("columns.a.checks", "not a mapping", ""),
    "columns: {a: {nullable: maybe}}": ("columns.a.nullable", "not true or false", ""),
    "columns: {a: {dtype: intt64}}": ("columns.a.dtype", "not a type", "int64"),
    "columns: {a: {dtype: 'datetime64[us, Mars/Olympus]'}}": ("columns.a.dtype", "time zone", ""),
    "columns: {a: {dtype: 64}}": ("columns.a.dtype", "not the name of a type", ""),
    "columns: {1: {dtype: int64}}": ("columns", "not text", "quotes"),
    "columns: {a: 3}": ("columns.a", "not a mapping", ""),
    "columns: [a, b]": ("columns", "not a mapping", ""),
    "strict: 3": ("strict", "not true, false or filter", ""),
    "unique: 3": ("unique", "not a list of columns", ""),
    "unique: [[a], b]": ("unique", "not a list of columns", ""),
    "index: [{dtype: int64}]": ("index", "no index", ""),
    "schema_type: series": ("schema_type", "not a table", ""),
    "columns: {a: {report_duplicates: exclude_first}}": ("columns.a.report_duplicates", "not supported", ""),
    "columns: {a: {checks: {unique_values_eq: [1]}}}": ("unique_values_eq", "whole column", ""),
    "columns: {a: {default: [1]}}": ("columns.a.default", "single value", ""),
    "columns: {a: {checks: {gt: {value: 1, n_failure_cases: x}}}}": ("n_failure_cases", "not a number", ""),
    "[1, 2]": ("the file", "not a mapping", ""),
    "null": ("rules.yaml", "empty", "--infer"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_understood_is_refused_with_its_place(text: str) -> None:
    where, what, hint = REFUSED[text]
    with pytest.raises(InputUnusable) as error:
        parse(text)
    assert error.value.exit == 4
    for word in ("rules.yaml", where, what):
        assert word in error.value.message
    assert hint in error.value.hint
    assert "\n" not in error.value.message


BAD_FILES = {
    b"columns: {a: {dtype: int64}, a: {dtype: str}}": "stands twice",
    b"columns: [": "line 1",
    b"a: b: c": "line 1",
    b"\x00\xff\xfe": "not",
    b"columns: !!python/object/apply:os.system [ls]": "not YAML",
    b"{[1, 2]: 3}": "key must be a word",
    b"columns: {a: {default: !!binary aGVsbG8=}}": "not YAML",
    b"[" * 5000: "nested too deeply",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n": "unknown key",
}


@pytest.mark.parametrize("data", BAD_FILES, ids=range(len(BAD_FILES)))
def test_files_that_are_no_rules(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(data)
    with pytest.raises(InputUnusable, match=BAD_FILES[data]) as error:
        read.load(path)
    assert str(path) in error.value.message and "\n" not in error.value.message


def test_no_file_a_directory_and_a_large_file(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        read.load(tmp_path / "none.yaml")
    with pytest.raises(MlopsError) as error:
        read.load(tmp_path)
    assert error.value.exit == 4
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (5 << 20))
    with pytest.raises(InputUnusable, match="too many"):
        read.load(large)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("int64", "integer"), ("Int64", "integer"), ("UInt8", "integer"), ("int", "integer"), ("float", "float"),
        ("Float32", "float"), ("double", "float"), ("str", "string"), ("String", "string"), ("object", "string"),
        ("string[pyarrow]", "string"), ("category", "string"), ("bool", "boolean"), ("boolean", "boolean"),
        ("date", "date"), ("datetime", "datetime"), ("datetime64[ns]", "datetime"), ("timestamp", "datetime"),
        ("Datetime(time_unit='us', time_zone=None)", "datetime"), ("timedelta64[ns]", "duration"), ("time", "time"),
        ("Decimal(10, 2)", "decimal"), ("binary", "binary"),
    ],
)  # fmt: skip
def test_names_of_types(name: str, family: str) -> None:
    found = types.parse(name, "here")
    assert found.family == family
    assert found.zone is None


@pytest.mark.parametrize("name", ["datetime64[ns, UTC]", "Datetime(time_unit='us', time_zone='UTC')"])
def test_time_zones(name: str) -> None:
    assert types.parse(name, "here").zone == "UTC"
    assert types.parse(name.replace("UTC", "Europe/Paris"), "here").zone == "Europe/Paris"
