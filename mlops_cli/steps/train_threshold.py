"""The threshold of a binary model that is best on rows that it was not fitted to."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.metrics import confusion
from mlops_cli.metrics.confusion import Tally
from mlops_cli.metrics.intervals import Floats

METRICS = ("accuracy", "balanced_accuracy", "f1", "mcc", "cost")
_LIMIT = re.compile(r"(precision|recall)\s*>=\s*(\S+)")
_HINT = f"a number from 0 to 1; {', '.join(METRICS)}; or precision>=0.9, recall>=0.8"


class Wanted(NamedTuple):
    """A number, or the metric to be best in; with `least` it is reached first, and then the other of the two is best.

    `text` is how it was asked for.
    """

    text: str
    number: float | None = None
    metric: str = ""
    least: float | None = None


def read(text: str) -> Wanted:
    """What `--threshold` asks for; Usage when that is nothing."""
    given = text.strip()
    if given in METRICS:
        return Wanted(given, metric=given)
    limit = _LIMIT.fullmatch(given)
    if limit:
        least = _share(limit[2], text)
        return Wanted(f"{limit[1]}>={least:g}", metric=limit[1], least=least)
    number = _share(given, text)
    return Wanted(f"{number:g}", number=number)


def choose(
    score: Floats, truth: NDArray[np.bool_], wanted: Wanted, table: Floats | None = None, weights: Floats | None = None
) -> tuple[float, float]:
    """The threshold, and what it reaches, from (n,) probabilities of the positive class, what was so, and row weights.

    Of all thresholds that are equally good the middle of the widest range, in as few digits as it takes: what lies
    between two scores makes no difference on these rows. `table` is what answers cost, shape (2, 2), the positive class
    last. With a limit the most recall at that precision, or the most precision at that recall.
    InputUnusable where no threshold reaches the limit.
    """
    edges, tally = _tallies(score, truth, np.ones(len(score)) if weights is None else weights)
    value = _value(wanted, tally, table)
    if wanted.least is not None:
        bound, value = value, _value(wanted._replace(metric=_other(wanted.metric)), tally, table)
        reached = np.nan_to_num(bound, nan=-1.0) >= wanted.least
        if not reached.any():
            most = f"the most is {np.nanmax(bound):.4g}"
            raise InputUnusable(
                f"no threshold reaches {wanted.text} on the {len(score):,} valid rows, {most}", "ask for less"
            )
        value = np.where(reached, value, -np.inf)
    value = np.nan_to_num(value, nan=-np.inf)
    best = value >= value.max() - 1e-12 * max(1.0, abs(float(value.max())))
    low, high = _widest(edges, best)
    return _between(low, high), float(value.max()) * (-1 if wanted.metric == "cost" else 1)


def break_even(table: Floats) -> float | None:
    """From which probability on it pays to answer with the positive class, were probabilities exact (Elkan 2001).

    None where the table gives an error no more than a right answer.
    """
    alarm, miss = table[0, 1] - table[0, 0], table[1, 0] - table[1, 1]
    return float(alarm / (alarm + miss)) if alarm > 0 and miss > 0 else None


def _tallies(score: Floats, truth: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Tally]:
    """The ends of the ranges of thresholds that make no difference, (m + 1,), and the tally (m, 2) of each range."""
    order = np.argsort(score, kind="stable")
    ordered, mass = score[order], weights[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    edges = np.concatenate([[0.0], ordered[starts], [1.0]])
    places = np.append(starts, len(score))
    below, missed = (np.concatenate([[0.0], np.cumsum(each)])[places] for each in (mass, mass * truth[order]))
    rows, positives = below[-1], missed[-1]  # what is below a threshold is not named
    named = np.column_stack([below, rows - below])
    hits = np.column_stack([below - missed, positives - missed])
    actual = np.broadcast_to([rows - positives, positives], named.shape)
    ranges = len(below) - (ordered[-1] >= 1.0)  # no threshold lies above a score of 1
    return edges[: ranges + 1], Tally(hits[:ranges], np.asarray(actual[:ranges]), named[:ranges])


def _value(wanted: Wanted, tally: Tally, table: Floats | None) -> Floats:
    """What is to be as great as possible, (m,)."""
    if wanted.metric != "cost":
        return np.asarray(confusion.of_positive(tally)[..., confusion.BINARY.index(wanted.metric)])
    assert table is not None
    false, missed = tally.predicted[:, 1] - tally.right[:, 1], tally.predicted[:, 0] - tally.right[:, 0]
    spent = (
        tally.right[:, 0] * table[0, 0] + false * table[0, 1] + missed * table[1, 0] + tally.right[:, 1] * table[1, 1]
    )
    return np.asarray(-spent / tally.actual.sum(axis=-1))


def _other(metric: str) -> str:
    return "recall" if metric == "precision" else "precision"


def _widest(edges: Floats, best: NDArray[np.bool_]) -> tuple[float, float]:
    """The widest range of neighbours that are all best."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], best, [False]]).astype(np.int8)))
    starts, ends = change[::2], change[1::2]
    place = int(np.argmax(edges[ends] - edges[starts]))
    return float(edges[starts[place]]), float(edges[ends[place]])


def _between(low: float, high: float) -> float:
    """The middle of a range that does not hold its low end, in as few digits as keep it inside."""
    middle = (low + high) / 2
    for digits in range(2, 16):
        short = round(middle, digits)
        if low < short <= high:
            return short
    return middle if low < middle <= high else high


def _share(text: str, whole: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Usage(f"--threshold {whole!r}: nothing to decide by", _HINT) from None
    if not 0 <= number <= 1:
        raise Usage(f"--threshold {whole!r}: a probability is between 0 and 1", _HINT)
    return number
