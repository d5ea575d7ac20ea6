"""A column that alone tells the target: learnt value by value on train, and tried on the part that tests."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.models.sampled import sampled
from mlops_cli.sources.names import exactly
from mlops_cli.steps.split_strata import Strata

THRESHOLD = 0.98
"""The share of errors that a column must spare to count as a leak."""
SAMPLE = 100_000
"""Rows of each part that are looked at: about so many of a longer one, chosen by a hash of their number."""
FEWEST = 20
"""With fewer rows of the test part outside the commonest value nothing can be said: an honest column tells few of them
all by chance."""
_THIRD = "\0third"
_AT_ONCE = 3 * SAMPLE  # values that are read together, about
_QUANTILES = 64  # of a column of numbers, for each value of the target
_EDGES = 1_024  # of a column of numbers in all, about
_FEW_STRATA = 100
_TOLD = 10


class Predictors(msgspec.Struct):
    """How well each column alone tells the `target`; `spared` has the best ones, `leaking` those from `threshold` on.

    `rows` are those looked at in train and in the part it was tried on, `looked_at` the columns that could be judged.
    """

    target: str
    threshold: float
    rows: dict[str, int]
    looked_at: int
    spared: dict[str, float]
    leaking: list[str]

    def lines(self) -> list[str]:
        """What was found, for people."""
        how = f"alone tells {self.target} on the {list(self.rows)[-1]} part"
        return [f"column {name} {how} ({self.spared[name]:.1%} of the errors spared)" for name in self.leaking]


def find(train: pl.LazyFrame, test: pl.LazyFrame, target: Strata, part: str = "test") -> Predictors:
    """Score every column that both parts have, but for nested ones, bytes and the target; `part` is what `test` is.

    A row of the test part is given the value of the target that is the commonest in train among the rows with the same
    value of the column (for numbers: in the same bin; for a value that train has not: among all rows). The score is
    Goodman and Kruskal's λ on held-out rows, (hits - base) / (rows - base), where `base` rows have what is the
    commonest in train ("Measures of Association for Cross Classifications", JASA 49, 1954): 0 tells nothing, 1 all.
    Names that are all different therefore score 0.
    """
    kinds = [{name: _kind(kind) for name, kind in frame.collect_schema().items()} for frame in (train, test)]
    names = [name for name, kind in kinds[0].items() if kind and kind == kinds[1].get(name) and name != target.column]
    scores: dict[str, float] = {}
    rows = {"train": 0, part: 0}
    heights = [int(frame.select(pl.len()).collect(engine="streaming").item()) for frame in (train, test)]
    at_once = max(3, _AT_ONCE // max(*heights, 1))
    for start in range(0, len(names), at_once):
        some = names[start : start + at_once]
        ours, theirs = (_sample(*one, some, target) for one in zip((train, test), heights, strict=True))
        rows = {"train": ours.height, part: theirs.height}
        usual = _commonest(ours)
        base = int((theirs["stratum"] == usual).sum()) if ours.height else 0
        if not ours.height or theirs.height - base < FEWEST:
            break
        ours, theirs = _coded(ours, theirs)
        for number, name in enumerate(some):
            hits = _hits(ours, theirs, str(number), usual, numbers=kinds[0][name] == "number")
            scores[name] = round((hits - base) / (theirs.height - base), 6)
    best = dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))
    leaking = [name for name, score in best.items() if score >= THRESHOLD]
    told = dict(list(best.items())[: max(_TOLD, len(leaking))])
    return Predictors(target.column, THRESHOLD, rows, len(scores), told, leaking)


def confirmed(train: pl.LazyFrame, target: Strata, names: list[str]) -> list[str]:
    """Those of the columns `names` that tell the target within train too, a third of its rows from the others.

    A small test part finds a strong and honest column perfect by chance; train has several times as many rows. Columns
    of which train can say nothing are taken as found, and so are those that tell quantities: into ten bins nobody hits
    by chance.
    """
    if target.edges is not None:
        return names
    third = pl.int_range(pl.len(), dtype=pl.UInt64).hash(seed=1) % 3
    rows = train.select([exactly(name) for name in (*names, target.column)]).with_columns(third.alias(_THIRD)).collect()
    found: dict[str, list[float]] = {name: [] for name in names}
    for part in range(3):
        here = pl.col(_THIRD) == part
        rest, tried = (rows.filter(side).drop(_THIRD).lazy() for side in (~here, here))
        for name, score in find(rest, tried, target).spared.items():
            found[name].append(score)
    return [name for name, scores in found.items() if not scores or sum(scores) >= THRESHOLD * len(scores)]


def _coded(train: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both with the number of their stratum among those of train in order, `codes`; -1 for one that train has not."""
    known = train["stratum"].unique().sort()
    found = []
    for rows in (train, test):
        codes = rows["stratum"].replace_strict(known, range(len(known)), default=-1, return_dtype=pl.Int64)
        found.append(rows.with_columns(codes.alias("codes")))
    return found[0], found[1]


def _kind(dtype: pl.DataType) -> str:
    """How a column is looked at: in bins of numbers (times too), or value by value; not at all when it is empty."""
    if dtype.is_nested() or dtype in (pl.Binary, pl.Null, pl.Object):
        return ""
    return "number" if dtype.is_numeric() or dtype.is_temporal() else "name"


def _sample(frame: pl.LazyFrame, height: int, names: list[str], target: Strata) -> pl.DataFrame:
    """A sample of a frame's `height` rows, those that have a target, its columns called 0, 1, …: numbers as floats,
    names as hashes.

    Which rows are in it their hash decides and not every n-th of them: a table may go up and down with its rows.
    """
    schema = frame.collect_schema()
    columns = [_plain(name, schema[name]).alias(str(number)) for number, name in enumerate(names)]
    rows = sampled(frame.select(*columns, target.value), height, SAMPLE)
    return rows.drop_nulls("stratum").collect(engine="streaming")


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as numbers."""
    value = exactly(name)
    if _kind(dtype) == "name":
        return pl.when(value.is_not_null()).then(value.cast(pl.String).hash())
    if isinstance(dtype, pl.Date | pl.Datetime):
        value = value.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
    return (value.to_physical() if dtype.is_temporal() else value).cast(pl.Float64)


def _commonest(rows: pl.DataFrame) -> Any:
    """The commonest stratum, of two as common the smaller one."""
    counted = rows.group_by("stratum").len("rows").sort("rows", "stratum", descending=[True, False])
    return counted["stratum"][0] if counted.height else None


def _hits(train: pl.DataFrame, test: pl.DataFrame, column: str, usual: Any, *, numbers: bool) -> int:
    """The rows of test whose target the column tells."""
    if numbers and train["stratum"].n_unique() <= _FEW_STRATA:
        return _hits_of_numbers(train, test, column)
    values = [rows[column] for rows in (train, test)]
    if numbers:
        edges = _edges(values[0].to_numpy(), train["codes"].to_numpy())
        values = [pl.Series(_binned(one.to_numpy(), edges)) for one in values]
    strata = [rows["stratum"] for rows in (train, test)]
    ours, theirs = (pl.DataFrame({"value": one, "stratum": two}) for one, two in zip(values, strata, strict=True))
    counted = ours.group_by("value", "stratum").len("rows")
    best = counted.sort("rows", "stratum", descending=[True, False]).unique("value", keep="first", maintain_order=True)
    told = theirs.join(best.select("value", guess="stratum"), on="value", how="left", nulls_equal=True)
    guess = pl.col("guess").fill_null(pl.lit(usual, dtype=best.schema["stratum"]))
    return int(told.select((guess == pl.col("stratum")).sum()).item())


def _hits_of_numbers(train: pl.DataFrame, test: pl.DataFrame, column: str) -> int:
    """The same for a column of numbers and few strata, by counting codes: a tenth of the time."""
    values, codes = train[column].to_numpy(), train["codes"].to_numpy()
    strata = int(codes.max()) + 1
    edges = _edges(values, codes)
    bins = len(edges) + 2  # the first is for what is no number
    counts = np.bincount((_binned(values, edges) + 1) * strata + codes, minlength=bins * strata).reshape(bins, strata)
    guess = counts.argmax(axis=1)  # of as common ones the smallest
    guess[counts.sum(axis=1) == 0] = np.bincount(codes).argmax()
    return int((guess[_binned(test[column].to_numpy(), edges) + 1] == test["codes"].to_numpy()).sum())


def _edges(values: NDArray[np.float64], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """Quantiles of the numbers of each stratum, its least and largest among them; each begins a bin.

    By stratum, since a threshold between two of them, however rare one is, then lies between two edges. A number that
    is several quantiles is a bin of its own: the next one begins at the next number that train has.
    """
    known = ~np.isnan(values)
    values, strata = values[known], strata[known]
    if not len(values):
        return values
    order = np.argsort(strata.astype(np.min_scalar_type(int(strata.max()))), kind="stable")
    begins = np.flatnonzero(np.diff(strata[order], prepend=-1))
    each = max(2, min(_QUANTILES, _EDGES // len(begins)))
    found, times = np.unique(
        np.concatenate([_quantiles(some, each) for some in np.split(values[order], begins[1:])]), return_counts=True
    )
    all_of_them = np.unique(values)
    after = np.searchsorted(all_of_them, found[times > 1], side="right")
    return np.unique(np.concatenate([found, all_of_them[after[after < len(all_of_them)]]]))


def _quantiles(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """At most so many of the values, from the least to the largest."""
    places = np.unique(np.linspace(0, len(values) - 1, count).astype(np.int64))
    found: NDArray[np.float64] = np.sort(values)[places]
    return found


def _binned(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each number: what is below all edges is in the first one, and -1 what is none."""
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right").clip(1))
