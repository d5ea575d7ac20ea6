"""Features: what each kind of column becomes, and files that contradict themselves."""

import math
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_cli.errors import Corrupt, Missing
from mlops_cli.runtime import features, signature, times
from mlops_cli.runtime.columns import Column, rows_of

EPOCH = datetime(1970, 1, 1)
FITTED = features.Features(
    [
        features.FeatureColumn("n", "float", "number"),
        features.FeatureColumn("t", "date", "time", parts=["month", "day"]),
        features.FeatureColumn("b", "bool", "boolean"),
        features.FeatureColumn("c", "string", "category", levels=["x", "y"]),
    ],
    [features.Dropped("z", "all null")],
)


def test_matrix():
    day = 86_400_000_000
    batch = {
        "n": Column(np.array([1.5, np.inf, 0.0]), np.array([False, False, True])),
        "t": Column(np.array([0, 31 * day, -day])),
        "b": Column(np.array([True, False, True]), np.array([False, False, True])),
        "c": Column(np.array([1, -1, 0], dtype=np.int32), None, ["unseen", "y"]),
    }
    expected = [[1.5, 1, 1, 1, 1], [np.nan, 2, 1, 0, np.nan], [np.nan, 12, 31, np.nan, np.nan]]
    np.testing.assert_array_equal(features.matrix(FITTED, batch), np.array(expected))
    assert features.names(FITTED) == ["n", "t.month", "t.day", "b", "c"]
    assert FITTED.width == 5
    assert rows_of(batch) == 3 and rows_of({}) == 0


def test_matrix_leaves_the_batch_as_it_was():
    values = np.array([np.inf, 1.0])
    features.matrix(features.Features(FITTED.columns[:1]), {"n": Column(values, np.array([False, True]))})
    assert values.tolist() == [np.inf, 1.0]


def test_matrix_without_rows():
    batch = {
        "n": Column(np.empty(0)),
        "t": Column(np.empty(0, dtype=np.int64)),
        "b": Column(np.empty(0, dtype=bool)),
        "c": Column(np.empty(0, dtype=np.int32), None, []),
    }
    assert features.matrix(FITTED, batch).shape == (0, 5)


def test_file_round_trip():
    data = features.encode(FITTED)
    assert features.decode(data) == FITTED
    assert msgspec.json.decode(data)["dropped"] == [{"name": "z", "reason": "all null"}]
    assert b"parts" not in data.split(b'"n"')[1].split(b"}")[0]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b'{"columns":[{"name":"a","type":"float","use":"pickle"}]}',
        b'{"columns":[{"name":"a","type":"string","use":"number"}]}',
        b'{"columns":[{"name":"a","type":"string","use":"category"}]}',
        b'{"columns":[{"name":"a","type":"string","use":"category","levels":["x","x"]}]}',
        b'{"columns":[{"name":"a","type":"date","use":"time","parts":["century"]}]}',
        b'{"columns":[{"name":"a","type":"date","use":"time"}]}',
        b'{"columns":[{"name":"a","type":"int","use":"number"},{"name":"a","type":"int","use":"number"}]}',
        b'{"columns":[{"name":"a","type":"string","use":"category","levels":["x"],"rare":["x"]}]}',
        b'{"columns":[{"name":"a","type":"string","use":"words"}]}',
        b'{"columns":[{"name":"a","type":"string","use":"words","buckets":0}]}',
        b'{"columns":[{"name":"a","type":"string","use":"words","buckets":99999999}]}',
        b'{"columns":[{"name":"a","type":"int","use":"words","buckets":4}]}',
        b'{"format":3,"columns":[]}',
    ],
)
def test_a_damaged_features_file(broken):
    with pytest.raises(Corrupt):
        features.decode(broken)


FORMAT_2 = b"""{"columns":[
 {"name":"c","type":"string","use":"category","levels":["x","y"],"rare":["z"]},
 {"name":"t","type":"datetime","use":"time","parts":["hour_sin","weekday_cos","yearday_sin","elapsed"],
  "origin":1704067200000000},
 {"name":"w","type":"string","use":"words","buckets":8}],"dropped":[],"format":2}"""


def test_a_file_of_format_2_means_what_it_meant():
    """Numbers that must never change: models in use were fitted on them."""
    fitted = features.decode(FORMAT_2)
    batch = {
        "c": Column(np.array([0, 1, 2, -1], dtype=np.int32), None, ["y", "z", "new"]),
        "t": Column(np.array([1704067200000000, 1711965600500000, 0, 0]), np.array([False, False, False, True])),
        "w": Column(np.array([0, 1, 0, -1], dtype=np.int32), None, ["The late, LATE parcel; Zürich", ""]),
    }
    nan = math.nan
    words = [1, 0, 1, 0, 0, 2, 1, 0]
    expected = [
        [1, 0, 1, 0, 0, *words],
        [2, 0.5, 1, 0.99999, 91.416672, *[0] * 8],
        [2, 0, -0.900969, 0, -19723, *words],
        [nan, nan, nan, nan, nan, *[nan] * 8],
    ]
    np.testing.assert_allclose(features.matrix(fitted, batch), expected, atol=1e-5)
    assert features.encode(features.fitted(fitted.columns, [])) == features.encode(fitted)
    assert len(features.names(fitted)) == fitted.width == 13


def test_the_format_is_no_higher_than_needed():
    assert features.fitted(FITTED.columns, []).format == 1
    for column in features.decode(FORMAT_2).columns:
        assert features.fitted([*FITTED.columns, column], []).format == 2


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_cycles_are_where_the_clock_and_the_calendar_are(time):
    micros = (time - EPOCH) // timedelta(microseconds=1)
    turns = {
        "hour": (time.hour * 60 + time.minute) / 1440,
        "weekday": time.weekday() / 7,
        "yearday": (time.timetuple().tm_yday - 1) / 365.25,
    }
    for name, turn in turns.items():
        expected = [math.sin(2 * math.pi * turn), math.cos(2 * math.pi * turn)]
        assert times.parts(micros, [f"{name}_sin", f"{name}_cos"]) == pytest.approx(expected, abs=1e-6)
    assert times.parts(micros, ["elapsed"], 86_400_000_000) == [pytest.approx((time - EPOCH) / timedelta(days=1) - 1)]


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_parts_are_the_calendars(time):
    micros = (time - EPOCH) // timedelta(microseconds=1)
    expected = [time.year, time.month, time.day, time.weekday(), time.hour, time.minute, (time - EPOCH).days]
    assert times.parts(micros, times.PARTS) == expected
    assert [part.tolist() for part in times.parts(np.array([micros, 0]), times.PARTS)] == [
        [number, other] for number, other in zip(expected, [1970, 1, 1, 3, 0, 0, 0], strict=True)
    ]


def test_parts_far_outside_the_calendar_of_python():
    assert times.parts(-(2**63) + 1, ["year"]) == [-290_308]


def test_signature_file(tmp_path):
    made = signature.Signature(
        "lightgbm", "binary", "late", [signature.InputColumn("a", "int", False)], [False, True], True
    )
    (tmp_path / "signature.json").write_bytes(signature.encode(made))
    assert signature.load_signature(tmp_path) == made
    assert made.names == ["a"] and made.positive_index() == 1
    with pytest.raises(Missing):
        signature.load_signature(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"task": "clustering"},
        {"classes": [True]},
        {"classes": [True, True]},
        {"classes": None},
        {"positive": 3},
        {"task": "regression"},
        {"columns": [{"name": "a", "type": "complex"}]},
        {"columns": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]},
    ],
)
def test_a_damaged_signature(change):
    sound = {"family": "f", "task": "binary", "target": "y", "columns": [], "classes": [0, 1], "positive": 1}
    assert signature.decode(msgspec.json.encode(sound)).classes == [0, 1]
    with pytest.raises(Corrupt):
        signature.decode(msgspec.json.encode({**sound, **change}))


def test_only_a_binary_signature_has_a_positive_class():
    with pytest.raises(ValueError):
        signature.Signature("f", "regression", "y", []).positive_index()
