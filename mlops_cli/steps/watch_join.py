"""Join what was predicted with what came true later, by request or by key, and account for every row of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import polars as pl
from polars import selectors

from mlops_cli.errors import InputUnusable, UnknownColumn, listed
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import tables
from mlops_cli.steps.tables import Table
from mlops_cli.steps.watch_log import INPUT, Log
from mlops_cli.steps.watch_types import text

REQUEST = "request_id"
BROUGHT = "actuals."
"""What the name of a column of joined rows begins with that came with the actuals."""
_BOOLEANS = {"1": "true", "0": "false"}


class Counts(msgspec.Struct, frozen=True):
    """Every row of the log: joined, still waiting for its label, or answered again later under the same key.

    And every row of the actuals: joined, empty (no label), about no prediction here, or repeated (the last one of a
    key counts). So predictions = joined + waiting + again, and actuals = joined + empty + elsewhere + repeated.
    """

    predictions: int
    joined: int
    waiting: int
    again: int
    actuals: int
    empty: int
    elsewhere: int
    repeated: int

    @property
    def lines(self) -> list[str]:
        """The account for people."""
        return [
            f"{self.predictions:,} predictions = {self.joined:,} joined + {self.waiting:,} without a label yet"
            f" + {self.again:,} answered again later",
            f"{self.actuals:,} actuals = {self.joined:,} joined + {self.elsewhere:,} about no prediction here"
            f" + {self.repeated:,} repeated + {self.empty:,} without a label",
        ]


@dataclass(frozen=True)
class Joined:
    """Predictions with their labels: columns `label` (text, as in the actuals), `prediction` (text) and `proba`."""

    rows: pl.DataFrame
    counts: Counts
    by: str


def join(
    log: Log,
    actuals: Table,
    signature: Signature,
    key: str | None,
    keep: Sequence[str] = (),
    bring: Sequence[str] = (),
) -> Joined:
    """The log's rows with the label of their key, its columns `keep`, and `actuals.NAME` of the columns `bring`.

    Memory is that of the window's keys.

    Without `key` by the column request_id (and row, where the actuals have one and requests have several rows); else
    the actuals' column `key` with the log's own key, or with the logged input column of that name. Errors:
    UnknownColumn (no label or key column in the actuals), InputUnusable (the log has no such key).
    """
    schema = tables.schema_of(actuals.frame, actuals.name)
    _demand(schema, signature.target, "the label", "it must have the name of the model's target")
    if key in (None, REQUEST):
        _demand(schema, REQUEST, "the key", "name the column that identifies a row with --key")
        left, right, by = _requests(log, schema)
    else:
        assert key is not None
        _demand(schema, key, "the key", "--key names a column of the actuals")
        left, by = _keys(log, key)
        right = text(pl.col(key), schema[key])
    label = _label(pl.col(signature.target), schema[signature.target], signature)
    brought = [selectors.by_name(name).as_expr().alias(BROUGHT + name) for name in bring]
    given = actuals.frame.select(right.alias("k"), label.alias("label"), *brought).with_row_index("nth")
    with tables.reading("the log"):
        answered = log.frame.select(left.alias("k"), "at", "prediction", "proba", *keep).with_row_index("nth")
        predictions = answered.filter(pl.col("k").is_not_null()).collect(engine="streaming")
    newest = predictions.sort("at", "nth").unique("k", keep="last", maintain_order=True)
    with tables.reading(actuals.name):
        known = given.filter(pl.col("label").is_not_null()).join(newest.lazy().select("k"), on="k", how="semi")
        found, told = pl.collect_all(
            [known, given.select(pl.len(), pl.col("label").null_count().alias("empty"))], engine="streaming"
        )
    last = found.sort("nth").unique("k", keep="last", maintain_order=True)
    rows = newest.join(last.drop("nth"), on="k", maintain_order="left").drop("k", "nth", "at")
    total, empty = (int(value) for value in told.row(0))
    again = predictions.height - newest.height
    counts = Counts(
        predictions=log.rows,
        joined=rows.height,
        waiting=log.rows - rows.height - again,
        again=again,
        actuals=total,
        empty=empty,
        elsewhere=total - empty - found.height,
        repeated=found.height - last.height,
    )
    return Joined(rows, counts, by)


def _demand(schema: pl.Schema, name: str, what: str, hint: str) -> None:
    """Refuse actuals without a column that is needed."""
    if name not in schema:
        raise UnknownColumn(f"the actuals have no column {name!r} for {what}: they have {listed(schema.names())}", hint)


def _requests(log: Log, schema: pl.Schema) -> tuple[pl.Expr, pl.Expr, str]:
    """Keys by request: `ID/ROW` where the actuals name rows, else the id of requests that had one row only."""
    right = text(pl.col(REQUEST), schema[REQUEST])
    if "row" in schema:
        row = pl.col("row").cast(pl.Int64, strict=False).cast(pl.String)
        left = pl.concat_str(REQUEST, row, separator="/")
        return left, pl.concat_str(right, row, separator="/"), "request and row"
    return pl.when(pl.col("row").max().over(REQUEST) == 0).then(REQUEST), right, "request"


def _keys(log: Log, key: str) -> tuple[pl.Expr, str]:
    """The log's side of `--key`: its own key where it has one, else the input column of that name."""
    with tables.reading("the log"):
        own = log.frame.select(pl.col("key").is_not_null().any()).collect(engine="streaming").item()
    if own:
        return pl.col("key"), "the log's key"
    for column in log.logged:
        if column.name == key:
            kind = log.frame.collect_schema()[INPUT + key]
            return text(pl.col(INPUT + key), kind), f"the input column {key}"
    raise InputUnusable(f"the log has no key, and {key} is no logged input column", f"serve with --key {key}")


def _label(values: pl.Expr, kind: pl.DataType, signature: Signature) -> pl.Expr:
    """Labels as text that compares with the text of the model's classes."""
    label = text(values, kind)
    if signature.classes is None:
        return label
    if all(isinstance(value, bool) for value in signature.classes):
        return label.str.to_lowercase().replace(_BOOLEANS)
    if kind == pl.Boolean:
        return label.replace({word: digit for digit, word in _BOOLEANS.items()})
    return label
