"""`evaluate --against`, `--group` and `--slices` on real trained models, with what cannot be asked for too."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest


def table(seed=0, cameras=200, rows=3000):
    """Rows of cameras that resemble one another; the rows of `kind` = b are noise."""
    rng = np.random.default_rng(seed)
    camera = rng.integers(0, cameras, rows)
    x, kind = rng.normal(size=rows), rng.choice(["a", "b", "c"], rows, p=[0.4, 0.2, 0.4])
    lean = rng.normal(size=cameras)[camera]
    late = np.where(kind == "b", rng.normal(size=rows), x + 0.3 * rng.normal(size=rows) + 0.4 * lean) > 0.5
    return pl.DataFrame(
        {"x": x, "z": rng.normal(size=rows), "kind": kind, "camera": [f"c{c}" for c in camera], "late": late}
    )


@pytest.fixture
def parts(cli):
    """A split by camera, and a function that trains on it."""
    table().write_parquet("rows.parquet")
    assert cli("split", "rows.parquet", "--test", "0.4", "--group", "camera", "-o", "parts").ref == "parts"

    def train(name, *more):
        return cli("train", "parts", "--target", "late", "--set", "num_leaves=5", "-o", name, *more).ref

    return train


def read(ref, name="metrics.json"):
    return json.loads(Path(ref, name).read_text())


def overall(ref):
    return {each["name"]: each for each in read(ref)["metrics"] if each["column"] is None}


def test_a_champion_is_always_compared(cli, parts):
    model, weak = (
        parts("model"),
        parts("weak", "--set", "num_leaves=2", "--set", "num_iterations=1", "--set", "early_stopping_round=0"),
    )
    done = cli("evaluate", model, "--against", weak, "--json", "-o", "result")
    assert done.code == 0, done.err
    told = json.loads(done.out)["comparison"]
    assert told == read("result", "comparison.json")
    assert (told["main"], told["answer"]) == ("roc_auc", "better")
    assert "against weak: better by roc_auc: +0." in done.err and "McNemar" in done.err
    assert "Better than the champion" in Path("result/report.html").read_text()
    turned = cli("evaluate", weak, "--against", model, "--json", "-o", "turned")
    assert json.loads(turned.out)["comparison"]["answer"] == "worse"
    names = {one["name"] for one in told["metrics"]}
    assert {"roc_auc", "average_precision", "precision", "recall", "f1", "accuracy", "log_loss", "brier"} <= names
    # The champion is part of what is remembered, and asking again costs nothing.
    again = cli("evaluate", model, "--against", weak, "--require", "f1>=champion-0.5")
    assert "cached" in again.err and "f1>=champion-0.5" in again.err
    other = cli("evaluate", model, "--against", model, "--json")
    assert json.loads(other.out)["cached"] is False
    assert json.loads(other.out)["comparison"]["answer"] == "undecided" and "the same by roc_auc" in other.err


def test_undecided_says_how_many_would_decide(cli, parts):
    model, twin = (
        parts("model"),
        parts("twin", "--seed", "1", "--set", "bagging_fraction=0.8", "--set", "bagging_freq=1"),
    )
    done = cli("evaluate", model, "--against", twin, "--require", "accuracy>=champion-0.5")
    assert done.code in (0, 3), done.err
    lines = [line for line in done.err.splitlines() if "against twin: undecided by" in line]
    assert lines and all("would decide" in line and "group" in line for line in lines), done.err


def test_an_alias_without_a_version_passes_and_says_so(cli, parts):
    done = cli("evaluate", parts("model"), "--against", "late@production", "-o", "result")
    assert done.code == 0 and "there is no late@production yet" in done.err
    assert not Path("result/comparison.json").exists()


def test_champions_that_cannot_be_compared(cli, parts, work):
    model = parts("model")
    table(1).drop("x").with_columns(w=pl.col("z").sin()).write_parquet("others.parquet")
    assert cli("train", "others.parquet", "--target", "late", "-o", "columns").code == 0
    assert cli("train", "rows.parquet", "--target", "x", "-o", "regression").code == 0
    assert cli("train", "rows.parquet", "--target", "kind", "-o", "kind").code == 0
    table().with_columns(late=pl.when("late").then(pl.lit("yes")).otherwise(pl.lit("no"))).write_parquet("text.parquet")
    assert cli("train", "text.parquet", "--target", "late", "-o", "classes").code == 0
    for champion, said in (
        ("columns", "--against columns was trained on other columns: parts lacks column w"),
        ("regression", "it predicts x (regression), the model late (binary)"),
        ("kind", "they cannot be compared"),
        ("classes", "its classes are no, yes"),
        ("nothing", "nothing"),
    ):
        done = cli("evaluate", model, "--against", champion, "-o", "result")
        assert done.code == 4 and said in done.err, (champion, done.err)
        assert done.err.count("\n") <= 4 and not Path("result").exists()
    # It can answer as soon as the data has its columns.
    table(3).with_columns(w=pl.col("z").sin()).write_parquet("both.parquet")
    assert cli("evaluate", model, "--against", "columns", "--data", "both.parquet").code == 0


def test_intervals_are_of_the_groups_of_the_split(cli, parts):
    model = parts("model")
    done = cli("evaluate", model, "-o", "grouped")
    groups = pl.read_parquet("parts/test/*.parquet")["camera"].n_unique()
    assert f"intervals are of {groups} groups by camera" in done.err
    assert overall("grouped")["accuracy"]["groups"] == groups
    assert pl.read_parquet("grouped/predictions.parquet")["group"].n_unique() == groups
    table(5, 900).write_parquet("free.parquet")
    named = cli("evaluate", model, "--data", "free.parquet", "--group", "kind", "-o", "kind")
    assert "3 groups by kind" in named.err and "wide and rough" in named.err
    assert cli("evaluate", model, "--data", "free.parquet", "--group", "kind", "--require", "accuracy>=0.1").code == 3
    table(5, 900).drop("camera").write_parquet("bare.parquet")
    assert cli("train", "bare.parquet", "--target", "late", "-o", "bare").code == 0
    assert "groups" not in overall(cli("evaluate", "bare", "--data", "free.parquet").ref)["accuracy"]


def test_data_without_the_splits_column_is_told(cli, work):
    table().write_parquet("rows.parquet")
    assert cli("split", "rows.parquet", "--test", "0.4", "--group", "camera", "-o", "parts").code == 0
    assert cli("train", "parts", "--target", "late", "--set", "num_leaves=5", "-o", "model").code == 0
    table(7).drop("camera").write_parquet("bare.parquet")
    done = cli("evaluate", "model", "--data", "bare.parquet")
    if any(column["name"] == "camera" for column in read("model", "signature.json")["columns"]):
        assert done.code == 4 and "camera" in done.err
    else:
        assert done.code == 0 and "no column camera, by which the split kept rows together" in done.err


def test_groups_of_nulls_and_one_group(cli, parts):
    model = parts("model")
    table(5).with_columns(none=pl.lit(None, pl.String), one=pl.lit("x")).write_parquet("odd.parquet")
    none = cli("evaluate", model, "--data", "odd.parquet", "--group", "none", "-o", "result")
    assert none.code == 4 and "none is null in all rows" in none.err and not Path("result").exists()
    one = cli("evaluate", model, "--data", "odd.parquet", "--group", "one", "-o", "one")
    assert one.code == 0 and "so no intervals" in one.err
    assert overall("one")["accuracy"]["low"] is None and overall("one")["accuracy"]["value"] > 0.5
    assert cli("evaluate", model, "--data", "odd.parquet", "--group", "one", "--require", "accuracy>=0.1").code == 3
    wrong = cli("evaluate", model, "--data", "odd.parquet", "--group", "camra")
    assert wrong.code == 4 and "did you mean camera?" in wrong.err


def test_slices_are_found_and_can_be_gated(cli, parts):
    model = parts("model")
    done = cli("evaluate", model, "--slices", "60", "--json", "-o", "result")
    assert done.code == 0, done.err
    found = read("result", "slices.json")
    worst = {one["name"]: one for one in found["slices"]}
    assert worst["kind = b"]["surely"] and worst["kind = b"]["difference"] > 0.2
    assert json.loads(done.out)["slices"]["searched"] == found["searched"] > 20
    assert overall("result")["worst_slice_log_loss"]["value"] == found["slices"][0]["value"]
    assert "kind = b" in Path("result/report.html").read_text()
    gate = cli("evaluate", model, "--slices", "60", "--require", "worst_slice_log_loss<=0.01")
    assert gate.code == 1 and "cached" in gate.err
    named = cli("evaluate", model, "--slices", "60", "--require", "log_loss[slice=kind = b]<=0.01")
    assert named.code == 1
    nowhere = cli("evaluate", model, "--slices", "60", "--require", "log_loss[slice=kind = q]<=9")
    assert nowhere.code == 3 and "no rows of slice=kind = q" in nowhere.err


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (("--slices", "-5"), 2, "at least 20 rows"),
        (("--slices", "3"), 2, "at least 20 rows"),
        (("--slices", "100000"), 4, "rows in all"),
        (("--by", "kidn"), 4, "did you mean kind?"),
        (("--require", "acuracy>=0.5"), 2, "did you mean accuracy?"),
        (("--require", "rmse<=1"), 2, "no metric 'rmse'"),
        (("--by", "kind", "--require", "accuracy[kind=q]>=0"), 3, "no rows of kind=q"),
    ],
)
def test_what_cannot_be_asked_for(cli, parts, asked, code, said):
    done = cli("evaluate", parts("model"), *asked, "-o", "result")
    assert done.code == code and said in done.err, done.err
    assert not Path("result").exists()
