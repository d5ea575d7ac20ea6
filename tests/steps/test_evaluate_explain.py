"""`evaluate --explain` and `--robustness` on models of tables, and the reasons of `predict --explain`."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from browsing import needs_browser, opened

from mlops_cli.metrics import per_row
from mlops_cli.runtime import predictors
from mlops_cli.steps import evaluate_robustness, reasons

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, table

FAST = ("--set", "num_iterations=12")


@pytest.fixture
def trained(cli):
    """A function: the model of a target, and `t.parquet`, other rows with their outcome."""

    def make(target="yes", rows=300):
        table().select(*INPUTS, target).drop("list").write_parquet("history.parquet")
        fresh = table(rows, seed=1).select(*INPUTS, target).drop("list")
        fresh.write_parquet("t.parquet")
        assert cli("train", "history.parquet", "--target", target, *FAST, "-o", "model").code == 0
        return fresh

    return make


def read(name="explanation.json", folder="ev"):
    return json.loads(Path(folder, name).read_text())


def found(name, folder="ev"):
    return {(m["column"], m["level"]): m for m in read("metrics.json", folder)["metrics"] if m["name"] == name}


@pytest.mark.parametrize(("target", "metric"), [("yes", "roc_auc"), ("kind", "log_loss"), ("price", "rmse")])
def test_the_columns_that_make_the_target_matter_and_the_rest_does_not(cli, trained, target, metric):
    fresh = trained(target)
    ended = cli("evaluate", "model", "--data", "t.parquet", "--explain", "--require", "importance[x]>0.01", "-o", "ev")
    assert ended.code == 0, ended.err
    told = read()
    assert (told["metric"], told["rows"]) == (metric, 300)
    by = {one["column"]: one for one in told["importance"]}
    assert told["importance"][0]["column"] == "x" and by["x"]["low"] > 0
    assert by["flag"]["low"] <= 0.02 and by["x"]["contribution"] > 5 * by["flag"]["contribution"]
    x = next(one for one in told["dependence"] if one["column"] == "x")
    assert all(point["low"] <= point["mean"] + 1e-9 or target == "yes" for point in x["points"])
    assert sum(point["share"] for point in x["points"]) == pytest.approx(fresh["x"].is_not_null().mean())
    if target != "kind":
        assert x["points"][-1]["mean"] > x["points"][0]["mean"]
    page = Path("ev/report.html").read_text()
    for title in ("What the answers depend on", "How the answer goes with a column", "Most surely wrong"):
        assert title in page


def test_rows_that_were_wrong_are_those_with_the_truth_least_likely(cli, trained):
    fresh = trained()
    cli("evaluate", "model", "--data", "t.parquet", "--explain", "-o", "ev").ref  # noqa: B018
    given = pl.read_parquet("ev/predictions.parquet")
    chance = pl.Series([p[int(a)] for p, a in zip(given["proba"], given["actual"], strict=True)])
    worst = chance.arg_sort()[: len(read()["wrong"])].to_list()
    told = read()["wrong"]
    assert [one["wrong"]["row"] for one in told] == worst and told
    for one in told:
        assert one["wrong"]["actual"] != one["wrong"]["prediction"]
        assert one["wrong"]["values"]["count"] == fresh["count"][one["wrong"]["row"]]
        assert one["nearest"]["actual"] == one["nearest"]["prediction"] == one["wrong"]["prediction"]
        assert len(one["wrong"]["reasons"]) == 3


def test_the_same_bytes_again_and_another_key_without(cli, trained):
    trained()
    words = ("evaluate", "model", "--data", "t.parquet", "--json")
    first = json.loads(cli(*words, "--explain", "--robustness").out)
    again = json.loads(cli(*words, "--explain", "--robustness", "--force").out)
    assert first["id"] == again["id"]
    ids = {first["id"], *(json.loads(cli(*words, *more).out)["id"] for more in ((), ["--explain"], ["--robustness"]))}
    assert len(ids) == 4
    assert "cached" in cli(*words[:-1], "--explain", "--robustness").err


def test_robustness_is_measured_and_can_be_a_gate(cli, trained):
    trained()
    ended = cli("evaluate", "model", "--data", "t.parquet", "--robustness", "-o", "ev",
                "--require", "flip_rate[noise=0.01]<0.2", "--require", "roc_auc_drop[missing=flag]<0.2")  # fmt: skip
    assert ended.code == 0, ended.err
    assert {(c, m["value"]) for (c, _), m in found("changed_answers").items()} == {("order", 0.0), ("batch", 0.0)}
    flips, drops = found("flip_rate"), found("roc_auc_drop")
    assert flips["noise", "0.01"]["value"] <= flips["noise", "0.1"]["value"] > 0
    assert drops["missing", "x"]["low"] > 0 and drops["missing", "x"]["value"] > drops["missing", "count"]["value"]
    assert flips["unseen", "letter"]["value"] > 0
    assert cli("evaluate", "model", "--data", "t.parquet", "--robustness", "--require",
               "roc_auc_drop[missing=x]<0.01").code == 1  # fmt: skip
    assert "in another order" in Path("ev/report.html").read_text()


def test_an_answer_that_depends_on_its_neighbours_is_a_finding(cli, trained, monkeypatch):
    trained()
    from mlops_cli.steps import batches

    honest = batches.predict

    def neighbours(predictor, batch, name, **more):
        answer = honest(predictor, batch, name, **more)
        if name != "the same rows":
            return answer
        return predictors.Prediction(np.roll(answer.values, 1), answer.proba)

    monkeypatch.setattr(batches, "predict", neighbours)
    ended = cli("evaluate", "model", "--data", "t.parquet", "--robustness")
    assert ended.code == 1 and "changed_answers[order]<=0" in ended.err


def test_few_rows_one_class_and_all_right(cli, trained):
    fresh = trained()
    fresh.head(6).write_parquet("few.parquet")
    assert cli("evaluate", "model", "--data", "few.parquet", "--explain", "--robustness", "-o", "few").code in (0, 3)
    assert read(folder="few")["importance"] == []
    fresh.filter(pl.col("yes")).write_parquet("one.parquet")
    cli("evaluate", "model", "--data", "one.parquet", "--explain", "-o", "one").ref  # noqa: B018
    assert read(folder="one")["metric"] == "log_loss"
    cli("predict", "model", "t.parquet", "-o", "p").ref  # noqa: B018
    answers = pl.read_parquet("p/*.parquet")["prediction"]
    fresh.with_columns(yes=answers, count=pl.lit(3)).write_parquet("right.parquet")
    again = fresh.with_columns(count=pl.lit(3))
    again.write_parquet("right.parquet")
    cli("predict", "model", "right.parquet", "-o", "q").ref  # noqa: B018
    again.with_columns(yes=pl.read_parquet("q/*.parquet")["prediction"]).write_parquet("right.parquet")
    cli("evaluate", "model", "--data", "right.parquet", "--explain", "-o", "right").ref  # noqa: B018
    assert read(folder="right")["wrong"] == []
    count = next(one for one in read(folder="right")["importance"] if one["column"] == "count")
    assert (count["value"], count["low"], count["high"]) == (0, 0, 0)
    assert "No answer is far from the truth" in Path("right/report.html").read_text()


def test_reasons_are_the_largest_contributions_with_their_values(cli, trained):
    fresh = trained("price")
    cli("predict", "model", "t.parquet", "--explain", "-o", "p").ref  # noqa: B018
    told = pl.read_parquet("p/*.parquet")
    for row in range(0, 300, 17):
        adds = {one["column"]: one["contribution"] for one in told["explain"][row] if one["column"] != "(base)"}
        top = sorted((name for name in adds if adds[name]), key=lambda name: -abs(adds[name]))[:3]
        assert [each.split("=")[0] for each in told["reasons"][row]] == top
        for each, name in zip(told["reasons"][row], top, strict=True):
            amount = each.rsplit(" ", 1)[1]
            assert amount[0] in "+-" and float(amount) == pytest.approx(adds[name], rel=0.06)
            if name == "count":
                assert each.startswith(f"count={fresh['count'][row]} ")
    assert told["prediction"].to_numpy() == pytest.approx(
        told["explain"].list.eval(pl.element().struct.field("contribution")).list.sum().to_numpy(), abs=1e-9
    )


def test_reasons_of_no_rows_and_of_missing_values():
    frame = pl.DataFrame({"a": [1.5, None], "b": ["x" * 99, None]})
    found = predictors.Explanation(np.array([[0.5, -1.3, 7.0], [0.0, 0.01, 7.0]]), ["a", "b", "(base)"])
    assert reasons.series(found, frame).to_list() == [["b=" + "x" * 40 + " -1.3", "a=1.5 +0.5"], ["b=null +0.01"]]
    large = predictors.Explanation(100 * found.values, found.columns)
    assert reasons.series(large, frame).to_list()[0] == ["b=" + "x" * 40 + " -130", "a=1.5 +50"]
    none = predictors.Explanation(np.empty((0, 3)), ["a", "b", "(base)"])
    assert reasons.series(none, frame.head(0)).to_list() == []


def test_numbers_of_rows_average_to_the_metric():
    rng = np.random.default_rng(0)
    score = rng.random(500)
    truth = (rng.random(500) < score).astype(int)
    proba = np.column_stack([1 - score, score])
    from sklearn import metrics as sk

    said = (score > 0.5).astype(int)
    for name, expected in (
        ("roc_auc", sk.roc_auc_score(truth, score)),
        ("log_loss", sk.log_loss(truth, score)),
        ("accuracy", sk.accuracy_score(truth, said)),
        ("rmse", np.sqrt(((said - truth) ** 2).mean())),
    ):
        assert per_row.numbers(name, truth, said, proba).mean() == pytest.approx(expected)


def test_noise_keeps_nulls_whole_numbers_and_the_range():
    from mlops_cli.runtime.columns import Column

    values = np.arange(1000)
    null = values % 7 == 0
    made = evaluate_robustness._noisy(Column(values, null), 0.1, np.random.default_rng(0))
    moved = made.values - values
    assert made.values.dtype == np.int64 and (moved[null] == 0).all() and made.null is null
    spread = (np.quantile(values[~null], 0.75) - np.quantile(values[~null], 0.25)) / 1.349
    assert moved[~null].std() == pytest.approx(0.1 * spread, rel=0.1)
    assert made.values[~null].min() >= 1 and made.values.max() <= 999


@needs_browser
def test_a_browser_shows_all_that_an_evaluation_can_have(cli, trained):
    trained()
    more = ("--slices", "60", "--by", "letter", "--robustness", "--against", "model")
    assert cli("evaluate", "model", "--data", "t.parquet", "--explain", *more, "-o", "ev").code == 0
    with opened(Path("ev/report.html").resolve()) as tab:
        heads = tab.locator("h2").all_inner_texts()
        for title in (
            "What the answers depend on",
            "How the answer goes with a column",
            "Most surely wrong",
            "Robustness",
        ):
            assert title in heads
        assert tab.locator('figure > svg[role="img"][aria-label]').count() == tab.locator("figure > svg").count() > 10
