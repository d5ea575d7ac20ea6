"""The family LightGBM, gradient-boosted trees: trained here, answered by `runtime/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_cli.errors import MissingExtra
from mlops_cli.models import lightgbm_metrics, lightgbm_settings
from mlops_cli.models.base import Settings, Tables, Trainer
from mlops_cli.models.target import Target
from mlops_cli.runtime.signature import Task

LIBRARIES = ("lightgbm", "numpy")
SHARED = lightgbm_settings.OF_DATA

TERMS = ("--weight", "--class-weight", "--monotone")


def settings(given: Mapping[str, str]) -> dict[str, Any]:
    """The values of `--set`, checked; Usage for an unknown name or a bad value."""
    return lightgbm_settings.read(given)


def metrics(task: Task, settings: Settings) -> dict[str, bool]:
    """What `--metric` may be, the default first: name → whether higher is better. Usage for another task's loss."""
    lightgbm_settings.check_objective(settings, task)
    found = lightgbm_metrics.offered(task, settings.get("objective"), settings.get("alpha"))
    return {name: of.higher for name, of in found.items()}


def trainer(tables: Tables, target: Target, metric: str, seed: int, settings: Settings) -> Trainer:
    """Prepare the data for fits; of the `settings` those in SHARED say how it is binned. MissingExtra."""
    # Imported here, since it takes a second that a model which is known already need not wait for.
    try:
        from mlops_cli.models import lightgbm_fit
    except ModuleNotFoundError as error:
        if error.name != "lightgbm":
            raise
        raise MissingExtra.of("lightgbm", "lightgbm") from None
    shared = {name: settings[name] for name in SHARED if name in settings}
    return lightgbm_fit.LightGBM(tables, target, metric, seed, shared)
