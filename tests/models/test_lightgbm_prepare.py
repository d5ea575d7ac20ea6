"""The fitted preparation: what each column is used as, and what is left out and why."""

import datetime as dt

import polars as pl
import pytest
from learnable import INPUTS, USED, table

from mlops_cli.errors import InputUnusable
from mlops_cli.models.lightgbm_prepare import MOST_LEVELS, prepare


def test_every_kind_of_column():
    prepared = prepare(table().select(*INPUTS, "yes").lazy(), "yes")
    by_name = {column.name: column for column in prepared.features.columns}
    assert list(by_name) == USED
    assert (by_name["x"].type, by_name["x"].use) == ("float", "number")
    assert (by_name["count"].type, by_name["count"].use) == ("int", "number")
    assert by_name["letter"].levels == ["a", "b", "ü"]
    assert by_name["flag"].use == "boolean"
    assert by_name["day"].parts == ["year", "month", "day", "weekday", "days"]  # a date's hour is always 0
    assert by_name["at"].parts == ["year", "month", "day", "weekday", "hour", "minute", "days"]
    nullable = {column.name: column.nullable for column in prepared.columns}
    assert nullable == {"x": True, "count": False, "letter": True, "flag": False, "day": False, "at": True}


def test_what_is_left_out_has_a_reason():
    prepared = prepare(table().select(*INPUTS, "yes").lazy(), "yes")
    reasons = {column.name: column.reason for column in prepared.features.dropped}
    assert reasons == {
        "id": "different in every row, an identifier",
        "constant": "always 1",
        "empty": "all null",
        "list": "of type list, which no matrix holds",
    }
    assert "left out id: different in every row, an identifier" in prepared.notes


def left_out(values, dtype=None):
    """Why a column of these values is left out, beside one that is not."""
    values = pl.Series(values, dtype=dtype)
    frame = pl.LazyFrame({"a": values, "b": pl.Series(range(len(values))), "y": pl.Series(range(len(values)))})
    return {column.name: column.reason for column in prepare(frame, "y").features.dropped}.get("a")


def test_constants_and_nothing():
    assert left_out([True, True, True]) == "always true"
    assert left_out(["a", "a", "a"]) == "always 'a'"
    assert left_out([2.5, 2.5, 2.5]) == "always 2.5"
    assert left_out([dt.date(2020, 1, 1)] * 3) == "always the same time"
    assert left_out([float("nan"), float("inf"), None]) == "no finite value"
    assert left_out([None, None], pl.Null) == left_out([None, None], pl.String) == "all null"
    assert left_out([None, None], pl.Boolean) == left_out([None, None], pl.Date) == "all null"
    # Whether there is a value can be worth knowing.
    assert left_out([2.5, None, 2.5]) is None
    assert left_out([True, None, True]) is None
    assert left_out(["a", None, "a"]) is None
    assert left_out([2.5, float("nan"), 2.5]) is None


def test_strings_that_are_all_different_are_identifiers_when_there_are_enough():
    assert left_out([f"n{index}" for index in range(19)]) is None
    assert left_out([f"n{index}" for index in range(20)]) == "different in every row, an identifier"
    assert left_out([*(f"n{index}" for index in range(20)), "n0"]) is None


def test_the_commonest_levels_are_kept():
    levels = [f"{index:05}" for index in range(MOST_LEVELS + 5)]
    values = levels + levels[3:] * 2  # the first three are rarer; of the rest the first by name are kept
    prepared = prepare(pl.LazyFrame({"a": values, "y": range(len(values))}), "y")
    assert prepared.features.columns[0].levels == levels[3 : MOST_LEVELS + 3]
    assert any("1,005 levels" in note and "9 rows have another" in note for note in prepared.notes)


def test_no_column_left():
    with pytest.raises(InputUnusable, match="no column to learn from"):
        prepare(pl.LazyFrame({"a": [1, 1], "y": [1, 2]}), "y")
    with pytest.raises(InputUnusable, match="the target is the only one"):
        prepare(pl.LazyFrame({"y": [1, 2]}), "y")


def test_many_that_are_left_out_are_told_in_short():
    frame = pl.LazyFrame({f"c{index}": [1, 1] for index in range(40)} | {"a": [1, 2], "y": [1, 2]})
    notes = prepare(frame, "y").notes
    assert len(notes) == 13 and "28 more" in notes[-1]
