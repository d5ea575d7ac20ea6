"""Numbers of many values as quarters: none is merged with another, and what is no number is none of them."""

import numpy as np
import polars as pl

from mlops_cli.steps import evaluate_rows, evaluate_slices


def test_large_numbers_that_differ_late_are_four_quarters():
    series = pl.Series("at", 1.7e9 + np.arange(400) / 100)
    texts, levels = evaluate_rows.levelled(series)
    assert len(levels) == 4 and texts.value_counts()["count"].min() >= 99
    assert "<= 1700000001" in levels and len(evaluate_slices.code(series, 20).levels) == 5  # and (null)


def test_what_is_not_a_number_is_no_quarter():
    values = np.where(np.arange(400) % 2 == 0, np.nan, np.arange(400.0))
    texts, levels = evaluate_rows.levelled(pl.Series("x", values))
    assert sorted(levels) == ["(null)", "101 to 201", "201 to 301", "<= 101", "> 301"]
    assert dict(texts.value_counts().rows())["(null)"] == 200
    coded = evaluate_slices.code(pl.Series("x", values), 20)
    assert np.bincount(coded.codes).tolist() == [51, 50, 50, 49, 200]


def test_a_target_of_another_type_says_so(cli):
    frame = pl.DataFrame({"x": [row % 17 for row in range(200)], "y": [True, False] * 100})
    frame.write_parquet("t.parquet")
    frame.with_columns(pl.col("y").cast(pl.String)).write_parquet("text.parquet")
    assert cli("train", "t.parquet", "--target", "y", "--set", "num_iterations=2", "-o", "model").code == 0
    ended = cli("evaluate", "model", "--data", "text.parquet")
    assert ended.code == 4 and "y (string)" in ended.err and "it knows false, true as true and false" in ended.err
