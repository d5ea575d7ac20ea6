"""Why a row was answered so, in words: the columns that pushed its answer most, with their values."""

from __future__ import annotations

import numpy as np
import polars as pl

from mlops_cli.runtime.predictors import Explanation

COLUMN = "reasons"
MOST = 3
_LONGEST = 40


def series(found: Explanation, frame: pl.DataFrame) -> pl.Series:
    """`["distance=1389 +0.82", "carrier=UA -0.31", …]` for each row of a table, the largest contributions first.

    Columns that add nothing are left out. `frame` has the model's columns of the same rows.
    """
    names = [name for name in (found.columns or ()) if name in frame.columns]
    rows = frame.height
    most = min(MOST, len(names))
    if not rows or not most:
        return pl.Series(COLUMN, [[] for _ in range(rows)], dtype=pl.List(pl.String))
    adds = found.values[:, : len(names)]
    chosen = np.argsort(-np.abs(adds), axis=1, kind="stable")[:, :most]
    flat, row = chosen.ravel(), np.repeat(np.arange(rows), most)
    amount = adds[row, flat]
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(len(names) + 1))
    texts = []
    for place, name in enumerate(names):
        here = row[order[ends[place] : ends[place + 1]]]
        if len(here):
            values = frame[name].alias("value")  # polars fails on a series that is called ^…$
            texts.append(_values(values.gather(pl.Series(here)), name))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    said = pl.concat(texts).gather(pl.Series(back))
    signed = pl.Series(amount).round_sig_figs(2).cast(pl.String).str.strip_suffix(".0")
    table = pl.DataFrame({"said": said, "amount": signed, "zero": amount == 0, "up": amount > 0})
    text = pl.col("said") + pl.when("up").then(pl.lit(" +")).otherwise(pl.lit(" ")) + pl.col("amount")
    made = table.select(pl.when(~pl.col("zero")).then(text)).to_series()
    return made.reshape((rows, most)).arr.to_list().list.drop_nulls().alias(COLUMN)


def _values(values: pl.Series, name: str) -> pl.Series:
    """`name=value` of a column's values, numbers to six digits."""
    if values.dtype.is_float():
        texts = values.round_sig_figs(6).cast(pl.String).str.strip_suffix(".0")
    else:
        texts = values.cast(pl.String, strict=False).str.head(_LONGEST)
    shown = pl.DataFrame({"value": texts.fill_null("null")})
    return shown.select((pl.lit(f"{name}=") + pl.col("value")).alias("said")).to_series()
