"""What a column of a polars table is to a model: the types of a signature."""

from __future__ import annotations

import polars as pl

from mlops_cli.runtime.signature import Type

IMAGES = (pl.Struct({"bytes": pl.Binary, "path": pl.String}),)
"""How a dataset holds images (docs/formats.md)."""


def type_of(dtype: pl.DataType) -> Type | None:
    """The column type of a signature that a polars type is; None for one that no model takes (lists, binary, …)."""
    if dtype == pl.Boolean:
        return "bool"
    if dtype.is_integer():
        return "int"
    if dtype.is_float() or dtype.is_decimal():
        return "float"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "string"
    if dtype == pl.Date:
        return "date"
    if dtype == pl.Binary or dtype in IMAGES:
        return "image"
    return "datetime" if dtype == pl.Datetime else None
