"""Saliency by occlusion: a model that looks at one half, the sign, the sizes, and the served model's own answer."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mlops_cli.runtime import occlusion

pytest.importorskip("onnxruntime")
sys.path.insert(0, str(Path(__file__).parents[1]))
import image_models

from mlops_cli.runtime import image_model, predictors
from mlops_cli.runtime.columns import Column
from mlops_cli.runtime.rows import RequestError


def explained(model: predictors.Predictor, *data: bytes) -> np.ndarray:
    given = np.empty(len(data), dtype=object)
    given[:] = data
    assert isinstance(model, predictors.Explainer)
    found = model.explain({"image": Column(given)})
    assert found.columns is None
    return found.values


def test_a_model_that_looks_at_the_left_has_all_its_saliency_there(tmp_path):
    image_models.model(tmp_path / "left", image_models.left_half())
    image_models.model(tmp_path / "both")
    data = [each["bytes"] for each in image_models.table(6)["image"]]
    left = explained(predictors.load(tmp_path / "left"), *data)
    assert left.shape == (6, 8, 8)
    # A patch is the cell and half a cell more: that of column 4 still covers column 3.
    assert np.abs(left[..., :4]).min(axis=(1, 2)).max() > 0 and np.abs(left[..., 5:]).max() < 1e-6
    both = np.abs(explained(predictors.load(tmp_path / "both"), *data)).mean(axis=(0, 1))
    assert both.min() > both.max() / 5


def test_threads_and_neighbours_do_not_show(tmp_path):
    image_models.model(tmp_path / "m")
    data = [each["bytes"] for each in image_models.table(5)["image"]]
    together = explained(predictors.load(tmp_path / "m", threads=3), *data)
    alone = np.concatenate([explained(predictors.load(tmp_path / "m"), each) for each in data])
    np.testing.assert_array_equal(together, alone)


def test_the_drop_is_that_of_the_answer(tmp_path):
    image_models.model(tmp_path / "m")
    model = predictors.load(tmp_path / "m")
    assert isinstance(model, image_model.Model)
    data = image_models.table(1)["image"][0]["bytes"]
    heat = explained(model, data)[0]
    own = model.answer([{"image": data}])[0]
    code = image_models.CLASSES.index(own["prediction"])
    hidden = model.view(data).copy()
    hidden[2:5, 0:2] = 128  # cell (3, 0) of an image of 8 × 8: a pixel, and half of one more on every side, rounded up
    chances = model.answer([{"image": image_models.png(hidden)}])[0]["proba"]
    assert heat[3, 0] == pytest.approx(own["proba"][code] - chances[code], abs=1e-6)


def test_a_regression_and_a_damaged_image(tmp_path):
    image_models.model(tmp_path / "m", np.ones((192, 1)) / 100, classes=[])
    model = predictors.load(tmp_path / "m")
    white = image_models.png(np.full((8, 8, 3), 255))
    assert explained(model, white).min() > 0  # hiding brightness takes from the sum
    with pytest.raises(RequestError, match=r"truncated|not an image"):
        explained(model, white, white[:40])
    assert len(explained(model)) == 0


def test_patches_cover_any_size():
    for height, width, shape in [(3, 50, (3, 8)), (1, 1, (1, 1)), (224, 224, (8, 8)), (17, 9, (8, 8))]:
        pixels = np.zeros((height, width, 1), np.uint8)
        seen = np.zeros((height, width), bool)

        def score(given, seen=seen):
            seen |= (given[..., 0] == 255).any(axis=0)
            return given[..., 0].mean(axis=(1, 2))

        heat = occlusion.saliency(pixels, score, np.array([255], np.uint8))
        assert heat.shape == shape and seen.all() and (heat < 0).all()
