"""The search: the best one first, the same whatever runs beside it, and nothing done twice."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from mlops_cli.errors import InputUnusable
from mlops_cli.models.base import Fit
from mlops_cli.steps import search, search_folds, search_space
from mlops_cli.steps.search_journal import Journal
from mlops_cli.steps.search_trials import Trial, best

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
    """Scores are what the setting `score` says; fitted keeps what was fitted."""

    def __init__(self):
        self.fitted = []

    def fit(self, settings, threads, progress, report=None):
        progress(1, 1)
        self.fitted.append(settings["score"])
        return Fit(b"model %d" % settings["score"], 5, settings["score"])

    def part(self, fold):
        return fold

    def cross(self, part, settings, progress, report=None):
        self.fitted.append(settings["score"])
        return Fit(b"", 7, settings["score"] / part)


def read(given):
    return {name: int(value) for name, value in given.items()}


def run(scores, higher=True, folds=(), jobs=2, trainer=None, journal=None):
    planned = search.plan("grid", search_space.parse(["score=" + ",".join(map(str, scores))]), read)
    judging = search.Judging("m", higher, search_folds.Folds(list(folds), "of rows") if folds else None)
    kept = Journal(journal, lambda line: None)
    return search.run(trainer or Trainer(), planned, {"fixed": 1}, judging, jobs, kept, lambda *_: None)


def test_the_first_of_the_best_wins():
    found = run([3, 9, 1])
    assert found.trials.best == 1 and found.fit.model == b"model 9" and found.settings == {"fixed": 1, "score": 9}
    assert [trial.score for trial in found.trials.trials] == [3, 9, 1]
    assert run([3, 9, 1], higher=False).trials.best == 2
    trials = [Trial({}, score, 1) for score in (1.0, 2.0, 2.0, float("nan"))]
    assert best(trials, higher=True) == 1 and best([Trial({}, None, 0)], higher=True) is None


def test_folds_leave_the_fit_to_come():
    found = run([4, 8], folds=[1, 2])
    assert found.fit is None and found.trials.folds == 2 and [trial.score for trial in found.trials.trials] == [3, 6]
    assert found.trials.trials[1].folds == [8, 4] and found.trials.trials[1].error == 2
    assert "± 2, mean ± standard error of 2 folds of rows" in found.trials.told()


def test_what_was_done_is_not_done_again(tmp_path):
    whole = run([3, 9, 1], journal=tmp_path)
    again = Trainer()
    found = run([3, 9, 1], journal=tmp_path, trainer=again)
    assert again.fitted == [] and found.trials == whole.trials and found.fit is None
    (tmp_path / "00001" / "trial.json").write_bytes((tmp_path / "00001" / "trial.json").read_bytes()[:-9])
    (tmp_path / "00002" / "trial.json").unlink()
    assert run([3, 9, 1], journal=tmp_path, trainer=again).trials == whole.trials and sorted(again.fitted) == [1, 9]
    run([4, 9, 1], journal=tmp_path, trainer=again)
    assert sorted(again.fitted) == [1, 4, 9], "a trial of other settings must not be taken"


def test_a_trial_that_is_refused_has_failed():
    class Picky(Trainer):
        def fit(self, settings, threads, progress, report=None):
            if settings["score"] < 5:
                raise InputUnusable(f"no {settings['score']}")
            return super().fit(settings, threads, progress)

    found = run([3, 9, 1], trainer=Picky())
    assert [trial.state for trial in found.trials.trials] == ["failed", "complete", "failed"]
    assert found.trials.trials[0].why == "no 3" and "(2 failed)" in found.trials.told()
    with pytest.raises(InputUnusable, match="no 3"):
        run([3, 4], trainer=Picky())


def test_an_error_of_ours_ends_the_search():
    class Broken(Trainer):
        def fit(self, settings, threads, progress, report=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([1, 2, 3], trainer=Broken())


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
    rounds = json.loads(Path("model/manifest.json").read_text())["params"]["rounds"]
    assert rounds == trials["trials"][trials["best"]]["rounds"]


TPE = ("--search", "tpe", "--space", "num_leaves=3..30", "--space", "learning_rate=0.02..0.3", "--trials", "18")


@pytest.mark.parametrize("flags", [(), ("--cv", "2")])
def test_what_tpe_proposes_is_the_same_however_many_jobs(cli, flags):
    parts(cli, "--valid", "0.2")
    made = []
    for jobs in (1, 3):
        command = ("train", "parts", "--target", "price", *TPE, "--set", "num_iterations=30", *flags)
        made.append(json.loads(cli(*command, "--jobs", jobs, "--force", "--json", "-o", "model").out)["id"])
    assert made[0] == made[1]
    trials = json.loads(Path("model/trials.json").read_text())["trials"]
    assert len(trials) == 18 and all(3 <= int(trial["settings"]["num_leaves"]) <= 30 for trial in trials)


def test_a_cross_validated_fit_says_its_numbers(cli, work):
    parts(cli, "--valid", "0.2")
    ended = cli("train", "parts", "--target", "yes", "--cv", "4", "--set", "num_iterations=10", "-o", "model")
    assert ended.code == 0 and "cross-validated: log_loss" in ended.err and "4 folds alike in classes" in ended.err
    kept = json.loads(Path("model/trials.json").read_text())
    assert kept["search"] is None and len(kept["trials"][0]["folds"]) == 4
    plain = cli("train", "parts", "--target", "yes", "--set", "num_iterations=10", "-o", "plain")
    assert plain.code == 0 and Path("plain/model.txt").read_bytes() == Path("model/model.txt").read_bytes()


LONG = "mlops train parts --target price --search tpe --trials 16 --cv 3 --space num_leaves=8..64"


def test_a_killed_search_goes_on_where_it_was(cli, shell, work):
    table(4000).select(*INPUTS, "price").write_parquet("t.parquet")
    cli("split", "t.parquet", "--test", "0.2", "--valid", "0.2", "-o", "parts").ref  # noqa: B018
    line = f"{LONG} --space learning_rate=0.01..0.03 --set num_iterations=60"
    done = ".mlops/checkpoints/*/trials/*/trial.json"
    killed = shell(
        f"{line} -o model & child=$!; for i in $(seq 600); do sleep 0.05; "
        f'[ "$(ls {done} 2>/dev/null | wc -l)" -ge 11 ] && break; done; kill -9 $child; wait $child'
    )
    assert killed.code == 137 and not Path("model").exists(), killed.err
    there = sorted(work.glob(done))
    assert 11 <= len(there) < 16
    there[3].write_bytes(there[3].read_bytes()[:40])  # as a power cut may leave it
    before = {path: path.stat().st_mtime_ns for path in there}
    assert json.loads(there[0].read_bytes().splitlines()[0])["curves"]
    resumed = shell(f"{line} -o model --json")
    assert resumed.code == 0, resumed.err
    assert f"{len(before) - 1} of 16 trials had been done" in resumed.err and "trial 4 in the journal" in resumed.err
    assert not list(work.glob(".mlops/checkpoints/*"))
    whole = shell(f"{line} -o whole --json --force --jobs 1")
    assert json.loads(whole.out)["id"] == json.loads(resumed.out)["id"] and "had been done" not in whole.err


def test_two_searches_at_once_share_the_trials(cli, shell, work):
    parts(cli, "--valid", "0.2")
    line = f"{LONG} --set num_iterations=20 --json"
    both = shell(f"{line} -o one > 1 & {line} -o two > 2 & wait; cat 1 2")
    ids = [json.loads(one)["id"] for one in both.out.splitlines()]
    assert len(ids) == 2 and ids[0] == ids[1], both.err
