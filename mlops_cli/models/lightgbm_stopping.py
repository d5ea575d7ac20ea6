"""When a LightGBM fit stops: nothing has become better for a while, and not before its loss is at its best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlops_cli.models.lightgbm_rows import lightgbm


@dataclass(eq=False)  # LightGBM puts its callbacks into a set
class Stopping:
    """A callback of LightGBM's that ends a fit, at its best round, after `patience` rounds without a better one.

    `metric` is LightGBM's name of what is to be best. Metrics that count or rank rows move in steps, and on few rows
    the first round may be as good as any by chance, when the probabilities are still nearly those of the baseline.
    With such a metric `loss` names the loss, and only rounds from its best one on can be the best.
    """

    metric: str
    higher: bool
    patience: int
    loss: str = ""
    order: int = 20  # after what records and reports a round, as LightGBM's own
    _best: tuple[int, float, Any] = field(default=(-1, 0.0, None), init=False)
    _least: float = field(default=float("inf"), init=False)

    def __call__(self, env: Any) -> None:
        """Look at a round; LightGBM's EarlyStopException, which it takes for the end, when it was the last one."""
        told = {name: value for _, name, value, *_ in env.evaluation_result_list}
        value, round_ = told[self.metric], env.iteration
        if round_ == env.begin_iteration or self._better(told, value):
            self._best = (round_, value, env.evaluation_result_list)
        self._least = min(self._least, told.get(self.loss, self._least))
        if round_ - self._best[0] >= self.patience or round_ == env.end_iteration - 1:
            raise lightgbm.callback.EarlyStopException(self._best[0], self._best[2])

    def _better(self, told: dict[str, float], value: float) -> bool:
        """Whether a round is better than the best one so far, which no round before the least loss can be."""
        if self.loss and told[self.loss] < self._least:
            return True
        return value > self._best[1] if self.higher else value < self._best[1]
