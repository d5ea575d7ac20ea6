"""The fitted preparation: what each column is used as, and what is left out and why."""

import datetime as dt

import polars as pl
import pytest
from learnable import INPUTS, USED, table

from mlops_cli.errors import InputUnusable
from mlops_cli.models.base import Columns
from mlops_cli.models.lightgbm_prepare import prepare
from mlops_cli.models.prepare_texts import BUCKETS, MOST_LEVELS


def test_every_kind_of_column():
    prepared = prepare(table().select(*INPUTS, "yes").lazy(), "yes")
    by_name = {column.name: column for column in prepared.features.columns}
    assert list(by_name) == USED
    assert (by_name["x"].type, by_name["x"].use) == ("float", "number")
    assert (by_name["count"].type, by_name["count"].use) == ("int", "number")
    assert by_name["letter"].levels == ["a", "b", "ü"]
    assert by_name["flag"].use == "boolean"
    week, year = ["weekday_sin", "weekday_cos"], ["yearday_sin", "yearday_cos"]
    # A date's hour is always 0.
    assert by_name["day"].parts == ["year", "month", "day", "weekday", *week, *year, "elapsed"]
    clock = ["hour", "minute", "hour_sin", "hour_cos"]
    assert by_name["at"].parts == ["year", "month", "day", "weekday", *clock, *week, *year, "elapsed"]
    assert by_name["day"].origin == (dt.date(2020, 1, 1) - dt.date(1970, 1, 1)).days * 86_400_000_000
    assert prepared.features.format == 2
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
    frame = pl.LazyFrame({"a": values, "b": [index % 2 for index in range(len(values))], "y": range(len(values))})
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
    many = [f"n{index // 2}" for index in range(20_000)]
    assert "nearly an identifier" in left_out(many)


def test_uuids_that_hardly_repeat_are_identifiers():
    uuids = [f"{index:08x}-0000-4000-8000-{index:012x}" for index in range(40)]
    assert left_out(uuids + uuids[:3]) == "UUIDs that hardly repeat, an identifier"
    assert left_out(uuids[:4] * 10) is None


def test_row_numbers_are_left_out_and_years_and_measurements_are_not():
    number = "whole numbers, different in every row: a row number"
    assert left_out(range(1, 41)) == left_out([*range(1000, 1040, 2), *range(1001, 1041, 2)]) == number
    assert left_out(range(0, 80, 2)) == number  # half of a table's rows
    assert left_out(range(0, 120, 3)) is None
    assert left_out(range(1960, 2000)) is None
    assert left_out([*range(39), 0]) is None
    assert left_out([*range(39), None]) is None
    assert left_out(range(19)) is None


def test_include_takes_back_what_can_be_learnt_from():
    frame = pl.LazyFrame(
        {"row": range(40), "id": [f"n{index}" for index in range(40)], "one": [1] * 40, "y": range(40)}
    )
    found = prepare(frame, "y", Columns(include=frozenset(["row", "id", "one"])))
    assert [column.name for column in found.features.columns] == ["row", "id"]
    assert found.notes[0] == "left out one: always 1, --include or not"


def test_what_was_left_out_before_is_recorded():
    frame = pl.LazyFrame({"a": [1, 2], "y": [1, 2]})
    found = prepare(frame, "y", Columns({"b": "as --exclude says"}))
    assert [(one.name, one.reason) for one in found.features.dropped] == [("b", "as --exclude says")]
    assert found.notes == ["left out b: as --exclude says"]


def test_rare_levels_share_a_code_and_the_commonest_are_kept():
    values = [f"{index:04}" for index in range(MOST_LEVELS + 5) for _ in range(10 if index < 3 else 20)] + ["rare"] * 9
    prepared = prepare(pl.LazyFrame({"a": values, "y": range(len(values))}), "y")
    (column,) = prepared.features.columns
    # Too many: of levels as common the first by name are kept.
    assert column.levels == [f"{index:04}" for index in range(3, MOST_LEVELS + 3)]
    assert column.rare == [
        *(f"{index:04}" for index in range(3)),
        *(f"{index:04}" for index in range(MOST_LEVELS + 3, MOST_LEVELS + 5)),
        "rare",
    ]
    assert column.other == MOST_LEVELS and prepared.features.format == 2
    assert f"{MOST_LEVELS + 6} levels; {MOST_LEVELS} are used, 79 rows have a rarer one" in prepared.notes[0]


def test_every_level_of_a_small_table_that_is_there_twice_is_kept():
    column = prepare(pl.LazyFrame({"a": ["u", "u", "v", "v", "w"] * 3 + ["z"], "y": range(16)}), "y").features.columns[
        0
    ]
    assert (column.levels, column.rare) == (["u", "v", "w"], ["z"])


def test_texts_of_several_words_are_hashed():
    texts = [f"the {index}th parcel was {('late', 'lost', 'fine')[index % 3]}" for index in range(300)]
    prepared = prepare(pl.LazyFrame({"a": texts, "y": range(300)}), "y")
    (column,) = prepared.features.columns
    assert (column.use, column.buckets, prepared.features.width) == ("words", BUCKETS, BUCKETS)
    assert "used as their words" in prepared.notes[0]
    assert (
        left_out([f"{index} {index + 1} {index + 2}" for index in range(300)])
        == "different in every row, an identifier"
    )
    # The same texts again and again are a category, however many words they have.
    names = prepare(pl.LazyFrame({"a": ["one of them", "and another one"] * 150, "y": range(300)}), "y")
    assert names.features.columns[0].use == "category"


def test_infinite_values_are_told():
    notes = prepare(
        pl.LazyFrame({"a": [1.0, float("inf"), float("-inf"), 2.0, float("nan")], "y": range(5)}), "y"
    ).notes
    assert notes == ["a: 2 infinite values count as missing"]


def test_the_time_by_which_a_split_was_cut_gives_nothing_that_only_grows():
    frame = pl.LazyFrame({"a": [dt.date(2020, 1, 1) + dt.timedelta(days=index) for index in range(1000)]})
    frame = frame.with_columns(y=pl.int_range(pl.len()))
    assert prepare(frame, "y", Columns(time="b")).features.columns[0].parts[-1] == "elapsed"
    found = prepare(frame, "y", Columns(time="a")).features.columns[0]
    week, year = ["weekday_sin", "weekday_cos"], ["yearday_sin", "yearday_cos"]
    assert found.parts == ["month", "day", "weekday", *week, *year] and found.origin == 0
    short = prepare(frame.head(500), "y", Columns(time="a")).features.columns[0]
    assert short.parts == ["day", "weekday", *week]


def test_no_column_left():
    with pytest.raises(InputUnusable, match="no column to learn from"):
        prepare(pl.LazyFrame({"a": [1, 1], "y": [1, 2]}), "y")
    with pytest.raises(InputUnusable, match="the target is the only one"):
        prepare(pl.LazyFrame({"y": [1, 2]}), "y")


def test_many_that_are_left_out_are_told_in_short():
    frame = pl.LazyFrame({f"c{index}": [1, 1] for index in range(40)} | {"a": [1, 2], "y": [1, 2]})
    notes = prepare(frame, "y").notes
    assert len(notes) == 13 and "28 more" in notes[-1]
