"""How much each column says of the target: an association by kind, and what it alone predicts on rows held out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlops_cli.steps.describe_table import Column, Description

LEAK = 0.95
"""A column that alone takes away so much of the error is likely known only after the fact."""

_BINS, _PER_BIN = 200, 50
_CLASSES = 20
_LEAST = 50

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Association:
    """One column against the target: the measure's name and value, and `alone`, both None where they are undefined."""

    column: str
    measure: str
    value: float | None
    alone: float | None


def is_category(column: Column) -> bool:
    """Whether a target is of classes: text, true and false, or whole numbers with few values."""
    whole = column.dtype.is_integer() and (column.distinct or 0) <= _CLASSES
    return column.kind in ("text", "bool") or whole


def associations(found: Description, target: str) -> list[Association]:
    """Every other column against the target, the strongest first, from the sample.

    Numbers against numbers: Spearman's rank correlation (1904). Numbers against classes: the correlation ratio η
    (Pearson 1905). Classes against classes: Cramér's V, bias corrected (Bergsma 2013). `alone` is Goodman and Kruskal's
    λ (1954), for numbers R², measured on the rows that a table of the column's values was not learnt from.
    """
    classes = is_category(found.column(target))
    y = found.physical(target) if not classes else found.sample[target].alias("value").cast(pl.String)
    made = []
    for column in found.columns:
        if column.name != target and column.kind not in ("image", "other"):
            with np.errstate(over="ignore", invalid="ignore"):  # squares of the largest numbers: undefined then
                made.append(_association(found, column, y, classes))
    return sorted(made, key=lambda one: -max(abs(one.value or 0), one.alone or 0))


def _association(found: Description, column: Column, y: pl.Series, classes: bool) -> Association:
    x = found.physical(column.name)
    there = x.is_not_null() & y.is_not_null()
    own, truth = x.filter(there), y.filter(there)
    number = column.kind in ("number", "time")
    measure = ("correlation ratio η" if number else "Cramér's V") if classes else ("Spearman's ρ" if number else "η")
    if own.len() < _LEAST or own.n_unique() < 2 or truth.n_unique() < 2:
        return Association(column.name, measure, None, None)
    if number and not classes:
        value = pl.DataFrame([own.alias("x"), truth.alias("y")]).select(pl.corr("x", "y", method="spearman")).item()
    elif number:
        value = _ratio(_codes(truth), own.to_numpy())
    elif classes:
        value = _cramer(_codes(own), _codes(truth))
    else:
        value = _ratio(_codes(own), truth.to_numpy())
    # Missing is a value of its own here: what is missing may say what happened.
    known = y.is_not_null()
    bins = _binned(x.filter(known), number)
    return Association(column.name, measure, _finite(value), _alone(bins, y.filter(known), classes))


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _codes(values: pl.Series) -> Codes:
    """Values as numbers from 0; null is one of them."""
    return (values.rank("dense").fill_null(0)).cast(pl.Int64).to_numpy()


def _binned(values: pl.Series, number: bool) -> Codes:
    """A column as codes: numbers in up to 200 bins of equal counts, at least 50 rows each."""
    if not number:
        return _codes(values)
    there = values.drop_nulls().to_numpy()
    bins = max(2, min(_BINS, len(there) // _PER_BIN))
    edges = np.unique(np.quantile(there, np.linspace(0, 1, bins + 1)[1:-1])) if len(there) else np.empty(0)
    codes = np.searchsorted(edges, values.fill_null(0.0).to_numpy(), side="right") + 1
    codes[values.is_null().to_numpy()] = 0
    return codes.astype(np.int64)


def _ratio(groups: Codes, values: NDArray[np.float64]) -> float:
    """The correlation ratio η: the root of the share of the variance that lies between the groups."""
    total = float(((values - values.mean()) ** 2).sum())
    counts = np.bincount(groups)
    sums = np.bincount(groups, values)
    there = counts > 0
    between = float((counts[there] * (sums[there] / counts[there] - values.mean()) ** 2).sum())
    return math.sqrt(min(1.0, between / total)) if total else math.nan


def _cramer(one: Codes, other: Codes) -> float:
    """Cramér's V with Bergsma's correction (2013)."""
    one, other = np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]
    r, k, n = int(one.max()) + 1, int(other.max()) + 1, len(one)
    pairs, counts = np.unique(one * k + other, return_counts=True)
    rows, columns = np.bincount(one), np.bincount(other)
    # χ²/n = Σ n_ij² / (n_i n_j) − 1, of which cells without rows are no part
    phi2 = float((counts.astype(float) ** 2 / (rows[pairs // k].astype(float) * columns[pairs % k])).sum()) - 1
    phi2 = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    least = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(min(1.0, phi2 / least)) if least > 0 else math.nan


def _alone(bins: Codes, target: pl.Series, classes: bool) -> float | None:
    """What a table of the column's values predicts on half of the rows, learnt from the others: λ or R², at least 0."""
    if len(bins) < 2 * _LEAST:
        return None
    learnt = np.random.default_rng(0).random(len(bins)) < 0.5  # not every other row: values may alternate
    if classes:
        y = np.unique(_codes(target), return_inverse=True)[1]
        usual = int(np.bincount(y[learnt]).argmax())
        base = float((y[~learnt] != usual).mean())
        return (
            None if base == 0 else max(0.0, 1 - float((y[~learnt] != _commonest(bins, y, learnt, usual)).mean()) / base)
        )
    values = target.to_numpy()
    mean = float(values[learnt].mean())
    base = float(((values[~learnt] - mean) ** 2).sum())
    counts, sums = (
        np.bincount(bins[learnt], minlength=bins.max() + 1),
        np.bincount(bins[learnt], values[learnt], bins.max() + 1),
    )
    means = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    error = float(((values[~learnt] - means[bins[~learnt]]) ** 2).sum())
    return None if base == 0 or not math.isfinite(base) else max(0.0, 1 - error / base)


def _commonest(bins: Codes, y: Codes, learnt: NDArray[np.bool_], usual: int) -> Codes:
    """For each row held out the class that was commonest in its bin among the others."""
    classes = int(y.max()) + 1
    pairs, counts = np.unique(bins[learnt] * classes + y[learnt], return_counts=True)
    order = np.lexsort((-pairs, counts))  # the last of a bin wins: most rows, then the lowest class
    table = np.full(int(bins.max()) + 1, usual, dtype=np.int64)
    table[pairs[order] // classes] = pairs[order] % classes
    return table[bins[~learnt]]
