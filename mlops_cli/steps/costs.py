"""`costs.toml`: what each kind of error costs, read and matched with the classes of a target."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from mlops_cli.errors import InputUnusable, Missing, listed
from mlops_cli.metrics.base import text_of
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.signature import Label, Signature
from mlops_cli.store import artefact, manifest

_KEYS = ("currency", "default", "over", "under", "costs")
_HINT = "[costs.ACTUAL] with PREDICTED = 12.5 a line; of a regression over = 1 and under = 2: docs/decisions.md"


@dataclass(frozen=True)
class Stated:
    """What a file says, before it is known which classes there are: actual → predicted → cost."""

    path: str
    digest: str
    currency: str
    pairs: Mapping[str, Mapping[str, float]]
    default: float | None
    over: float | None
    under: float | None


def read(path: str) -> Stated:
    """The costs of a file. Errors: Missing; InputUnusable for what is no TOML, has other keys, or no finite numbers."""
    try:
        data = Path(path).read_bytes()
        given = tomllib.loads(data.decode())
    except OSError as error:
        raise Missing(f"--cost {path}: {error.strerror}", "docs/decisions.md shows such a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputUnusable(f"{path}: {error}", "it should be TOML, see docs/decisions.md") from None
    for key in given:
        if key not in _KEYS:
            raise InputUnusable(f"{path}: {key!r} is unknown", _near(key, _KEYS))
    currency, pairs = given.get("currency", ""), given.get("costs", {})
    if not isinstance(currency, str) or len(currency) > 16 or not currency.isprintable():
        raise InputUnusable(f"{path}: currency is a short text", 'currency = "EUR"')
    if not isinstance(pairs, dict) or not all(isinstance(row, dict) for row in pairs.values()):
        raise InputUnusable(f"{path}: costs are stated for what was so and what was answered", _HINT)
    table = {
        actual: {predicted: _number(path, f"costs.{actual}.{predicted}", cost) for predicted, cost in row.items()}
        for actual, row in pairs.items()
    }
    single = {key: _number(path, key, given[key]) if key in given else None for key in ("default", "over", "under")}
    return Stated(path, manifest.sha256(data), currency, table, **single)


def matched(stated: Stated, classes: Sequence[Label] | None) -> Costs:
    """The costs for a target's classes, None for a regression.

    InputUnusable for a class that is unknown, an error without a cost, or costs of the other kind.
    """
    if classes is None:
        if stated.pairs or stated.default is not None or stated.over is None or stated.under is None:
            raise InputUnusable(
                f"{stated.path}: of a regression over and under are stated, for each unit too high and too low",
                "over = 1.0 and under = 2.0",
            )
        return Costs(stated.currency, over=stated.over, under=stated.under)
    if stated.over is not None or stated.under is not None:
        raise InputUnusable(f"{stated.path}: over and under are of a regression, this target has classes", _HINT)
    levels = [text_of(label) for label in classes]
    if len(set(levels)) != len(levels):
        raise InputUnusable(f"{stated.path}: two classes of the target are written alike", "rename one of them")
    for name in [*stated.pairs, *(predicted for row in stated.pairs.values() for predicted in row)]:
        if name not in levels:
            raise InputUnusable(f"{stated.path}: the target has no class {name!r}", _near(name, levels))
    table = [[_cost(stated, actual, predicted) for predicted in levels] for actual in levels]
    if len({cost for row in table for cost in row}) == 1:
        raise InputUnusable(f"{stated.path}: every answer costs the same, so none is better", _HINT)
    return Costs(stated.currency, list(classes), table)


def of_model(model: artefact.Artefact, signature: Signature) -> Costs | None:
    """The costs that a model was trained with, if any; Corrupt when its decision is damaged."""
    from mlops_cli.runtime import decision  # numpy, which not everything that asks has

    found = decision.read(model.read, model.has, signature)
    return None if found is None else found.costs


def _cost(stated: Stated, actual: str, predicted: str) -> float:
    """What one answer costs: nothing when it is right, unless the file says so."""
    found = stated.pairs.get(actual, {}).get(predicted)
    if found is None and actual == predicted:
        return 0.0
    found = stated.default if found is None else found
    if found is None:
        hint = f"[costs.{actual}] and a line {predicted} = …; default = … is for all that are not stated"
        raise InputUnusable(f"{stated.path}: no cost of answering {predicted} where {actual} was so", hint)
    return found


def _number(path: str, key: str, given: Any) -> float:
    """A finite number."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise InputUnusable(f"{path}: {key} is no number", _HINT)
    try:
        number = float(given)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise InputUnusable(f"{path}: {key} = {given} is not a finite number", _HINT)
    return number


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there is: {listed(known)}"
