"""A row gives the same features and the same answer whichever way it comes: request, table, single row, MLflow."""

import math
from datetime import UTC, date, datetime

import lightgbm
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_cli.runtime import features, lightgbm_text, rows
from mlops_cli.runtime.lightgbm import Model
from mlops_cli.runtime.pyfunc import PyfuncModel
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.runtime.times import ALL, CYCLES
from mlops_cli.steps import batches
from mlops_cli.steps.records import records

TYPES = {
    "b": "bool",
    "i": "int",
    "f": "float",
    "s": "string",
    "d": "date",
    "t": "datetime",
    "r": "string",
    "w": "string",
}
DTYPES = {
    "b": pl.Boolean,
    "i": pl.Int64,
    "f": pl.Float64,
    "s": pl.String,
    "d": pl.Date,
    "t": pl.Datetime("us", "UTC"),
    "r": pl.String,
    "w": pl.String,
}
LEVELS = ["", "EWR", "JFK", "Zürich", "日本"]
FEATURES = features.Features(
    [
        features.FeatureColumn("b", "bool", "boolean"),
        features.FeatureColumn("i", "int", "number"),
        features.FeatureColumn("f", "float", "number"),
        features.FeatureColumn("s", "string", "category", levels=LEVELS),
        features.FeatureColumn("d", "date", "time", parts=["days", "weekday", "year", *CYCLES]),
        features.FeatureColumn("t", "datetime", "time", parts=list(ALL), origin=1_704_067_200_000_000),
        features.FeatureColumn("r", "string", "category", levels=LEVELS[1:3], rare=LEVELS[3:]),
        features.FeatureColumn("w", "string", "words", buckets=16),
    ]
)
CLASSES = {"binary": [False, True], "multiclass": ["a", "b", "c"], "regression": None}


def signature(task):
    columns = [InputColumn(name, kind) for name, kind in TYPES.items()]
    return Signature("lightgbm", task, "y", columns, CLASSES[task], True if task == "binary" else None)


@pytest.fixture(scope="module")
def models():
    """{task: a model over FEATURES whose every column matters}"""
    random = np.random.default_rng(3)
    matrix = random.normal(size=(3000, FEATURES.width)) * 5
    matrix[:, 3] = random.integers(0, len(LEVELS), 3000)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    signal = np.nan_to_num(matrix).sum(axis=1)
    found = {}
    for task in CLASSES:
        target = {"binary": signal > 0, "multiclass": np.digitize(signal, [-5, 5]), "regression": signal}[task]
        names = [f"f{index}" for index in range(FEATURES.width)]
        data = lightgbm.Dataset(matrix, target, categorical_feature=[3], feature_name=names)
        options = {"objective": task, "verbose": -1, "num_threads": 1}
        options |= {"num_class": 3} if task == "multiclass" else {}
        text = lightgbm_text.strip(lightgbm.train(options, data, 20).model_to_string().encode())
        found[task] = Model(text, FEATURES, signature(task))
    return found


times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))
VALUES = {
    "b": st.booleans(),
    "i": st.integers(-(2**63), 2**63 - 1) | st.integers(-100, 100),
    "f": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1) | st.floats(-10, 10),
    "s": st.sampled_from(LEVELS) | st.text(max_size=5).filter(lambda text: text.isprintable()),
    "d": st.dates().map(date.isoformat),
    "t": times.map(lambda time: time.isoformat()) | times.map(lambda time: time.isoformat() + "+00:00"),
    "r": st.sampled_from(LEVELS) | st.text(max_size=5).filter(lambda text: text.isprintable()),
    "w": st.lists(st.sampled_from(["late", "LATE", "Straße", "İstanbul", "日本", "a_1", "-", "é"])).map(" ".join)
    | st.text(max_size=20).filter(lambda text: text.isprintable()),
}
json_rows = st.lists(
    st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in VALUES.items()}),
    min_size=1,
    max_size=8,
)


def frame(given_rows):
    """The rows as a table, as it would be after ingest."""

    def value(name, given_value):
        if given_value is None or name not in "dt":
            return float(given_value) if name == "f" and given_value is not None else given_value
        if name == "d":
            return date.fromisoformat(given_value)
        time = datetime.fromisoformat(given_value)
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    columns = {name: [value(name, row.get(name)) for row in given_rows] for name in TYPES}
    return pl.DataFrame(columns, schema=DTYPES)


def same(one, other):
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


@given(json_rows)
@settings(max_examples=300, deadline=None)
def test_features_from_requests_and_tables_are_equal(given_rows):
    wanted = signature("regression")
    from_rows = features.matrix(FEATURES, rows.batch_from_rows(wanted, given_rows))
    columns = {name: [row.get(name) for row in given_rows] for name in TYPES}
    assert same(from_rows, features.matrix(FEATURES, rows.batch_from_columns(wanted, columns)))
    assert same(from_rows, features.matrix(FEATURES, batches.batch(frame(given_rows), wanted)))


@given(json_rows)
@settings(max_examples=150, deadline=None)
def test_answers_are_equal_row_by_row_together_and_from_a_table(models, given_rows):
    for model in models.values():
        together = model.answer(given_rows)
        assert [model.answer([row])[0] for row in given_rows] == together
        assert (
            rows.answers(model.signature, model.predict(rows.batch_from_rows(model.signature, given_rows))) == together
        )
        table = batches.batch(frame(given_rows), model.signature)
        assert rows.answers(model.signature, model.predict(table)) == together


class Series:
    """What MLflow would pass as one column."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


class DataFrame:
    """As much of a data frame as the loader may rely on."""

    def __init__(self, columns):
        self.data = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return Series(self.data[name])

    def __len__(self):
        return len(next(iter(self.data.values())))

    def to_dict(self):
        return self.data


@given(json_rows)
@settings(max_examples=100, deadline=None)
def test_mlflow_answers_the_same(models, given_rows):
    model = models["binary"]
    expected = model.answer(given_rows)
    table = frame(given_rows)
    columns = {name: np.array(table[name].to_list(), dtype=object) for name in TYPES}
    columns["f"] = table["f"].fill_null(math.nan).to_numpy()
    columns["more"] = np.zeros(len(given_rows))
    answered = PyfuncModel(model).predict(DataFrame(columns))
    assert isinstance(answered, DataFrame)
    assert answered.data == {key: [answer[key] for answer in expected] for key in ("prediction", "proba")}
    assert PyfuncModel(model).predict(given_rows) == expected
    assert PyfuncModel(model).predict({name: [row.get(name) for row in given_rows] for name in TYPES}) == expected


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats() | st.integers(-5, 5).map(float),
            st.none() | st.dates(),
            st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
            st.none() | st.sampled_from(LEVELS),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([("ms", None), ("us", None), ("ns", None), ("us", "America/New_York"), ("ms", "Asia/Kolkata")]),
    st.sampled_from([pl.String, pl.Categorical, pl.Enum(LEVELS)]),
)
@settings(max_examples=200, deadline=None)
def test_a_table_shown_as_a_request_means_the_same(table_rows, unit_and_zone, strings):
    """NaN and infinity have no JSON, times have units and zones, strings are stored in several ways."""
    unit, zone = unit_and_zone
    times_at = [row[2] for row in table_rows]
    table = pl.DataFrame(
        {
            "b": pl.Series([None] * len(table_rows), dtype=pl.Boolean),
            "i": pl.Series([1] * len(table_rows), dtype=pl.Int8),
            "f": pl.Series([row[0] for row in table_rows], dtype=pl.Float64),
            "s": pl.Series([row[3] for row in table_rows], dtype=pl.String).cast(strings),
            "d": pl.Series([row[1] for row in table_rows], dtype=pl.Date),
            "t": pl.Series(times_at, dtype=pl.Datetime("us", "UTC")).dt.cast_time_unit(unit),
            "r": pl.Series([row[3] for row in table_rows], dtype=pl.String).cast(strings),
            "w": pl.Series([row[3] for row in table_rows], dtype=pl.String).cast(strings),
        }
    )
    table = table.with_columns(
        pl.col("t").dt.replace_time_zone(None) if zone is None else pl.col("t").dt.convert_time_zone(zone)
    )
    wanted = signature("regression")
    as_request = rows.batch_from_rows(wanted, records(table, wanted))
    assert same(features.matrix(FEATURES, as_request), features.matrix(FEATURES, batches.batch(table, wanted)))
