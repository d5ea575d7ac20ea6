"""Five kinds of vehicle as solids: a side view (metres) pulled out to its width, projected as a camera sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

LABELS = ("bus", "car", "motorcycle", "truck", "van")

Colour = tuple[int, int, int]
Outline = Sequence[tuple[float, float]]

GLASS: Colour = (52, 66, 82)
LIT: Colour = (255, 226, 160)
TYRE: Colour = (24, 24, 26)
PAINTS: tuple[Colour, ...] = (
    (232, 232, 230), (38, 40, 44), (128, 132, 138), (180, 184, 190), (150, 28, 30), (34, 62, 128), (52, 92, 62),
    (196, 160, 60), (96, 62, 44), (64, 110, 150),
)  # fmt: skip
COATS: tuple[Colour, ...] = (
    (226, 226, 222),
    (70, 110, 168),
    (186, 54, 44),
    (60, 120, 84),
    (214, 176, 70),
    (150, 154, 160),
)
"""What vans, trucks and buses are painted with: firms' colours."""


@dataclass(frozen=True)
class Body:
    """One solid: `outline` (x forward, z up; counterclockwise) between `-width/2` and `width/2`.

    `panes` are windows in its sides, `glazed` the edges of the outline that are glass (a windscreen), `stripe` a band
    in the sides of another colour, `lit` whether light burns behind the panes at night.
    """

    outline: Outline
    width: float
    colour: Colour
    panes: Sequence[Outline] = ()
    glazed: Sequence[int] = ()
    stripe: tuple[Outline, Colour] | None = None
    lit: bool = False


@dataclass(frozen=True)
class Vehicle:
    """What passes: its solids from back to front, wheels as (x, radius), lamps as (x, y, z), all in metres."""

    label: str
    bodies: Sequence[Body]
    wheels: Sequence[tuple[float, float]]
    front: Sequence[tuple[float, float, float]]
    rear: Sequence[tuple[float, float, float]]
    markers: Sequence[tuple[float, float, float]] = field(default=())
    track: float = 1.6


def box(x0: float, x1: float, z0: float, z1: float) -> list[tuple[float, float]]:
    """A rectangle, counterclockwise from its lower rear corner."""
    return [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]


def drawn(label: str, rng: np.random.Generator) -> Vehicle:
    """A vehicle of a kind, with sizes, colours and details by chance."""
    return {"bus": _bus, "car": _car, "motorcycle": _motorcycle, "truck": _truck, "van": _van}[label](rng)


def _pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, a little off."""
    found = np.clip(np.array(colours[rng.integers(len(colours))]) + rng.integers(-10, 11, 3), 0, 255)
    return int(found[0]), int(found[1]), int(found[2])


def _pair(x: float, y: float, z: float) -> list[tuple[float, float, float]]:
    return [(x, -y, z), (x, y, z)]


def _car(rng: np.random.Generator) -> Vehicle:
    """A saloon, hatchback or estate: bonnet, cabin, and a boot or none."""
    half, roof, sill = rng.uniform(1.95, 2.35), rng.uniform(1.38, 1.62), 0.24
    belt, boot = roof * 0.6, rng.choice([0.0, 0.25, 0.6])
    rear = -half + 0.1 + boot
    outline = [
        (-half, sill), (half, sill), (half, belt - 0.18), (half - 1.05, belt), (half - 1.75, roof),
        (rear + 0.45, roof), (rear, belt), (-half, belt - 0.03),
    ]  # fmt: skip
    middle = (half - 1.75 + rear + 0.45) / 2
    panes = [
        [(middle + 0.06, belt), (half - 1.2, belt), (half - 1.8, roof - 0.08), (middle + 0.06, roof - 0.08)],
        [(rear + 0.15, belt), (middle - 0.06, belt), (middle - 0.06, roof - 0.08), (rear + 0.5, roof - 0.08)],
    ]
    body = Body(outline, 1.75, _pick(rng, PAINTS), panes, glazed=(3, 5))
    wheels = [(half - 0.85, 0.33), (-half + 0.8, 0.33)]
    return Vehicle("car", [body], wheels, _pair(half, 0.65, 0.66), _pair(-half, 0.7, 0.76))


def _van(rng: np.random.Generator) -> Vehicle:
    """A panel van, now and then with windows: one tall box behind a short sloping bonnet."""
    half, roof = rng.uniform(2.5, 2.95), rng.uniform(2.15, 2.6)
    nose, belt = half - 0.85, 1.15
    outline = [
        (-half, 0.3), (half, 0.3), (half, belt - 0.12), (nose, belt + 0.12), (nose - 0.62, roof - 0.06),
        (nose - 0.95, roof), (-half + 0.06, roof),
    ]  # fmt: skip
    panes = [
        [(nose - 1.2, belt + 0.1), (nose - 0.12, belt + 0.1), (nose - 0.66, roof - 0.35), (nose - 1.2, roof - 0.35)]
    ]
    if rng.random() < 0.3:
        panes.append(box(-half + 0.3, nose - 1.4, belt + 0.15, roof - 0.35))
    stripe = None
    if rng.random() < 0.35:
        stripe = (box(-half + 0.2, nose - 1.5, 0.8, 1.05), _pick(rng, COATS))
    body = Body(outline, 1.95, _pick(rng, COATS + PAINTS[:4]), panes, glazed=(3,), stripe=stripe)
    wheels = [(half - 0.85, 0.36), (-half + 0.95, 0.36)]
    return Vehicle("van", [body], wheels, _pair(half, 0.75, 0.8), _pair(-half, 0.88, 1.2))


def _truck(rng: np.random.Generator) -> Vehicle:
    """A cab, a gap, and a box, tank or flat load on many wheels."""
    length, top, cab = rng.uniform(7.5, 10.5), rng.uniform(3.3, 3.9), rng.uniform(2.7, 3.2)
    half = length / 2
    back = half - 2.15
    load = _pick(rng, COATS)
    chassis = Body(box(-half, half - 0.2, 0.55, 0.95), 2.1, (46, 46, 50))
    if rng.random() < 0.25:  # a tank: its side is an ellipse
        angles = np.linspace(-math.pi, math.pi, 15)[:-1]
        middle, reach = (back - 0.4 - half) / 2, (back - 0.4 + half) / 2
        shape = [
            (middle + reach * math.copysign(abs(math.cos(a)) ** 0.35, math.cos(a)), 2.05 + 1.05 * math.sin(a))
            for a in angles
        ]
        cargo = Body(shape, 2.2, (176, 180, 186))
    else:
        sides = box(-half, back - 0.4, 1.0, top)
        stripe = (box(-half + 0.5, back - 0.9, 1.7, 2.5), _pick(rng, PAINTS)) if rng.random() < 0.6 else None
        cargo = Body(sides, 2.45, load, stripe=stripe)
    outline = [(back, 0.5), (half, 0.5), (half, 1.5), (half - 0.12, cab - 0.15), (half - 0.5, cab), (back, cab)]
    pane = [(back + 0.75, 1.6), (half - 0.12, 1.6), (half - 0.25, cab - 0.35), (back + 0.75, cab - 0.35)]
    driver = Body(outline, 2.35, _pick(rng, COATS + PAINTS[:5]), [pane], glazed=(2,))
    wheels = [(half - 1.2, 0.5), (-half + 0.9, 0.5), (-half + 2.1, 0.5)]
    if length > 9:
        wheels.append((-half + 3.3, 0.5))
    markers = [(x, -1.2, 1.0) for x in np.linspace(-half + 0.4, back - 0.6, 4)]
    markers += [(-half, -1.1, top - 0.1), (back - 0.5, -1.1, top - 0.1)]
    return Vehicle(
        "truck", [chassis, cargo, driver], wheels, _pair(half, 0.95, 0.85), _pair(-half, 1.0, 0.9), markers, 2.1
    )


def _bus(rng: np.random.Generator) -> Vehicle:
    """A long box with a row of windows from end to end, which are lit at night."""
    half, roof = rng.uniform(5.0, 6.1), rng.uniform(2.95, 3.3)
    outline = [(-half, 0.35), (half, 0.35), (half, 1.2), (half - 0.18, roof - 0.12), (half - 0.4, roof), (-half, roof)]
    count = int(rng.integers(6, 9))
    edges = np.linspace(-half + 0.3, half - 1.5, count + 1)
    panes = [box(a + 0.06, b - 0.06, 1.3, roof - 0.5) for a, b in pairwise(edges)]
    panes.append(box(half - 1.35, half - 0.35, 0.6, roof - 0.5))  # the door
    stripe = (box(-half + 0.1, half - 1.5, 0.75, 1.1), _pick(rng, COATS)) if rng.random() < 0.6 else None
    body = Body(
        outline, 2.5, _pick(rng, (*COATS, (176, 34, 40), (214, 176, 70))), panes, glazed=(2,), stripe=stripe, lit=True
    )
    wheels = [(half - 2.3, 0.5), (-half + 2.6, 0.5)]
    return Vehicle("bus", [body], wheels, _pair(half, 0.95, 0.8), _pair(-half, 1.05, 1.0), track=2.1)


def _motorcycle(rng: np.random.Generator) -> Vehicle:
    """Two wheels in line, and a rider with a helmet."""
    lean = rng.uniform(-0.1, 0.25)
    suit, paint, helmet = _pick(rng, PAINTS), _pick(rng, PAINTS), _pick(rng, PAINTS + COATS)
    frame = Body([(-0.62, 0.38), (0.4, 0.34), (0.75, 0.86), (0.3, 1.02), (-0.1, 0.86), (-0.85, 0.9)], 0.34, paint)
    leg = Body([(-0.25, 0.8), (0.05, 0.3), (0.25, 0.32), (0.2, 0.62), (0.25, 0.86), (-0.1, 1.0)], 0.5, suit)
    torso = Body(
        [(-0.42, 0.86), (0.0, 0.86), (0.22 + lean, 1.3), (0.05 + lean, 1.46), (-0.22 + lean / 2, 1.35)], 0.44, suit
    )
    arm = Body([(0.05 + lean, 1.3), (0.1 + lean, 1.16), (0.58, 1.0), (0.62, 1.1)], 0.5, suit)
    angles = np.linspace(-math.pi, math.pi, 13)[:-1]
    head = Body([(0.08 + lean + 0.16 * math.cos(a), 1.6 + 0.17 * math.sin(a)) for a in angles], 0.28, helmet)
    wheels = [(0.72, 0.34), (-0.72, 0.34)]
    return Vehicle(
        "motorcycle", [frame, leg, torso, arm, head], wheels, [(0.82, 0.0, 0.88)], [(-0.88, 0.0, 0.84)], track=0.0
    )


class View:
    """How a camera sees a vehicle: from `azimuth` off its side (positive: its front) and `elevation` above, radians."""

    def __init__(self, azimuth: float, elevation: float, mirrored: bool) -> None:
        """`mirrored`: it drives to the left."""
        sa, ca, se, ce = math.sin(azimuth), math.cos(azimuth), math.sin(elevation), math.cos(elevation)
        self.eye = np.array([sa * ce, -ca * ce, se])
        self._axes = np.array([[ca, sa * se, sa * ce], [sa, -ca * se, -ca * ce], [0.0, -ce, se]])
        self._flip = -1.0 if mirrored else 1.0
        self.scale, self.shift = 1.0, np.zeros(2)

    def flat(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels (n, 2) of points (n, 3) in metres; what is nearer is a little larger."""
        seen = (points * (self._flip, 1.0, 1.0)) @ self._axes
        return seen[:, :2] / (1 - seen[:, 2:] / 45) * self.scale + self.shift

    def towards(self, normal: tuple[float, float, float]) -> float:
        """How much a face turns to the camera: above 0 it is seen."""
        return float(normal[0] * self._flip * self.eye[0] + normal[1] * self.eye[1] + normal[2] * self.eye[2])

    def fit(self, vehicle: Vehicle, size: int, share: float, centre: tuple[float, float]) -> None:
        """Let the vehicle fill a `share` of `size` pixels about a `centre` of 0–1."""
        outline = np.array(
            [(x, y * body.width / 2, z) for body in vehicle.bodies for x, z in body.outline for y in (-1, 1)]
        )
        outline = np.concatenate([outline, [(x, 0.0, 0.0) for x, _ in vehicle.wheels]])
        found = self.flat(outline)
        low, high = found.min(axis=0), found.max(axis=0)
        self.scale = share * size / float((high - low).max())
        self.shift = np.array(centre) * size - (low + high) / 2 * self.scale


def paint(draw: ImageDraw.ImageDraw, glow: ImageDraw.ImageDraw, vehicle: Vehicle, view: View) -> None:
    """Draw a vehicle by day into `draw`, and what shines of its inside by night into `glow`."""
    far, near = -1 if view.eye[1] > 0 else 1, 1 if view.eye[1] > 0 else -1
    _wheels(draw, vehicle, view, far * vehicle.track / 2)
    for body in _sorted(vehicle, view):
        _solid(draw, glow, body, view, near)
    if vehicle.track:
        _wheels(draw, vehicle, view, near * vehicle.track / 2 * 1.05)


def _sorted(vehicle: Vehicle, view: View) -> list[Body]:
    """The far end first, where solids stand in a row; as listed, where they lie on one another."""
    if vehicle.label != "truck":
        return list(vehicle.bodies)
    chassis, cargo, cab = vehicle.bodies
    return [chassis, cargo, cab] if view.towards((1.0, 0.0, 0.0)) > 0 else [chassis, cab, cargo]


def _solid(draw: ImageDraw.ImageDraw, glow: ImageDraw.ImageDraw, body: Body, view: View, near: int) -> None:
    """The faces that turn to the camera, the near side last."""
    outline = np.array(body.outline)
    count = len(outline)
    left = view.flat(np.column_stack([outline[:, 0], np.full(count, near * body.width / 2), outline[:, 1]]))
    right = view.flat(np.column_stack([outline[:, 0], np.full(count, -near * body.width / 2), outline[:, 1]]))
    for n in range(count):
        m = (n + 1) % count
        dx, dz = outline[m] - outline[n]
        length = math.hypot(dx, dz) or 1.0
        normal = (dz / length, 0.0, -dx / length)
        if view.towards(normal) <= 0.02:
            continue
        face = [*left[n], *left[m], *right[m], *right[n]]
        draw.polygon(face, fill=_shade(body.colour, 0.8 + 0.3 * max(0.0, normal[2])))
        if n in body.glazed:
            a, b, c, d = left[n], left[m], right[m], right[n]
            middle = (a + b + c + d) / 4
            draw.polygon([value for corner in (a, b, c, d) for value in middle + (corner - middle) * 0.82], fill=GLASS)
    _side(draw, glow, body, view, near, left)


def _side(
    draw: ImageDraw.ImageDraw,
    glow: ImageDraw.ImageDraw,
    body: Body,
    view: View,
    near: int,
    outline: NDArray[np.float64],
) -> None:
    """The side of a solid with its stripe and windows."""
    draw.polygon(outline.ravel().tolist(), fill=_shade(body.colour, 0.92))
    glow.polygon(outline.ravel().tolist(), fill=(0, 0, 0))
    y = near * body.width / 2
    if body.stripe:
        draw.polygon(_flat(view, body.stripe[0], y), fill=body.stripe[1])
    for pane in body.panes:
        corners = _flat(view, pane, y)
        draw.polygon(corners, fill=GLASS)
        if body.lit:
            glow.polygon(corners, fill=LIT)


def _flat(view: View, outline: Outline, y: float) -> list[float]:
    return view.flat(np.array([(x, y, z) for x, z in outline])).ravel().tolist()


def _wheels(draw: ImageDraw.ImageDraw, vehicle: Vehicle, view: View, y: float) -> None:
    """Tyres and their hubs at one side."""
    angles = np.linspace(0, 2 * math.pi, 13)[:-1]
    circle = np.column_stack([np.cos(angles), np.zeros(12), np.sin(angles)])
    for x, radius in vehicle.wheels:
        middle = np.array([x, y, radius])
        draw.polygon(view.flat(middle + circle * radius).ravel().tolist(), fill=TYRE)
        draw.polygon(view.flat(middle + circle * radius * 0.5).ravel().tolist(), fill=(120, 122, 126))


def _shade(colour: Colour, share: float) -> Colour:
    return min(255, int(colour[0] * share)), min(255, int(colour[1] * share)), min(255, int(colour[2] * share))
