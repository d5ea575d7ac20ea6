"""The network: a whitened stem and residual stages, described by names and numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

FORMAT = 1
FILE = "architecture.json"
REFERENCE = 129e6
"""Multiplications of the default network for one image of 32 × 32 pixels in colour."""
_DIRECTIONS = 12
"""The stem looks at this many principal directions of its patches, and at each from both sides."""


class Architecture(msgspec.Struct, frozen=True):
    """`architecture.json`: what `Network` is made of. The stem is a convolution to `stem` channels; each stage halves
    the side, has its number of channels and `depth` residual convolutions, 3 × 3. The last layer is multiplied by
    `scale`, so that it does not learn faster than the others (Jordan, 2024), and `middle` added."""

    channels: int
    height: int
    width: int
    stem: int
    kernel: int
    stride: int
    stages: list[int]
    depth: int
    outputs: int
    scale: float = 1 / 9
    middle: float = 0.0
    family: str = "cnn"
    format: int = FORMAT

    @property
    def padding(self) -> int:
        """Pixels of padding of the stem: none where it has stride 1."""
        return (self.kernel - self.stride) // 2


def designed(channels: int, height: int, width: int, base: int, depth: int, outputs: int) -> Architecture:
    """The network for images of that size: `base` channels in the first stage, four times as many in the others.

    The stem brings larger images down to a side of 16 to 56, so that their work does not grow with their area.
    """
    side = max(height, width)
    stride = 1 if side <= 48 else 2 if side <= 112 else 4
    kernel = 2 * stride
    stem = 2 * min(_DIRECTIONS, kernel * kernel * channels)
    stages = [base, *([4 * base] * (2 if side / stride <= 48 else 3))]
    return Architecture(channels, height, width, stem, kernel, stride, stages, depth, outputs)


def work(given: Architecture) -> float:
    """Multiplications for one image, as a multiple of REFERENCE."""
    h, w = (((side + 2 * given.padding - given.kernel) // given.stride + 1) for side in (given.height, given.width))
    total = float(h * w * given.stem * given.channels * given.kernel**2)
    before = given.stem
    for channels in given.stages:
        total += 9 * h * w * before * channels
        h, w, before = h // 2, w // 2, channels
        total += 9 * h * w * channels * channels * given.depth
    return total / REFERENCE


class Normed(nn.Module):
    """A 3 × 3 convolution, the highest of each four pixels if `pool`, and batch normalisation without a factor.

    Without a factor it is a shift by a positive scale, which changes places with the maximum, so both fold into the
    convolution when the network is exported.
    """

    def __init__(self, before: int, after: int, pool: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.norm = nn.BatchNorm2d(after, momentum=0.4)
        self.norm.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.pool(self.conv(x)))  # type: ignore[no-any-return]


class Stage(nn.Module):
    """Half the side, more channels, and `depth` residual convolutions."""

    def __init__(self, before: int, after: int, depth: int) -> None:
        super().__init__()
        self.enter = Normed(before, after, pool=True)
        self.rest = nn.ModuleList(Normed(after, after, pool=False) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.enter(x))
        for layer in self.rest:
            x = torch.relu(layer(x) + x)
        return x


class Network(nn.Module):
    """Images (n, channels, height, width) → logits (n, outputs)."""

    def __init__(self, given: Architecture) -> None:
        super().__init__()
        self.given = given
        self.stem = nn.Conv2d(
            given.channels, given.stem, given.kernel, given.stride, given.padding, bias=False
        ).requires_grad_(False)
        sides = zip([given.stem, *given.stages], given.stages, strict=False)
        self.stages = nn.Sequential(*(Stage(before, after, given.depth) for before, after in sides))
        self.head = nn.Linear(given.stages[-1], given.outputs, bias=False)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: the highest value of each channel, shape (n, k)."""
        return self.stages(torch.relu(self.stem(x))).amax(dim=(2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)) * self.given.scale + self.given.middle  # type: ignore[no-any-return]


def begun(given: Architecture, sample: Tensor, seed: int) -> Network:
    """A network to begin with: drawn from `seed`, the stem whitening the patches of `sample` (n, c, h, w) float32.

    Convolutions begin by passing their input on, plus noise (Jordan, "94 % on CIFAR-10 in 3.29 seconds", 2024).
    """
    dice = torch.Generator().manual_seed(seed)
    network = Network(given)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.weight, -bound, bound, generator=dice)
            if layer is not network.stem:
                nn.init.dirac_(layer.weight.data[: layer.in_channels])
    bound = 1 / math.sqrt(network.head.in_features)
    nn.init.uniform_(network.head.weight, -bound, bound, generator=dice)
    network.stem.weight.data.copy_(_whitening(given, sample))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _whitening(given: Architecture, sample: Tensor) -> Tensor:
    """Filters along the principal directions of patches, each to unit variance, and the same with the other sign."""
    patches = nn.functional.unfold(sample, given.kernel, stride=max(given.stride, given.kernel // 2))
    flat = patches.transpose(1, 2).reshape(-1, patches.shape[1]).double()
    values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    half = given.stem // 2
    rows = (vectors[:, -half:] / torch.sqrt(values[-half:] + 5e-4)).T.flip(0)
    signs = torch.where(rows.sum(1, keepdim=True) < 0, -1.0, 1.0)
    filters = (rows * signs).reshape(half, given.channels, given.kernel, given.kernel)
    return torch.cat([filters, -filters]).float()


def state(network: Network) -> dict[str, Tensor]:
    """All that a network has learned, by name: parameters and the running statistics of its normalisation."""
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}


def loaded(given: Architecture, tensors: Mapping[str, Tensor]) -> Network:
    """The network of that architecture with those tensors."""
    network = Network(given)
    network.load_state_dict(dict(tensors), strict=False)
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
