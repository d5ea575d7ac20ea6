"""Which columns train learns from: --exclude, --include, the groups of a split, dates in text, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

Cli = Callable[..., Any]
FEW = ("--target", "y", "--set", "num_iterations=3", "-o", "model")
ROWS = 400


@pytest.fixture
def frame() -> pl.DataFrame:
    """x tells something of y; row numbers the rows; shop has forty values; x2 and when are further inputs."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=ROWS)
    shop = pl.Series(rng.integers(0, 40, ROWS)).cast(pl.String)
    when = [f"2026-{1 + index % 12:02}-{1 + index % 28:02}" for index in range(ROWS)]
    y = x + rng.normal(size=ROWS) > 0
    return pl.DataFrame({"row": range(ROWS), "x": x, "x2": rng.normal(size=ROWS), "shop": shop, "when": when, "y": y})


def inputs() -> list[str]:
    return [column["name"] for column in json.loads(Path("model/signature.json").read_bytes())["columns"]]


def left_out() -> dict[str, str]:
    found = json.loads(Path("model/features.json").read_bytes())["dropped"]
    return {one["name"]: one["reason"] for one in found}


def test_exclude_and_include(cli: Cli, frame: pl.DataFrame) -> None:
    frame.with_columns(pl.lit(1).alias("a,b")).write_parquet("t.parquet")
    assert cli("train", "t.parquet", *FEW).code == 0
    assert inputs() == ["x", "x2", "shop", "when"]
    done = cli("train", "t.parquet", *FEW, "--exclude", "x2,when", "--exclude", "a,b", "--include", "row")
    assert done.code == 0 and "left out x2: as --exclude says" in done.err
    assert inputs() == ["row", "x", "shop"] and left_out() == dict.fromkeys(["x2", "when", "a,b"], "as --exclude says")
    again = cli("train", "t.parquet", *FEW, "--exclude", "x2")
    assert "cached" not in again.err and "when" in inputs()


def test_columns_mean_the_same_however_they_are_written(cli: Cli) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({name: rng.normal(size=60) for name in ("a", "b", "c")}).with_columns(
        y=pl.Series(range(60)) % 2 > 0
    )
    frame.write_parquet("t.parquet")
    ways = (("a,b",), ("a", "b"), ("b , a",), ("b", "a", "b"))
    done = [cli("train", "t.parquet", *FEW, *(word for one in way for word in ("--exclude", one))) for way in ways]
    assert [one.code for one in done] == [0] * 4 and inputs() == ["c"]
    assert ["cached" in one.err for one in done] == [False, True, True, True]
    frame.with_columns(pl.col("a").alias("a,b")).write_parquet("t.parquet")
    assert cli("train", "t.parquet", *FEW, "--exclude", "a,b").code == 0 and inputs() == ["a", "b", "c"]
    assert cli("train", "t.parquet", *FEW, "--exclude", "a", "--exclude", "b").code == 0 and inputs() == ["c", "a,b"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--exclude", "x3"), 4, "--exclude: there is no column 'x3'"),
        (("--include", "x,shp"), 4, "--include: there is no column 'shp'"),
        (("--exclude", "y"), 2, "--exclude y: it is the target"),
        (("--exclude", "x,x2", "--include", "x2"), 2, "x2 is named by --exclude and by --include"),
        (("--exclude", "x,x2,shop,when"), 4, "no column to learn from"),
    ],
)
def test_names_that_cannot_be_meant(
    cli: Cli, frame: pl.DataFrame, flags: tuple[str, ...], code: int, words: str
) -> None:
    frame.write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW, *flags)
    assert done.code == code and words in done.err and not Path("model").exists()
    assert done.err.count("\n") <= 2 and ("did you mean" in done.err) == ("there is no" in done.err)


def test_the_groups_of_a_split_are_left_out_unless_it_was_cut_by_time(cli: Cli, frame: pl.DataFrame) -> None:
    frame.with_columns(pl.col("when").str.to_date()).write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--group", "shop", "-o", "parts").code == 0
    done = cli("train", "parts", *FEW)
    assert "left out shop: the groups of the split" in done.err and inputs() == ["x", "x2", "when"]
    assert cli("train", "parts", *FEW, "--include", "shop").code == 0 and "shop" in inputs()
    assert cli("split", "t.parquet", "--group", "shop", "--time", "when", "-o", "later").code == 0
    assert cli("train", "later", *FEW).code == 0 and "shop" in inputs()


def test_dates_in_text_are_times_for_every_command(cli: Cli, frame: pl.DataFrame) -> None:
    frame.write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--test", "0.3", "-o", "parts").code == 0
    done = cli("train", "parts", *FEW)
    assert "when: text in ISO 8601, used as date" in done.err
    profile = json.loads(Path("model/profile.json").read_bytes())
    assert next(column["type"] for column in profile["columns"] if column["name"] == "when") == "date"
    assert cli("evaluate", "model").code == 0
    assert cli("predict", "model", "t.parquet", "--explain", "-o", "text").code == 0
    frame.with_columns(pl.col("when").str.to_date()).write_parquet("dates.parquet")
    assert cli("predict", "model", "dates.parquet", "--explain", "-o", "dates").code == 0
    assert pl.read_parquet("text/*.parquet").equals(pl.read_parquet("dates/*.parquet"))


@pytest.mark.parametrize("where", ["when", "^when$", "w w"])
def test_dates_in_two_formats_are_refused(cli: Cli, frame: pl.DataFrame, where: str) -> None:
    other = pl.Series([text if row < 399 else "02/01/2026" for row, text in enumerate(frame["when"])])
    frame.with_columns(other.alias("when")).rename({"when": where}).write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW)
    assert done.code == 4 and not Path("model").exists()
    assert f"column {where!r} has dates in two formats: 399 as YYYY-MM-DD ('2026-01-01'), 1 as DD/MM/YYYY" in done.err
    assert "'02/01/2026'" in done.err and f"--exclude {where}" in done.err and done.err.count("\n") == 2
    assert cli("train", "t.parquet", *FEW, "--exclude", where).code == 0


def test_text_that_only_looks_like_dates_is_text(cli: Cli, frame: pl.DataFrame) -> None:
    odd = frame.with_columns(
        when=pl.col("when").str.replace("-[0-9]{2}$", "-31"),
        slashed=pl.format("02/{}/2026", pl.col("when").str.slice(5, 2)),
        some=pl.when(pl.col("row") < 390).then("when").otherwise(pl.lit("never")),
    )
    odd.write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW)
    assert done.code == 0 and "when: some texts look like YYYY-MM-DD but are no day" in done.err
    assert "slashed: text like '02/" in done.err and "some: some texts" not in done.err
    kinds = {c["name"]: c["use"] for c in json.loads(Path("model/features.json").read_bytes())["columns"]}
    assert kinds["when"] == kinds["slashed"] == kinds["some"] == "category"


def test_three_rows_and_nothing_finite(cli: Cli) -> None:
    pl.DataFrame({"x": [1.0, 2, 3], "c": ["a", "b", "c"], "y": [True, False, True]}).write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW)
    assert done.code == 0 and inputs() == ["x", "c"]
    assert "no rows are held out to stop by" in done.err and "15%" not in done.err and "valid rows" not in done.err
    pl.DataFrame({"x": [float("inf")] * 3, "z": [None] * 3, "y": [True, False, True]}).write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW)
    assert done.code == 4 and "no column to learn from (x: no finite value; z: all null)" in done.err


def test_a_level_unseen_in_training_gets_the_code_of_the_rare_ones(cli: Cli, frame: pl.DataFrame) -> None:
    rare = pl.when(pl.col("row") % 100 == 0).then(pl.format("r{}", "row")).otherwise("shop").alias("shop")
    frame.select("x", rare, "y").write_parquet("t.parquet")
    assert cli("train", "t.parquet", *FEW).code == 0
    asked = pl.DataFrame({"x": [0.0, 0.0, 0.0], "shop": ["r100", "new", None]})
    asked.write_parquet("new.parquet")
    assert cli("predict", "model", "new.parquet", "--proba", "-o", "out").code == 0
    first, second, _ = pl.read_parquet("out/*.parquet").select(pl.exclude("shop")).rows()
    assert first == second
    (column,) = (c for c in json.loads(Path("model/features.json").read_bytes())["columns"] if c["name"] == "shop")
    assert any(level.startswith("r") for level in column["rare"])


def test_the_column_of_weights_is_no_input_whatever_is_excluded(cli: Cli, frame: pl.DataFrame) -> None:
    frame.write_parquet("t.parquet")
    done = cli("train", "t.parquet", *FEW, "--weight", "row", "--exclude", "row,x2")
    assert done.code == 0, done.err
    assert inputs() == ["x", "shop", "when"] and left_out() == {"x2": "as --exclude says"}
    done = cli("train", "t.parquet", *FEW, "--weight", "row", "--include", "row")
    assert done.code == 2 and "--include row: it is the column of --weight" in done.err
