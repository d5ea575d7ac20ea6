"""`evaluate`, `predict --explain`, `inspect` and `report` on models of images, through the command line."""

import base64
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

pytest.importorskip("onnxruntime")
sys.path.insert(0, str(Path(__file__).parents[1]))
import image_models

from mlops_cli.runtime import predictors
from mlops_cli.steps import batches, evaluate_pictures


@pytest.fixture
def life(work):
    """A model `m` and a dataset file `t.parquet` of 90 images."""
    image_models.model("m")
    frame = image_models.table()
    frame.write_parquet("t.parquet")
    return frame


def document(ref):
    return json.loads(Path(ref, "metrics.json").read_text())


def page(ref):
    return Path(ref, "report.html").read_text()


def test_the_same_metrics_as_of_tables_and_rows_that_are_found_again(cli, life):
    ended = cli("evaluate", "m", "--data", "t.parquet", "--by", "camera", "-o", "ev",
                "--require", "recall[camera=north]>=0.1", "--require", "ece<=0.9")  # fmt: skip
    assert ended.ref == "ev"
    assert "90 rows in = 90 measured" in ended.err
    found = pl.read_parquet("ev/predictions.parquet")
    assert found.columns == ["path", "camera", "time", "actual", "prediction", "proba"]
    assert found["path"].to_list() == life["image"].struct.field("path").to_list()
    assert found.select("camera", "time").equals(life.select("camera", "time"))
    answers = image_models.logits(life, predictors.load(Path("m")))
    assert found["prediction"].to_list() == [each["prediction"] for each in answers]
    metrics = document("ev")["metrics"]
    named = {(each["name"], each["column"], each["level"]): each for each in metrics}
    for name in ("precision", "recall", "f1"):
        each = named[name, "label", "van"]
        assert each["low"] < each["value"] < each["high"]
    right = (found["actual"] == found["prediction"]).mean()
    assert named["accuracy", None, None]["value"] == pytest.approx(right)
    assert {"ece", "brier", "log_loss"} <= {each["name"] for each in metrics}
    assert named["rows", "camera", "north"]["n"] == (life["camera"] == "north").sum()
    assert Path("ev/predictions.parquet").stat().st_size < 20_000


def test_the_page_shows_the_worst_errors_first_and_examples_of_each_confusion(cli, life):
    text = page(cli("evaluate", "m", "--data", "t.parquet", "-o", "ev").ref)
    found = pl.read_parquet("ev/predictions.parquet").with_row_index()
    classes = image_models.CLASSES
    given = found.with_columns(
        truth=pl.struct("actual", "proba").map_elements(
            lambda row: row["proba"][classes.index(row["actual"])], return_dtype=pl.Float64
        )
    )
    wrong = given.filter(pl.col("actual") != pl.col("prediction")).sort("truth")
    assert 5 < wrong.height <= 24
    worst, pairs = text.split("What is taken for what")
    assert re.findall(r"day/\d+\.png", worst) == wrong["path"].to_list()
    assert f"{wrong['actual'][0]} → {wrong['prediction'][0]}" in worst
    commonest = wrong.group_by("actual", "prediction").len().sort("len", descending=True)
    assert f"{commonest['actual'][0]} → {commonest['prediction'][0]}: {commonest['len'][0]} rows" in pairs
    assert text.count("<img") == text.count('src="data:image/jpeg;base64,') >= wrong.height
    assert "2026-03-03" in worst and ("north" in worst or "south" in worst)
    assert "<script" not in text and "img-src data:" in text


def test_explained_pictures_show_where_the_model_looks(cli, work):
    image_models.model("left", image_models.left_half())
    image_models.table(60, side=40).write_parquet("t.parquet")
    plain = page(cli("evaluate", "left", "--data", "t.parquet", "-o", "plain").ref)
    ended = cli("evaluate", "left", "--data", "t.parquet", "--explain", "-o", "explained")
    assert "cached" not in ended.err
    shown = page(ended.ref)
    assert document("plain") == document("explained")
    overlays = shown.count("<img") - plain.count("<img")
    assert overlays == re.findall(r"<h2>Worst.*?<h2>", plain, re.DOTALL)[0].count("<img") > 0
    assert "coloured where hiding a patch" in shown and "coloured" not in plain


def test_an_overlay_is_coloured_where_the_heat_is():
    heat = np.zeros((8, 8), np.float32)
    heat[:, :4] = 0.5
    for channels in (1, 3):
        made = evaluate_pictures.overlaid(np.full((20, 40, channels), 100, np.uint8), heat)
        image = np.asarray(Image.open(io.BytesIO(made)), int)
        assert image.shape == (56, 112, 3)
        colour = image[..., 0] - image[..., 2]
        assert colour[:, :40].min() > 80 and np.abs(colour[:, 72:]).max() < 12
    nothing = np.asarray(
        Image.open(io.BytesIO(evaluate_pictures.overlaid(np.full((8, 8, 3), 100, np.uint8), heat * 0))), int
    )
    assert np.ptp(nothing, axis=2).max() < 8


def test_a_page_of_the_noisiest_pictures_stays_under_a_megabyte(cli, work):
    image_models.model("m")
    rng = np.random.default_rng(0)
    noise = [image_models.png(rng.integers(0, 256, (112, 112, 3))) for _ in range(48)]
    data = [{"bytes": each, "path": "x" * 300} for each in noise]
    labels = [image_models.CLASSES[number % 3] for number in range(48)]
    schema = {"image": pl.Struct({"bytes": pl.Binary, "path": pl.String})}
    pl.DataFrame({"image": data, "label": labels}, schema_overrides=schema).write_parquet("t.parquet")
    text = page(cli("evaluate", "m", "--data", "t.parquet", "--explain").ref)
    assert 30 < text.count("<img") <= 63
    assert len(text) < 1_000_000


def test_names_in_the_data_are_no_markup(cli, work):
    image_models.model("m")
    evil = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
    frame = image_models.table(30).with_columns(camera=pl.lit(evil))
    path = pl.struct(pl.col("image").struct.field("bytes"), pl.lit(evil).alias("path"))
    frame.with_columns(image=path).write_parquet("t.parquet")
    text = page(cli("evaluate", "m", "--data", "t.parquet", "--by", "camera").ref)
    assert "<script" not in text and "onerror=alert(2)>" not in text and "&lt;script&gt;" in text


def test_again_gives_the_same_bytes_also_from_a_stream(cli, life, work):
    first = json.loads(cli("evaluate", "m", "--data", "t.parquet", "--json").out)
    again = json.loads(cli("evaluate", "m", "--data", "t.parquet", "--json", "--force").out)
    assert first["id"] == again["id"]
    life.write_ipc_stream("t.arrows", compat_level=pl.CompatLevel.oldest())  # can be read once
    piped = cli("evaluate", "m", "--data", "-", "-o", "piped", stdin=(work / "t.arrows").read_bytes())
    pictured = re.findall(r"<h2>Worst.*?<h2>", page(piped.ref), re.DOTALL)
    assert pictured == re.findall(r"<h2>Worst.*?<h2>", page(first["ref"]), re.DOTALL)
    assert not list(Path(work.parent).glob("**/spool.parquet"))


def test_rows_without_a_label_keep_the_others_in_their_places(cli, life, monkeypatch):
    monkeypatch.setattr(batches, "IMAGE_ROWS", 16)
    some = life.with_columns(label=pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("label"))
    some.write_parquet("some.parquet")
    ended = cli("evaluate", "m", "--data", "some.parquet", "-o", "ev")
    assert "90 rows in = 60 measured + 30 without label" in ended.err
    found = pl.read_parquet("ev/predictions.parquet")
    assert found["path"].to_list() == some.drop_nulls("label")["image"].struct.field("path").to_list()
    worst = re.findall(r"<h2>Worst.*?<h2>", page("ev"), re.DOTALL)[0]
    shown = [base64.b64decode(each) for each in re.findall(r'base64,([^"]+)"', worst)]
    there = [int(each) for each in re.findall(r"day/(\d+)\.png", worst)]
    assert max(there) > 16
    assert shown == [evaluate_pictures.thumbnail(life["image"][place]["bytes"]) for place in there]
    broken = [{"bytes": each["bytes"][: 30 if number == 70 else None], "path": each["path"]}
              for number, each in enumerate(some["image"])]  # fmt: skip
    some.with_columns(image=pl.Series(broken, dtype=some.schema["image"])).write_parquet("broken.parquet")
    ended = cli("evaluate", "m", "--data", "broken.parquet", "-o", "none")
    assert (ended.code, "row 70: " in ended.err) == (4, True)
    assert not Path("none").exists()


def test_tables_of_other_shapes(cli, life):
    bare = life.select(image=pl.col("image").struct.field("bytes"), label="label")
    bare.write_parquet("bare.parquet")
    found = pl.read_parquet(f"{cli('evaluate', 'm', '--data', 'bare.parquet').ref}/predictions.parquet")
    assert found.columns == ["actual", "prediction", "proba"]
    image_models.model("two", image_models.thirds()[:, :2], ["bus", "car"])
    life.filter(pl.col("label") != "van").write_parquet("two.parquet")
    text = page(cli("evaluate", "two", "--data", "two.parquet").ref)
    assert "ROC curve" in text and "Worst errors" in text
    image_models.model("sum", np.ones((192, 1)) / 100, [])
    life.with_columns(label=pl.int_range(pl.len()).cast(pl.Float64)).write_parquet("numbers.parquet")
    text = page(cli("evaluate", "sum", "--data", "numbers.parquet", "--explain").ref)
    assert ", not 8" in text.split("Worst errors")[1].split("<h2>")[0]
    perfect = pl.DataFrame({"image": [image_models.png(np.full((8, 8, 3), (250, 0, 0)))] * 12, "label": ["bus"] * 12})
    perfect.write_parquet("perfect.parquet")
    assert "No row was answered wrongly" in page(cli("evaluate", "m", "--data", "perfect.parquet").ref)


def test_refusals(cli, life):
    for words, code, says in [
        (["--by", "image"], 4, "no levels to measure by"),
        (["--by", "camra"], 4, "did you mean camera?"),
        (["--by", "label"], 2, "means the classes"),
    ]:
        ended = cli("evaluate", "m", "--data", "t.parquet", *words)
        assert (ended.code, says in ended.err) == (code, True), ended.err
    life.drop("image").write_parquet("without.parquet")
    assert cli("evaluate", "m", "--data", "without.parquet").code == 4


def test_against_a_champion(cli, life):
    image_models.model("left", image_models.left_half(1.0))
    good = cli("evaluate", "m", "--data", "t.parquet", "--against", "left", "--require", "log_loss<champion+0.1",
               "--explain")  # fmt: skip
    assert good.code == 0, good.err
    worse = cli("evaluate", "left", "--data", "t.parquet", "--against", "m", "--require", "log_loss<champion-0.1")
    assert worse.code == 1


def test_predict_explains_images_in_batches_and_in_a_stream(cli, life):
    ref = cli("predict", "m", "t.parquet", "--explain", "--keep", "label", "-o", "p").ref
    found = pl.read_parquet(f"{ref}/*.parquet")
    assert found.columns == ["label", "prediction", "explain"]
    heat = np.array(found["explain"].to_list())
    assert heat.shape == (90, 8, 8) and heat.max() > 0.01
    again = cli("predict", "m", "t.parquet", "--explain", "--keep", "label", "--batch-rows", "7", "--force", "-o", "q")
    assert pl.read_parquet(f"{again.ref}/*.parquet").equals(found)
    import pyarrow as pa

    streamed = pa.ipc.open_stream(cli("predict", "m", "t.parquet", "--explain", "-o", "-").raw).read_all()
    assert pl.DataFrame(pl.from_arrow(streamed)).equals(found.drop("label"))
    assert "ignored" not in cli("predict", "m", "t.parquet").err


def test_predict_explains_tables(cli, work):
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    pl.DataFrame({"x": x, "z": rng.normal(size=400), "y": x > 0}).write_parquet("t.parquet")
    train = ("train", "t.parquet", "--target", "y", "--include", "x", "--set", "num_iterations=20")
    assert cli(*train, "-o", "model").code == 0
    ref = cli("predict", "model", "t.parquet", "--explain", "--proba", "-o", "p").ref
    found = pl.read_parquet(f"{ref}/*.parquet")
    first = found["explain"][0].to_list()
    assert [each["column"] for each in first] == ["x", "z", "(base)"]
    raw = found["explain"].list.eval(pl.element().struct.field("contribution")).list.sum()
    chance = found["proba"].list.get(1)
    np.testing.assert_allclose(raw, np.log(chance / (1 - chance)), atol=1e-6)
    adds = found["explain"].list.eval(pl.element().struct.field("contribution").abs()).list.to_array(3).to_numpy()
    assert adds[:, 0].mean() > 5 * adds[:, 1].mean()
    assert found.columns == ["prediction", "proba", "explain", "reasons"]
    assert [each.split("=")[0] for each in found["reasons"].list.first()] == ["x"] * 400
    pl.read_parquet("t.parquet").with_columns(explain=1).write_parquet("taken.parquet")
    assert cli("predict", "model", "taken.parquet", "--keep", "explain").code == 2


def test_inspect_list_and_report_have_no_walls_of_base64(cli, life):
    cli("evaluate", "m", "--data", "t.parquet", "--by", "camera", "-o", "ev").ref  # noqa: B018
    assert cli("register", "ev", "--name", "cars").code == 0
    for words in (["inspect", "m"], ["inspect", "cars@1"], ["inspect", "ev"], ["list", "cars"], ["report", "cars@1"],
                  ["report", "cars@1", "--format", "html"], ["report", "cars@1", "--format", "json"],
                  ["inspect", "m", "--json"]):  # fmt: skip
        ended = cli(*words)
        assert ended.code == 0, (words, ended.err)
        assert "QUJDQUJD" not in ended.out and not re.search(r"[A-Za-z0-9+/]{200}", ended.out), words
    cli("ingest", "t.parquet", "-o", "dataset").ref  # noqa: B018
    assert "columns:    6: image image, label string" in cli("inspect", "dataset").out
    told = cli("report", "cars@1").out
    assert "camera" in told and "ece" in told
