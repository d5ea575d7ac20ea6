"""What every model family must do: every name in the table of extensions, every rule."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from mlops_cli import extensions
from mlops_cli.errors import Usage
from mlops_cli.models import base, target
from mlops_cli.models.base import Fold, Tables
from mlops_cli.runtime import predictors, rows, signature
from mlops_cli.steps import batches
from mlops_cli.steps.records import records
from mlops_cli.store import artefact

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import learnable
import shapes

TARGETS = {"binary": "yes", "multiclass": "kind", "regression": "price"}
FAMILIES = [name for name in extensions.MODELS if name != "onnx"]  # which learns nothing: tests/models/test_onnx.py
QUICK = {"cnn": {"epochs": "12", "width": "8", "learning_rate": "0.4"}}
"""Settings with which a family learns the small table within a second."""
every = pytest.mark.parametrize(("family", "task"), [(family, task) for family in FAMILIES for task in TARGETS])


def made(family, task, threads=1, seed=0, valid=True):
    """A trainer on the small table, a fit, and the rows it has not seen."""
    module = extensions.load("models", family)
    table, inputs = (shapes.table(600), ["image"]) if family == "cnn" else (learnable.table(), learnable.INPUTS)
    frame = table.select(*inputs, TARGETS[task])
    train, held = frame[:400].lazy(), frame[400:]
    given = Tables(train, held.lazy() if valid else None, lambda part, made_for: batches.batches(part, made_for, "t"))
    found = target.infer(train, TARGETS[task])
    trainer = module.trainer(given, found, next(iter(module.metrics(task, {}))), seed, {})
    return trainer, trainer.fit(quick(family), threads, lambda *_: None), held


def quick(family):
    """The settings of a quick fit."""
    return extensions.load("models", family).settings(QUICK.get(family, {}))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_module_meets_the_protocol(family):
    module = extensions.load("models", family)
    for name in ("settings", "metrics", "trainer"):
        wanted = list(inspect.signature(getattr(base.Family, name)).parameters)[1:]
        assert list(inspect.signature(getattr(module, name)).parameters) == wanted
    assert module.LIBRARIES and isinstance(module.SHARED, tuple)
    assert module.settings({}) == {}
    with pytest.raises(Usage):
        module.settings({"no_such_setting": "1"})


@every
def test_what_is_written_answers_as_what_was_trained(family, task, tmp_path):
    trainer, fit, held = made(family, task)
    described = trainer.signature
    assert (described.family, described.task, described.target) == (family, task, TARGETS[task])
    for name, data in {**trainer.files(fit), signature.FILE: signature.encode(described)}.items():
        (tmp_path / name).write_bytes(data)
    artefact.seal(tmp_path, kind="model", created="", tool="", command=[], inputs=[])
    loaded = predictors.load(tmp_path)
    given = records(held, described)
    answers = loaded.answer(given)
    assert answers == trainer.predictor(fit, 2).answer(given)
    assert answers == [loaded.answer([row])[0] for row in given]
    assert answers == rows.answers(described, loaded.predict(batches.batch(held, described)))
    if task != "regression":
        proba = np.array([answer["proba"] for answer in answers])
        assert np.allclose(proba.sum(axis=1), 1) and proba.shape[1] == len(described.classes)


@every
def test_it_learns(family, task):
    trainer, fit, held = made(family, task)
    answers = [answer["prediction"] for answer in trainer.predictor(fit, 1).answer(records(held, trainer.signature))]
    actual = held[TARGETS[task]].to_list()
    if task == "regression":
        assert np.corrcoef(answers, actual)[0, 1] > 0.8
    else:
        assert np.mean([a == b for a, b in zip(answers, actual, strict=True)]) > 0.7
    assert fit.rounds >= 1 and isinstance(fit.score, float)


@every
def test_the_same_again_on_any_number_of_threads(family, task):
    _, fit, _ = made(family, task)
    _, again, _ = made(family, task, threads=3)
    assert (fit.model, fit.rounds) == (again.model, again.rounds)


@pytest.mark.parametrize("family", FAMILIES)
def test_folds_and_no_valid_rows(family):
    trainer, fit, _ = made(family, "binary", valid=False)
    assert fit.score is None
    settings = quick(family) | (trainer.rounds(2) if family == "cnn" else {})
    part = trainer.part(Fold(np.flatnonzero(np.arange(400) % 3), np.arange(0, 400, 3)))
    crossed = trainer.cross(part, settings, lambda *_: None)
    assert isinstance(crossed.score, float) and crossed.rounds >= 1 and not crossed.model
    assert trainer.cross(part, settings, lambda *_: None) == crossed
    shorter = trainer.fit(settings | trainer.rounds(2), 1, lambda *_: None)
    assert shorter.rounds == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_progress_is_told_and_can_stop_a_fit(family):
    trainer, _, _ = made(family, "binary")
    seen = []
    trainer.fit(quick(family), 1, lambda done, total: seen.append((done, total)))
    assert seen and all(done <= total for done, total in seen)

    class Enough(Exception):
        pass

    def stop(done, total):
        raise Enough

    with pytest.raises(Enough):
        trainer.fit(quick(family), 1, stop)
