"""Losses, weights, constraints, held-out rows and the baseline, through the command line."""

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from mlops_cli.metrics.base import Measurements
from mlops_cli.metrics.gate import PAIRED
from mlops_cli.models import lightgbm_fit

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import split_without_valid

FEW = ("--set", "num_iterations=30")
ROWS = 900


def numbers(seed=0):
    """A count and a quantity that grow with x, a class that mostly does, and what has nothing to do with it."""
    rng = np.random.default_rng(seed)
    x = rng.random(ROWS)
    return pl.DataFrame(
        {
            "x": x,
            "noise": rng.random(ROWS),
            "flag": rng.random(ROWS) < 0.5,
            "text": rng.choice(["a", "b"], ROWS),
            "group": rng.integers(0, 30, ROWS),
            "when": rng.permutation(ROWS),
            "count": rng.poisson(np.exp(2 * x)),
            "amount": 10 * x + rng.normal(size=ROWS) * 3,
            "yes": rng.random(ROWS) < 0.15 + 0.2 * x,
            "chance": rng.normal(size=ROWS),
            "heavy": np.where(x > 0.5, 1.0, 0.0),
        }
    )


@pytest.fixture
def parts(cli, work):
    """A split of the numbers with this target and no other."""

    def make(target, *flags, frame=None):
        frame = numbers() if frame is None else frame
        others = {"count", "amount", "yes", "chance"} - {target}
        frame.drop(others, strict=False).write_parquet("t.parquet")
        return cli("split", "t.parquet", *flags, "-o", "parts").ref

    return make


def load(folder, name):
    return json.loads(Path(folder, name).read_text())


def measured(folder):
    return Measurements, {each["name"]: each["value"] for each in load(folder, "metrics.json")["metrics"]}


def predicted(cli, folder, frame):
    frame.write_parquet("asked.parquet")
    assert cli("predict", folder, "asked.parquet", "-o", "predicted", "--force").code == 0
    return pl.read_parquet("predicted/*.parquet")["prediction"].to_numpy()


def test_a_quantile(cli, parts):
    parts("amount")
    ended = cli("train", "parts", "--target", "amount", "--set", "objective=quantile", "--set", "alpha=0.8", "-o", "m")
    assert ended.code == 0 and "pinball_loss" in ended.err
    signature = load("m", "signature.json")
    assert (signature["loss"], signature["alpha"]) == ("quantile", 0.8)
    test = pl.read_parquet("parts/test/*.parquet")
    assert 0.65 < np.mean(test["amount"].to_numpy() <= predicted(cli, "m", test.drop("amount"))) < 0.92
    ended = cli("evaluate", "m", "--require", "pinball_loss<3", "-o", "e")
    assert ended.code == 0 and "pinball_loss" in ended.err


def test_a_quantile_is_compared_by_its_own_loss(cli, parts):
    parts("amount")
    fit = ("train", "parts", "--target", "amount", "--set")
    assert cli(*fit, "objective=quantile", "--set", "alpha=0.9", "-o", "q90").code == 0
    assert cli(*fit, "objective=quantile", "--set", "alpha=0.1", "-o", "q10").code == 0
    assert cli(*fit, "objective=mse", "-o", "mean").code == 0
    for champion in ("q10", "mean"):  # by rmse the mean would win
        ended = cli("evaluate", "q90", "--against", champion, "-o", f"beside-{champion}")
        assert ended.code == 0 and f"against {champion}: better by pinball_loss: -" in ended.err, ended.err
        told = load(f"beside-{champion}", "comparison.json")
        own = next(each for each in told["metrics"] if each["name"] == told["main"])
        test = pl.read_parquet("parts/test/*.parquet")
        theirs = sk.mean_pinball_loss(test["amount"], predicted(cli, champion, test.drop("amount")), alpha=0.9)
        assert own["champion"] == pytest.approx(theirs)
        assert own["difference"]["value"] == pytest.approx(own["this"] - theirs)
    other = cli("evaluate", "q90", "--against", "q10", "--require", "pinball_loss<=champion")
    assert other.code == 3 and "the champion has no value of pinball_loss" in other.err  # it has that of 0.1
    assert cli(*fit, "objective=quantile", "--set", "alpha=0.9", "--set", "num_leaves=2", "-o", "less").code == 0
    gated = cli("evaluate", "q90", "--against", "less", "--require", "pinball_loss<=champion+5")
    assert gated.code == 0 and PAIRED in gated.err


@pytest.mark.parametrize(
    ("objective", "loss", "metric"),
    [("l1", "regression_l1", "mae"), ("mse", "regression", "rmse"), ("poisson", "poisson", "poisson_deviance")],
)
def test_losses_by_their_usual_names(cli, parts, objective, loss, metric):
    parts("count")
    flags = ("--task", "regression", "--set", f"objective={objective}")
    ended = cli("train", "parts", "--target", "count", *flags, *FEW, "-o", "m")
    assert ended.code == 0 and f", {metric} " in ended.err
    assert load("m", "signature.json")["loss"] == loss
    assert load("m", "metrics.json")["baseline"]["difference"]["name"] == metric


def test_what_classes_learn_is_not_in_the_signature(cli, parts):
    cli("train", parts("yes"), "--target", "yes", *FEW, "-o", "m").ref  # noqa: B018
    assert not {"loss", "alpha"} & load("m", "signature.json").keys()


def test_rows_of_weight_0_teach_nothing(cli, parts):
    """Half of the rows say the opposite; with weight 0 they have no say, in training nor in stopping."""
    frame = numbers().with_columns(
        amount=pl.when(pl.col("heavy") > 0).then("amount").otherwise(1000.0 - pl.col("amount"))
    )
    parts("amount", frame=frame)
    ended = cli("train", "parts", "--target", "amount", "--weight", "heavy", *FEW, "-o", "m")
    assert ended.code == 0, ended.err
    assert "heavy" not in {column["name"] for column in load("m", "signature.json")["columns"]}
    rows = frame.filter(pl.col("heavy") == 0).drop("amount", "heavy")
    assert predicted(cli, "m", rows).max() < 100
    assert float(ended.err.split("rmse ")[1].split()[0]) < 10  # of the valid rows those of weight 1 alone


def test_class_weights(cli, parts):
    parts("yes")
    recalls = []
    for flags in ((), ("--class-weight", "balanced"), ("--class-weight", "true=50")):
        ended = cli("train", "parts", "--target", "yes", *flags, *FEW, "--force", "-o", "m")
        assert ended.code == 0, ended.err
        recalls.append(measured("m")[1]["recall"])
    assert recalls[0] < recalls[1] <= recalls[2]


def test_the_weight_of_the_class_that_is_named(cli, parts):
    """Also when the positive class is the first: LightGBM's label 1 is then the class of code 0."""
    parts("yes")
    cli("train", "parts", "--target", "yes", "--positive", "false", "--class-weight", "true=50", *FEW, "-o", "m").ref  # noqa: B018
    confusion = load("m", "metrics.json")["confusion"]
    assert confusion["labels"] == [False, True]
    assert sum(row[1] for row in confusion["counts"]) > sum(row[0] for row in confusion["counts"])


@pytest.mark.parametrize(("way", "sign"), [("increasing", 1), ("decreasing", -1)])
def test_monotone(cli, parts, way, sign):
    parts("amount")
    grid = pl.DataFrame({"x": np.linspace(0, 1, 200), "noise": [0.5] * 200, "flag": [True] * 200, "text": ["a"] * 200})
    grid = grid.with_columns(group=pl.lit(3), when=pl.lit(400), heavy=pl.lit(0.0))
    steps = []
    for flags in ((), ("--monotone", f"x={way}")):
        ended = cli("train", "parts", "--target", "amount", *flags, "--set", "num_iterations=60", "--force", "-o", "m")
        assert ended.code == 0, ended.err
        steps.append(sign * np.diff(predicted(cli, "m", grid)))
    assert steps[0].min() < -1e-9  # without it the answer goes up and down
    assert steps[1].min() >= 0
    assert load("m", "manifest.json")["params"]["monotone"] == {"x": sign}


def test_rows_in_batches_are_learnt_as_those_of_a_matrix(cli, work):
    """Of more rows than tell the bins some tell them, and all come a batch at a time: categories, gaps, constraints."""
    rng = np.random.default_rng(0)
    x = rng.random(30_000)
    frame = pl.DataFrame(
        {
            "x": pl.Series(x).set(pl.Series(x > 0.98), None),
            "kind": rng.choice(["a", "b", "c"], len(x)),
            "y": np.sin(6 * x) + rng.normal(size=len(x)) / 10,
        }
    )
    frame.write_parquet("t.parquet")
    cli("split", "t.parquet", "-o", "parts")
    scores = {}
    for rows in (100, 5_000, 1_000_000):
        told = ("--set", f"bin_construct_sample_cnt={rows}", "--monotone", "x=decreasing", *FEW, "-o", f"m{rows}")
        assert cli("train", "parts", "--target", "y", *told).code == 0
        metrics = load(f"m{rows}", "metrics.json")["metrics"]
        scores[rows] = next(each["value"] for each in metrics if each["name"] == "rmse")
    assert scores[5_000] == pytest.approx(scores[1_000_000], rel=0.01)
    assert scores[100] > scores[5_000], "a hundred rows tell rough bins: they were not looked at alone"
    pl.DataFrame({"x": np.linspace(0, 1, 200), "kind": ["a"] * 200}).write_parquet("line.parquet")
    assert cli("predict", "m5000", "line.parquet", "-o", "line").code == 0
    assert (np.diff(pl.read_parquet("line/*.parquet")["prediction"].to_numpy()) <= 0).all()


@pytest.mark.parametrize("metric", ["f1", "mcc", "brier", "recall", "balanced_accuracy", "roc_auc"])
def test_metrics_to_stop_by(cli, parts, metric):
    parts("yes")
    ended = cli("train", "parts", "--target", "yes", "--metric", metric, *FEW, "-o", "m")
    assert ended.code == 0, ended.err
    told = float(ended.err.split(f", {metric} ")[1].split()[0])
    assert told == pytest.approx(measured("m")[1][metric], rel=1e-3)


def test_a_metric_that_ranks_or_counts_does_not_stop_a_fit_before_its_loss(cli, work):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 4))
    yes = x[:, 0] + x[:, 1] + rng.normal(size=400) > 0.8
    pl.DataFrame({f"x{n}": x[:, n] for n in range(4)} | {"yes": yes}).write_parquet("t.parquet")
    rounds = {}
    for metric in ("log_loss", "roc_auc", "f1", "precision", "accuracy"):
        ended = cli("train", "t.parquet", "--target", "yes", "--metric", metric, "-o", metric)
        rounds[metric] = int(ended.err.split(" rounds, ")[0].split()[-1])
    assert rounds["log_loss"] > 30
    assert all(count >= rounds["log_loss"] for count in rounds.values()), rounds


def test_few_rows_are_all_learnt_from_and_measured_on_what_was_not(cli, parts, monkeypatch):
    parts("amount")
    ended = cli("train", "parts", "--target", "amount", "-o", "all")
    rows = sum(pl.read_parquet(f"parts/{part}/*.parquet").height for part in ("train", "valid"))
    assert f"learnt from all {rows:,} rows" in ended.err
    monkeypatch.setattr(lightgbm_fit, "WHOLE_ROWS", 0)
    ended = cli("train", "parts", "--target", "amount", "--force", "-o", "train")
    assert "learnt from all" not in ended.err
    assert load("all", "metrics.json") == load("train", "metrics.json")
    assert Path("all/model.txt").read_bytes() != Path("train/model.txt").read_bytes()


def test_the_rounds_of_rows_that_belong_together_are_not_told_by_chance(cli, parts, monkeypatch):
    asked = []
    monkeypatch.setattr(lightgbm_fit.LightGBM, "_best_rounds", lambda self, *_: asked.append(1) or 7)
    for flags, times in (
        (("--group", "group"), 0),
        (("--time", "when"), 0),
        (("--key", "group"), 0),
        ((), 1),
        (("--key", "when"), 2),
    ):
        parts("amount", *flags)
        assert cli("train", "parts", "--target", "amount", "--force", "-o", "m").code == 0
        assert len(asked) == times
    assert load("m", "manifest.json")["params"]["rounds"] == 7


def held_out(cli, cut, monkeypatch):
    """The train and valid rows that training on a split without a valid part learns from."""
    seen = {}
    real = lightgbm_fit.LightGBM.__init__

    def spied(self, tables, *rest):
        seen.update(train=tables.train.collect(), valid=tables.valid.collect())
        real(self, tables, *rest)

    monkeypatch.setattr(lightgbm_fit.LightGBM, "__init__", spied)
    split_without_valid(Path("bare"), numbers().drop("count", "yes", "chance"))
    manifest = load("bare", "manifest.json")
    from mlops_cli.store import artefact

    Path("bare/manifest.json").unlink()
    artefact.seal(Path("bare"), kind="split", created="", tool="", command=[], inputs=manifest["inputs"], params=cut)
    ended = cli("train", "bare", "--target", "amount", "--include", "group", *FEW)
    assert ended.code == 0 and "the split has no valid part" in ended.err, ended.err
    return seen["train"], seen["valid"]


def test_a_valid_part_is_cut_by_group_as_the_split_was(cli, work, monkeypatch):
    train, valid = held_out(cli, {"group": "group"}, monkeypatch)
    assert train.height + valid.height == ROWS and 0 < valid.height < ROWS / 2
    assert not set(train["group"]) & set(valid["group"])


def test_a_valid_part_is_cut_by_time_as_the_split_was(cli, work, monkeypatch):
    train, valid = held_out(cli, {"time": "when", "embargo": "20"}, monkeypatch)
    assert valid.height == round(0.15 * ROWS)
    assert train["when"].max() == valid["when"].min() - 21
    assert train.height + valid.height == ROWS - 20


def test_a_valid_part_is_cut_by_time_in_each_group(cli, work, monkeypatch):
    train, valid = held_out(cli, {"time": "when", "group": "group"}, monkeypatch)
    last = train.group_by("group").agg(pl.col("when").max().alias("last"))
    first = valid.group_by("group").agg(pl.col("when").min().alias("first"))
    both = last.join(first, on="group")
    assert both.height > 20 and (both["last"] < both["first"]).all()


def test_a_model_that_does_not_beat_the_baseline_is_told(cli, parts):
    parts("chance")
    ended = cli("train", "parts", "--target", "chance", "-o", "m", "--json")
    assert ended.code == 0
    assert "warning: the model" in ended.err and "the baseline, the mean in every row" in ended.err
    told = json.loads(ended.out)["baseline"]
    assert told["beaten"] is not True and told["rule"] == "the mean"
    again = cli("train", "parts", "--target", "chance", "-o", "m")
    assert "cached" in again.err and "the baseline, the mean" in again.err
    parts("amount")
    ended = cli("train", "parts", "--target", "amount", "-o", "m", "--json")
    assert "baseline" not in ended.err and json.loads(ended.out)["baseline"]["beaten"] is True


def test_the_baseline_is_what_it_says(cli, parts):
    parts("yes")
    cli("train", "parts", "--target", "yes", *FEW, "-o", "m").ref  # noqa: B018
    train, valid = (pl.read_parquet(f"parts/{part}/*.parquet")["yes"].to_numpy() for part in ("train", "valid"))
    share = train.mean()
    loss = -np.mean(np.where(valid, np.log(share), np.log(1 - share)))
    found = {each["name"]: each["value"] for each in load("m", "metrics.json")["baseline"]["metrics"]}
    assert found["log_loss"] == pytest.approx(loss) and found["roc_auc"] == pytest.approx(0.5)
    assert found["accuracy"] == pytest.approx(1 - valid.mean())


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--weight", "text"), 2, "not of numbers"),
        (("--weight", "bad"), 4, "rows have a weight"),
        (("--weight", "none"), 4, "is 0 in every train row"),
        (("--weight", "heavyy"), 4, "did you mean heavy?"),
        (("--class-weight", "yes=2"), 2, "this is a regression"),
        (("--monotone", "text=increasing"), 2, "no order"),
        (("--monotone", "none=increasing"), 2, "left out"),
        (("--monotone", "x=increasing", "--set", "objective=l1"), 2, "--monotone does not go with"),
        (("--metric", "f1"), 2, "there is: rmse, mae"),
        (("--metric", "pinball_loss"), 2, "nothing to train a regression by"),
        (("--set", "objective=poisson"), 4, "objective=poisson needs a target at least 0"),
        (("--set", "objective=quantile", "--set", "alpha=1"), 2, "between 0 and 1"),
        (("--set", "objective=binary"), 2, "does not fit a regression"),
        (("--search", "grid", "--space", "objective=l1,l2"), 2, "alike for all trials"),
    ],
)
def test_what_is_refused(cli, parts, capfd, flags, code, says):
    frame = numbers().with_columns(bad=pl.when(pl.col("x") > 0.9).then(-1.0).otherwise(pl.col("x")), none=pl.lit(0.0))
    parts("amount", frame=frame)
    ended = cli("train", "parts", "--target", "amount", *flags, "-o", "m")
    assert ended.code == code, ended.err
    assert says in ended.err and len(ended.err.strip().splitlines()) <= 2
    assert not Path("m").exists() and "[LightGBM]" not in "".join(capfd.readouterr())


def test_few_rows_and_hard_targets(cli, work):
    pl.DataFrame({"x": [1.0, 2.0, 3.0], "y": [1.5, 2.5, 3.5]}).write_parquet("three.parquet")
    ended = cli("train", "three.parquet", "--target", "y", "-o", "three")
    assert ended.code in (0, 4) and len(ended.err) < 600 and "Traceback" not in ended.err
    pl.DataFrame({"x": range(20_000), "y": [f"c{n // 2}" for n in range(20_000)]}).write_parquet("many.parquet")
    ended = cli("train", "many.parquet", "--target", "y", "-o", "many")
    assert ended.code == 4 and "more than 1000 classes" in ended.err
    pl.DataFrame({"x": range(50), "y": [2.5] * 50}).write_parquet("one.parquet")
    ended = cli("train", "one.parquet", "--target", "y", "--task", "regression", "-o", "one")
    assert ended.code == 4 and "one value" in ended.err


def test_a_family_that_does_not_take_a_flag(cli, work):
    ended = cli("train", "x.parquet", "--target", "y", "--family", "cnn", "--weight", "w")
    pl.DataFrame({"x": [1], "y": [1]}).write_parquet("x.parquet")
    ended = cli("train", "x.parquet", "--target", "y", "--family", "cnn", "--weight", "w")
    assert ended.code == 2 and "--family cnn has no --weight" in ended.err
