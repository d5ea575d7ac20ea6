"""Requests checked against the signature: what is taken, and what is refused where."""

import numpy as np
import pytest

from mlops_cli.runtime import rows
from mlops_cli.runtime.predictors import Prediction
from mlops_cli.runtime.rows import RequestError
from mlops_cli.runtime.signature import InputColumn, Signature

KINDS = ["bool", "int", "float", "string", "date", "datetime"]
SIGNATURE = Signature("f", "regression", "y", [InputColumn(kind, kind) for kind in KINDS])
STRICT = Signature("f", "regression", "y", [InputColumn("a", "int", nullable=False), InputColumn("b", "int")])


def one(name, value):
    return rows.batch_from_rows(SIGNATURE, [{name: value}])[name]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bool", True, True),
        ("int", 3, 3),
        ("int", 3.0, 3),
        ("int", -(2**63), -(2**63)),
        ("float", 3, 3.0),
        ("float", 2.5, 2.5),
        ("float", 2**80, float(2**80)),
        ("date", "1970-01-02", 86_400_000_000),
        ("date", "1969-12-31", -86_400_000_000),
        ("datetime", "1970-01-01", 0),
        ("datetime", "1970-01-01T00:00:01", 1_000_000),
        ("datetime", "1970-01-01T00:00:01.000002Z", 1_000_002),
        ("datetime", "1970-01-01T02:00:00+02:00", 0),
    ],
)
def test_taken(name, value, expected):
    column = one(name, value)
    assert column.null is None
    assert column.values.tolist() == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("bool", value) for value in (0, 1, "true", 1.0)),
        *(("int", value) for value in (True, 2.5, "3", 2**63, -(2**63) - 1, 1e300, [1])),
        *(("float", value) for value in (False, "2.5", {}, [2.5])),
        *(("string", value) for value in (1, True, ["a"], {"a": 1})),
        *(("date", value) for value in ("1970-13-01", "19700101", "1970-01-01T00:00:00", 5, "")),
        *(("datetime", value) for value in ("yesterday", 5, "1970-01-01T25:00:00", "0000-01-01T00:00:00")),
    ],
)
def test_refused(name, value):
    with pytest.raises(RequestError) as caught:
        rows.batch_from_rows(SIGNATURE, [{}, {name: value}])
    assert (caught.value.row, caught.value.column) == (1, name)
    assert name in caught.value.message and "\n" not in caught.value.message
    with pytest.raises(RequestError) as again:
        rows.batch_from_columns(SIGNATURE, {name: [None, value]})
    assert (again.value.message, again.value.row, again.value.column) == (caught.value.message, 1, name)


def test_an_integer_far_too_large_for_a_float_is_refused():
    with pytest.raises(RequestError):
        one("float", 10**400)


def test_strings_are_codes_into_levels():
    batch = rows.batch_from_rows(SIGNATURE, [{"string": "b"}, {"string": None}, {"string": "a"}, {"string": "b"}])
    assert batch["string"].levels == ["b", "a"]
    assert batch["string"].values.tolist() == [0, -1, 1, 0]
    assert batch["string"].values.dtype == np.int32


def test_null_and_absence():
    batch = rows.batch_from_rows(STRICT, [{"a": 1}, {"a": None, "b": 2}])
    assert batch["a"].null.tolist() == [False, True]
    assert batch["b"].null.tolist() == [True, False]
    with pytest.raises(RequestError, match="'a' is missing") as caught:
        rows.batch_from_rows(STRICT, [{"a": 1}, {"b": 2}])
    assert (caught.value.row, caught.value.column) == (1, "a")
    assert rows.batch_from_columns(STRICT, {"a": [1, 2]})["b"].null.tolist() == [True, True]
    with pytest.raises(RequestError, match="missing"):
        rows.batch_from_columns(STRICT, {"b": [1, 2]})


def test_unknown_columns_and_shapes():
    with pytest.raises(RequestError, match="unknown column 'c'") as caught:
        rows.batch_from_rows(STRICT, [{"a": 1, "c": 2}])
    assert (caught.value.row, caught.value.column) == (0, "c")
    with pytest.raises(RequestError, match="unknown column"):
        rows.batch_from_columns(STRICT, {"a": [1], "c": [2]})
    with pytest.raises(RequestError, match="differ in length"):
        rows.batch_from_columns(STRICT, {"a": [1], "b": [1, 2]})
    with pytest.raises(RequestError, match="object"):
        rows.batch_from_rows(STRICT, [[1, 2]])
    assert len(rows.batch_from_rows(STRICT, [])["a"]) == 0


def test_long_values_are_shown_short():
    with pytest.raises(RequestError) as caught:
        one("int", "x" * 5000)
    assert len(caught.value.message) < 150


def test_answers():
    assert rows.answers(SIGNATURE, Prediction(np.array([1.5, 2.0]))) == [{"prediction": 1.5}, {"prediction": 2.0}]
    classifier = Signature("f", "binary", "y", [], ["no", "yes"], "yes")
    found = rows.answers(classifier, Prediction(np.array([1, 0], dtype=np.int32), np.array([[0.25, 0.75], [1.0, 0.0]])))
    assert found == [{"prediction": "yes", "proba": [0.25, 0.75]}, {"prediction": "no", "proba": [1.0, 0.0]}]
    assert rows.answers(classifier, Prediction(np.array([1]))) == [{"prediction": "yes"}]
