"""Training through the command line: what a model directory holds, what is told, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import yaml

from mlops_cli.metrics.base import Measurements
from mlops_cli.models import lightgbm_fit
from mlops_cli.runtime import predictors
from mlops_cli.runtime.features import Features
from mlops_cli.steps import environment, processors

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, USED, seal, split_without_valid, table

FEW = ("--set", "num_iterations=12")


@pytest.fixture
def parts(cli):
    """A split of the small table with every target, and the table itself as t.parquet."""

    def make(*columns, frame=None, flags=("--test", "0.2", "--valid", "0.2")):
        frame = table().select(*INPUTS, *columns) if frame is None else frame
        frame.write_parquet("t.parquet")
        return cli("split", "t.parquet", *flags, "-o", "parts").ref

    return make


def load(folder, name, kind=None):
    data = Path(folder, name).read_bytes()
    return msgspec.json.decode(data, type=kind) if kind else json.loads(data)


def test_a_model_directory(cli, parts):
    ended = cli("train", parts("yes"), "--target", "yes", *FEW, "-o", "model")
    assert ended.ref == "model"
    names = {entry["path"] for entry in load("model", "manifest.json")["files"]}
    expected = {
        "model.txt",
        "features.json",
        "signature.json",
        "profile.json",
        "example.json",
        "metrics.json",
        "leaks.json",
        "MLmodel",
    }
    assert names == expected
    signature = load("model", "signature.json")
    assert (signature["task"], signature["classes"], signature["positive"]) == ("binary", [False, True], True)
    assert [column["name"] for column in signature["columns"]] == USED
    assert {column.name for column in load("model", "features.json", Features).dropped} == set(INPUTS) - set(USED)
    profile = load("model", "profile.json")
    assert [column["name"] for column in profile["columns"]] == [*USED, "yes"]
    assert profile["prediction"]["type"] == "float"
    manifest = load("model", "manifest.json")
    assert manifest["inputs"][0]["kind"] == "split" and manifest["seed"] == 0
    assert manifest["params"]["target"] == "yes" and manifest["params"]["rounds"] <= 12
    assert manifest["schema"] == {column["name"]: column["type"] for column in signature["columns"]}


def test_the_recorded_request_gets_the_recorded_answer(cli, parts):
    for target in ("yes", "kind", "price"):
        cli("train", parts(target), "--target", target, *FEW, "-o", "model").ref  # noqa: B018
        example = load("model", "example.json")
        asked = example["request"]["dataframe_records"]
        assert len(asked) == 5 and set(asked[0]) == set(USED)
        answered = predictors.load(Path("model")).answer(asked)
        assert json.loads(msgspec.json.encode(answered)) == example["answer"]["predictions"]


def test_metrics_are_those_of_its_predictions_on_the_valid_part(cli, parts, monkeypatch):
    monkeypatch.setattr(lightgbm_fit, "WHOLE_ROWS", 0)  # else the model has learnt from the valid rows too
    cli("train", parts("kind"), "--target", "kind", *FEW, "-o", "model").ref  # noqa: B018
    metrics = load("model", "metrics.json", Measurements)
    accuracy = next(metric.value for metric in metrics.metrics if metric.name == "accuracy")
    valid = pl.read_parquet("parts/valid/*.parquet")
    valid.write_parquet("valid.parquet")
    cli("predict", "model", "valid.parquet", "-o", "predicted").ref  # noqa: B018
    predicted = pl.read_parquet("predicted/*.parquet")["prediction"]
    assert metrics.rows == valid.height
    assert accuracy == pytest.approx((predicted == valid["kind"]).mean())


def test_mlflow_finds_its_file(cli, parts):
    cli("train", parts("kind"), "--target", "kind", *FEW, "-o", "model").ref  # noqa: B018
    described = yaml.safe_load(Path("model/MLmodel").read_text())
    assert described["flavors"]["python_function"]["loader_module"] == "mlops_cli.runtime.pyfunc"
    inputs = json.loads(described["signature"]["inputs"])
    assert {"type": "datetime", "name": "at", "required": False} in inputs
    assert json.loads(described["signature"]["outputs"])[0] == {
        "type": "string",
        "name": "prediction",
        "required": True,
    }
    assert not {"run_id", "utc_time_created", "model_uuid"} & set(described)


def test_same_rows_flags_and_seed_give_the_same_model_on_any_number_of_threads(cli, parts, monkeypatch):
    parts("yes")
    ids = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(processors, "count", lambda threads=threads: threads)
        ended = cli("train", "parts", "--target", "yes", "--force", "--json", *FEW)
        ids.append(json.loads(ended.out)["id"])
    assert len(set(ids)) == 1
    other = cli("train", "parts", "--target", "yes", "--seed", "1", "--set", "bagging_fraction=0.5", "--json", *FEW)
    again = cli("train", "parts", "--target", "yes", "--seed", "2", "--set", "bagging_fraction=0.5", "--json", *FEW)
    assert len({json.loads(other.out)["id"], json.loads(again.out)["id"], *ids}) == 3


def test_payload_bytes_tell_nothing_of_where_when_and_how(cli, parts, work):
    cli("train", parts("yes"), "--target", "yes", *FEW, "-o", "model").ref  # noqa: B018
    for path in Path("model").iterdir():
        if path.name != "manifest.json":
            data = path.read_bytes()
            assert str(work).encode() not in data and b"num_threads" not in data
            assert b"parameters:" not in data and b"sha256" not in data


def test_a_second_time_is_cached_and_imports_no_lightgbm(cli, parts, work):
    parts("yes")
    first = cli("train", "parts", "--target", "yes", *FEW)
    program = (
        "import sys; from mlops_cli import cli; from mlops_cli.steps import environment\n"
        f"environment.tool = lambda: {environment.tool()!r}\n"  # the sources may be edited while this runs
        f"assert cli.run(['train', 'parts', '--target', 'yes', *{FEW!r}]) == 0\n"
        "assert not {'lightgbm', 'sklearn', 'joblib', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, first.ref), done.stderr
    assert "cached" in done.stderr
    assert "cached" not in cli("train", "parts", "--target", "yes", "--seed", "1", *FEW).err
    assert "cached" not in cli("train", "parts", "--target", "yes", "--set", "num_iterations=13").err


def test_rows_in_are_rows_used_and_dropped(cli, parts):
    frame = table().select(*INPUTS, pl.when(pl.col("count") > 4).then("kind").alias("kind"))
    ended = cli("train", parts(frame=frame), "--target", "kind", *FEW)
    assert ended.code == 0
    for part in ("train", "valid"):
        there = pl.read_parquet(f"parts/{part}/*.parquet")["kind"]
        said = f"{len(there)} {part} rows in = {there.count()} used + {there.null_count()} dropped without kind"
        assert said in ended.err


def test_a_class_that_only_the_valid_part_has(cli, parts):
    parts("stars")
    path = Path("parts/valid/part-00000.parquet")
    valid = pl.read_parquet(path)
    frames = [
        valid.with_columns(part=pl.lit("valid")),
        pl.read_parquet("parts/train/*.parquet").with_columns(part=pl.lit("train")),
    ]
    frame = pl.concat(frames)
    frame = frame.with_columns(
        stars=pl.when((pl.col("part") == "valid") & (pl.col("count") < 3)).then(9).otherwise("stars")
    )
    strange = int((frame["stars"] == 9).sum())
    from mlops_cli.models import target
    from mlops_cli.steps import train_data

    rows = {part: frame.filter(part=part).drop("part").lazy() for part in ("train", "valid")}
    found = train_data.counted(train_data.Parts(rows["train"], rows["valid"]), target.infer(rows["train"], "stars"))
    assert strange > 0 and f"{strange} of a class that train has not" in found.note
    assert found.valid.collect().height == found.valid_rows == valid.height - strange


def test_a_table_holds_out_its_own_valid_part(cli):
    frame = table().select(*INPUTS, "yes").drop("list")
    frame.write_parquet("t.parquet")
    frame.write_csv("t.csv")
    from_parquet = cli("train", "t.parquet", "--target", "yes", "--json", *FEW)
    assert "15% of the rows are held out" in from_parquet.err
    metrics = load(json.loads(from_parquet.out)["ref"], "metrics.json", Measurements)
    assert 40 < metrics.rows < 140
    dataset = cli("ingest", "t.parquet", "-o", "dataset").ref
    from_dataset = cli("train", dataset, "--target", "yes", "--json", *FEW)
    assert json.loads(from_dataset.out)["id"] == json.loads(from_parquet.out)["id"]
    assert cli("train", "t.csv", "--target", "yes", *FEW).code == 0


def test_a_table_in_the_pipe(shell):
    table().select(*INPUTS, "yes").drop("list").write_parquet("t.parquet")
    ended = shell(f"mlops ingest t.parquet -o - | mlops train --target yes {' '.join(FEW)}")
    assert ended.code == 0, ended.err
    assert load(ended.out.strip(), "manifest.json")["params"]["stream"]
    assert shell("mlops split t.parquet --test 0.2 --valid 0.2 | mlops train --target yes").code == 0


def test_without_a_valid_part(cli, work):
    split_without_valid(work / "parts", table().select("x", "letter", "price"))
    ended = cli("train", "parts", "--target", "price", "-o", "model")
    assert ended.code == 0 and "about 15% of train are held out" in ended.err
    assert load("model", "metrics.json", Measurements).rows == 88


@pytest.mark.parametrize(
    ("flags", "task", "classes", "positive"),
    [
        (("--target", "stars"), "multiclass", [3, 4, 5], None),
        (("--target", "stars", "--task", "regression"), "regression", None, None),
        (("--target", "yes", "--positive", "false"), "binary", [False, True], False),
        (("--target", "yes", "--task", "multiclass"), "multiclass", [False, True], None),
        (("--target", "code"), "regression", None, None),
    ],
)
def test_the_task(cli, parts, flags, task, classes, positive):
    parts("yes", "stars", "code")
    ended = cli("train", "parts", *flags, *FEW, "-o", "model", "--json")
    assert ended.code == 0, ended.err
    signature = load("model", "signature.json")
    assert (signature["task"], signature["classes"], signature["positive"]) == (task, classes, positive)
    assert json.loads(ended.out)["task"] == task


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--target", "yess"), 4, "did you mean yes?"),
        (("--target", "constant"), 4, "one class"),
        (("--target", "empty"), 4, "no row has a value"),
        (("--target", "day"), 4, "cannot be predicted"),
        (("--target", "yes", "--task", "ranking"), 2, "binary, multiclass, regression"),
        (("--target", "yes", "--positive", "maybe"), 2, "no class of yes"),
        (("--target", "yes", "--family", "lightgbn"), 2, "did you mean lightgbm?"),
        (("--target", "yes", "--set", "num_leafs=3"), 2, "did you mean num_leaves?"),
        (("--target", "yes", "--set", "num_leaves"), 2, "not a setting"),
        (("--target", "yes", "--metric", "rmse"), 2, "log_loss"),
        (("--target", "yes", "--search", "halving", "--space", "num_leaves=3,5"), 2, "grid, random, tpe"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves=3..5"), 2, "--search random"),
        (("--target", "yes", "--search", "random", "--space", "num_leaves=5..3"), 2, "not a range"),
        (("--target", "yes", "--search", "random", "--space", "num_leaves=1..3"), 2, "at least 2"),
        (("--target", "yes", "--search", "random", "--space", "num_leaves=2..3", "--trials", "0"), 2, "--trials 0"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves=3", "--trials", "3"), 2, "random or tpe"),
        (("--target", "yes", "--search", "grid"), 2, "--space"),
        (("--target", "yes", "--space", "num_leaves=3,5"), 2, "--search grid"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves=3,5", "--cv", "1"), 2, "between 2 and"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves=3,x"), 2, "whole number"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves"), 2, "list of values"),
        (("--target", "yes", "--search", "grid", "--space", "max_bin=15,31"), 2, "--set max_bin"),
        (("--target", "yes", "--search", "grid", "--space", "num_leaves=3", "--set", "num_leaves=3"), 2, "by --space"),
        (("--target", "price", "--set", "objective=poisson"), 4, "objective=poisson needs a target at least 0"),
        (("--target", "yes", "--set", "data_sample_strategy=goss", "--set", "bagging_fraction=0.5"), 2, "exclude"),
        ((), 2, "--target"),
    ],
)
def test_what_is_refused(cli, parts, flags, code, says):
    parts("yes", "price")
    ended = cli("train", "parts", *flags, "-o", "model")
    assert ended.code == code, ended.err
    assert says in ended.err and "Traceback" not in ended.err
    assert len(ended.err.strip().splitlines()) <= 2
    assert not Path("model").exists()


def test_a_target_that_is_not_a_number(cli, parts):
    frame = table().select(*INPUTS, price=pl.when(pl.col("count") == 7).then(float("nan")).otherwise("price"))
    ended = cli("train", parts(frame=frame), "--target", "price")
    assert ended.code == 4 and "NaN or infinite" in ended.err


def test_names_that_polars_would_read_as_patterns(cli, work):
    frame = table().select("x", "letter", "yes")
    frame = pl.DataFrame(
        {"^x.*$": frame.to_series(0), "*": frame.to_series(1), "^y$": frame.to_series(2), "value": np.arange(600) % 7}
    )
    seal(work / "data", "dataset", frame)
    assert cli("train", "data", "--target", "^y$", *FEW, "-o", "model").code == 0
    assert [column["name"] for column in load("model", "signature.json")["columns"]] == ["^x.*$", "*", "value"]
    ended = cli("predict", "model", "data", "--keep", "^x.*$,*", "-o", "predicted")
    assert ended.code == 0, ended.err
    assert pl.read_parquet("predicted/*.parquet").columns == ["^x.*$", "*", "prediction"]


def test_names_that_look_like_patterns_from_text_to_reasons(cli):
    frame = table().select("x", "letter", pl.col("yes").cast(pl.String)).drop_nulls()
    frame.rename({"x": "^x.*$", "letter": "^l$", "yes": "^y$"}).write_csv("t.csv")
    for command in (
        ("train", "t.csv", "--target", "^y$", *FEW, "-o", "model"),
        ("evaluate", "model", "--data", "t.csv", "--by", "^l$", "--by", "^x.*$"),
        ("predict", "model", "t.csv", "--explain", "-o", "predicted"),
    ):
        ended = cli(*command)
        assert ended.code == 0, ended.err
    assert pl.read_parquet("predicted/*.parquet")["reasons"].list.first().str.contains(r"^\^(x\.\*|l)\$=").any()


def test_strings_stored_as_categories(cli):
    frame = table().select(
        "x", pl.col("letter").cast(pl.Categorical), pl.col("kind").cast(pl.Enum(["lo", "mid", "hi"]))
    )
    frame.write_parquet("t.parquet")
    assert cli("train", "t.parquet", "--target", "kind", *FEW, "-o", "model").code == 0
    assert load("model", "signature.json")["classes"] == ["hi", "lo", "mid"]


def test_lightgbm_is_not_installed(cli, parts, monkeypatch):
    parts("yes")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    for module in ("lightgbm_fit", "lightgbm_rows"):
        monkeypatch.delitem(sys.modules, f"mlops_cli.models.{module}", raising=False)
        monkeypatch.delattr(f"mlops_cli.models.{module}", raising=False)
    ended = cli("train", "parts", "--target", "yes")
    assert ended.code == 7 and "mlops-cli[lightgbm]" in ended.err


def test_of_an_evaluation_the_split_is_meant(cli, parts):
    parts("yes")
    model = cli("train", "parts", "--target", "yes", *FEW, "-o", "model").ref
    assert cli("train", model, "--target", "yes", *FEW).code == 0


def test_a_small_table_keeps_every_class_to_learn_from(cli):
    """The hash that holds rows out may take the only row of a class, which then nothing could be learnt of."""
    rows = pl.DataFrame({"x": [float(n) for n in range(40)], "y": ["a"] * 39 + ["b"]})
    taken = 0
    for seed in range(12):
        rows.with_columns(pl.col("x") + seed / 100).write_parquet("t.parquet")
        ended = cli("train", "t.parquet", "--target", "y", "--set", "num_iterations=2", "--set", "min_data_in_leaf=1")
        assert ended.code == 0, ended.err
        taken += "would take every row of a class" in ended.err
    assert taken


def test_cases_that_look_alike_are_on_both_sides_and_copies_are_not(cli):
    """By a hash of all values those of one target would be learnt from, and those of another one held out."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 1500)
    yes = rng.random(1500) < np.array([0.2, 0.5, 0.8])[kind]
    cases = pl.DataFrame({"kind": kind, "flag": rng.random(1500) < 0.5, "yes": yes})
    cases.write_parquet("t.parquet")
    split_without_valid(Path("bare"), cases)
    for of in ("t.parquet", "bare"):
        ended = cli("train", of, "--target", "yes", "--cv", "3", "-o", "model", "--force")
        assert ended.code == 0 and "alike are taken for different cases" in ended.err, ended.err
        found = {one.name: one.value for one in load("model", "metrics.json", Measurements).metrics}
        assert found["roc_auc"] > 0.7 and load("model", "trials.json")["trials"][0]["score"] < 0.62
    copies = pl.DataFrame({"x": np.tile(rng.normal(size=300), 5), "yes": np.tile(yes[:300], 5)})
    copies.write_parquet("t.parquet")
    ended = cli("train", "t.parquet", "--target", "yes", "-o", "copied")
    assert "alike are taken" not in ended.err
    assert load("copied", "manifest.json")["params"]["rounds"] < 50, "noise is not learnt by heart"
    assert load("copied", "metrics.json", Measurements).rows % 5 == 0


def test_few_rows_of_which_none_are_held_out_have_their_rounds_told_by_parts(cli):
    """The hash that holds rows out would take the only row of a class: none are, and noise must not be learnt."""
    rng = np.random.default_rng(1)
    noise = rng.choice(["a", "b"], 60).tolist()
    for seed in range(20):
        rows = {"x": [9.5 + seed / 100, *rng.normal(size=60).tolist()], "y": ["c", *noise]}
        pl.DataFrame(rows).write_parquet("t.parquet")
        ended = cli("train", "t.parquet", "--target", "y", "-o", "model", "--force", "--set", "num_iterations=150")
        if "no rows are held out" in ended.err:
            break
    assert "the model then learnt from all 61 rows" in ended.err, ended.err
    assert load("model", "manifest.json")["params"]["rounds"] < 60
    ended = cli("train", "t.parquet", "--target", "y", "-o", "model", "--set", "early_stopping_round=0")
    assert load("model", "manifest.json")["params"]["rounds"] == 100 and "then learnt" not in ended.err


def test_the_column_of_a_split_by_time_has_no_profile(cli):
    table().select("at", "count", "yes").drop_nulls().write_parquet("t.parquet")
    for flags, there in ((("--time", "at"), False), (("--key", "at"), True)):
        cli("split", "t.parquet", *flags, "--test", "0.2", "--valid", "0.2", "-o", "parts").ref  # noqa: B018
        cli("train", "parts", "--target", "yes", *FEW, "-o", "model").ref  # noqa: B018
        assert ("at" in {column["name"] for column in load("model", "profile.json")["columns"]}) == there
        assert "at" in {column["name"] for column in load("model", "signature.json")["columns"]}
