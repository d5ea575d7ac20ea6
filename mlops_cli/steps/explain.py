"""Explanations as columns of a table, and the refusal where a model has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mlops_cli.errors import Usage
from mlops_cli.runtime.predictors import Explainer, Explanation, Predictor
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import batches, reasons

COLUMN = "explain"
_PAIRS = pl.List(pl.Struct({"column": pl.String, "contribution": pl.Float64}))


def explainer(predictor: Predictor) -> Explainer:
    """The same model as one that can say why; Usage when it cannot."""
    if not isinstance(predictor, Explainer):
        family = predictor.signature.family
        raise Usage(f"--explain: models of family {family} do not explain", "images and lightgbm models do")
    return predictor


def dtype(signature: Signature) -> Any:
    """The type of the column `explain`: of images heat maps, of tables what each column adds."""
    if batches.image_column(signature) is not None:
        return pl.List(pl.List(pl.Float32))
    return _PAIRS


def schema(signature: Signature) -> dict[str, Any]:
    """The columns that explain, by name; of tables `reasons` too."""
    found = {COLUMN: dtype(signature)}
    return found if batches.image_column(signature) is not None else found | {reasons.COLUMN: pl.List(pl.String)}


def columns(found: Explanation, frame: pl.DataFrame) -> list[pl.Series]:
    """The columns of `schema` for the rows of a frame."""
    return [series(found)] if found.columns is None else [series(found), reasons.series(found, frame)]


def series(found: Explanation) -> pl.Series:
    """An explanation as the column `explain`."""
    if found.columns is None:
        # What is below a millionth is noise of the arithmetic, which differs between processors.
        return pl.Series(COLUMN, found.values.round(6).tolist(), dtype=pl.List(pl.List(pl.Float32)))
    rows, width = found.values.shape
    if not rows:
        return pl.Series(COLUMN, [], dtype=_PAIRS)
    names = pl.Series("column", found.columns).gather(np.tile(np.arange(width), rows))
    pairs = pl.DataFrame([names, pl.Series("contribution", found.values.reshape(-1))]).to_struct(COLUMN)
    return pairs.reshape((rows, width)).arr.to_list()
