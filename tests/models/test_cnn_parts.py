"""The CNN's parts: how many epochs and what batches, what augmentation does, what temperature and projection are."""

import numpy as np
import pytest
import torch

from mlops_cli.errors import Usage
from mlops_cli.models import cnn_augment, cnn_export, cnn_network, cnn_settings
from mlops_cli.models.cnn_settings import Recipe

MEAN, STD = np.full(1, 0.5, np.float32), np.full(1, 0.25, np.float32)
STILL = Recipe(epochs=1, batch_size=8, parts=1, flip=False, shift=0, cutout=0, jitter=0)


def test_the_recipe_follows_the_number_of_images_and_their_work():
    many = cnn_settings.recipe({}, 40_000, 1.0)
    assert (many.epochs, many.batch_size, many.parts) == (11, 512, 8)
    assert cnn_settings.recipe({}, 40_000, 2.0).epochs == 6 and cnn_settings.recipe({}, 40_000, 0.5) == many
    few = cnn_settings.recipe({}, 300, 1.0)
    assert (many.cutout, many.jitter, few.cutout, few.jitter) == (0, 0, 0.25, 0.1)
    assert cnn_settings.recipe({"cutout": 0.5}, 40_000, 1.0).cutout == 0.5
    brief, long = cnn_settings.recipe({"epochs": 10}, 300, 1.0), cnn_settings.recipe({"epochs": 40}, 40_000, 1.0)
    assert (brief.cutout, brief.jitter, long.cutout, long.jitter) == (0.25, 0.1, 0, 0)
    assert (few.epochs, few.batch_size, few.parts) == (40, 64, 2)
    assert cnn_settings.recipe({}, 10, 1.0).batch_size == 10
    assert cnn_settings.recipe({"batch_size": 256, "size": 64}, 40_000, 1.0).rate == pytest.approx(many.rate / 2)


def test_settings_are_checked():
    assert cnn_settings.read({"flip": "false", "width": "32"}) == {"flip": False, "width": 32}
    for wrong in ({"flip": "no"}, {"width": "0"}, {"learning_rate": "0"}, {"momentum": "1"}, {"rounds": "3"}):
        with pytest.raises(Usage):
            cnn_settings.read(wrong)


def images(n=6, side=8):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 1)).astype(np.uint8)


def test_without_augmentation_images_are_as_they_are():
    given, rows = images(), np.array([4, 1])
    seen = cnn_augment.shown(given, rows, cnn_augment.drawn(STILL, 6, 8, 8, 0, 0), MEAN, STD)
    assert np.allclose(seen, cnn_augment.plain(given, rows, MEAN, STD), atol=1e-5)


def test_every_image_is_flipped_in_every_other_epoch():
    recipe = Recipe(epochs=2, batch_size=6, parts=1, shift=0, cutout=0, jitter=0)
    given, rows = images(), np.arange(6)
    plain = cnn_augment.plain(given, rows, MEAN, STD)
    for row in rows:
        seen = [
            cnn_augment.shown(given, rows, cnn_augment.drawn(recipe, 6, 8, 8, 0, epoch), MEAN, STD)[row]
            for epoch in (0, 1)
        ]
        as_it_is = [bool(np.allclose(one, plain[row], atol=1e-5)) for one in seen]
        mirrored = [bool(np.allclose(one, plain[row][:, ::-1], atol=1e-5)) for one in seen]
        assert sorted(as_it_is) == sorted(mirrored) == [False, True]


def test_draws_follow_from_seed_and_epoch_alone():
    recipe = Recipe(epochs=2, batch_size=6, parts=1)
    one, other = (cnn_augment.drawn(recipe, 50, 8, 8, 3, 7) for _ in range(2))
    assert np.array_equal(one.order, other.order) and np.array_equal(one.light, other.light)
    assert not np.array_equal(one.order, cnn_augment.drawn(recipe, 50, 8, 8, 3, 8).order)


def test_a_square_is_blanked_and_an_image_moved_a_little():
    recipe = Recipe(epochs=1, batch_size=6, parts=1, flip=False, shift=0.25, cutout=0.5, jitter=0)
    given = np.full((40, 8, 8, 1), 255, np.uint8)
    draws = cnn_augment.drawn(recipe, 40, 8, 8, 0, 0)
    assert draws.shift.min() == -2 and draws.shift.max() == 2
    blank = (np.abs(cnn_augment.shown(given, np.arange(40), draws, MEAN, STD)) < 1e-6).sum(axis=(1, 2, 3))
    assert blank.max() == 16 and (blank >= 4).all()


def test_the_temperature_of_overconfident_answers():
    dice = np.random.default_rng(0)
    honest = dice.normal(size=(4000, 3)).astype(np.float32)
    proba = cnn_export.probabilities(honest, 1.0)
    codes = np.array([dice.choice(3, p=row) for row in proba])
    assert cnn_export.temperature(honest * 4, codes) == pytest.approx(4, rel=0.15)
    assert cnn_export.log_loss(honest * 4, codes, 4.0) < cnn_export.log_loss(honest * 4, codes, 1.0)


def test_the_projection_is_principal_components():
    dice = np.random.default_rng(0)
    flat = (dice.normal(size=(500, 2)) * [5, 1]) @ dice.normal(size=(2, 16)) + 3
    fitted = cnn_export.projection(flat.astype(np.float32), 2)
    seen = (flat - fitted.centre) @ fitted.axes
    assert np.allclose(np.cov(seen.T), np.eye(2), atol=0.02) and np.allclose(seen.mean(axis=0), 0, atol=1e-3)


def test_the_stem_whitens():
    x = torch.randn(64, 3, 16, 16) * 3 + torch.randn(64, 3, 1, 1)
    network = cnn_network.begun(cnn_network.designed(3, 16, 16, 4, 1, 2), x, 0)
    seen = network.stem(x).detach()
    half = seen.shape[1] // 2
    assert torch.allclose(seen[:, :half], -seen[:, half:], atol=1e-4)
    assert torch.allclose((seen[:, :half] ** 2).mean(dim=(0, 2, 3)), torch.ones(half), atol=0.15)
