"""What decides by chance about a row of training data: its hash, so that copies stay together."""

from __future__ import annotations

import polars as pl

from mlops_cli.models import alike
from mlops_cli.steps import split_hash


def hashed(frame: pl.LazyFrame, target: str, seed: int) -> tuple[pl.Series, bool]:
    """A stable hash of all values of each row, and whether rows are alike by nature: then each has one of its own.

    The second look, at the inputs and the target apart, is only taken where many rows are copies.
    """
    schema = frame.collect_schema()
    own = frame.select(split_hash.hashed(schema, schema.names(), seed)).collect(engine="streaming").to_series()
    inputs = [name for name in schema if name != target]
    if target not in schema or not inputs or len(own) - own.n_unique() < alike.MANY * len(own):
        return own, False
    apart = [split_hash.hashed(schema, some, seed).alias(name) for name, some in (("x", inputs), ("y", [target]))]
    both = frame.select(apart).collect(engine="streaming")
    if not alike.by_nature(both["x"].to_numpy(), both["y"].to_numpy()):
        return own, False
    return pl.Series("hash", alike.numbered(own.to_numpy())), True
