"""`leaks.json`: what may flatter a model, kept in it: a split that is not clean, a column that alone tells too much."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec
import polars as pl
from msgspec import UNSET, UnsetType

from mlops_cli.models.kinds import type_of
from mlops_cli.models.sampled import sampled
from mlops_cli.models.target import Target
from mlops_cli.sources.names import exactly
from mlops_cli.steps import split_predictors, split_target
from mlops_cli.steps.memo import Verdict
from mlops_cli.steps.split_predictors import Predictors
from mlops_cli.steps.train_data import Counted, Source
from mlops_cli.store.artefact import Artefact

FILE = "leaks.json"
SAMPLE = 30_000
"""Rows of each part that are looked at, about: training should take no longer for it."""
WIDE = 6_000_000
"""Values of each part that are looked at, of a table with very many columns."""
FEW = 2_000
"""With fewer valid rows, what tells the target on them is tried on train too before it is left out."""
BINS = 10  # of a target of quantities, as in the certificate of a split


class Leaks(msgspec.Struct):
    """`clean` is what the certificate of the split says (None: there is none); `predictors` are those the model has.

    `left_out` are the columns that alone tell too much and that the model does therefore not have: name → share.
    """

    clean: bool | None
    predictors: Predictors | UnsetType = UNSET  # where there are valid rows to try them on
    left_out: dict[str, float] | UnsetType = UNSET
    format: int = 1

    @property
    def lines(self) -> list[str]:
        """The columns that tell too much, for people."""
        return [] if self.predictors is UNSET else self.predictors.lines()

    def encoded(self, names: Collection[str]) -> bytes:
        """The document of a model whose input columns are `names`: what it does not have cannot flatter it."""
        if self.predictors is not UNSET:
            told = {name: share for name, share in self.predictors.spared.items() if name in names}
            leaking = [name for name in self.predictors.leaking if name in names]
            self = msgspec.structs.replace(
                self, predictors=msgspec.structs.replace(self.predictors, spared=told, leaking=leaking)
            )
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


@dataclass(frozen=True)
class Look:
    """What was found, and the columns to leave out for it: name → why."""

    found: Leaks
    left_out: dict[str, str] = field(default_factory=dict)


def find(rows: Counted, target: Target, names: Sequence[str], source: Source, include: Collection[str]) -> Look:
    """Learn each of the columns `names` on train alone, and try it on valid: one that tells the target is left out,
    but for those of `include`. Without valid rows nothing can be said."""
    found = Leaks(source.clean)
    schema = rows.train.collect_schema()
    names = [name for name in names if type_of(schema[name]) not in (None, "image")]
    if rows.valid is None or not names:
        return Look(found)
    columns = [exactly(name) for name in (*names, target.name)]
    most = min(SAMPLE, WIDE // len(columns))
    train = _sampled(rows.train.select(columns), rows.rows, most)
    valid = _sampled(rows.valid.select(columns), rows.valid_rows, most)
    strata = split_target.strata(train, target.name, BINS, source.train.name)
    predictors = split_predictors.find(train, valid, strata, "valid")
    if predictors.leaking and rows.valid_rows < FEW:
        predictors.leaking = split_predictors.confirmed(train, strata, predictors.leaking)
    found.predictors = predictors
    gone = {name: predictors.spared[name] for name in predictors.leaking if name not in include}
    if not gone:
        return Look(found)
    found.left_out = gone
    predictors.leaking = [name for name in predictors.leaking if name not in gone]
    predictors.spared = {name: share for name, share in predictors.spared.items() if name not in gone}
    why = "alone tells {} on the valid part ({:.1%} of the errors spared); --include {} if it is known when answering"
    return Look(found, {name: why.format(target.name, share, name) for name, share in gone.items()})


def _sampled(frame: pl.LazyFrame, height: int, most: int) -> pl.LazyFrame:
    """A sample of a frame of `height` rows, read once."""
    return sampled(frame, height, most).collect(engine="streaming").lazy()


def read(model: Artefact) -> Leaks:
    """What a model says of itself; one that was made elsewhere or earlier says nothing."""
    return model.json(FILE, Leaks) if model.has(FILE) else Leaks(None)


def judge(model: Artefact) -> Verdict:
    """A pass, with a warning: the model may be meant so, and its metrics are what is judged."""
    told = "leak: {}: if it is not known when the model is asked, train without it; mlops promote takes no pass"
    return Verdict(lines=tuple(told.format(line) for line in read(model).lines))
