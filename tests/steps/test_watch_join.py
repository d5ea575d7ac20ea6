"""Predictions and what came true: every row of both is accounted for, and values compare across formats."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
import watching as world
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.errors import InputUnusable, UnknownColumn
from mlops_cli.steps import watch_join, watch_log, watch_measure, watch_types
from mlops_cli.steps.tables import Table
from mlops_cli.steps.watch_files import ENVELOPE
from mlops_cli.steps.watch_log import Log


def logged(**columns) -> Log:
    """A log in memory with these columns of the envelope, the rest null."""
    rows = len(next(iter(columns.values())))
    frame = pl.DataFrame({**{name: [None] * rows for name in ENVELOPE}, "row": [0] * rows, **columns})
    frame = frame.with_columns(pl.col(name).cast(kind) for name, kind in ENVELOPE.items())
    return Log(frame.lazy(), rows, {}, 0, [c for c in world.COLUMNS if f"input.{c.name}" in columns], [])


def table(frame: pl.DataFrame) -> Table:
    return Table(frame.lazy(), [], None, "actuals")


IDS = st.lists(st.integers(0, 12), max_size=25)


@settings(max_examples=80, deadline=None)
@given(IDS, st.lists(st.tuples(st.integers(0, 15), st.one_of(st.none(), st.booleans())), max_size=25), st.booleans())
def test_every_row_is_accounted_for(asked, came, by_key):
    at = [f"2026-01-01T00:00:{number:02}.000000Z" for number in range(len(asked))]
    names = [str(one) for one in asked]
    log = (
        logged(key=names, at=at, prediction=["true"] * len(asked))
        if by_key
        else logged(request_id=names, at=at, prediction=["true"] * len(asked))
    )
    column = "id" if by_key else "request_id"
    actuals = pl.DataFrame(
        {
            column: pl.Series([key for key, _ in came], dtype=pl.Int64),
            "won": pl.Series([v for _, v in came], dtype=pl.Boolean),
        }
    )
    if by_key and not asked:
        with pytest.raises(InputUnusable):
            watch_join.join(log, table(actuals), world.BINARY, "id")
        return
    joined = watch_join.join(log, table(actuals), world.BINARY, "id" if by_key else None)
    counts = joined.counts
    assert counts.predictions == len(asked) == counts.joined + counts.waiting + counts.again
    assert counts.actuals == len(came) == counts.joined + counts.empty + counts.elsewhere + counts.repeated
    last = {key: value for key, value in came if value is not None}
    assert counts.joined == len(set(asked) & set(last)) == joined.rows.height
    assert counts.again == len(asked) - len(set(asked))
    expected = [last[one] for one in dict.fromkeys(reversed(asked)) if one in last]
    assert sorted(joined.rows["label"]) == sorted("true" if value else "false" for value in expected)


def test_the_last_answer_and_the_last_label_of_a_key_count():
    log = logged(
        key=["k", "k"], at=["2026-01-02T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z"], prediction=["2", "1"]
    )
    actuals = pl.DataFrame({"id": ["k", "k"], "won": [5.0, 7.0]})
    rows = watch_join.join(log, table(actuals), world.REGRESSION, "id").rows
    assert rows.select("prediction", "label").rows() == [("2", "7")]


def test_requests_of_several_rows_need_the_row():
    log = logged(request_id=["a", "a", "b"], row=[0, 1, 0], prediction=["true", "false", "true"])
    plain = watch_join.join(
        log, table(pl.DataFrame({"request_id": ["a", "b"], "won": [True, True]})), world.BINARY, None
    )
    assert (plain.counts.joined, plain.counts.waiting, plain.counts.elsewhere) == (1, 2, 1)
    rows = pl.DataFrame({"request_id": ["a", "a", "b"], "row": [0, 1, 0], "won": [True, True, False]})
    full = watch_join.join(log, table(rows), world.BINARY, None)
    assert full.counts.joined == 3 and full.by == "request and row"
    assert full.rows.select("prediction", "label").rows() == [("true", "true"), ("false", "true"), ("true", "false")]


def test_a_logged_input_can_be_the_key():
    log = logged(**{"input.leaves": [datetime(2026, 1, 1, 5), datetime(2026, 1, 1, 6)], "prediction": ["true", "true"]})
    zone = pl.Series([datetime(2026, 1, 1, 6)]).dt.replace_time_zone("Europe/Rome")
    for keys in (["2026-01-01 05:00:00"], ["2026-01-01T05:00:00Z"], [datetime(2026, 1, 1, 5)], zone):
        joined = watch_join.join(log, table(pl.DataFrame({"leaves": keys, "won": [True]})), world.BINARY, "leaves")
        assert joined.counts.joined == 1 and joined.by == "the input column leaves"
    with pytest.raises(InputUnusable, match="id is no logged input column"):
        watch_join.join(log, table(pl.DataFrame({"id": [1], "won": [True]})), world.BINARY, "id")
    with pytest.raises(UnknownColumn, match="no column 'won'"):
        watch_join.join(log, table(pl.DataFrame({"id": [1]})), world.BINARY, "id")


@pytest.mark.parametrize(
    "labels", [[True, False], [1, 0], [1.0, 0.0], ["true", "false"], ["True", "False"], ["1", "0"]]
)
def test_labels_of_two_classes_in_any_form(labels):
    log = logged(request_id=["a", "b"], prediction=["true", "false"], proba=[[0.1, 0.9], [0.8, 0.2]])
    joined = watch_join.join(log, table(pl.DataFrame({"request_id": ["a", "b"], "won": labels})), world.BINARY, None)
    metrics, useless = watch_measure.performance(world.BINARY, joined, 2)
    assert useless == 0 and next(m.value for m in metrics if m.name == "accuracy") == 1.0


def test_labels_that_are_of_no_use():
    log = logged(request_id=["a", "b", "c"], prediction=["1.5", "2.5", "3.5"])
    actuals = pl.DataFrame({"request_id": ["a", "b", "c"], "won": ["1.5", "?", "nan"]})
    metrics, useless = watch_measure.performance(
        world.REGRESSION, watch_join.join(log, table(actuals), world.REGRESSION, None), 3
    )
    assert useless == 2 and next(m for m in metrics if m.name == "mae").n == 1
    classes = logged(request_id=["a", "b"], prediction=["true", "true"])
    strange = pl.DataFrame({"request_id": ["a", "b"], "won": ["maybe", "true"]})
    metrics, useless = watch_measure.performance(
        world.BINARY, watch_join.join(classes, table(strange), world.BINARY, None), 2
    )
    assert useless == 1 and next(m.value for m in metrics if m.name == "precision") == 1.0
    assert all(m.name != "roc_auc" for m in metrics)  # no probabilities were logged


def test_a_class_that_the_model_never_learnt_counts_against_it():
    log = logged(request_id=["a", "b"], prediction=["a", "b"], proba=[[0.8, 0.1, 0.1]] * 2)
    actuals = pl.DataFrame({"request_id": ["a", "b"], "won": ["a", "zeppelin"]})
    metrics, useless = watch_measure.performance(
        world.MULTICLASS, watch_join.join(log, table(actuals), world.MULTICLASS, None), 2
    )
    assert useless == 0 and next(m.value for m in metrics if m.name == "accuracy") == 0.5
    assert any(m.level == "zeppelin" for m in metrics)


@pytest.mark.parametrize("signature", [world.BINARY, world.MULTICLASS, world.REGRESSION])
def test_without_labels_the_same_metrics_are_undefined(signature):
    asked = world.inputs(60, seed=1)
    answers = world._answers(signature, asked)
    labels = world.truth(signature, asked, 2, 0.2)
    log = logged(
        request_id=[f"r{n}" for n in range(60)],
        prediction=[str(a).lower() for a, _ in answers],
        proba=[p for _, p in answers],
    )
    joined = watch_join.join(log, table(world.actuals(labels)), signature, None)
    measured, _ = watch_measure.performance(signature, joined, 60)
    undefined, _ = watch_measure.performance(signature, None, 60)
    assert {(m.name, m.column, m.level) for m in undefined} == {(m.name, m.column, m.level) for m in measured}
    assert all(m.value is None and m.n == 60 for m in undefined)


def test_shares_and_latency_have_intervals_that_cover():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        found = watch_measure.share("null_share", int(rng.binomial(200, 0.03)), 200)
        covered += found.low <= 0.03 <= found.high
    assert covered >= 0.92 * 300
    covered = 0
    truth = -np.log(0.5)
    for _ in range(300):
        found = watch_measure._latency(np.sort(rng.exponential(size=200)))[0]
        covered += found.low <= truth <= found.high
    assert covered >= 0.92 * 300
    assert watch_measure._latency(np.array([3.0]))[1].value == 3.0


TIMES = {
    "2026-01-01T05:00:00Z": datetime(2026, 1, 1, 5),
    "2026-01-01T05:00:00.5+01:00": datetime(2026, 1, 1, 4, 0, 0, 500000),
    "2026-01-01T05:00:00.123456": datetime(2026, 1, 1, 5, 0, 0, 123456),
    "2026-01-01 05:00": datetime(2026, 1, 1, 5),
    "2026-01-01T05:00Z": datetime(2026, 1, 1, 5),
    "2026-01-01T05:00:00-0330": datetime(2026, 1, 1, 8, 30),
    "2026-01-01": datetime(2026, 1, 1),
    "soon": None,
}


def test_logged_text_is_typed_like_the_signature():
    def typed(values: list, want: str) -> list:
        frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.String)})
        return frame.select(watch_types.typed(pl.col("x"), pl.String(), want).alias("x"))["x"].to_list()

    assert typed(list(TIMES), "datetime") == list(TIMES.values())
    assert typed(["2026-01-01", "***"], "date") == [date(2026, 1, 1), None]
    assert typed(["3", "3.0", "3.5", "-9007199254740993", "***", None], "int") == [
        3,
        3,
        3,
        -9007199254740993,
        None,
        None,
    ]
    assert typed(["1e3", "-0.5", "***"], "float") == [1000.0, -0.5, None]
    assert typed(["true", "false", "yes"], "bool") == [True, False, None]


def test_windows():
    now = datetime(2026, 3, 8, 12, tzinfo=UTC)
    assert watch_log.window("7d", now).since == "2026-03-01T12:00:00.000000Z"
    assert watch_log.window("30m", now).since == "2026-03-08T11:30:00.000000Z"
    assert watch_log.window("all", now).since == ""
