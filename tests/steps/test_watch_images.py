"""Models of images in use: what is measured of images and answers drifts, by camera too."""

import json
from pathlib import Path

import numpy as np
import pytest
import watching_images as world

WATCH = ("watch", "vehicles@production", "--log", "logs")


@pytest.fixture
def vehicles(work):
    world.register()


def look(cli, *more):
    ended = cli(*WATCH, *more, "--json")
    assert ended.out, ended.err
    told = json.loads(ended.out)
    return ended, {(m["name"], m["column"], m["level"]): m for m in told["metrics"]}


def test_nothing_drifts_where_nothing_has_changed(vehicles, cli):
    rows = world.seen(1500, seed=1)
    world.log(rows)
    alerts = (
        "psi[embedding]>0.2",
        "psi[confidence]>0.2",
        "psi[brightness]>0.2",
        "mean[confidence]<0.6",
        "max[width]>64",
    )
    ended, metrics = look(cli, *(word for alert in alerts for word in ("--alert", alert)))
    assert ended.code == 0, ended.err
    mean = metrics["mean", "confidence", None]
    assert mean["value"] == pytest.approx(rows["confidence"].mean()) and mean["low"] < mean["value"] < mean["high"]
    assert mean["n"] == 1500
    assert metrics["min", "brightness", None]["value"] == pytest.approx(rows["brightness"].min())
    assert metrics["max", "brightness", None]["low"] is None
    assert metrics["psi", "embedding", None]["value"] == max(
        metrics["psi", f"embedding_{n}", None]["value"] for n in range(1, 9)
    )


def test_the_embedding_as_a_whole_drifts_when_one_coordinate_does(vehicles, cli):
    world.log(world.seen(600, seed=1, turned=2.0))
    ended, metrics = look(cli, "--alert", "psi[embedding]>0.2", "--alert", "psi[brightness]>0.2")
    assert ended.code == 1 and "ALERT: psi[embedding]>0.2" in ended.err and "ok: psi[brightness]>0.2" in ended.err
    whole, part = metrics["psi", "embedding", None], metrics["psi", "embedding_6", None]
    assert whole["value"] == part["value"]
    assert whole["low"] < part["low"] and whole["high"] > part["high"]  # wider, since it is the largest of eight


def test_the_interval_of_the_embedding_does_not_cry_wolf(vehicles, cli, work):
    """Of samples without drift the lower end is above 0 in about one of twenty at most; the plain one more often."""
    plain = whole = 0
    for seed in range(12):
        world.log(world.seen(300, seed=seed), directory=f"log-{seed}")
        ended = cli("watch", "vehicles@production", "--log", f"log-{seed}", "--json")
        metrics = {(m["name"], m["column"], m["level"]): m for m in json.loads(ended.out)["metrics"]}
        whole += metrics["psi", "embedding", None]["low"] > 0
        plain += any(metrics["psi", f"embedding_{n}", None]["low"] > 0 for n in range(1, 9))
    assert whole <= 3 and whole <= plain


def test_each_camera_has_metrics_of_its_own(vehicles, cli):
    rows = world.seen(1500, seed=1, dark="north")
    world.log(rows)
    rng = np.random.default_rng(2)
    dark = (rows["camera"] == "north").to_numpy()
    wrong = rng.random(rows.height) < np.where(dark, 0.7, 0.1)
    world.actuals(rows, wrong)
    alerts = {
        "accuracy[camera=north]<0.5": "ALERT",
        "accuracy[camera=south]<0.5": "ok",
        "psi_brightness[camera=north]>0.2": "ALERT",
        "psi_brightness[camera=south]>0.2": "ok",
        "psi_embedding[camera=north]>0.5": "ok",
        "mean_confidence[camera=north]<0.6": "ALERT",
        "rows[camera=east]<1": "ALERT",
        "accuracy[camera=east]<0.5": "inconclusive",
        "rows[camera=north]<100": "ok",
    }
    ended, metrics = look(
        cli, "--actuals", "truth.parquet", "--by", "camera", *(w for a in alerts for w in ("--alert", a))
    )
    for alert, answer in alerts.items():
        assert f"{answer}: {alert}" in ended.err, ended.err
    assert metrics["accuracy", "camera", "north"]["value"] == pytest.approx(1 - wrong[dark].mean())
    assert metrics["rows", "camera", "north"]["value"] == dark.sum()
    assert metrics["labelled_rows", "camera", "north"]["value"] == dark.sum()
    assert metrics["rows", None, None]["value"] == 1500
    cli(*WATCH, "--by", "camera", "--prom", "x.prom")
    text = Path("x.prom").read_text()
    assert 'mlops_drift_score{model="vehicles",alias="production",feature="embedding",method="psi"}' in text
    value = 'mlops_watch_value{model="vehicles",alias="production",'
    assert value + 'metric="psi_brightness",feature="",slice="camera=north"} ' in text
    assert value + 'metric="mean",feature="confidence",slice=""} ' in text


def test_a_camera_is_compared_with_itself_where_the_reference_is_a_table(vehicles, cli):
    world.log(world.seen(3000, seed=1, dark="north"))
    world.seen(3000, seed=2, dark="north").write_parquet("usual.parquet")
    arguments = ("--by", "camera", "--alert", "psi_brightness[camera=north]>0.2")
    assert cli(*WATCH, *arguments).code == 1
    assert cli(*WATCH, *arguments, "--reference", "usual.parquet").code == 0


def test_what_cannot_be_cut_by(vehicles, cli):
    world.log(world.seen(50, seed=1).drop("camera"))
    assert cli(*WATCH, "--by", "cameras").code == 4
    assert cli(*WATCH, "--by", "label").code == 2
    ended = cli(*WATCH, "--by", "camera", "--alert", "accuracy[camera=north]<0.5")
    assert ended.code == 3 and "camera is not in the log" in ended.err
    quiet = cli(*WATCH, "--window", "1m", "--log", "empty", "--by", "camera")
    assert quiet.code == 4
    Path("empty").mkdir()
    quiet = cli("watch", "vehicles@production", "--log", "empty", "--by", "camera", "--alert", "rows[camera=north]<1")
    assert quiet.code == 1 and "ALERT: rows[camera=north]<1" in quiet.err
    typo = cli(*WATCH, "--by", "width", "--alert", "acuracy[width=64]<0.5")
    assert typo.code == 2 and "did you mean accuracy?" in typo.err
