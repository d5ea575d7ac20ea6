"""Images as models see them: decoded without trust, measured by known formulas, and prepared as declared."""

import numpy as np
import pictures
import pytest
from pictures import bomb, noise
from PIL import Image

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import images
from mlops_cli.runtime.images import Preparation, Undecodable


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    return pictures.encoded(image, format, **options)


def scene(width: int = 200, height: int = 150) -> Image.Image:
    """Something smooth, as pictures are."""
    small = np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no bytes"),
        (b"hello, I am a text file", "not an image: it begins with the bytes 68 65 6c 6c"),
        (encoded(noise())[:-40], "truncated"),
        (encoded(noise(0, 200, 200), "JPEG")[:9_000], "truncated"),
        (bomb(50_000, 50_000), "50000 × 50000 pixels are more than 50,000,000"),
        (b"\x80\x04\x95", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not an image"),
    ],
)
def test_what_is_no_image_is_refused_with_its_reason(data, reason):
    with pytest.raises(Undecodable, match=reason):
        images.opened(data)


def test_every_mode_becomes_grey_or_colour():
    rgb = noise()
    wide = Image.fromarray(np.linspace(0, 65_535, 1200).reshape(30, 40).astype(np.uint16))
    for image, mode in [
        (rgb, "RGB"),
        (rgb.convert("L"), "L"),
        (rgb.convert("1"), "L"),
        (rgb.convert("P"), "RGB"),
        (rgb.convert("RGBA"), "RGB"),
        (rgb.convert("LA"), "RGB"),
        (wide, "L"),
    ]:
        picture = images.opened(encoded(image))
        assert (picture.copy.mode, picture.width, picture.height) == (mode, 40, 30), image.mode
    assert images.opened(encoded(rgb.convert("CMYK"), "JPEG")).copy.mode == "RGB"
    assert images.grey(images.opened(encoded(wide))).max() == 255
    clear = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert images.grey(images.opened(encoded(clear))).max() == 0


def test_deep_images_are_scaled_by_their_kind_and_not_by_what_they_hold():
    def brightness(values: np.ndarray, format: str = "PNG") -> float:
        return images.statistics(images.opened(encoded(Image.fromarray(values), format)))["brightness"]

    for level in (200, 300, 40_000):
        assert brightness(np.full((8, 8), level, np.uint16)) == pytest.approx(level / 65_535, abs=0.004)
    assert brightness(np.full((8, 8), 0.5, np.float32), "TIFF") == pytest.approx(0.5, abs=0.004)
    assert brightness(np.full((8, 8), np.nan, np.float32), "TIFF") == 0


def test_an_image_that_lies_on_its_side_stands_up():
    image = Image.new("L", (20, 10))
    image.paste(255, (0, 0, 20, 5))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = images.opened(encoded(image, "JPEG", exif=exif, quality=95))
    assert (picture.width, picture.height) == (10, 20) and picture.copy.size == (10, 20)
    assert images.grey(picture)[:, 7].min() > 200 and images.grey(picture)[:, 2].max() < 50


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_images_are_reduced_for_work_and_keep_their_own_size(format):
    picture = images.opened(encoded(scene(2000, 1500), format))
    assert (picture.width, picture.height) == (2000, 1500)
    assert 256 <= min(picture.copy.size) < 512
    assert min(images.opened(encoded(scene(2000, 1500), format), least=700).copy.size) >= 700


def test_statistics_are_what_they_say():
    grey = images.statistics(images.opened(encoded(Image.new("L", (32, 32), 51))))
    assert grey == {"brightness": 0.2, "contrast": 0.0, "sharpness": 0.0, "red": 0.2, "green": 0.2, "blue": 0.2}
    half = Image.new("RGB", (32, 32), (255, 0, 0))
    found = images.statistics(images.opened(encoded(half)))
    assert (found["red"], found["green"], found["blue"]) == (1.0, 0.0, 0.0)
    assert found["brightness"] == pytest.approx(0.299, abs=0.002)
    board = Image.fromarray((np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8))
    sharp = images.statistics(images.opened(encoded(board)))
    assert sharp["contrast"] == pytest.approx(0.5) and sharp["sharpness"] == pytest.approx((4 * 255) ** 2)
    from PIL import ImageFilter

    blurred = noise(0, 100, 100).filter(ImageFilter.GaussianBlur(3))
    was = images.statistics(images.opened(encoded(noise(0, 100, 100))))["sharpness"]
    assert images.statistics(images.opened(encoded(blurred)))["sharpness"] < was / 50
    assert images.statistics(images.opened(encoded(Image.new("RGB", (2, 2)))))["sharpness"] == 0


def distance(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def test_the_perceptual_hash_is_near_for_what_looks_alike_and_far_for_what_does_not():
    own = images.perceptual_hash(images.opened(encoded(scene())))
    for like in (
        encoded(scene(), "JPEG", quality=40),
        encoded(scene().resize((120, 90))),
        encoded(Image.fromarray((np.asarray(scene()) * 0.85).astype(np.uint8))),
    ):
        assert distance(own, images.perceptual_hash(images.opened(like))) <= 6
    assert distance(own, images.perceptual_hash(images.opened(encoded(noise())))) > 20
    assert distance(own, images.perceptual_hash(images.opened(encoded(scene().rotate(90, expand=True))))) > 16
    assert 0 <= own < 2**64


def test_the_preparation_is_executed_as_declared():
    white = Image.new("RGB", (20, 10), (255, 255, 255))
    picture = images.opened(encoded(white))
    for resize, corner in (("stretch", 255), ("crop", 255), ("pad", 0)):
        made = images.pixels(picture, Preparation(8, 8, 3, [0.5] * 3, [0.25] * 3, resize))
        assert made.shape == (8, 8, 3) and made[0, 0, 0] == corner
    grey = Preparation(8, 8, 1, [0.5], [0.25])
    tensor = images.tensor(images.pixels(picture, grey)[None], grey)
    assert tensor.shape == (1, 1, 8, 8) and tensor.dtype == np.float32
    assert tensor == pytest.approx((1 - 0.5) / 0.25)


def test_image_json_is_read_as_it_was_written_and_refused_when_damaged():
    own = Preparation(32, 24, 3, [0.4, 0.5, 0.6], [0.2, 0.2, 0.3], "pad", temperature=1.5, embedding="embedding")
    assert images.decode(images.encode(own)) == own
    for change in ({"format": 2}, {"channels": 2}, {"mean": [0.5]}, {"std": [0.2, 0.2, 0.0]}, {"height": 0}):
        import msgspec

        fields = msgspec.to_builtins(own) | change
        with pytest.raises(Corrupt):
            images.decode(msgspec.json.encode(fields))
    with pytest.raises(Corrupt):
        images.decode(b'{"temperature": 0')
