"""The loop that learns: a batch is cut in parts of one thread each, so that no digit follows the number of threads."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlops_cli.models import cnn_augment, cnn_checkpoint, cnn_network
from mlops_cli.models.cnn_augment import Draws
from mlops_cli.models.cnn_checkpoint import Reached
from mlops_cli.models.cnn_network import Network
from mlops_cli.models.cnn_settings import Recipe

_BEGIN, _PEAK, _END = 0.2, 0.23, 0.07
_SLOW = 5
_BIASES = 16.0
_EVALUATED = 256
_OFTEN, _SELDOM = 20, 30.0
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Examples:
    """Images (n, h, w, c) uint8, and what is to be learned of each: class codes int64, or numbers (n,).

    `weights` are those of the classes. `mean` and `std` (c,) prepare the images."""

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    weights: Tensor | None
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def part(self, rows: NDArray[np.int64]) -> Examples:
        """Some of them."""
        return Examples(self.images[rows], self.labels[rows], self.weights, self.mean, self.std)


@dataclass(frozen=True)
class Learned:
    """A network that has learned, the epochs it took, and lines for people."""

    network: Network
    epochs: int
    notes: list[str]


Judge = Callable[[NDArray[np.float32]], float]


class Learner:
    """One fit. `judge` turns outputs for the valid images into a metric of which less is better."""

    def __init__(self, train: Examples, recipe: Recipe, network: Network, seed: int, threads: int) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._train, self._recipe, self._seed = train, recipe, seed
        parts = recipe.parts if self._device.type == "cpu" else 1
        self._network = network.to(self._device).train()
        self._copies = [_sharing(self._network) for _ in range(parts)]
        self._learning = [value for value in self._network.parameters() if value.requires_grad]
        self._speed = [torch.zeros_like(value) for value in self._learning]
        self._best: dict[str, Tensor] = {}
        self._slow = [value.detach().clone() for value in self._learning]
        self._pool = ThreadPoolExecutor(min(threads, parts), "cnn")
        self._half = _half(recipe.precision, self._device)
        self._steps = max(1, len(train.labels) // recipe.batch_size)
        self._total = self._steps * recipe.epochs

    def run(
        self,
        reached: Reached,
        checkpoint: Path | None,
        valid: Examples | None,
        judge: Judge | None,
        progress: Callable[[float, float | None], None],
    ) -> Learned:
        """Learn to the end, from a checkpoint if there is one. What `progress` raises ends it."""
        notes, saver = [], _Saver(checkpoint)
        found = cnn_checkpoint.read(checkpoint, reached.work) if checkpoint else None
        if isinstance(found, tuple):
            reached = found[0]
            self._restore(found[1])
            notes.append(f"resumed at epoch {reached.step // self._steps + 1} of {self._recipe.epochs}")
        elif found:
            notes.append(f"a checkpoint is not used: {found}")
        images = self._total * self._recipe.batch_size
        with self._pool:
            while reached.step < self._total and self._goes_on(reached, notes):
                for draws, rows in self._batches(reached.step):
                    reached.loss += self._step(draws, rows, reached.step)
                    reached.step += 1
                    whole = reached.step % self._steps == 0
                    if whole:
                        self._judged(reached, valid, judge)
                    saver.may(lambda: (reached, self._tensors()), whole=whole)
                    progress(reached.step * self._recipe.batch_size, images)
        epochs = reached.best_epoch if self._best else len(reached.losses)
        if self._best:
            self._network.load_state_dict(self._best, strict=False)
        return Learned(self._network.cpu().eval(), epochs, notes)

    def _batches(self, step: int) -> Iterator[tuple[Draws, NDArray[np.int64]]]:
        """What is left of the epoch that has the step."""
        _, height, width, _ = self._train.images.shape
        epoch, first = divmod(step, self._steps)
        draws = cnn_augment.drawn(self._recipe, len(self._train.labels), height, width, self._seed, epoch)
        size = self._recipe.batch_size
        for at in range(first, self._steps):
            yield draws, draws.order[at * size : (at + 1) * size]

    def _step(self, draws: Draws, rows: NDArray[np.int64], step: int) -> float:
        """Learn from one batch; its mean loss. The gradients of its parts are added in order."""
        parts = np.array_split(rows, len(self._copies))
        share = 1 / len(rows)
        found = list(self._pool.map(lambda one, part: self._gradient(one, draws, part, share), self._copies, parts))
        with torch.no_grad():
            gradients = found[0][1]
            for _, others in found[1:]:
                torch._foreach_add_(gradients, others)
            self._update(gradients, self._recipe.rate * _height(step / self._total))
            self._agree()
            if (step + 1) % _SLOW == 0 or step + 1 == self._total:
                self._average(0.95**_SLOW * ((step + 1) / self._total) ** 3)
        return sum(loss for loss, _ in found)

    def _gradient(
        self, network: Network, draws: Draws, rows: NDArray[np.int64], share: float
    ) -> tuple[float, tuple[Tensor, ...]]:
        """The loss of a part, as its share of the batch, and its gradient."""
        train = self._train
        seen = cnn_augment.shown(train.images, rows, draws, train.mean, train.std)
        x = torch.from_numpy(seen).permute(0, 3, 1, 2).to(self._device)
        y = torch.from_numpy(train.labels[rows]).to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            out = network(x)
        loss = self._loss(out.float(), y) * share
        return float(loss.detach()), torch.autograd.grad(loss, [*_learning(network)])

    def _loss(self, out: Tensor, wanted: Tensor) -> Tensor:
        if wanted.is_floating_point():
            return nn.functional.mse_loss(out[:, 0], wanted, reduction="sum")
        weights = None if self._train.weights is None else self._train.weights.to(self._device)
        smooth = self._recipe.label_smoothing
        return nn.functional.cross_entropy(out, wanted, weights, reduction="sum", label_smoothing=smooth)

    def _update(self, gradients: tuple[Tensor, ...], rate: float) -> None:
        """Stochastic gradient descent with Nesterov's momentum; biases learn faster, and do not decay."""
        momentum = self._recipe.momentum
        for value, speed, gradient in zip(self._learning, self._speed, gradients, strict=True):
            bias = value.ndim == 1
            if not bias:
                gradient = gradient.add(value, alpha=self._recipe.weight_decay)
            speed.mul_(momentum).add_(gradient)
            value.sub_(gradient.add(speed, alpha=momentum), alpha=rate * (_BIASES if bias else 1))

    def _agree(self) -> None:
        """The running statistics of the copies become their mean."""
        for name, value in self._network.named_buffers():
            if value.is_floating_point():
                each = [copy.get_buffer(name) for copy in self._copies]
                value.copy_(torch.stack(each).mean(0))
                for one in each:
                    one.copy_(value)

    def _average(self, keep: float) -> None:
        """Take the weights to a slow average of themselves (Zhang et al., "Lookahead optimizer", 2019)."""
        for value, slow in zip(self._learning, self._slow, strict=True):
            slow.lerp_(value, 1 - keep)
            value.copy_(slow)

    def _judged(self, reached: Reached, valid: Examples | None, judge: Judge | None) -> None:
        """An epoch has ended: its loss is noted, and with patience the network is kept when it is the best so far."""
        reached.losses = [*reached.losses, reached.loss / self._steps]
        reached.loss = 0.0
        if not self._recipe.patience or valid is None or judge is None:
            return
        score = judge(outputs(self._network.eval(), valid, self._pool, self._device, self._half))
        self._network.train()
        if reached.best is None or score < reached.best:
            reached.best, reached.best_epoch = score, len(reached.losses)
            self._best = {name: value.clone() for name, value in cnn_network.state(self._network).items()}

    def _goes_on(self, reached: Reached, notes: list[str]) -> bool:
        """Whether another epoch is worth it: not when half of them taught nothing, nor when patience has run out."""
        losses, epochs = reached.losses, self._recipe.epochs
        if losses and not math.isfinite(losses[-1]):
            return False
        if len(losses) >= max(3, epochs / 2) and losses[-1] > 0.995 * losses[0]:
            notes.append(f"stopped after {len(losses)} of {epochs} epochs: the loss has not fallen since the first")
            return False
        if self._recipe.patience and losses and len(losses) - reached.best_epoch >= self._recipe.patience:
            notes.append(f"stopped after {len(losses)} of {epochs} epochs, the best was {reached.best_epoch}")
            return False
        return True

    def _tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on."""
        found = {f"network.{name}": value for name, value in cnn_network.state(self._network).items()}
        found |= {f"best.{name}": value for name, value in self._best.items()}
        found |= {f"speed.{index}": value for index, value in enumerate(self._speed)}
        return found | {f"slow.{index}": value for index, value in enumerate(self._slow)}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in cnn_network.state(self._network).items():
                value.copy_(tensors[f"network.{name}"])
            self._best = {name[5:]: value for name, value in tensors.items() if name.startswith("best.")}
            for index in range(len(self._learning)):
                self._speed[index].copy_(tensors[f"speed.{index}"])
                self._slow[index].copy_(tensors[f"slow.{index}"])
            for copied in self._copies:
                for name, value in self._network.named_buffers():
                    copied.get_buffer(name).copy_(value)


def tensor(given: Examples, rows: NDArray[np.int64]) -> Tensor:
    """The images `rows` as they are, as a network takes them: (n, c, h, w) float32."""
    return torch.from_numpy(cnn_augment.plain(given.images, rows, given.mean, given.std)).permute(0, 3, 1, 2)


def outputs(
    call: Callable[[Tensor], Tensor],
    given: Examples,
    pool: ThreadPoolExecutor,
    device: torch.device = _CPU,
    half: bool = False,
) -> NDArray[np.float32]:
    """What an evaluated network says of all images, (n, k); `call` is the network, or its features."""

    def some(first: int) -> NDArray[np.float32]:
        rows = np.arange(first, min(first + _EVALUATED, len(given.images)))
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            return call(tensor(given, rows).to(device)).float().cpu().numpy()

    return np.concatenate(list(pool.map(some, range(0, len(given.images), _EVALUATED))))


class _Saver:
    """Writes checkpoints: after an epoch, or in one that takes long, in a twentieth of the time at most."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._last, self._took = time.monotonic(), 0.0

    def may(self, state: Callable[[], tuple[Reached, dict[str, Tensor]]], *, whole: bool) -> None:
        """Write one if it is time to; when it is written decides nothing of the result."""
        passed = time.monotonic() - self._last
        if self._path is None or passed < _OFTEN * self._took or not (whole or passed > _SELDOM):
            return
        began = time.monotonic()
        cnn_checkpoint.write(self._path, *state())
        self._last = time.monotonic()
        self._took = self._last - began


def _height(done: float) -> float:
    """The learning rate after this share of the steps, as a share of the highest: one triangle (Smith, 2018)."""
    if done < _PEAK:
        return _BEGIN + (1 - _BEGIN) * done / _PEAK
    return 1 - (1 - _END) * (done - _PEAK) / (1 - _PEAK)


def _half(precision: str, device: torch.device) -> bool:
    """Whether to multiply in bfloat16: where the processor has instructions for it, or when asked to."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _learning(network: Network) -> Iterator[nn.Parameter]:
    return (value for value in network.parameters() if value.requires_grad)


def _sharing(network: Network) -> Network:
    """A network with the same parameters and running statistics of its own."""
    copied = copy.deepcopy(network)
    for own, shared in zip(copied.modules(), network.modules(), strict=True):
        own._parameters.update(shared._parameters)
    return copied
