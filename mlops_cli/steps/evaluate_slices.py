"""Where a model is worst: the slices of its input columns, and of the columns of `--by`, that are surely worse."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from msgspec import UNSET

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.metrics import grouped, regression, wording, worst
from mlops_cli.metrics.base import Metric, metric
from mlops_cli.metrics.intervals import Floats, generator, percentiles
from mlops_cli.metrics.worst import Coded, Measured
from mlops_cli.reports.html import Bar, Cell, Measure, Section, Table, Text
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps.evaluate_rows import Answers, quarters

FILE = "slices.json"
COLUMN = "slice"
"""The column under which metrics of found slices are filed."""

FEWEST = 20
_STREAM = 200  # of random numbers
_LEVELS = 100
_VALUES = 10  # numbers of more different values are cut into quarters


class Condition(msgspec.Struct, frozen=True):
    """A column and its level: a value, `(null)`, or a range such as `502 to 872`."""

    column: str
    level: str


class Found(msgspec.Struct, frozen=True):
    """One slice: `value` is its mean loss with the 95 % interval, `difference` that from the rest of the rows.

    `rows` are all of its rows; it was measured on `measured` of them, which had no part in finding it. `surely` is
    whether the whole interval of the difference, which holds for all slices told at once, is above 0.
    """

    name: str
    where: list[Condition]
    rows: int
    measured: int
    value: float
    low: float
    high: float
    rest: float
    difference: float
    difference_low: float
    difference_high: float
    surely: bool
    groups: int | None = None


class Slices(msgspec.Struct, frozen=True, kw_only=True):
    """The document `slices.json`: the worst slices of at least `least` rows, of so many that were searched."""

    format: int = 1
    loss: str
    least: int
    searched: int
    columns: list[str]
    slices: list[Found]


def check(least: int, by: Sequence[str]) -> None:
    """Refuse what cannot be asked for; Usage."""
    if least < 0 or 0 < least < FEWEST:
        raise Usage(f"--slices {least}: a slice needs at least {FEWEST} rows to say anything", "for instance 500")
    if least and COLUMN in by:
        raise Usage(f"--by {COLUMN}: with --slices {COLUMN!r} means a slice that was found", "rename the column")


def columns(signature: Signature, by: Sequence[str]) -> list[str]:
    """The columns to look for slices in: what the model takes, but for images, and those of `--by`."""
    return list(dict.fromkeys([*(c.name for c in signature.columns if c.type != "image"), *by]))


def search(answers: Answers, least: int, seed: int, alpha: float | None = None) -> tuple[Slices, list[Metric]]:
    """The worst slices of the columns in `answers.inputs`, and their metrics: the loss of each, and of the worst.

    InputUnusable where there are fewer rows than a slice is to have.
    """
    assert answers.inputs is not None
    rows = len(answers.actual)
    if rows < least:
        raise InputUnusable(f"--slices {least:,}: there are {rows:,} rows in all", "ask for smaller slices")
    name, loss = losses(answers, alpha)
    coded = [each for each in (code(series, least) for series in answers.inputs) if each.levels]
    measured, searched = worst.search(coded, loss, least, answers.groups, generator(seed, _STREAM))
    found = [_found(one, coded) for one in measured]
    found.sort(key=lambda one: -one.difference_low)
    metrics = [_metric(name, one) for one in found]
    first = metrics[0] if metrics else _overall(name, loss, answers, seed)
    metrics.insert(0, msgspec.structs.replace(first, name=f"worst_slice_{name}", column=None, level=None))
    names = answers.inputs.columns
    return Slices(loss=name, least=least, searched=searched, columns=names, slices=found), metrics


def losses(answers: Answers, alpha: float | None = None) -> tuple[str, Floats]:
    """What each row is bad by, and the name of its mean: log_loss, the share of errors without probabilities; mae, of a
    model of the `alpha` quantile pinball_loss."""
    if not answers.labels:
        actual, predicted = answers.actual.astype(np.float64), answers.predicted.astype(np.float64)
        if alpha is not None:
            return "pinball_loss", regression.pinball(actual, predicted, alpha)
        return "mae", np.abs(predicted - actual)
    if answers.proba is None:
        return "error", np.asarray(answers.actual != answers.predicted, dtype=np.float64)
    actual = answers.actual.astype(np.int64)
    known = actual < answers.proba.shape[1]
    given = np.where(known, answers.proba[np.arange(len(actual)), np.where(known, actual, 0)], 0.0)
    tiny = float(np.finfo(np.float64).eps)
    return "log_loss", -np.log(np.clip(given, tiny, 1 - tiny))


def code(series: pl.Series, least: int) -> Coded:
    """A column as levels of at least `least` rows: values, quarters where numbers or times are many, and `(null)`."""
    name, series = series.name, series.alias("value")  # polars fails on a series that is called ^…$
    if series.dtype.is_nested() or series.dtype == pl.Binary:
        return Coded(name, np.zeros(len(series), np.uint8), [])
    if (series.dtype.is_numeric() or series.dtype.is_temporal()) and series.n_unique() > _VALUES:
        codes, levels = quarters(series)
        codes = codes.fill_null(0)
    else:
        counts = series.value_counts(name="rows").drop_nulls().filter(pl.col("rows") >= least)
        kept = counts.sort("rows", "value", descending=[True, False]).head(_LEVELS)["value"]
        levels = kept.cast(pl.String, strict=False).to_list()
        codes = series.replace_strict(kept, range(len(kept)), default=None, return_dtype=pl.UInt8)
        codes = codes.fill_null(len(levels) + 1)
    missing = series.is_null()
    if series.dtype.is_float():
        missing = missing | series.is_nan().fill_null(True)
    levels = [*levels, "(null)"]
    found = codes.to_numpy().astype(np.uint8)
    found[missing.to_numpy()] = len(levels) - 1
    return Coded(name, found, levels)


def _found(one: Measured, coded: Sequence[Coded]) -> Found:
    where = [Condition(coded[column].name, coded[column].levels[level]) for column, level in one.where]
    value, low, high = (float(f"{number:.12g}") for number in one.value)
    gap, gap_low, gap_high = (float(f"{number:.12g}") for number in one.difference)
    return Found(
        " and ".join(f"{each.column} {_written(each.level)}" for each in where),
        where,
        one.rows,
        one.measured,
        value,
        low,
        high,
        float(f"{one.rest:.12g}"),
        gap,
        gap_low,
        gap_high,
        gap_low > 0,
        one.groups,
    )


def _written(level: str) -> str:
    return level if level.startswith(("<= ", "> ")) else f"= {level}"


def _metric(name: str, one: Found) -> Metric:
    groups = UNSET if one.groups is None else one.groups
    return Metric(name, one.value, one.low, one.high, one.measured, COLUMN, one.name, groups)


def _overall(name: str, loss: Floats, answers: Answers, seed: int) -> Metric:
    """The loss of all rows: what the worst slice is where none is worse than the rest."""
    drawn = grouped.means(loss[:, None], answers.groups, generator(seed, _STREAM + 1))
    ends = percentiles(drawn, grouped.tails(len(loss), answers.groups))[0]
    found = metric(name, float(loss.mean()), ends, len(loss))
    return grouped.told(found, answers.groups.count if answers.groups else None)


def told(found: Slices) -> str:
    """The worst slice in a line, `worst slice of 196: x > 6.46 (735 rows): mae 272 [249, 295], in the rest 190`."""
    if not found.slices:
        return f"worst slice: none of {found.searched:,} is worse than the rest"
    one = found.slices[0]
    value = wording.interval(Metric(found.loss, one.value, one.low, one.high, one.measured))
    sure = "" if one.surely else "; not sure"
    return (
        f"worst slice of {found.searched:,}: {one.name} ({one.rows:,} rows): {found.loss} {one.value:.3g} {value}, "
        f"in the rest {one.rest:.3g}{sure}"
    )


def section(found: Slices) -> Section:
    """The worst slices on the page."""
    text = (
        f"Of {found.searched:,} slices of at least {found.least:,} rows (levels of the columns, alone and in pairs, "
        "numbers by quarters) those where the model is most surely worse than on the rest of the rows. They were found "
        "on one half of the rows and measured on the other, so that chance does not make them look bad. "
    )
    if not found.slices:
        return Section("Where it is worst", [], f"{text}None is.")
    title = wording.title(found.loss)
    most = max(one.difference_high for one in found.slices)
    least = min(0.0, *(one.difference_low for one in found.slices))
    rows: list[list[Cell]] = []
    for one in found.slices:
        gap = Metric(found.loss, one.difference, one.difference_low, one.difference_high, one.measured)
        bar = Bar(one.difference, one.difference_low, one.difference_high, least, most, 0.0)
        value = Measure(f"{one.value:.3g}", f"rest {one.rest:.3g}")
        rows.append(
            [one.name, one.rows, value, Measure(f"+{wording.value(gap)}" if one.difference > 0 else wording.value(gap),
             wording.interval(gap), bar), Text("yes" if one.surely else "not sure")]
        )  # fmt: skip
    text += "The intervals of the differences hold for all lines at once."
    head = ("Slice", "Rows", title, "More than in the rest", "Worse")
    return Section("Where it is worst", [Table(head, rows, frozenset({1}))], text)
