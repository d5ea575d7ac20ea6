"""Rows of a table as the JSON values that a request has."""

from __future__ import annotations

import base64
import math
from typing import Any

import polars as pl

from mlops_cli.models.kinds import type_of
from mlops_cli.runtime.signature import Signature


def records(frame: pl.DataFrame, signature: Signature) -> list[dict[str, Any]]:
    """Each row as {column: value} of the model's input columns; times in ISO 8601, UTC; what is not finite is null."""
    # Without their names, which the methods of a series may take for patterns (`^x$`).
    columns = [[_finite(value) for value in _json(frame[name].alias("value"))] for name in signature.names]
    return [dict(zip(signature.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(series: pl.Series) -> pl.Series:
    """A column as values that JSON has."""
    if series.dtype == pl.Date:
        return series.dt.to_string("%Y-%m-%d")
    if series.dtype == pl.Datetime:
        return series.dt.epoch("us").cast(pl.Datetime("us")).dt.to_string("%Y-%m-%dT%H:%M:%S%.6fZ")
    if series.dtype.is_decimal():
        return series.cast(pl.Float64)
    if type_of(series.dtype) == "image":
        data = series if series.dtype == pl.Binary else series.struct.field("bytes")
        return pl.Series([None if one is None else base64.b64encode(one).decode() for one in data])
    return series.cast(pl.String) if series.dtype in (pl.Categorical, pl.Enum) else series


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
