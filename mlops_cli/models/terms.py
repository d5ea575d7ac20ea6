"""How much rows and classes count, and which way an answer may go: `--weight`, `--class-weight` and `--monotone`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable, UnknownColumn, Usage, listed
from mlops_cli.metrics.base import text_of
from mlops_cli.models.target import Target

BALANCED = "balanced"
WAYS = {"increasing": 1, "decreasing": -1}


@dataclass(frozen=True)
class Terms:
    """`weight` is a column, `classes` either BALANCED or CLASS → weight as written, `monotone` column → 1 or -1."""

    weight: str | None = None
    classes: str | Mapping[str, float] = field(default_factory=dict)
    monotone: Mapping[str, int] = field(default_factory=dict)

    @property
    def given(self) -> list[str]:
        """The flags that were given."""
        flags = {"--weight": self.weight, "--class-weight": self.classes, "--monotone": self.monotone}
        return [flag for flag, value in flags.items() if value]

    def written(self) -> dict[str, Any]:
        """What decides the result, for the memo key and the manifest."""
        classes = self.classes if isinstance(self.classes, str) else dict(self.classes)
        return {"weight": self.weight, "class_weight": classes, "monotone": dict(self.monotone)}


def read(weight: str | None, classes: str | None, monotone: Sequence[str]) -> Terms:
    """The terms as they are written; Usage for what cannot be read, whatever the data."""
    ways: dict[str, int] = {}
    for text in monotone:
        name, equals, way = text.rpartition("=")
        if not equals or not name or way not in WAYS:
            near = get_close_matches(way, WAYS, 1) if equals else []
            hint = f"did you mean {name}={near[0]}?" if near else "write --monotone COLUMN=increasing or =decreasing"
            raise Usage(f"--monotone {text!r}: not a column and a way", hint)
        if ways.setdefault(name, WAYS[way]) != WAYS[way]:
            raise Usage(f"--monotone {name} is given both ways")
    return Terms(weight, BALANCED if classes == BALANCED else _classes(classes), ways)


def _classes(text: str | None) -> dict[str, float]:
    """`CLASS=W,CLASS=W` as a mapping."""
    found: dict[str, float] = {}
    for part in text.split(",") if text is not None else ():
        name, equals, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not equals or not name.strip() or not 0 <= number < math.inf:
            raise Usage(f"--class-weight {text!r}: not weights", "write balanced, or --class-weight yes=5,no=1")
        if name.strip() in found:
            raise Usage(f"--class-weight gives {name.strip()} twice")
        found[name.strip()] = number
    if found and not any(found.values()):
        raise Usage("--class-weight: every weight is 0")
    return found


def refuse(terms: Terms, taken: Sequence[str], family: str) -> None:
    """Usage for flags that a family does not take."""
    strange = [flag for flag in terms.given if flag not in taken]
    if strange:
        there = f"it takes {', '.join(taken)}" if taken else "leave it out"
        raise Usage(f"--family {family} has no {strange[0]}", there)


def check(terms: Terms, target: Target, schema: Mapping[str, pl.DataType]) -> None:
    """Usage or UnknownColumn for terms that do not fit a target, or columns that are not there or of a wrong kind."""
    for flag, name in [("--weight", terms.weight), *(("--monotone", name) for name in terms.monotone)]:
        if name is not None and name not in schema:
            near = get_close_matches(name, schema, 1)
            hint = f"did you mean {near[0]}?" if near else f"the table has {listed(schema, 20)}"
            raise UnknownColumn(f"no column {name!r} for {flag}", hint)
        if name == target.name:
            raise Usage(f"{flag} {name}: that is the target")
    if terms.weight is not None and not schema[terms.weight].is_numeric():
        raise Usage(f"--weight {terms.weight}: a column of {str(schema[terms.weight]).lower()}, not of numbers")
    for name in terms.monotone:
        if name == terms.weight:
            raise Usage(f"--monotone {name}: the column of --weight is not learnt from")
        if not (schema[name].is_numeric() or schema[name] == pl.Boolean):
            raise Usage(f"--monotone {name}: a column of {str(schema[name]).lower()}, which has no order")
    if terms.monotone and target.task == "multiclass":
        raise Usage(
            "--monotone goes with two classes or a regression",
            "LightGBM would raise the score of every class at once, which holds no probability to any way",
        )
    if terms.classes:
        of_classes(terms, target, None)


def of_classes(terms: Terms, target: Target, codes: NDArray[np.int64] | None) -> NDArray[np.float64] | None:
    """The weight of each class, shape (classes,), None without any; of BALANCED from the `codes` of the train rows.

    Balanced is scikit-learn's: rows / (classes x rows of the class). Usage for a class that the target does not have.
    """
    if not terms.classes:
        return None
    if target.classes is None:
        raise Usage("--class-weight goes with classes, and this is a regression", "--weight COLUMN weighs rows")
    weights = np.ones(len(target.classes))
    if isinstance(terms.classes, str):
        if codes is not None:
            counts = np.bincount(codes, minlength=len(weights))
            weights = len(codes) / (len(weights) * np.maximum(counts, 1))
        return weights
    names = [text_of(label) for label in target.classes]
    for name, weight in terms.classes.items():
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {listed(names, 20)}"
            raise Usage(f"--class-weight {name!r} is no class of {target.name}", hint)
        weights[names.index(name)] = weight
    return weights


def check_weights(frame: pl.LazyFrame, column: pl.Expr, name: str, part: str) -> None:
    """InputUnusable for row weights that are missing, negative or infinite, or all 0."""
    value = column.cast(pl.Float64).alias("value")
    bad = (~value.is_finite()).fill_null(True) | (value < 0).fill_null(True)
    wrong, heavy = frame.select(bad.sum().alias("bad"), (value > 0).sum()).collect(engine="streaming").row(0)
    if wrong:
        raise InputUnusable(
            f"--weight {name}: {wrong:,} {part} rows have a weight that is missing, negative or infinite",
            "a weight is a number of at least 0; leave those rows out, or fill them in",
        )
    if not heavy:
        raise InputUnusable(f"--weight {name} is 0 in every {part} row", "nothing can be learnt or judged from that")
