"""The CNN through the command line: what it writes, what it refuses, and that a killed training goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
import torch
from safetensors.torch import load
from shapes import IMAGE, SIDE, table

from mlops_cli.models import cnn, cnn_network, target
from mlops_cli.models.base import Tables
from mlops_cli.models.cnn_network import Architecture
from mlops_cli.runtime import images
from mlops_cli.steps import batches

BIN = Path(sys.executable).parent
QUICK = ("--set", "width=8", "--set", "learning_rate=0.4")


def train(cli, name, frame, *flags, target="kind"):
    """Train on a table as a bare file."""
    frame.write_parquet("t.parquet")
    return cli("train", "t.parquet", "--target", target, *QUICK, "--set", "epochs=6", *flags, "-o", name)


def test_a_model_of_images_is_made_evaluated_and_asked(cli):
    ended = train(cli, "model", table())
    assert ended.code == 0 and f"images are seen at {SIDE} x {SIDE}, in colour" in ended.err
    wanted = {"model.onnx", "model.safetensors", "architecture.json", "image.json", "signature.json", "profile.json"}
    assert wanted <= {path.name for path in Path("model").iterdir()}
    signature = json.loads(Path("model/signature.json").read_text())
    assert [column["name"] for column in signature["context"]] == ["camera", "time"]
    assert [column["name"] for column in signature["measured"]][-1] == "embedding_8"
    profiled = {column["name"] for column in json.loads(Path("model/profile.json").read_text())["columns"]}
    assert {"camera", "time", "brightness", "confidence", "embedding_1", "kind"} <= profiled
    table(60, seed=1).write_parquet("new.parquet")
    ended = cli("evaluate", "model", "--data", "new.parquet", "--require", "accuracy>=0.5", "--point", "-o", "e")
    assert ended.code == 0, ended.err
    assert cli("predict", "model", "new.parquet", "-o", "p").code == 0
    example = json.loads(Path("model/example.json").read_text())
    assert len(example["answer"]["predictions"]) == 2 and example["request"]["dataframe_records"][0]["image"]


def test_torch_and_onnx_agree_and_the_file_is_plain(cli):
    train(cli, "model", table(grey=True, side=20)).ref  # noqa: B018
    preparation = images.decode(Path("model/image.json").read_bytes())
    assert (preparation.channels, preparation.height, preparation.width) == (1, 20, 20)
    described = msgspec.json.decode(Path("model/architecture.json").read_bytes(), type=Architecture)
    tensors = load(Path("model/model.safetensors").read_bytes())
    network = cnn_network.loaded(described, tensors)
    x = np.random.default_rng(0).normal(size=(5, 1, 20, 20)).astype(np.float32)
    session = onnxruntime.InferenceSession("model/model.onnx")
    logits, embedding = session.run(["logits", "embedding"], {"image": x})
    with torch.inference_mode():
        features = network.features(torch.from_numpy(x))
        assert np.allclose(network(torch.from_numpy(x)).numpy(), logits, atol=1e-3)
    assert np.allclose((features - tensors["embedding.centre"]) @ tensors["embedding.axes"], embedding, atol=1e-3)
    model = onnx.load("model/model.onnx")
    assert model.opset_import[0].version <= 17 and "BatchNormalization" not in {
        node.op_type for node in model.graph.node
    }


@pytest.mark.parametrize("side", [16, 64, 120, 224])
def test_the_network_fits_any_size(side):
    described = cnn_network.designed(3, side, max(16, side // 2), 4, 1, 2)
    network = cnn_network.begun(described, torch.randn(32, 3, side, max(16, side // 2)), 0)
    assert network(torch.randn(2, 3, side, max(16, side // 2))).shape == (2, 2)
    assert cnn_network.work(cnn_network.designed(3, side, side, 64, 1, 10)) < 5


def test_temperature_makes_probabilities_honest(cli):
    train(cli, "model", table(300)).ref  # noqa: B018
    preparation = images.decode(Path("model/image.json").read_bytes())
    assert preparation.temperature != 1 and 0.05 < preparation.temperature < 20


def start(*flags):
    """A training in a process of its own."""
    command = [str(BIN / "mlops"), "train", "t.parquet", "--target", "kind", *QUICK, *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True)


def killed(*flags):
    """A training that was killed after it had left a checkpoint; the checkpoint's path."""
    process = start(*flags)
    found = []
    while not found and process.poll() is None:
        time.sleep(0.02)
        found = list(Path(".mlops/checkpoints").glob("*/*.safetensors"))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    return found[0]


def test_a_killed_training_goes_on_and_ends_in_the_same_model(cli, work):
    table(400).write_parquet("t.parquet")
    flags = ("--set", "epochs=24", "--set", "patience=20")
    checkpoint = killed(*flags, "-o", "model")
    assert not Path("model").exists()
    _, err = (process := start(*flags, "-o", "model")).communicate()
    assert process.returncode == 0, err
    assert "resumed at epoch " in err and "resumed at epoch 1 " not in err
    assert not checkpoint.parent.exists()
    undisturbed = json.loads(cli("train", "t.parquet", "--target", "kind", *QUICK, *flags, "--force", "--json").out)
    assert json.loads(Path("model/manifest.json").read_text())["id"] == undisturbed["id"]


class Enough(Exception):
    """A fit is to end here."""


def stopped(tmp_path, frame):
    """A fit that ended in its third epoch, as a function to run it again, and its checkpoint."""
    given = Tables(frame.lazy(), None, lambda part, signature: batches.batches(part, signature, "t"), tmp_path)
    found = target.infer(frame.lazy(), "kind")
    settings = cnn.settings({"epochs": "4", "width": "4"})

    def stop(done, total):
        if done > total / 2:
            raise Enough

    def again(progress=lambda *_: None, **changed):
        trainer = cnn.trainer(given, found, "log_loss", 0, settings | changed)
        return trainer.fit(settings | changed, 1, progress), trainer.notes

    with pytest.raises(Enough):
        again(stop)
    (checkpoint,) = tmp_path.iterdir()
    return again, checkpoint


def test_a_checkpoint_is_gone_on_from_unless_it_is_damaged_or_of_other_work(tmp_path):
    again, checkpoint = stopped(tmp_path, table(130))
    whole = checkpoint.read_bytes()
    fit, notes = again()
    assert any(note.startswith("resumed at epoch ") for note in notes)
    for data in (whole[:-3], whole[:90] + bytes([whole[90] ^ 1]) + whole[91:], b""):
        checkpoint.write_bytes(data)
        restarted, notes = again()
        assert "a checkpoint is not used: it is damaged" in notes and restarted == fit
    checkpoint.write_bytes(whole)
    checkpoint.rename(checkpoint.with_name(f"{other(again, tmp_path, checkpoint)}"))
    _, notes = again(learning_rate=0.1)
    assert "a checkpoint is not used: it is of other work" in notes


def other(again, tmp_path, checkpoint):
    """The name of the checkpoint of other work."""
    again(learning_rate=0.1)
    (found,) = set(tmp_path.iterdir()) - {checkpoint}
    return found.name


def test_what_cannot_be_learned_from_is_told_in_one_line(cli):
    frame = table(40)
    broken = frame.with_columns(image=pl.Series([{"bytes": b"no image", "path": None}] * 40, dtype=IMAGE))
    cases = [
        (broken, "kind", 4, "not an image"),
        (frame.with_columns(kind=pl.lit("one")), "kind", 4, "one class"),
        (frame.head(3), "kind", 4, "too few"),
        (frame.with_columns(other="image"), "kind", 4, "one column of images"),
        (frame.drop("image"), "kind", 4, "mlops ingest"),
    ]
    for given, column, code, words in cases:
        ended = train(cli, "model", given, "--family", "cnn", target=column)
        assert (ended.code, words in ended.err, Path("model").exists()) == (code, True, False), ended.err
    for flags in (("--set", "withd=8"), ("--set", "flip=maybe"), ("--set", "size=8"), ("--metric", "roc")):
        assert train(cli, "model", frame, *flags).code == 2


def test_a_fit_that_goes_astray_says_so_and_loses_a_search(cli):
    astray = ("--set", "weight_decay=1", "--set", "epochs=120")
    table(70).write_parquet("t.parquet")
    command = ("train", "t.parquet", "--target", "price", "--set", "width=4", *astray)
    ended = cli(*command, "--set", "learning_rate=100", "-o", "model")
    assert ended.code == 4 and "not finite" in ended.err and not Path("model").exists()
    ended = cli(*command, "--search", "grid", "--space", "learning_rate=100,0.001", "-o", "model")
    assert ended.code == 0, ended.err
    trials = json.loads(Path("model/trials.json").read_text())
    assert trials["best"] == 1 and trials["trials"][0]["score"] is None


def test_without_torch_the_extra_is_named(shell):
    table(40).write_parquet("t.parquet")
    Path("torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    ended = shell("mlops train t.parquet --target kind", PYTHONPATH=f"{Path.cwd()}:{os.environ.get('PYTHONPATH', '')}")
    assert ended.code == 7 and "mlops-cli[vision]" in ended.err


def test_a_random_search_is_the_same_for_the_same_seed(cli):
    flags = ("--search", "random", "--trials", "3", "--space", "learning_rate=0.1..1", "--space", "jitter=0,0.2")
    frame = table(130)
    ids = []
    for jobs in (1, 3):
        frame.write_parquet("t.parquet")
        ended = cli(
            "train", "t.parquet", "--target", "kind", "--set", "width=8", "--set", "epochs=3", *flags, "--jobs", jobs,
            "--force", "--json", "-o", "model",
        )  # fmt: skip
        assert ended.code == 0, ended.err
        ids.append(json.loads(ended.out)["id"])
    assert ids[0] == ids[1]
    trials = json.loads(Path("model/trials.json").read_text())
    rates = [float(trial["settings"]["learning_rate"]) for trial in trials["trials"]]
    assert trials["search"] == "random" and len(set(rates)) == 3 and all(0.1 <= rate <= 1 for rate in rates)


def test_an_image_answers_the_same_from_the_table_and_alone(cli):
    train(cli, "model", table()).ref  # noqa: B018
    many = table(70, seed=5)
    many.head(1).write_parquet("one.parquet")
    many.write_parquet("many.parquet")
    answers = []
    for name in ("one", "many"):
        cli("predict", "model", f"{name}.parquet", "--proba", "-o", name).ref  # noqa: B018
        answers.append(pl.read_parquet(f"{name}/*.parquet").row(0))
    assert answers[0] == answers[1]
