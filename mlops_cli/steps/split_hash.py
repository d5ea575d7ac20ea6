"""A hash of rows that stays the same for ever: xxHash64 over an encoding of values that is documented and versioned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from mlops_cli.errors import InputUnusable, MissingExtra
from mlops_cli.sources.names import exactly

try:
    import polars_hash
except ImportError as error:
    raise MissingExtra.of("polars-hash", "split") from error

ENCODING = "polars-hash rows 1, numbers as {integer, float}"
ALL = 2**64
_EXACT = 2.0**53  # floats up to here hold every integer


def encoded(schema: Mapping[str, pl.DataType], names: Sequence[str]) -> pl.Expr:
    """Bytes that no other row has, of the columns `names`: they are taken in the order of their names.

    A number has the same bytes whatever type holds it (1 and 1.0, int8 and int64, decimals), so that rows do not move
    when a column widens; missing is a value of its own, the same in every type.
    """
    rows: pl.Expr = polars_hash.hash_rows([_value(name, schema[name]) for name in sorted(names)], version=1)
    return rows.alias("row")


def hashed(schema: Mapping[str, pl.DataType], names: Sequence[str], seed: int) -> pl.Expr:
    """An unsigned 64-bit number per row, spread evenly, that only the values in `names` and the seed decide."""
    rows: Any = encoded(schema, names)  # polars-hash adds its namespace when it is imported
    value: pl.Expr = rows.nchash.xxhash64(seed=seed)
    return value.alias("hash")


def quick(names: Sequence[str]) -> pl.Expr:
    """A hash for comparing tables of the same types within one process: a third of the work, and not for ever."""
    rows: Any = polars_hash.hash_rows([exactly(name).alias(name) for name in names], version=1)
    value: pl.Expr = rows.nchash.xxhash64()
    return value.alias("hash")


def _value(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as it is encoded."""
    values = exactly(name)
    if dtype.is_integer():
        return _number(values, values, pl.lit(None, dtype=pl.Float64), name)
    if dtype.is_float():
        wide = values.cast(pl.Float64)
        whole = (wide.abs() <= _EXACT) & (wide == wide.floor())
        integer = pl.when(whole).then(wide).cast(pl.Int64, strict=False)
        return _number(values, integer, pl.when(whole.not_()).then(wide), name)
    if dtype.is_decimal():
        whole = values == values.floor()
        integer = pl.when(whole).then(values.floor()).cast(pl.Int128)
        return _number(values, integer, pl.when(whole.not_()).then(values.cast(pl.Float64)), name)
    if isinstance(dtype, pl.Object):
        raise InputUnusable(f"column {name!r} holds objects, which have no stable hash")
    return values.alias(name)


def _number(given: pl.Expr, integer: pl.Expr, fraction: pl.Expr, name: str) -> pl.Expr:
    pair = pl.struct(integer.alias("integer"), fraction.alias("float"))
    return pl.when(given.is_not_null()).then(pair).alias(name)
