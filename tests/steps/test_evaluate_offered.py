"""A gate about a metric that there will not be is refused before any row is read; every other one is let through."""

import json

import numpy as np
import polars as pl
import pytest

from mlops_cli.steps import evaluate_rows

WORDS = ("evaluate", "model", "--data", "t.parquet", "--by", "who", "--explain", "--robustness", "--slices", "50")
TARGETS = {"two": "binary", "three": "multiclass", "number": "regression"}


@pytest.fixture
def trained(cli):
    """A function: the model of a target; the rows are t.parquet."""

    def make(target, *more):
        rng = np.random.default_rng(0)
        x = rng.random(200)
        frame = pl.DataFrame({"x": x, "c": rng.choice(["a", "b"], 200), "who": rng.choice(["f", "m"], 200)})
        made = {"two": x > 0.4, "three": np.array(["p", "q", "r"])[(x * 3).astype(int)], "number": x + 1}
        frame.with_columns(pl.Series(target, made[target])).write_parquet("t.parquet")
        words = ("--exclude", "who", "--set", "num_iterations=5", *more, "-o", "model")
        assert cli("train", "t.parquet", "--target", target, *words).code == 0

    return make


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_is_measured_may_be_asked_for(cli, trained, target):
    trained(target)
    measured = json.loads(cli(*WORDS, "--json").out)["metrics"]
    named = [m for m in measured if m["column"] != "slice" or target != "three"]
    gates = [m["name"] + (f"[{m['column']}" + (f"={m['level']}]" if m["level"] else "]") if m["column"] else "")
             for m in named]  # fmt: skip
    ended = cli(*WORDS, *(word for each in gates for word in ("--require", f"{each}>-1e9")))
    assert ended.code in (0, 1, 3) and len(gates) > 30, ended.err


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_task_has_not_is_refused_before_a_row_is_read(cli, trained, monkeypatch, target):
    trained(target)

    def read(*_, **__):
        raise AssertionError("rows were read")

    monkeypatch.setattr(evaluate_rows, "collect", read)
    other = {"two": "rmse", "three": "average_precision", "number": "roc_auc"}[target]
    refused = (other, "nothing", f"{other}[who=f]", "mae[town=x]", "cost", "importance[zzz]", "flip_rate[noise]")
    for each in (*refused, "demographic_parity_ratio[town]"):
        ended = cli(*WORDS, "--require", f"{each}>0")
        assert ended.code == 2 and "not measured" not in ended.out, (each, ended.err)
    assert cli("evaluate", "model", "--data", "t.parquet", "--require", "importance[x]>0").code == 2  # no --explain


def test_costs_of_a_model_of_many_classes_and_of_levels_may_be_asked_for(cli, work):
    rng = np.random.default_rng(0)
    kind = [f"k{n:02}" for n in rng.integers(0, 20, 600)]
    pl.DataFrame({"x": rng.random(600), "who": ["f", "m"] * 300, "kind": kind}).write_parquet("t.parquet")
    words = ("--exclude", "who", "--set", "num_iterations=2", "-o", "model")
    assert cli("train", "t.parquet", "--target", "kind", *words).code == 0
    (work / "costs.toml").write_text("default = 1\n[costs.k00]\nk19 = 7\n")
    gates = ("cost<1e9", "cost[who=f]<1e9", "recall[label=k19]>=0")
    ended = cli("evaluate", "model", "--data", "t.parquet", "--by", "who", "--cost", "costs.toml",
                *(word for each in gates for word in ("--require", each)))  # fmt: skip
    assert ended.code in (0, 3), ended.err
