"""Predicting through the command line: every row answered, by the numbers of the model, from any kind of table."""

import json
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from mlops_cli.runtime import predictors
from mlops_cli.steps.records import records

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, USED, seal, table


@pytest.fixture
def model(cli):
    """A model directory `model` of the task asked for, and a table `t.parquet` of other rows."""

    def make(target="yes"):
        table().select(*INPUTS, target).drop("list").write_parquet("history.parquet")
        fresh = table(300, seed=1).select(INPUTS).drop("list")
        fresh.write_parquet("t.parquet")
        assert (
            cli("train", "history.parquet", "--target", target, "--set", "num_iterations=12", "-o", "model").code == 0
        )
        return fresh

    return make


def predicted(folder="predicted"):
    return pl.read_parquet(f"{folder}/*.parquet")


@pytest.mark.parametrize("target", ["yes", "kind", "stars", "price"])
def test_the_answers_are_the_models(cli, model, target):
    fresh = model(target)
    ended = cli("predict", "model", "t.parquet", "--proba", "-o", "predicted")
    assert ended.ref == "predicted"
    assert "300 rows in = 300 rows out" in ended.err
    found = predictors.load(Path("model"))
    expected = found.answer(records(fresh, found.signature))
    assert predicted().to_dicts() == expected
    dtype = {"yes": pl.Boolean, "kind": pl.String, "stars": pl.Int64, "price": pl.Float64}[target]
    assert predicted().schema["prediction"] == dtype


def test_columns_that_are_kept(cli, model):
    fresh = model()
    cli("predict", "model", "t.parquet", "--keep", "id,day", "--keep", "x", "-o", "predicted").ref  # noqa: B018
    assert predicted().columns == ["id", "day", "x", "prediction"]
    assert predicted().drop("prediction").equals(fresh.select("id", "day", "x"))
    cli("predict", "model", "t.parquet", "--keep", "*", "-o", "all").ref  # noqa: B018
    assert predicted("all").columns == [*fresh.columns, "prediction"]
    manifest = json.loads(Path("all/manifest.json").read_text())
    assert manifest["kind"] == "predictions" and [source["kind"] for source in manifest["inputs"]] == ["model", "file"]
    ended = cli("predict", "model", "t.parquet", "--keep", "dai")
    assert ended.code == 4 and "did you mean day?" in ended.err
    fresh.with_columns(proba=1).write_parquet("answered.parquet")
    assert cli("predict", "model", "answered.parquet", "--keep", "proba").code == 2


def test_batches_and_threads_do_not_show(cli, model, monkeypatch):
    model()
    ids = set()
    for size in (7, 300, 65_536):
        ended = cli("predict", "model", "t.parquet", "--proba", "--batch-rows", size, "--force", "--json")
        ids.add(json.loads(ended.out)["id"])
        assert json.loads(ended.out)["rows"] == 300
    assert len(ids) == 1
    assert "cached" in cli("predict", "model", "t.parquet", "--proba", "--batch-rows", 99).err
    assert "cached" not in cli("predict", "model", "t.parquet").err
    assert cli("predict", "model", "t.parquet", "--batch-rows", 0).code == 2


def test_any_kind_of_table(cli, model):
    fresh = model()
    cli("predict", "model", "t.parquet", "-o", "predicted").ref  # noqa: B018
    expected = predicted()
    fresh.write_csv("t.csv")
    fresh.write_ndjson("t.ndjson")
    fresh.write_ipc("t.arrow")
    cli("ingest", "t.parquet", "-o", "dataset").ref  # noqa: B018
    for name in ("t.csv", "t.ndjson", "t.arrow", "dataset", "-"):
        data = Path("t.arrow").read_bytes() if name == "-" else b""
        ended = cli("predict", "model", name, "-o", f"{name}-answers", stdin=data)
        assert ended.code == 0, f"{name}: {ended.err}"
        assert predicted(f"{name}-answers").equals(expected), name


def test_a_stream(cli, model, shell):
    model()
    cli("predict", "model", "t.parquet", "--proba", "-o", "predicted").ref  # noqa: B018
    ended = cli("predict", "model", "t.parquet", "--proba", "-o", "-")
    assert ended.code == 0 and "300 rows in = 300 rows out" in ended.err
    streamed = pa.ipc.open_stream(ended.raw).read_all()
    assert pl.DataFrame(pl.from_arrow(streamed)).equals(predicted())
    lineage = json.loads(streamed.schema.metadata[b"mlops"])
    assert [source["kind"] for source in lineage["inputs"]] == ["model", "file"]
    piped = shell("mlops ingest t.parquet -o - | mlops predict model -o - | mlops ingest - -o again")
    assert piped.code == 0, piped.err
    assert pl.read_parquet("again/*.parquet")["prediction"].equals(predicted()["prediction"])


def test_a_model_from_the_pipe_and_a_stop(cli, model, shell):
    model()
    assert shell("echo model | mlops predict - t.parquet").code == 0
    ended = shell("mlops train history.parquet --target nothing | mlops predict - t.parquet -o predicted")
    assert ended.code == 4 and not Path("predicted").exists()
    assert len(ended.err.strip().splitlines()) == 2


def test_more_columns_are_ignored_and_told_once(cli, model):
    fresh = model()
    fresh.with_columns(a=1, b=2).write_parquet("more.parquet")
    ended = cli("predict", "model", "more.parquet", "--batch-rows", 50)
    assert ended.code == 0
    assert ended.err.count("ignored: id, constant, empty, a, b") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"drop": "letter"}, "lacks column letter"),
        ({"rename": {"letter": "lettre"}}, "is lettre what the model calls letter?"),
        ({"cast": {"count": pl.Float64}}, "column count is float, the model takes int"),
        ({"cast": {"flag": pl.Int8}}, "column flag is int, the model takes bool"),
        ({"cast": {"x": pl.String}}, "column x is string, the model takes float"),
        ({"cast": {"day": pl.Datetime}}, "column day is datetime, the model takes date"),
        ({"cast": {"count": pl.UInt64}, "add": 2**63}, "beyond a 64-bit int"),
    ],
)
def test_other_columns_than_the_models(cli, model, change, says):
    fresh = model()
    fresh = fresh.drop(change.get("drop", [])).rename(change.get("rename", {})).cast(change.get("cast", {}))
    if "add" in change:
        fresh = fresh.with_columns(pl.lit(change["add"], dtype=pl.UInt64).alias("count"))
    fresh.write_parquet("other.parquet")
    ended = cli("predict", "model", "other.parquet", "-o", "predicted")
    assert ended.code == 4 and says in ended.err, ended.err
    assert len(ended.err.strip().splitlines()) <= 2
    assert not Path("predicted").exists()


def test_hints_name_some_columns_and_say_how_many_more_there_are(cli, model):
    model()
    pl.DataFrame({f"other{number}": [1] for number in range(30)}).write_parquet("t.parquet")
    ended = cli("predict", "model", "t.parquet")
    hint = "other0, other1, other2, other3, other4, other5, other6, other7 and 22 more: is it the right table?"
    assert ended.code == 4 and "hint: it has none of the model's" in ended.err and hint in ended.err, ended.err
    for command in (("train", "t.parquet", "--target", "y"), ("split", "t.parquet", "--group", "y")):
        ended = cli(*command)
        assert ended.code == 4 and ended.err.rstrip().endswith(" more"), ended.err


def test_types_that_mean_the_same(cli, model):
    fresh = model()
    cli("predict", "model", "t.parquet", "-o", "predicted").ref  # noqa: B018
    casts = {"count": pl.UInt8, "letter": pl.Categorical, "at": pl.Datetime("ms", "Asia/Tokyo")}
    fresh.with_columns(pl.col("at").dt.replace_time_zone("UTC")).cast(casts).write_parquet("same.parquet")
    cli("predict", "model", "same.parquet", "-o", "same").ref  # noqa: B018
    assert predicted("same").equals(predicted())
    fresh.with_columns(x=pl.lit(None, dtype=pl.String), count=pl.lit(None)).write_parquet("nulls.parquet")
    fresh.with_columns(x=pl.lit(None, dtype=pl.Float64), count=pl.lit(None, dtype=pl.Int64)).write_parquet(
        "typed.parquet"
    )
    cli("predict", "model", "nulls.parquet", "-o", "nulls").ref  # noqa: B018
    cli("predict", "model", "typed.parquet", "-o", "typed").ref  # noqa: B018
    assert predicted("nulls").equals(predicted("typed"))


def test_text_that_is_no_time(cli, model):
    fresh = model()
    fresh.with_columns(at=pl.lit("yesterday")).write_parquet("other.parquet")
    ended = cli("predict", "model", "other.parquet")
    assert ended.code == 4 and "ISO 8601" in ended.err and "yesterday" in ended.err


def test_a_table_without_rows(cli, model, work):
    fresh = model()
    seal(work / "nothing", "dataset", fresh.head(0))
    ended = cli("predict", "model", "nothing", "--proba", "-o", "predicted")
    assert ended.code == 0 and "0 rows in = 0 rows out" in ended.err
    assert predicted().height == 0 and predicted().columns == ["prediction", "proba"]


def test_what_is_not_a_model(cli, model):
    model()
    assert cli("predict", "t.parquet", "t.parquet").code == 4
    assert cli("predict", "nowhere@3", "t.parquet").code == 4
    assert cli("predict", "model").code == 4  # nothing on standard input
    assert cli("predict", "model", "nowhere.csv").code == 4
    path = Path("model/model.txt")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = cli("predict", "model", "t.parquet")
    assert ended.code == 5 and "digest" in ended.err


def test_a_reader_that_hangs_up(cli, model, shell):
    model()
    pl.concat([pl.read_parquet("t.parquet")] * 300).write_parquet("long.parquet")
    ended = shell("mlops predict model long.parquet --proba --keep '*' -o - | head -c 100 > /dev/null")
    assert ended.code == 141, ended.err
    assert "Traceback" not in ended.err


def test_used_columns_are_what_the_table_needs(cli, model):
    model()
    pl.read_parquet("t.parquet").select(USED).write_parquet("enough.parquet")
    ended = cli("predict", "model", "enough.parquet")
    assert ended.code == 0 and "ignored" not in ended.err
