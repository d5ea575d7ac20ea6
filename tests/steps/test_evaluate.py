"""`evaluate` on real trained models: what it measures, on which rows, and how it ends."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from mlops_cli.store import artefact

ROWS = 900


def table(seed=0, rows=ROWS):
    """Rows with a binary, a multiclass and a numeric target, and some unknown outcomes."""
    rng = np.random.default_rng(seed)
    x, kind = rng.normal(size=rows), rng.choice(["north", "south", "east"], rows)
    noise = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=rows),
            "kind": kind,
            "late": x + noise > 0.6,
            "sort": pl.Series(np.digitize(x + noise / 2, [-0.5, 0.7])).replace_strict([0, 1, 2], ["a", "b", "c"]),
            "cost": 3 * x + noise + 20,
        }
    )


@pytest.fixture
def models(cli):
    """A function: the model of a target, trained on a split of the table; parts-TARGET is the split."""

    def train(target):
        others = [name for name in ("late", "sort", "cost") if name != target]
        table().drop(others).write_parquet(f"{target}.parquet")
        assert cli("split", f"{target}.parquet", "--test", "0.3", "-o", f"parts-{target}").ref
        return cli("train", f"parts-{target}", "--target", target, "--set", "num_leaves=7", "-o", f"model-{target}").ref

    return train


def document(ref):
    return json.loads(Path(ref, "metrics.json").read_text())


def overall(ref):
    return {each["name"]: each["value"] for each in document(ref)["metrics"] if each["column"] is None}


def test_binary_on_the_test_part_of_its_own_split(cli, models, work):
    ref = cli("evaluate", models("late"), "-o", "result").ref
    assert ref == "result"
    found = document(ref)
    predictions = pl.read_parquet("result/predictions.parquet")
    test = pl.read_parquet("parts-late/test/*.parquet")
    assert predictions["actual"].to_list() == test["late"].to_list()
    proba = predictions["proba"].list.get(1)
    assert predictions["prediction"].to_list() == (proba >= 0.5).to_list()
    assert overall(ref)["roc_auc"] == pytest.approx(sk.roc_auc_score(test["late"], proba), abs=1e-9)
    assert overall(ref)["f1"] == pytest.approx(sk.f1_score(test["late"], predictions["prediction"]), abs=1e-9)
    assert (found["task"], found["target"], found["positive"], found["rows"]) == ("binary", "late", True, test.height)
    assert np.sum(found["confusion"]["counts"]) == test.height
    manifest = json.loads((work / "result/manifest.json").read_text())
    assert [each["kind"] for each in manifest["inputs"]] == ["model", "split"]
    assert found["model"]["id"] == manifest["inputs"][0]["id"]
    page = (work / "result/report.html").read_text()
    assert "late: binary classification" in page
    for words in (str(work), manifest["created"], manifest["created"][:10]):
        assert words not in page


def test_multiclass_has_metrics_of_each_class(cli, models):
    ref = cli("evaluate", models("sort"), "--require", "recall[sort=a]>=0.2", "--require", "recall[label=c]>0.1").ref
    predictions = pl.read_parquet(f"{ref}/predictions.parquet")
    assert overall(ref)["accuracy"] == pytest.approx((predictions["actual"] == predictions["prediction"]).mean())
    each = {(one["name"], one["level"]) for one in document(ref)["metrics"] if one["column"] == "label"}
    assert {("recall", "a"), ("precision", "b"), ("support", "c"), ("roc_auc", "a")} <= each


def test_regression(cli, models):
    ref = cli("evaluate", models("cost"), "--require", "r2>=0.3", "--require", "mae<4").ref
    predictions = pl.read_parquet(f"{ref}/predictions.parquet")
    error = predictions["prediction"] - predictions["actual"]
    assert overall(ref)["rmse"] == pytest.approx(float((error**2).mean()) ** 0.5)
    assert "proba" not in predictions.columns


def test_gates_are_judged_on_a_hit_too_with_the_same_code(cli, models):
    model = models("late")
    first = cli("evaluate", model, "--require", "roc_auc>=0.5")
    assert (first.code, "cached" in first.err) == (0, False)
    for require, code, word in (
        ("roc_auc>=0.5", 0, "verdict: pass"),
        ("roc_auc>=0.999", 1, "verdict: fail"),
        ("accuracy>=champion", 2, "--against"),
        ("roc_auc>=x", 2, "champion"),
        ("roc_ac>=0.5", 2, "did you mean roc_auc?"),
    ):
        ended = cli("evaluate", model, "--require", require)
        assert (ended.code, word in ended.err) == (code, True), ended.err
        assert ended.out == (first.out if code == 0 else "")
    value = overall(first.ref)["accuracy"]
    close = cli("evaluate", model, "--require", f"accuracy>={value - 0.001}")
    assert close.code == 3
    assert "more labelled rows would decide" in close.err
    assert "cached" in close.err
    assert cli("evaluate", model, "--require", f"accuracy>={value - 0.001}", "--point").code == 0
    assert cli("evaluate", model, "--require", "roc_auc>=0.999", "--require", f"accuracy>={value - 0.001}").code == 1


def test_a_failed_gate_leaves_what_was_at_the_output(cli, models, work):
    model = models("late")
    assert cli("evaluate", model, "-o", "result").ref == "result"
    before = (work / "result/manifest.json").stat().st_mtime_ns
    late = table(seed=5)
    late.write_parquet("more.parquet")
    ended = cli("evaluate", model, "--data", "more.parquet", "--require", "roc_auc>=0.999", "-o", "result")
    assert ended.code == 1
    assert "the result is in .mlops/artefacts/sha256-" in ended.err
    assert (work / "result/manifest.json").stat().st_mtime_ns == before


def test_json_carries_metrics_and_judgements(cli, models):
    ended = cli("evaluate", models("late"), "--require", "roc_auc>=0.999", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["exit"], told["kind"], told["task"]) == (1, 1, "evaluation", "binary")
    assert told["verdict"][0]["answer"] == "fail"
    assert {"name", "value", "low", "high", "n"} <= told["metrics"][0].keys()


def test_by_measures_each_level(cli, models):
    model = models("late")
    rows = table(seed=3).with_columns(kind=pl.when(pl.int_range(pl.len()) < 4).then(None).otherwise("kind"))
    rows = rows.with_columns(number=pl.int_range(pl.len()))
    rows.write_parquet("named.parquet")
    ref = cli("evaluate", model, "--data", "named.parquet", "--by", "kind", "--by", "number",
              "--require", "accuracy[kind=north]>=0.3").ref  # fmt: skip
    metrics = document(ref)["metrics"]
    sizes = {each["level"]: each["n"] for each in metrics if each["name"] == "rows" and each["column"] == "kind"}
    assert sizes == {**dict(rows["kind"].drop_nulls().value_counts().iter_rows()), "(null)": 4}
    quarters = [each["level"] for each in metrics if each["name"] == "rows" and each["column"] == "number"]
    assert sorted(quarters) == ["225 to 450", "450 to 675", "<= 225", "> 675"]
    assert "By kind" in Path(ref, "report.html").read_text()
    assert cli("evaluate", model, "--data", "named.parquet", "--by", "knd").code == 4
    assert (
        cli("evaluate", model, "--data", "named.parquet", "--by", "kind", "--require", "accuracy[kind=west]>0").code
        == 3
    )


def test_rows_without_an_outcome_are_dropped_and_counted(cli, models):
    model = models("cost")
    rows = table(seed=1, rows=50).with_columns(
        cost=pl.when(pl.int_range(pl.len()) < 7)
        .then(None)
        .when(pl.int_range(pl.len()) < 9)
        .then(float("nan"))
        .otherwise("cost")
    )
    rows.write_parquet("rows.parquet")
    ended = cli("evaluate", model, "--data", "rows.parquet")
    assert "50 rows in = 41 measured + 9 without cost" in ended.err
    assert document(ended.ref)["rows"] == 41
    rows.with_columns(cost=pl.lit(None, pl.Float64)).write_parquet("none.parquet")
    assert cli("evaluate", model, "--data", "none.parquet").code == 4
    rows.head(0).write_parquet("empty.parquet")
    assert cli("evaluate", model, "--data", "empty.parquet").code == 4
    rows.with_columns(cost=pl.lit(float("inf"))).write_parquet("inf.parquet")
    assert "infinite in 50 rows" in cli("evaluate", model, "--data", "inf.parquet").err
    rows.drop("cost").write_parquet("unlabelled.parquet")
    ended = cli("evaluate", model, "--data", "unlabelled.parquet")
    assert (ended.code, "no column 'cost', the target" in ended.err) == (4, True)
    rows.with_columns(cost=pl.lit("much")).write_parquet("text.parquet")
    assert cli("evaluate", model, "--data", "text.parquet").code == 4


def test_data_with_one_class_has_no_auc_and_never_passes_a_gate_on_it(cli, models):
    model = models("late")
    table().filter(~pl.col("late")).write_parquet("calm.parquet")
    ref = cli("evaluate", model, "--data", "calm.parquet").ref
    assert overall(ref)["roc_auc"] is None
    assert overall(ref)["recall"] is None
    assert "NaN" not in Path(ref, "metrics.json").read_text()
    ended = cli("evaluate", model, "--data", "calm.parquet", "--require", "roc_auc>=0")
    assert (ended.code, "undefined" in ended.err) == (3, True)


def test_classes_the_model_does_not_know(cli, models):
    rows = table(seed=2, rows=60).with_columns(
        sort=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("new")).otherwise("sort")
    )
    rows.write_parquet("rows.parquet")
    ended = cli("evaluate", models("sort"), "--data", "rows.parquet")
    assert "does not know new" in ended.err
    found = document(ended.ref)
    assert found["confusion"]["labels"] == ["a", "b", "c", "new"]
    assert overall(ended.ref)["log_loss"] > 2
    rows.with_columns(late=pl.lit("yes")).write_parquet("strange.parquet")
    assert cli("evaluate", models("late"), "--data", "strange.parquet").code == 4


def test_which_rows(cli, models, work):
    model = models("late")
    by_split = cli("evaluate", model, "--data", "parts-late").ref
    assert by_split == cli("evaluate", model).ref
    assert cli("train", "late.parquet", "--target", "late", "-o", "whole").code == 0
    ended = cli("evaluate", "whole")
    assert (ended.code, "--data" in ended.err) == (4, True)
    assert cli("evaluate", "late.parquet").code == 4
    assert cli("evaluate", model, "--data", "nowhere.parquet").code == 4


def test_stream_on_standard_input_and_bare_file_measure_the_same(cli, models, work):
    model = models("late")
    rows = table(seed=4, rows=200)
    rows.write_parquet("rows.parquet")
    from_file = cli("evaluate", model, "--data", "rows.parquet").ref
    from_pipe = cli("evaluate", model, "--data", "-", stdin=(work / "rows.parquet").read_bytes()).ref
    assert overall(from_file) == overall(from_pipe)


def test_against_a_champion_measured_on_the_same_rows(cli, models):
    model = models("late")
    weak = cli("train", "parts-late", "--target", "late", "--set", "num_leaves=2", "--set", "learning_rate=0.001").ref
    better = cli("evaluate", model, "--against", weak, "--require", "roc_auc>=champion-0.2")
    assert better.code == 0, better.err
    assert cli("evaluate", weak, "--against", model, "--require", "f1>=champion+0.2").code in (1, 3)
    first = cli("evaluate", model, "--against", "late@production", "--require", "f1>=champion")
    assert (first.code, "no champion yet" in first.err) == (0, True)
    assert cli("evaluate", model, "--against", "nothing", "--require", "f1>=champion").code == 4


def test_a_champion_is_compared_row_by_row_where_the_rows_are_the_same(cli, models):
    model = models("late")
    weak = cli("train", "parts-late", "--target", "late", "--set", "num_leaves=2", "--set", "num_iterations=3").ref
    table(seed=6, rows=400).write_parquet("fresh.parquet")
    table(seed=7, rows=400).write_parquet("other.parquet")

    def measured(which, data="fresh.parquet", *more):
        return cli("evaluate", which, "--data", data, *more)

    gate = ("--require", "roc_auc>=champion-0.05")
    compared = measured(model, "fresh.parquet", "--against", weak, *gate)
    assert "compared row by row" in compared.err
    assert cli("register", measured(weak).ref, "--name", "m").ref == "m@1"
    assert cli("promote", "m@1", "production").ref == "m@1"
    assert cli("register", measured(model).ref, "--name", "m").ref == "m@2"
    dry = cli("promote", "m@2", "production", *gate, "-n")
    assert dry.code == compared.code and "compared row by row" in dry.err
    # The newest evidence of the candidate is about other rows than the champion's: no pairs.
    assert cli("register", measured(model, "other.parquet").ref, "--name", "m").ref == "m@2"
    assert "compared row by row" not in cli("promote", "m@2", "production", *gate, "-n").err


def test_pipe_from_train_to_a_failed_gate(models, shell):
    models("late")
    line = "mlops train parts-late --target late | mlops evaluate --require 'roc_auc>=0.999' | mlops register --name m"
    ended = shell(line)
    assert (ended.code, ended.out) == (1, "mlops:stop:1:register\n")
    assert "verdict: fail" in ended.err


def test_doing_it_again_gives_the_same_bytes(cli, models):
    model = models("late")
    first = cli("evaluate", model, "--by", "kind", "--json")
    again = cli("evaluate", model, "--by", "kind", "--json", "--force")
    assert (json.loads(first.out)["cached"], json.loads(again.out)["cached"]) == (False, False)
    assert json.loads(first.out)["id"] == json.loads(again.out)["id"]
    assert json.loads(first.out)["id"] != json.loads(cli("evaluate", model, "--seed", "1", "--json").out)["id"]


def split_with(work, name, *, drop=False, **certificate):
    """A copy of parts-late, sealed anew, perhaps without its test part or with another certificate."""
    shutil.copytree(work / "parts-late", work / name)
    for path in [work / name / "manifest.json", *(work / name).glob("test/*" if drop else "nothing")]:
        path.unlink()
    file = work / name / "certificate.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | certificate))
    artefact.seal(work / name, kind="split", created="2026-01-01T00:00:00Z", tool="t", command=[], inputs=[], params={},
                  seed=0, schema={}, environment={})  # fmt: skip


def test_a_leaking_split_is_told_and_one_without_test_part_refused(cli, models, work):
    model = models("late")
    split_with(work, "leaky", clean=False, leaks={"duplicate_rows": 7, "group_overlap": None, "time_overlap": None})
    ended = cli("evaluate", model, "--data", "leaky")
    assert (ended.code, "not clean" in ended.err, "7 rows" in ended.err) == (0, True, True)
    split_with(work, "without", drop=True)
    ended = cli("evaluate", model, "--data", "without")
    assert (ended.code, "no test part" in ended.err) == (4, True)


def test_without_the_library_for_charts_the_extra_is_named_before_any_work(cli, models, monkeypatch):
    model = models("late")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    ended = cli("evaluate", model)
    assert (ended.code, "pip install 'mlops-cli[report]'" in ended.err, "rows in" in ended.err) == (7, True, False)
