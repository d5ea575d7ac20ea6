"""What `evaluate --explain` and `--robustness` judge by, of whole groups, and how much they ask of a large model."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mlops_cli.metrics import per_row
from mlops_cli.metrics.grouped import Groups
from mlops_cli.metrics.intervals import generator
from mlops_cli.metrics.shares import wilson
from mlops_cli.steps import evaluate_sample


def skewed(rows=400):
    """Counts whose spread grows with `x`, and `z` that says nothing; four rows of each of `rows` / 4 customers."""
    rng = generator(0, 0)
    x = rng.random(rows)
    count = rng.poisson(np.exp(1 + 2 * x))
    return pl.DataFrame({"x": x, "z": rng.random(rows), "who": np.arange(rows) // 4, "count": count})


def judged(cli, *settings):
    skewed().write_parquet("t.parquet")
    words = [word for setting in ("num_iterations=20", *settings) for word in ("--set", setting)]
    assert cli("train", "t.parquet", "--target", "count", "--task", "regression", "--exclude", "who", *words,
               "-o", "model").code == 0  # fmt: skip
    cli("evaluate", "model", "--data", "t.parquet", "--explain", "--robustness", "-o", "ev").ref  # noqa: B018
    return json.loads(Path("ev/explanation.json").read_text()), json.loads(Path("ev/metrics.json").read_text())


@pytest.mark.parametrize(
    ("settings", "metric"),
    [
        (("objective=quantile", "alpha=0.9"), "pinball_loss"),
        (("objective=regression_l1",), "mae"),
        (("objective=poisson",), "poisson_deviance"),
    ],
)
def test_a_regression_is_judged_by_the_loss_that_it_has_learnt(cli, settings, metric):
    told, measured = judged(cli, *settings)
    assert told["metric"] == metric
    by = {(m["name"], m["column"], m["level"]): m["value"] for m in measured["metrics"]}
    whole = by[metric, None, None]
    assert by["importance", "x", None] > 0.2 * whole > by["importance", "z", None]
    assert by[f"{metric}_rise", "missing", "x"] > 0 and "rmse_rise" not in {name for name, _, _ in by}
    assert metric.replace("_", " ").split()[0].lower() in Path("ev/report.html").read_text().lower()


def test_where_an_answer_is_not_above_0_counts_are_judged_by_rmse():
    actual, predicted = np.array([0, 1, 4]), np.array([0.5, 1.5, 3.0])
    assert per_row.main_metric("regression", actual, predicted, None, "poisson") == "poisson_deviance"
    assert per_row.main_metric("regression", actual, predicted - 0.5, None, "poisson") == "rmse"
    assert per_row.main_metric("regression", actual, predicted, None, "huber") == "rmse"


def test_importance_and_robustness_draw_whole_groups(cli):
    """Each row eight times over, together: as wide as each row once, and not as if there were eight times as many."""
    once = skewed(200)
    once.write_parquet("t.parquet")
    words = ("--target", "count", "--task", "regression", "--exclude", "who", "--set", "num_iterations=20")
    assert cli("train", "t.parquet", *words, "-o", "model").code == 0
    pl.concat([once.with_columns(pl.int_range(pl.len()).alias("who"))] * 8).write_parquet("eight.parquet")
    width = {}
    for name, data, more in (("once", "t", ()), ("alone", "eight", ()), ("together", "eight", ("--group", "who"))):
        cli("evaluate", "model", "--data", f"{data}.parquet", "--explain", "--robustness", *more, "-o", name).ref  # noqa: B018
        for m in json.loads(Path(name, "metrics.json").read_text())["metrics"]:
            if (m["name"], m["column"]) in (("importance", "x"), ("flip_rate", "noise"), ("rmse_rise", "missing")):
                width[name, m["name"], m["level"]] = m["high"] - m["low"]
                assert (m.get("groups") == 200) == (name == "together")
    for metric, level in (("importance", None), ("flip_rate", "0.1"), ("rmse_rise", "x")):
        alone, together = (width[name, metric, level] / width["once", metric, level] for name in ("alone", "together"))
        assert alone < 0.8 * together and 0.4 < together < 1.3  # chance in deals and noise differs from row to row


def test_all_rows_of_one_group_have_no_interval_and_still_a_page(cli):
    judged(cli)
    skewed().with_columns(who=pl.lit(1)).write_parquet("t.parquet")
    cli("evaluate", "model", "--data", "t.parquet", "--group", "who", "--explain", "--robustness", "-o", "one").ref  # noqa: B018
    found = json.loads(Path("one/metrics.json").read_text())["metrics"]
    assert {m["low"] for m in found if m["name"] in ("importance", "flip_rate")} == {None}
    gated = cli(
        "evaluate", "model", "--data", "t.parquet", "--group", "who", "--explain", "--require", "importance[x]>0"
    )
    assert gated.code == 3 and "only 1 group" in gated.err


def test_a_share_of_groups_that_are_all_alike_is_that_of_so_many_rows():
    chosen = np.repeat(np.arange(400) % 4 == 0, 10)
    groups = Groups.of(np.repeat(np.arange(400), 10))
    _, (low, high) = per_row.share(chosen, groups)
    assert (low, high) == pytest.approx(wilson(100, 400), abs=0.002)
    assert per_row.share(chosen, None)[1] == pytest.approx(wilson(1000, 4000))


def test_a_model_of_many_trees_is_asked_about_fewer_rows(cli, monkeypatch):
    judged(cli)
    monkeypatch.setattr(evaluate_sample, "_LEAST", 50)
    monkeypatch.setattr(evaluate_sample, "TREES", 20 * 100 * 10)  # trees, rows, five deals of two columns
    monkeypatch.setattr(evaluate_sample, "EXPLAINED", 20 * 60)
    asked = []
    fewer = evaluate_sample.Sample.fewer
    monkeypatch.setattr(evaluate_sample.Sample, "fewer", lambda s: asked.append(fewer(s)) or asked[-1])
    cli("evaluate", "model", "--data", "t.parquet", "--explain", "--force", "-o", "few").ref  # noqa: B018
    assert json.loads(Path("few/explanation.json").read_text())["rows"] == 100
    told = asked[0]
    assert len(told.rows) == told.frame.height == len(told.explained.values) == 60
    assert (told.actual == skewed()["count"].to_numpy()[told.rows]).all()


def test_slices_of_a_quantile_are_judged_by_its_own_loss(cli):
    judged(cli, "objective=quantile", "alpha=0.9")
    words = ("--slices", "40", "--require", "worst_slice_pinball_loss<99", "--force")
    assert cli("evaluate", "model", "--data", "t.parquet", *words, "-o", "ev").code == 0
    found = json.loads(Path("ev/metrics.json").read_text())["metrics"]
    told = json.loads(Path("ev/slices.json").read_text())
    assert told["loss"] == "pinball_loss" and "x" in told["slices"][0]["name"]
    assert {m["name"] for m in found if m["column"] == "slice"} == {"pinball_loss"}


def test_the_score_that_training_tells_is_said_to_be_weighted_where_it_is(cli):
    pl.DataFrame({"x": [row % 17 for row in range(300)], "y": ["a", "b", "b"] * 100}).write_parquet("t.parquet")
    words = ("train", "t.parquet", "--target", "y", "--set", "num_iterations=5")
    assert ", weighted log_loss " in cli(*words, "--class-weight", "balanced").err
    plain = cli(*words).err
    assert ", log_loss " in plain and "weighted" not in plain
