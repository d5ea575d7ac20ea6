"""The candidate beside the champion on the same rows: better, worse or undecided, and how many rows would decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import polars as pl
from msgspec import UNSET

from mlops_cli.errors import SchemaMismatch
from mlops_cli.metrics import gate, mcnemar, per_row, wording
from mlops_cli.metrics.base import Label, Measurements, Metric, Subject, comparable, text_of
from mlops_cli.metrics.mcnemar import McNemar
from mlops_cli.reports.html import Bar, Cell, Measure, Section, Table, Text
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import batches, evaluate_pair
from mlops_cli.store.artefact import Artefact

FILE = "comparison.json"
Answer = Literal["better", "worse", "undecided"]

MAIN = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
"""The metric whose answer is the answer, by task; of some losses another, see `per_row.OF_LOSS`."""

LESS_IS_BETTER = frozenset(
    {"log_loss", "brier", "ece", "rmse", "mae", "median_absolute_error", "mape", "cost"}
    | {"pinball_loss", "poisson_deviance"}
)
_NO_BETTER = frozenset({"bias"})  # nearer to 0 is better, which a difference does not say


class Compared(msgspec.Struct, frozen=True):
    """One metric of both models, the difference (this less the champion) with its interval, and what it says.

    `more_rows` is how many more labelled rows would decide, about; None where it is decided or nobody can say.
    """

    name: str
    this: float | None
    champion: float | None
    difference: Metric
    answer: Answer
    more_rows: int | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The document `comparison.json`: `answer` is that of the metric `main`, `differences` are all, class by class too.

    `doubt` says why the champion's numbers may flatter it; empty where nothing does.
    """

    format: int = 1
    champion: Subject
    rows: int
    main: str
    answer: Answer
    metrics: list[Compared]
    differences: list[Metric]
    mcnemar: McNemar | None = None
    doubt: str = ""


def check(ref: str, signature: Signature, champion: Signature, schema: pl.Schema, name: str) -> None:
    """Refuse a champion that answers another question, or that the rows lack columns for; SchemaMismatch."""
    if (champion.task, champion.target) != (signature.task, signature.target):
        said, own = (f"{each.target} ({each.task})" for each in (champion, signature))
        raise SchemaMismatch(
            f"--against {ref}: it predicts {said}, the model {own}: they cannot be compared",
            "name a champion of the same target and task",
        )
    if signature.classes is not None and champion.classes is not None:
        binary = signature.task == "binary"
        known = set(map(text_of, signature.classes)), set(map(text_of, champion.classes))
        if (binary and (known[0] != known[1] or signature.positive != champion.positive)) or not known[0] & known[1]:
            raise SchemaMismatch(
                f"--against {ref}: its classes are {_classes(champion)}, those of the model {_classes(signature)}",
                "name a champion of the same classes",
            )
    try:
        batches.check(champion, schema, name)
    except SchemaMismatch as error:
        raise SchemaMismatch(
            f"--against {ref} was trained on other columns: {error.message}",
            "measure on rows that have the columns of both, with --data",
        ) from None


def compare(measured: Measurements, rows: pl.DataFrame, champion: Artefact, seed: int) -> Comparison:
    """What `rows`, the predictions behind `measured`, say beside the champion's evaluation of the same rows."""
    theirs = champion.json(evaluate_pair.METRICS, Measurements)
    others = pl.read_parquet(champion.file(evaluate_pair.PREDICTIONS))
    differences = evaluate_pair.pair(measured, rows, theirs, others, seed)
    both = measured.metrics, comparable(theirs, measured)
    values = [{m.name: m.value for m in each if m.column is None} for each in both]
    found = [
        _compared(one, values[0].get(one.name), values[1].get(one.name)) for one in differences if one.column is None
    ]
    by = MAIN[measured.task] if measured.loss is UNSET else per_row.OF_LOSS.get(measured.loss, MAIN[measured.task])
    main = next((one for one in found if one.name == by), None)
    tested = None
    if measured.task != "regression":
        right = [(each["actual"] == each["prediction"]).to_numpy() for each in (rows, others)]
        tested = mcnemar.compare(right[0], right[1], evaluate_pair.groups(rows))
    return Comparison(
        champion=theirs.model or Subject(None),
        rows=measured.rows,
        main=by,
        answer=main.answer if main else "undecided",
        metrics=found,
        differences=differences,
        mcnemar=tested,
        doubt="" if theirs.certificate is UNSET else theirs.certificate.doubt,
    )


def lines(found: Comparison, ref: str, wanted: Sequence[str] = ()) -> list[str]:
    """The answer for people: of the main metric, of those `wanted` too, and McNemar's test."""
    names = dict.fromkeys([found.main, *wanted])
    told = [f"against {ref}: {_told(one)}" for name in names for one in found.metrics if one.name == name]
    if found.mcnemar is not None:
        test = found.mcnemar
        told.append(
            f"against {ref}: right alone in {test.only_this:,} rows, the champion alone in {test.only_champion:,}: "
            f"p {p_value(test.p)} (McNemar, {test.method})"
        )
    if found.doubt:
        told.append(f"against {ref}: the champion's metrics may flatter: {found.doubt}")
    return told


def section(found: Comparison, shown: Sequence[str]) -> Section:
    """The comparison on the page, the metrics of `shown` first."""
    order = list(dict.fromkeys([found.main, *shown]))
    chosen = [one for name in order for one in found.metrics if one.name == name]
    rows: list[list[Cell]] = []
    for one in chosen:
        low, high = one.difference.low, one.difference.high
        bar = None
        if low is not None and high is not None and one.difference.value is not None:
            most = max(abs(low), abs(high)) or 1.0
            bar = Bar(one.difference.value, low, high, -most, most, 0.0)
        difference = Measure(_signed(one.difference), wording.interval(one.difference), bar)
        answer = "–" if one.name in _NO_BETTER or one.difference.value is None else one.answer
        rows.append([wording.title(one.name), _plain(one.this), _plain(one.champion), difference, Text(answer)])
    main = next((one for one in chosen if one.name == found.main), None)
    text = f"This model is {_told(main)}. " if main else ""
    text += "Both models answered the same rows; a difference is that of this model, less that of the champion."
    if found.mcnemar is not None:
        test = found.mcnemar
        text += (
            f" This model alone is right in {test.only_this:,} rows, the champion alone in {test.only_champion:,} "
            f"(McNemar's test: p {p_value(test.p)})."
        )
    if found.doubt:
        text += f" The champion's metrics may flatter it: {found.doubt}."
    head = ("Metric", "This model", "Champion", "Difference", "Answer")
    title = {"better": "Better than the champion", "worse": "Worse than the champion"}
    return Section(
        title.get(found.answer, "Undecided against the champion"), [Table(head, rows, frozenset({1, 2}))], text
    )


def p_value(p: float) -> str:
    """A p-value with the digits that anybody needs."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _compared(difference: Metric, this: float | None, champion: float | None) -> Compared:
    low, high = difference.low, difference.high
    if champion is None and this is not None and difference.value is not None:
        champion = this - difference.value  # of a loss that is not its own
    if difference.value is None or low is None or high is None or difference.name in _NO_BETTER:
        return Compared(difference.name, this, champion, difference, "undecided")
    few = difference.n < gate.FEWEST or (difference.groups is not UNSET and difference.groups < gate.FEWEST)
    if few or low <= 0 <= high:
        more = None if few else gate.more_rows(difference, low, high, 0.0)
        return Compared(difference.name, this, champion, difference, "undecided", more)
    better = (low > 0) != (difference.name in LESS_IS_BETTER)
    return Compared(difference.name, this, champion, difference, "better" if better else "worse")


def _told(one: Compared) -> str:
    """`better by roc_auc: +0.0213 [0.0150, 0.0270] (0.733 beside 0.712)`."""
    if one.difference.value == one.difference.low == one.difference.high == 0:
        return f"the same by {one.name}: {_plain(one.this)}, whatever rows are drawn"
    more = "" if one.more_rows is None else f"; {gate.in_words(one.difference, one.more_rows)} would decide"
    both = f"{_plain(one.this)} beside {_plain(one.champion)}"
    return f"{one.answer} by {one.name}: {_signed(one.difference)} {wording.interval(one.difference)} ({both}){more}"


def _signed(difference: Metric) -> str:
    written = wording.value(difference)
    return written if difference.value is None or difference.value <= 0 else f"+{written}"


def _plain(value: float | None) -> str:
    return "undefined" if value is None else f"{value:,.4g}"


def _classes(signature: Signature) -> str:
    labels: list[Label] = list(signature.classes or ())
    return ", ".join(map(text_of, labels[:8])) + (
        f" (positive: {text_of(signature.positive)})" if signature.positive is not None else ""
    )
