"""Rules inferred from a table are rules that the table passes, whatever is in it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from mlops_cli.errors import EmptyInput
from mlops_cli.steps.rules import infer, plan, read, resolve

TYPES = [
    pl.Int8,
    pl.Int64,
    pl.UInt64,
    pl.Float32,
    pl.Float64,
    pl.String,
    pl.Boolean,
    pl.Date,
    pl.Datetime("us"),
    pl.Datetime("ns"),
    pl.Datetime("ms", "Europe/Paris"),
    pl.Duration,
    pl.Time,
    pl.Decimal(10, 2),
    pl.Categorical,
    pl.Binary,
    pl.Null,
    pl.List(pl.Int64),
    pl.Struct({"a": pl.Int64}),
]


def broken(frame: pl.DataFrame, folder: Path) -> list[str]:
    path = folder / "inferred.yaml"
    path.write_text(infer.infer({"the table": frame.lazy()}))
    bound = resolve.resolve(read.load(path), frame.schema, "the table")
    made = plan.build(bound)
    failures = made.failures(made.bad_values(frame.lazy()))
    return [rule.label for rule, fail in failures if frame.select(fail.sum()).item()]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(dataframes(min_cols=1, max_cols=6, min_size=1, max_size=30, allowed_dtypes=TYPES, allow_null=True))
def test_any_table_passes_its_own_rules(tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame) -> None:
    assert broken(frame, tmp_path_factory.mktemp("rules")) == []


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@example(["\x85"], "0")
@example(["a\u2028b"], "\u2029")
@given(st.lists(st.text(), min_size=1, max_size=4), st.text(min_size=1).filter(lambda name: name != "_errors"))
def test_any_text_and_any_name(tmp_path_factory: pytest.TempPathFactory, texts: list[str], name: str) -> None:
    frame = pl.DataFrame({name: [text.encode(errors="replace").decode() for text in texts] * 5})
    assert broken(frame, tmp_path_factory.mktemp("rules")) == []


def test_what_is_inferred(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "i": [1, 2, None] * 10,
            "f": [0.5, 2.5, 1e300] * 10,
            "nan": [1.0, float("nan"), 3.0] * 10,
            "few": ["NO", "yes", "2013-01-01"] * 10,
            "many": [str(number) for number in range(30)],
            "when": [datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)] * 30,
            "price": [Decimal("1.50")] * 30,
            "box": [[1, 2]] * 30,
            "nothing": [None] * 30,
            "_errors": ["an earlier reason"] * 30,
        }
    )
    text = infer.infer({"x.csv": frame.lazy()})
    assert text.startswith("# Inferred from 30 rows")
    assert yaml.safe_load(text) == {
        "schema_type": "polars_dataframe",
        "columns": {
            "i": {"dtype": "int64", "nullable": True, "checks": {"in_range": {"min_value": 1, "max_value": 2}}},
            "f": {
                "dtype": "float64",
                "nullable": False,
                "checks": {"in_range": {"min_value": 0.5, "max_value": 1e300}},
            },
            "nan": {"dtype": "float64", "nullable": True, "checks": {"greater_than_or_equal_to": 1.0}},
            "few": {
                "dtype": "string",
                "nullable": False,
                "description": "3 values seen in 30 rows",
                "checks": {"isin": ["2013-01-01", "NO", "yes"]},
            },
            "many": {"dtype": "string", "nullable": False},
            "when": {"dtype": "Datetime(time_unit='us', time_zone='UTC')", "nullable": False},
            "price": {"dtype": "Decimal(precision=38, scale=2)", "nullable": False},
            "box": {"nullable": False},
            "nothing": {"nullable": True},
        },
    }
    assert broken(frame, tmp_path) == []


def test_no_rows_no_rules() -> None:
    with pytest.raises(EmptyInput):
        infer.infer({"x.csv": pl.LazyFrame({"a": []})})
