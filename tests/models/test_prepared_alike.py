"""The matrix that training learns from is the one that predict makes of a table and that serve makes of JSON rows."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.models.lightgbm_prepare import prepare
from mlops_cli.runtime import features, rows
from mlops_cli.runtime.signature import Signature
from mlops_cli.runtime.single import Encoder
from mlops_cli.steps import batches, train_dates
from mlops_cli.steps.records import records

LEVELS = ["AA", "", "Zürich", "日本", "AA ", "aa"]
WORDS = ["late", "LATE", "Straße", "straße", "İ", "日本", "a_1", "-", "x;y", "\n"]
KINDS = {
    "boolean": (pl.Boolean, st.booleans()),
    "small": (pl.Int8, st.integers(-128, 127)),
    "whole": (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    "number": (pl.Float64, st.floats()),
    "level": (pl.String, st.sampled_from(LEVELS) | st.text(max_size=3)),
    "day": (pl.Date, st.dates()),
    "time": (pl.Datetime("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    "day text": (pl.String, st.dates().map(date.isoformat)),
    "time text": (pl.String, st.datetimes().map(lambda at: at.isoformat(" ", "minutes") + "+00:00")),
    "^words$": (pl.String, st.lists(st.sampled_from(WORDS), min_size=4, max_size=6).map(" ".join)),
}
SCHEMA = {name: dtype for name, (dtype, _) in KINDS.items()}


# Rows by which each use is made of some column: words, rare levels, and levels that are common.
FILLER = pl.DataFrame({"row": range(30)}).select(
    (pl.col("row") % 2 == 0).alias("boolean"),
    (pl.col("row") % 5).cast(pl.Int8).alias("small"),
    pl.col("row").alias("whole"),
    (pl.col("row") / 3).alias("number"),
    pl.when(pl.col("row") % 9 == 0).then(pl.format("rare {}", "row")).otherwise(pl.lit("AA")).alias("level"),
    pl.date(2020, 1, pl.col("row") + 1).alias("day"),
    pl.datetime(2020, 1, pl.col("row") + 1, pl.col("row") % 24, time_zone="UTC").alias("time"),
    pl.date(2020, 1, pl.col("row") + 1).dt.to_string().alias("day text"),
    pl.date(2020, 1, pl.col("row") + 1).dt.to_string("%Y-%m-%d 03:00+00:00").alias("time text"),
    pl.format("late LATE parcel {}", "row").alias("^words$"),
)


@st.composite
def tables(draw):
    """A table to train on, with every kind of column, and one to answer, with levels and times that are new."""
    row = st.tuples(*(st.none() | values for _, values in KINDS.values()))
    made = [draw(st.lists(row, max_size=10)), draw(st.lists(row, min_size=1, max_size=8))]
    train, later = (pl.DataFrame(each, schema=SCHEMA, orient="row") for each in made)
    train = pl.concat([FILLER, train])
    train, later = (each.with_columns(base=pl.int_range(pl.len()) % 3) for each in (train, later))
    return pl.concat([train, train.head(1)]), later


def made(fitted, signature, frame, size):
    """The matrix of a table in batches of a size."""
    found = [features.matrix(fitted, batch) for _, batch in batches.batches(frame.lazy(), signature, "t", size)]
    return np.concatenate(found)


@given(tables(), st.integers(1, 20), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_training_predict_and_serve_compute_the_same_matrix(both, size, random):
    train, later = both
    read = train_dates.find([train.lazy()], train.columns).read(train.lazy()).collect()
    with_target = read.with_columns(y=pl.int_range(pl.len()))
    prepared = prepare(with_target.lazy(), "y")
    fitted = features.decode(features.encode(prepared.features))  # as a loaded model has it
    uses = {column.use: column for column in fitted.columns}
    assert set(uses) == {"boolean", "number", "category", "time", "words"} and uses["category"].rare
    signature = Signature("lightgbm", "regression", "y", prepared.columns)
    learnt = made(prepared.features, signature, with_target, batches.ROWS)
    encoder = Encoder(signature, fitted)
    np.testing.assert_array_equal(made(fitted, signature, train, size), learnt)  # dates still in text
    for frame in (train, later):
        together = made(fitted, signature, frame, batches.ROWS)
        order = random.sample(range(frame.height), frame.height)
        np.testing.assert_array_equal(made(fitted, signature, frame[order], size), together[order])
        as_rows = msgspec.json.decode(msgspec.json.encode(records(frame, signature)))
        by_rows = features.matrix(fitted, rows.batch_from_rows(signature, as_rows))
        np.testing.assert_array_equal(by_rows, together)
        alone = [encoder.encode(row) for row in as_rows]
        np.testing.assert_array_equal(np.array(alone, dtype=np.float64), together)


def test_the_text_of_a_date_is_the_date():
    frame = pl.LazyFrame(
        {"when": ["2026-01-02", None, "2024-02-29"], "at": ["2026-01-02 03:04", "2026-01-02T03:04:05+01:00", None]}
    )
    found = train_dates.find([frame], ["when", "at"])
    assert found.notes == ["when: text in ISO 8601, used as date", "at: text in ISO 8601, used as datetime"]
    assert found.read(frame).collect().rows() == [
        (date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        (None, datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)),
        (date(2024, 2, 29), None),
    ]
