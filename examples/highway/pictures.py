"""What a roadside camera sees of one vehicle: the scene by day, then light, weather, lens and sensor."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from vehicles import Vehicle, View, drawn, paint

SIZE = 64
FINE = 2 * SIZE
"""Scenes are drawn at twice the size, so that edges are smooth."""
LIGHTS = ("day", "dusk", "night")
WEATHERS = ("rain", "fog")

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """One camera: where it looks from (radians), what lies behind the road, its colour cast, dirt on its lens."""

    name: str
    azimuth: float
    elevation: float
    road: tuple[int, int, int]
    verge: tuple[int, int, int]
    back: tuple[int, int, int]
    horizon: float
    slope: float
    cast: tuple[float, float, float]
    dirt: int


CAMERAS = (
    Camera("north", 0.40, 0.16, (104, 104, 106), (104, 122, 74), (150, 176, 204), 0.30, -0.05, (1.0, 1.0, 1.0), 0),
    Camera("south", -0.62, 0.30, (118, 114, 106), (136, 124, 92), (118, 118, 116), 0.16, 0.16, (1.06, 1.0, 0.9), 2),
    Camera("bridge", 0.80, 0.42, (90, 94, 100), (96, 100, 104), (70, 92, 72), 0.10, -0.22, (0.92, 1.0, 1.07), 4),
    Camera("tunnel", 0.18, 0.10, (112, 108, 100), (140, 136, 126), (162, 158, 146), 0.36, 0.02, (1.08, 1.0, 0.86), 5),
)


@dataclass(frozen=True)
class Conditions:
    """The light (day, dusk, night) and the weather (clear, rain, fog)."""

    light: str = "day"
    weather: str = "clear"

    @classmethod
    def parse(cls, text: str) -> Conditions:
        """From `night+rain`, `fog`, `day`; ValueError for anything else."""
        light, weather = "day", "clear"
        for word in text.split("+"):
            if word in LIGHTS:
                light = word
            elif word in WEATHERS:
                weather = word
            else:
                raise ValueError(f"{word!r} is none of {', '.join((*LIGHTS, *WEATHERS))}")
        return cls(light, weather)

    def __str__(self) -> str:
        return self.light if self.weather == "clear" else f"{self.light}+{self.weather}"


def taken(label: str, camera: Camera, conditions: Conditions, rng: np.random.Generator) -> bytes:
    """The JPEG of a vehicle of a kind passing a camera: 64 × 64 pixels, the detector's crop around it."""
    vehicle = drawn(label, rng)
    view = View(camera.azimuth + rng.normal(0, 0.07), camera.elevation + rng.normal(0, 0.03), bool(rng.random() < 0.5))
    view.fit(vehicle, FINE, rng.uniform(0.7, 0.92), (0.5 + rng.normal(0, 0.02), 0.54 + rng.normal(0, 0.02)))
    scene, lit = _scene(vehicle, view, camera, rng)
    if rng.random() < 0.15:
        _hidden(scene, lit, rng)
    day, glow = _small(scene), _small(lit)
    seen = _lighted(day, glow, vehicle, view, conditions, rng)
    seen = _weathered(seen, conditions, rng)
    if camera.dirt and rng.random() < 0.7:
        seen = seen * _dirt(camera.dirt)
    return _recorded(seen * np.array(camera.cast, np.float32), conditions, rng)


def _scene(vehicle: Vehicle, view: View, camera: Camera, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Road, verge, lanes, shadow and vehicle by daylight; and beside it what shines from inside at night."""
    scene, lit = Image.new("RGB", (FINE, FINE), camera.road), Image.new("RGB", (FINE, FINE))
    draw, glow = ImageDraw.Draw(scene), ImageDraw.Draw(lit)
    slope = camera.slope * FINE
    edge = (camera.horizon + rng.normal(0, 0.04)) * FINE
    top = edge - rng.uniform(0.06, 0.12) * FINE
    draw.polygon([(0, 0), (FINE, 0), (FINE, edge + slope), (0, edge)], fill=camera.verge)
    draw.polygon([(0, 0), (FINE, 0), (FINE, top + slope * 0.7), (0, top)], fill=camera.back)
    _behind(draw, camera, top, rng)
    for line in (0.08, rng.uniform(0.5, 0.62)):
        start, y = rng.uniform(-40, 0), edge + line * FINE
        for x in np.arange(start, FINE, 46):
            y0, y1 = y + slope * x / FINE, y + slope * (x + 26) / FINE
            draw.line([(x, y0), (x + 26, y1)], fill=(206, 206, 200), width=2)
    if rng.random() < 0.8:
        reach = max(x for body in vehicle.bodies for x, _ in body.outline) + 0.3
        ground = [(-reach, -1.3, 0), (reach, -1.3, 0), (reach, 0.9, 0), (-reach, 0.9, 0)]
        dark = tuple(int(0.55 * value) for value in camera.road)
        draw.polygon(view.flat(np.array(ground, float)).ravel().tolist(), fill=dark)
    paint(draw, glow, vehicle, view)
    return scene, lit


def _behind(draw: ImageDraw.ImageDraw, camera: Camera, top: float, rng: np.random.Generator) -> None:
    """Trees, walls or posts on the far side, and a guard rail before them."""
    for _ in range(int(rng.integers(2, 6))):
        x, wide, tall = rng.uniform(-10, FINE), rng.uniform(6, 30), rng.uniform(6, 26)
        shade = rng.uniform(0.5, 0.9)
        fill = tuple(int(value * shade) for value in camera.verge)
        y = top + camera.slope * 0.7 * x
        if camera.name in ("north", "bridge"):
            draw.ellipse([x, y - tall, x + wide, y + 3], fill=fill)
        else:
            draw.rectangle([x, y - tall, x + wide * 0.6, y + 2], fill=fill)
    draw.line([(0, top + 2), (FINE, top + 2 + camera.slope * 0.7 * FINE)], fill=(170, 172, 174), width=2)


def _hidden(scene: Image.Image, lit: Image.Image, rng: np.random.Generator) -> None:
    """Something stands before the vehicle: a post, or the near guard rail."""
    draws = (ImageDraw.Draw(scene), ImageDraw.Draw(lit))
    if rng.random() < 0.5:
        x, wide = rng.uniform(0.15, 0.85) * FINE, rng.uniform(4, 12)
        shape = [x, 0.0, x + wide, float(FINE)]
    else:
        y = rng.uniform(0.8, 0.95) * FINE
        shape = [0.0, y, float(FINE), y + rng.uniform(6, 20)]
    for draw, fill in zip(draws, ((126, 128, 130), (0, 0, 0)), strict=True):
        draw.rectangle(shape, fill=fill)


def _small(image: Image.Image) -> Pixels:
    """An image at half its size as float32 (SIZE, SIZE, 3) of 0–1."""
    return np.asarray(image.reduce(2), dtype=np.float32) / 255


def _lighted(
    day: Pixels, glow: Pixels, vehicle: Vehicle, view: View, conditions: Conditions, rng: np.random.Generator
) -> Pixels:
    """The scene in the light there is: the sun, or street lamps and the vehicle's own lights."""
    light = conditions.light
    if light == "day":
        strength = rng.uniform(0.8, 1.12) * (0.78 if conditions.weather == "rain" else 1.0)
        return day * np.float32(strength) + _texture(rng) * np.float32(0.03)
    night = light == "night"
    wet = conditions.weather == "rain"
    if night:
        lamp = np.array(((1.0, 0.78, 0.5), (0.85, 0.92, 1.0))[int(rng.random() < 0.4)], np.float32)
        seen = day * (_pool(rng) * lamp * rng.uniform(*((0.13, 0.28) if wet else (0.24, 0.44))) + np.float32(0.04))
    else:
        seen = day * np.array((0.52, 0.42, 0.40), np.float32) * np.float32(rng.uniform(0.75, 1.15))
    shine = glow * np.float32(rng.uniform(0.5, 0.9) if night else 0.3)
    shine = shine + _lamps(vehicle, view, 1.0 if night else 0.45, wet, rng)
    if wet:
        shine = shine + _mirrored(shine + seen * 0.5, view)
    return seen + shine


def _lamps(vehicle: Vehicle, view: View, strength: float, wet: bool, rng: np.random.Generator) -> Pixels:
    """Headlights that dazzle when they face the camera, red lights at the rear, orange ones along a truck."""
    light = np.zeros((SIZE, SIZE, 3), np.float32)
    facing = view.towards((1.0, 0.0, 0.0))
    reach = 1.5 if wet else 1.05
    for places, colour, seen, radius in (
        (vehicle.front, (1.0, 0.97, 0.88), facing, 3.6),
        (vehicle.rear, (1.0, 0.12, 0.08), -facing, 2.0),
        (vehicle.markers, (1.0, 0.6, 0.15), 0.4, 1.1),
    ):
        power = strength * (0.25 + 1.3 * max(0.0, seen)) if radius > 1.5 else strength * 0.5
        if seen < -0.5 or not places:
            continue
        for x, y in view.flat(np.array(places, float)) / 2:
            _add(light, _spot(radius * reach * (0.6 + max(0.0, seen))), x, y, colour, power * rng.uniform(0.7, 1.2))
    if facing > 0.1 and strength > 0.9:  # a veil over the picture: light scattered in the lens
        light += np.float32(0.10 * facing * reach)
    return light


def _add(light: Pixels, spot: Pixels, x: float, y: float, colour: tuple[float, float, float], power: float) -> None:
    """Add a spot of light about a point, as much of it as lies inside."""
    half = spot.shape[0] // 2
    left, top = round(x) - half, round(y) - half
    x0, y0, x1, y1 = max(0, left), max(0, top), min(SIZE, left + 2 * half + 1), min(SIZE, top + 2 * half + 1)
    if x0 < x1 and y0 < y1:
        part = spot[y0 - top : y1 - top, x0 - left : x1 - left, None]
        light[y0:y1, x0:x1] += part * np.array(colour, np.float32) * np.float32(power)


def _spot(radius: float) -> Pixels:
    return _spots(round(radius * 2))


@cache
def _spots(doubled: int) -> Pixels:
    """A lamp as a lens shows it: a bright middle, a wide halo, and rays."""
    radius = max(1.0, doubled / 2)
    half = int(radius * 4)
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    far = np.hypot(x, y)
    halo = np.exp(-((far / radius) ** 2) / 2) + 0.25 * np.exp(-far / (1.6 * radius))
    rays = 0.3 * np.exp(-far / (2 * radius)) * np.exp(-np.minimum(np.abs(x), np.abs(y)) / 0.7)
    return (halo + rays).astype(np.float32)


def _mirrored(shine: Pixels, view: View) -> Pixels:
    """What a wet road gives back: the light above it upside down, smeared downwards and rippled."""
    ground = int(view.flat(np.zeros((1, 3)))[0, 1] / 2) + 2
    ground = min(max(ground, SIZE // 2), SIZE - 4)
    above = shine[max(0, ground - 2 * (SIZE - ground)) : ground][::-2]
    back = np.zeros_like(shine)
    back[ground : ground + len(above)] = above * 0.55
    return back


def _pool(rng: np.random.Generator) -> Pixels:
    """The pool of light of a street lamp somewhere above, (SIZE, SIZE, 1)."""
    x, y = rng.uniform(-0.2, 1.2), rng.uniform(-0.2, 0.8)
    axis = np.linspace(0, 1, SIZE, dtype=np.float32)
    return (0.25 + 1.1 * np.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / 0.5))[:, :, None].astype(
        np.float32
    )


def _weathered(seen: Pixels, conditions: Conditions, rng: np.random.Generator) -> Pixels:
    """Fog takes contrast; rain draws streaks, and leaves drops on the lens."""
    if conditions.weather == "fog":
        share = np.float32(rng.uniform(0.45, 0.75))
        depth = np.linspace(1.0, 0.75, SIZE, dtype=np.float32)[:, None, None] * share
        return seen * (1 - depth) + depth * np.float32({"day": 0.74, "dusk": 0.42, "night": 0.16}[conditions.light])
    if conditions.weather == "rain":
        bright = np.float32({"day": 0.16, "dusk": 0.14, "night": 0.26}[conditions.light])
        seen = seen + _streaks()[int(rng.integers(16))] * bright
        if rng.random() < 0.6:
            seen = _drops(seen, rng)
    return seen


@cache
def _streaks() -> list[Pixels]:
    """Sixteen patterns of falling rain, (SIZE, SIZE, 1) each."""
    rng = np.random.default_rng(11)
    patterns = []
    for _ in range(16):
        image = Image.new("L", (FINE, FINE))
        draw = ImageDraw.Draw(image)
        tilt = rng.uniform(-0.3, 0.3)
        for _ in range(34):
            x, y, length = rng.uniform(0, FINE), rng.uniform(-20, FINE), rng.uniform(10, 34)
            draw.line([(x, y), (x + tilt * length, y + length)], fill=int(rng.uniform(110, 255)), width=1)
        patterns.append(np.asarray(image.reduce(2), dtype=np.float32)[:, :, None] / 255)
    return patterns


def _drops(seen: Pixels, rng: np.random.Generator) -> Pixels:
    """A few round places where the picture is blurred and brighter."""
    image = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))
    blurred = image.filter(ImageFilter.BoxBlur(4))
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 4))):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(3, 8)
        draw.ellipse([x - r, y - r, x + r, y + r * 1.2], fill=200)
    image.paste(blurred, mask=mask)
    return np.asarray(image, dtype=np.float32) / 255 * np.float32(1.05)


@cache
def _dirt(seed: int) -> Pixels:
    """What lies on a camera's lens takes light away, always at the same places: (SIZE, SIZE, 1)."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (SIZE, SIZE), 255)
    draw = ImageDraw.Draw(image)
    for _ in range(seed):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(3, 9)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=int(rng.uniform(130, 200)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(2.5)), dtype=np.float32)[:, :, None] / 255


@cache
def _grain() -> Pixels:
    """Uneven ground and paint, (4 × SIZE, 4 × SIZE, 1) about 0; pictures take a part of it."""
    rng = np.random.default_rng(7)
    fine, coarse = rng.normal(size=(256, 256)), rng.normal(size=(32, 32))
    wide = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((256, 256), Image.Resampling.BILINEAR))
    return (0.4 * fine + wide).astype(np.float32)[:, :, None]


def _texture(rng: np.random.Generator) -> Pixels:
    x, y = rng.integers(0, 192, 2)
    return _grain()[y : y + SIZE, x : x + SIZE]


def _recorded(seen: Pixels, conditions: Conditions, rng: np.random.Generator) -> bytes:
    """What the sensor and the encoder make of it: distance, motion blur, gain, noise, JPEG."""
    night = conditions.light == "night"
    image = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8))
    if rng.random() < 0.35:  # far away: fewer pixels than the crop has
        far = int(SIZE * rng.uniform(0.5, 0.85))
        image = image.resize((far, far), Image.Resampling.BOX).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32) / 255
    blur = int(rng.integers(0, 3 if night else 2))
    if blur:  # the shutter is open longer in the dark
        pixels = sum(np.roll(pixels, shift, axis=1) for shift in range(-blur, blur + 1)) / (2 * blur + 1)
    gain = rng.uniform(1.2, 1.7) if night else 1.0
    sigma = rng.uniform(0.05, 0.10) if night else rng.uniform(0.005, 0.02) * (2 if conditions.light == "dusk" else 1)
    noise = rng.standard_normal((SIZE, SIZE, 3), dtype=np.float32) * np.float32(sigma)
    final = np.clip(pixels * np.float32(gain) + noise, 0, 1)
    file = io.BytesIO()
    quality = int(rng.integers(45, 70)) if night else int(rng.integers(65, 92))
    Image.fromarray((final * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def sheet(pictures: list[list[bytes]], names: list[str], zoom: int = 2) -> Image.Image:
    """Rows of pictures beside their names: to look at."""
    wide = max(map(len, pictures))
    step = SIZE * zoom
    image = Image.new("RGB", (110 + wide * step, len(pictures) * step), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for n, (row, name) in enumerate(zip(pictures, names, strict=True)):
        draw.text((4, n * step + step // 2), name, fill=(0, 0, 0))
        for m, data in enumerate(row):
            one = Image.open(io.BytesIO(data)).resize((step, step), Image.Resampling.NEAREST)
            image.paste(one, (110 + m * step, n * step))
    return image
