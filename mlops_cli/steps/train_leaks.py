"""`leaks.json`: what may flatter a model, kept in it: a split that is not clean, a column that alone tells too much."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from mlops_cli.models.target import Target
from mlops_cli.runtime.signature import Signature
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_predictors, split_target
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.split_predictors import Predictors
from mlops_cli.steps.train_data import Counted, Source
from mlops_cli.store.artefact import Artefact

FILE = "leaks.json"
SAMPLE = 30_000
"""Rows of each part that are looked at, about: training should take no longer for it."""
BINS = 10  # of a target of quantities, as in the certificate of a split


class Leaks(msgspec.Struct):
    """`clean` is what the certificate of the split says (None: there is none); `predictors` are those the model has."""

    clean: bool | None
    predictors: Predictors | UnsetType = UNSET  # where there are valid rows to try them on
    format: int = 1

    @property
    def lines(self) -> list[str]:
        """The columns that tell too much, for people."""
        return [] if self.predictors is UNSET else self.predictors.lines()


def find(rows: Counted, target: Target, signature: Signature, source: Source, scratch: Path) -> bytes:
    """The document of a model: each column that it learns from is learnt on train alone and tried on valid.

    A sample of both is kept in `scratch`, since reading a table that holds out its own valid rows is slow.
    """
    found = Leaks(source.clean)
    names = [column.name for column in signature.columns if column.type != "image"]
    if rows.valid is not None and names:
        columns = [exactly(name) for name in (*names, target.name)]
        scratch.mkdir()
        train = _kept(rows.train.select(columns), rows.rows, scratch / "train.parquet")
        valid = _kept(rows.valid.select(columns), rows.valid_rows, scratch / "valid.parquet")
        strata = split_target.strata(train, target.name, BINS, source.train.name)
        found.predictors = split_predictors.find(train, valid, strata, "valid")
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _kept(frame: pl.LazyFrame, height: int, path: Path) -> pl.LazyFrame:
    """A sample of a frame of `height` rows, kept on disk."""
    split_predictors.picked(frame, height, SAMPLE).sink_parquet(path, compression="lz4")
    return pl.scan_parquet(path, glob=False)


def read(model: Artefact) -> Leaks:
    """What a model says of itself; one that was made elsewhere or earlier says nothing."""
    return model.json(FILE, Leaks) if model.has(FILE) else Leaks(None)


def judge(model: Artefact) -> Verdict:
    """A pass, with a warning: the model may be meant so, and its metrics are what is judged."""
    told = "leak: {}: if it is not known when the model is asked, train without it; mlops promote takes no pass"
    return Verdict(lines=tuple(told.format(line) for line in read(model).lines))
