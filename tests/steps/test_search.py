"""The grid search: every combination, the best one first, the same whatever runs beside it."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.models.base import Fit
from mlops_cli.steps import search

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, split_without_valid, table

GRID = (
    "--search",
    "grid",
    "--space",
    "num_leaves=3,15",
    "--space",
    "learning_rate=0.02,0.3",
    "--set",
    "num_iterations=15",
)


class Trainer:
    """Scores are what the setting `score` says."""

    def fit(self, settings, threads, progress):
        progress(1, 1)
        return Fit(b"model %d" % settings["score"], 5, settings["score"])

    def cross(self, settings, folds):
        return Fit(b"", 7, settings["score"] / folds)


def run(scores, higher=True, folds=None, jobs=2):
    planned = search.plan({"score": [str(score) for score in scores]}, lambda given: {"score": int(given["score"])})
    options = {"metric": "m", "higher": higher, "folds": folds, "jobs": jobs, "progress": lambda *_: None}
    return search.run(Trainer(), planned, {"fixed": 1}, **options)


def test_space():
    assert search.space(["a=1,2", " b = x "]) == {"a": ["1", "2"], "b": ["x"]}
    assert search.space(["a=1,1,2"]) == {"a": ["1", "2"]}
    for wrong in (["a"], ["=1"], ["a=1,,2"], ["a="], ["a=1", "a=2"]):
        with pytest.raises(Usage):
            search.space(wrong)


def test_plan_is_every_combination_in_order():
    plan = search.plan({"a": ["1", "2"], "b": ["x", "y"]}, dict)
    assert plan.written == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]
    with pytest.raises(Usage, match="1,000,000 trials"):
        search.plan({name: [str(index) for index in range(100)] for name in "abc"}, dict)


def test_a_random_plan_is_drawn_from_lists_and_ranges():
    values = {"leaves": ["2..100"], "rate": ["0.001..1"], "kind": ["x", "y"], "shift": ["-1.0..1.0"]}
    plan = search.drawn(values, dict, 300, 0)
    assert plan.kind == "random" and len(plan.written) == 300 and plan == search.drawn(values, dict, 300, 0)
    assert plan != search.drawn(values, dict, 300, 1)
    leaves = [int(trial["leaves"]) for trial in plan.written]
    rates = [float(trial["rate"]) for trial in plan.written]
    assert min(leaves) >= 2 and max(leaves) <= 100 and sum(leaf < 15 for leaf in leaves) > 100
    assert min(rates) >= 0.001 and max(rates) <= 1 and 130 > sum(rate < 0.01 for rate in rates) > 70
    assert {trial["kind"] for trial in plan.written} == {"x", "y"}
    assert sum(float(trial["shift"]) < 0 for trial in plan.written) > 100


def test_what_is_drawn_twice_is_tried_once():
    assert len(search.drawn({"kind": ["x", "y"]}, dict, 50, 0).written) == 2


def test_the_first_of_the_best_wins():
    found = run([3, 9, 1, 9])
    assert found.trials.best == 1 and found.fit.model == b"model 9" and found.settings == {"fixed": 1, "score": 9}
    assert [trial.score for trial in found.trials.trials] == [3, 9, 1, 9]
    assert run([3, 9, 1, 1], higher=False).trials.best == 2


def test_folds_leave_the_fit_to_come():
    found = run([4, 8], folds=2)
    assert found.fit is None and found.trials.folds == 2 and [trial.score for trial in found.trials.trials] == [2, 4]


def test_nothing_to_judge_by():
    class Blind(Trainer):
        def fit(self, settings, threads, progress):
            return Fit(b"", 5, None)

    planned = search.plan({"a": ["1"]}, dict)
    with pytest.raises(InputUnusable, match="no valid rows"):
        search.run(Blind(), planned, {}, metric="m", higher=True, folds=None, jobs=1, progress=lambda *_: None)


def test_an_error_in_a_trial_ends_the_search():
    class Broken(Trainer):
        def fit(self, settings, threads, progress):
            raise InputUnusable("no")

    planned = search.plan({"a": ["1", "2", "3"]}, dict)
    with pytest.raises(InputUnusable):
        search.run(Broken(), planned, {}, metric="m", higher=True, folds=None, jobs=2, progress=lambda *_: None)


def parts(cli, *flags):
    table().select(*INPUTS, "yes", "price").write_parquet("t.parquet")
    return cli("split", "t.parquet", "--test", "0.2", *flags, "-o", "parts").ref


@pytest.mark.parametrize("flags", [(), ("--cv", "3"), ("--metric", "roc_auc")])
def test_a_search_gives_the_same_model_however_many_jobs(cli, flags):
    parts(cli, "--valid", "0.2")
    ids = []
    for jobs in (1, 3):
        ended = cli(
            "train", "parts", "--target", "yes", *GRID, *flags, "--jobs", jobs, "--force", "--json", "-o", "model"
        )
        assert ended.code == 0, ended.err
        ids.append(json.loads(ended.out)["id"])
    assert ids[0] == ids[1]
    trials = json.loads(Path("model/trials.json").read_text())
    assert trials["metric"] == ("roc_auc" if "roc_auc" in flags else "log_loss")
    assert trials["folds"] == (3 if "--cv" in flags else None)
    assert [trial["settings"] for trial in trials["trials"]] == [
        {"num_leaves": leaves, "learning_rate": rate} for leaves in ("3", "15") for rate in ("0.02", "0.3")
    ]
    scores = [trial["score"] for trial in trials["trials"]]
    assert trials["best"] == scores.index(max(scores) if trials["higher"] else min(scores))
    assert "4 trials, the best:" in ended.err


def test_the_best_trial_is_what_its_settings_give(cli):
    parts(cli, "--valid", "0.2")
    cli("train", "parts", "--target", "price", *GRID, "-o", "searched").ref  # noqa: B018
    trials = json.loads(Path("searched/trials.json").read_text())
    best = trials["trials"][trials["best"]]
    flags = [word for name, value in best["settings"].items() for word in ("--set", f"{name}={value}")]
    cli("train", "parts", "--target", "price", *flags, "--set", "num_iterations=15", "-o", "plain").ref  # noqa: B018
    assert Path("searched/model.txt").read_bytes() == Path("plain/model.txt").read_bytes()


def test_a_search_without_valid_rows_needs_folds(cli, work):
    few = pl.DataFrame({"x": [1.0, 2.0, 3.0], "yes": ["a", "b", "c"]})  # held out, a class would be gone
    split_without_valid(work / "few", few)
    ended = cli("train", "few", "--target", "yes", *GRID, "--set", "min_data_in_leaf=1")
    assert ended.code == 4 and "--cv 5" in ended.err
    split_without_valid(work / "parts", table().select(*INPUTS, "yes"))
    assert cli("train", "parts", "--target", "yes", *GRID, "--cv", "3", "-o", "model").code == 0
    trials = json.loads(Path("model/trials.json").read_text())
    assert trials["folds"] == 3
