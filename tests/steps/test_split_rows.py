"""Where rows go: stable when data grows, copies and groups together, exact shares, and what the certificate says."""

from __future__ import annotations

import datetime
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlops_cli.errors import EmptyInput, InputUnusable, SchemaMismatch, UnknownColumn, Usage
from mlops_cli.steps import split, split_hash, split_options
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Output
from mlops_cli.steps.references import Given
from mlops_cli.steps.split import Options
from mlops_cli.store.workspace import Workspace

START = datetime.datetime(2013, 1, 1)
PARTS = ("train", "valid", "test")


def divide(
    folder: Path, frame: pl.DataFrame, options: Options, name: str = "t"
) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """The parts and the certificate."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.parquet"
    frame.write_parquet(path)
    outcome = split.run(Context(workspace=Workspace(folder / ".mlops")), Given(str(path)), options, Output())
    assert outcome.artefact is not None
    made = outcome.artefact
    parts = {part: pl.read_parquet(made.tables(part)) for part in PARTS}
    return parts, json.loads(made.read("certificate.json"))


def table(rows: int, groups: int = 40) -> pl.DataFrame:
    return pl.DataFrame({
        "id": range(rows),
        "group": [f"g{number * 7919 % groups}" for number in range(rows)],
        "label": ["rare" if number % 10 == 0 else "often" for number in range(rows)],
        "when": [START + datetime.timedelta(hours=number // 3) for number in range(rows)],
        "x": [number / 7 for number in range(rows)],
    })  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([None, "a", "b"])), min_size=60, max_size=120),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from([None, "a", "b"])), max_size=60),
    st.integers(0, 3),
    st.sampled_from([Options(), Options(key=("n",)), Options(group="n")]),
)
def test_rows_stay_where_they_were_when_data_grows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], more: list[Any], seed: int, options: Options
) -> None:
    """The heart of it: adding rows moves none, and no exact copy crosses parts."""
    folder = tmp_path_factory.mktemp("split")
    options = Options(key=options.key, group=options.group, seed=seed, test="0.3", valid="0.3")
    small = pl.DataFrame(rows, schema={"n": pl.Int64, "s": pl.String}, orient="row")
    large = pl.concat([small, pl.DataFrame(more, schema=small.schema, orient="row")]).cast({"n": pl.Float64})
    try:
        before, _ = divide(folder, small, options, "small")
        after, certificate = divide(folder, large.reverse(), options, "large")
    except InputUnusable:
        assume(False)
    placed = {row: part for part in PARTS for row in after[part].rows()}
    for part in PARTS:
        assert all(placed[row] == part for row in before[part].rows())
    assert sum(frame.height for frame in after.values()) == large.height
    assert len(placed) == large.n_unique()
    assert certificate["clean"] and certificate["leaks"]["duplicate_rows"] == 0


def test_parts_are_the_rows_in_their_order_and_follow_the_hash(tmp_path: Path) -> None:
    frame = table(2000)
    parts, certificate = divide(tmp_path, frame, Options())
    hashes = frame.with_columns(split_hash.hashed(frame.schema, frame.columns, 0))
    limits = [0, int(Fraction("0.2") * 2**64), int(Fraction("0.3") * 2**64), 2**64]
    for part, low, high in (("test", *limits[:2]), ("valid", *limits[1:3]), ("train", *limits[2:])):
        inside = [row[:-1] for row in hashes.rows() if low <= row[-1] < high]
        assert parts[part].rows() == inside
        assert certificate["parts"][part]["rows"] == len(inside)
    assert certificate["method"] == "row" and certificate["seed"] == 0
    assert certificate["leaks"] == {"duplicate_rows": 0, "group_overlap": None, "time_overlap": None}


def test_many_row_groups_stay_in_step_with_their_parts(tmp_path: Path) -> None:
    """polars loses the order of row groups in some queries: nothing but the right rows may be in a part."""
    frame = pl.DataFrame({"n": range(400_000)}).with_columns(when=pl.col("n") // 100, key=pl.col("n") % 1000)
    parts, _ = divide(tmp_path, frame, Options(time="when"))
    assert parts["test"]["n"].to_list() == list(range(320_000, 400_000))
    assert parts["valid"]["n"].to_list() == list(range(280_000, 320_000))
    parts, _ = divide(tmp_path, frame, Options(group="key"))
    keys = [set(part["key"]) for part in parts.values()]
    assert sum(map(len, keys)) == 1000 and sum(part.height for part in parts.values()) == 400_000


def test_a_larger_test_share_keeps_the_test_rows(tmp_path: Path) -> None:
    small, _ = divide(tmp_path, table(900), Options(test="0.1"))
    large, _ = divide(tmp_path, table(900), Options(test="0.3"))
    assert set(small["test"]["id"]) < set(large["test"]["id"])


def test_seed_and_key_decide(tmp_path: Path) -> None:
    frame = table(600)
    ids = [divide(tmp_path, frame, Options(seed=seed))[0]["test"]["id"].to_list() for seed in (0, 1)]
    assert ids[0] != ids[1]
    keyed, certificate = divide(tmp_path, frame, Options(key=("id",)))
    changed, _ = divide(tmp_path, frame.with_columns(pl.col("x") * 2), Options(key=("id",)))
    assert keyed["test"]["id"].to_list() == changed["test"]["id"].to_list()
    assert certificate["columns"] == ["id"]


def test_groups_stay_together(tmp_path: Path) -> None:
    parts, certificate = divide(tmp_path, table(900), Options(group="group", test="0.3", valid="0.2"))
    groups = [set(part["group"]) for part in parts.values()]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert certificate["leaks"]["group_overlap"] == 0 and certificate["method"] == "group"


@pytest.mark.parametrize("rows", [100, 1003])
def test_strata_have_exact_shares(tmp_path: Path, rows: int) -> None:
    frame = table(rows)
    parts, certificate = divide(tmp_path, frame, Options(stratify="label"))
    for label in ("rare", "often"):
        total = (frame["label"] == label).sum()
        counts = [(parts[part]["label"] == label).sum() for part in ("test", "valid")]
        assert abs(counts[0] - total * 0.2) <= 0.5 and abs(counts[0] + counts[1] - total * 0.3) <= 0.5
    told = {one["value"]: one["rows"] for one in certificate["parts"]["test"]["strata"]}
    assert told == dict(parts["test"]["label"].value_counts().rows())


def test_strata_with_missing_values_and_copies(tmp_path: Path) -> None:
    frame = pl.DataFrame({"label": [None, "a"] * 50, "x": [0] * 50 + list(range(50))})
    parts, certificate = divide(tmp_path, frame, Options(stratify="label"))
    assert certificate["leaks"]["duplicate_rows"] == 0
    assert sum(part.height for part in parts.values()) == 100
    assert any(one["value"] is None for part in certificate["parts"].values() for one in part["strata"])


def test_time_cuts_between_whole_timestamps(tmp_path: Path) -> None:
    frame = table(600).sample(fraction=1, shuffle=True, seed=1)
    parts, certificate = divide(tmp_path, frame, Options(time="when"))
    assert parts["train"]["when"].max() < parts["valid"]["when"].min()
    assert parts["valid"]["when"].max() < parts["test"]["when"].min()
    assert [parts[part].height for part in PARTS] == [420, 60, 120]
    assert certificate["cut_offs"] == {"column": "when", "valid": "2013-01-06T20:00:00", "test": "2013-01-07T16:00:00"}
    assert certificate["leaks"]["time_overlap"] == 0 and certificate["seed"] is None


def test_embargo_leaves_out_what_is_just_before_a_cut(tmp_path: Path) -> None:
    parts, certificate = divide(tmp_path, table(600), Options(time="when", embargo="2h"))
    assert [parts[part].height for part in PARTS] == [414, 54, 120]
    assert certificate["embargoed"] == 12
    assert parts["valid"]["when"].max() < parts["test"]["when"].min() - datetime.timedelta(hours=2)


@pytest.mark.parametrize(
    ("dtype", "test", "valid", "first"),
    [
        (pl.Datetime("us"), "2013-01-08", "2013-01-07T12:00", "2013-01-08T00:00:00"),
        (pl.Datetime("ms", "UTC"), "2013-01-08T00:00Z", "0.1", "2013-01-08T00:00:00Z"),
        (pl.Datetime("us", "America/New_York"), "2013-01-07T19:00", "0.1", "2013-01-08T00:00:00Z"),
        (pl.Date, "2013-01-08", "2013-01-06", "2013-01-08"),
    ],
)
def test_dates_are_cuts(tmp_path: Path, dtype: Any, test: str, valid: str, first: str) -> None:
    when = pl.col("when") if getattr(dtype, "time_zone", None) is None else pl.col("when").dt.replace_time_zone("UTC")
    frame = table(600).with_columns(when.cast(dtype))
    parts, certificate = divide(tmp_path, frame, Options(time="when", test=test, valid=valid))
    assert certificate["cut_offs"]["test"] == first
    assert parts["test"].height == 3 * 32
    assert certificate["clean"]


def test_numbers_are_times_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"month": [number % 12 + 1 for number in range(240)], "x": range(240)})
    parts, certificate = divide(tmp_path, frame, Options(time="month", test="11", valid="0.2", embargo="1"))
    assert set(parts["test"]["month"]) == {11, 12}
    assert certificate["cut_offs"] == {"column": "month", "valid": 9, "test": 11}
    assert set(parts["train"]["month"]) == set(range(1, 8)) and set(parts["valid"]["month"]) == {9}
    assert certificate["embargoed"] == 40


REFUSED: dict[str, tuple[Options, type[Exception], str]] = {
    "no rows left": (Options(test="0.5", valid="0.5"), Usage, "leave no rows"),
    "zero": (Options(test="0"), Usage, "more than 0"),
    "negative": (Options(valid="-0.1"), Usage, "more than 0"),
    "text": (Options(test="lots"), Usage, "not a share"),
    "a date without time": (Options(test="2013-01-01"), Usage, "not a share"),
    "more than all": (Options(test="2"), Usage, "leave no rows"),
    "two ways": (Options(group="group", stratify="label"), Usage, "exclude"),
    "two other ways": (Options(time="when", stratify="label"), Usage, "exclude"),
    "key and group": (Options(group="group", key=("id",)), Usage, "exclude"),
    "embargo alone": (Options(embargo="1h"), Usage, "gap in time"),
    "embargo": (Options(time="when", embargo="soon"), Usage, "not a duration"),
    "seed": (Options(seed=-1), Usage, "seed"),
    "time is no date": (Options(time="when", test="tomorrow"), Usage, "neither a share nor a time"),
    "wrong order": (Options(time="when", test="2013-01-03", valid="2013-01-04"), Usage, "before"),
    "unknown": (Options(group="grup"), UnknownColumn, "no column 'grup'"),
    "unknown key": (Options(key=("id", "nope")), UnknownColumn, "no column 'nope'"),
    "time of text": (Options(time="group"), SchemaMismatch, "not of times"),
    "one time": (Options(time="same"), InputUnusable, "distinct"),
    "cut after all": (Options(time="when", test="2099-01-01"), InputUnusable, "test part would be empty"),
    "no hashes": (Options(near="group"), SchemaMismatch, "not of 64-bit perceptual hashes"),
    "too near": (Options(near="id=40"), Usage, "not 0 to 16 bits"),
    "no such hashes": (Options(near="phas"), UnknownColumn, "no column 'phas'"),
    "few groups": (Options(group="same"), InputUnusable, "too few groups"),
    "strata of everything": (Options(stratify="name"), InputUnusable, "distinct values"),
    "group is missing": (Options(group="hole"), InputUnusable, "1 rows have no value in 'hole'"),
    "time is missing": (Options(time="hole"), InputUnusable, "1 rows have no value in 'hole'"),
    "key is missing": (Options(key=("hole",)), InputUnusable, "1 rows have no value in 'hole'"),
    "key with strata is missing": (Options(key=("hole",), stratify="label"), InputUnusable, "no value in 'hole'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    options, error, words = REFUSED[name]
    frame = table(300).with_columns(same=pl.lit(1), hole=pl.when(pl.col("id") != 7).then(pl.col("id") * 0.5))
    frame = frame.with_columns(name=pl.format("name {}", "id"))
    with pytest.raises(error, match=words) as found:
        divide(tmp_path, frame, options)
    assert type(found.value) is error
    assert not list((tmp_path / ".mlops").rglob("manifest.json"))


FAR = 253_402_300_800_000_000  # the first microsecond of the year 10000


@pytest.mark.parametrize("dtype", [pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Datetime("ms"), pl.Date])
@pytest.mark.parametrize(
    "options",
    [Options(time="when"), Options(time="when", folds=2), Options(stratify="when"), Options(time="id", group="when")],
)
def test_times_after_the_year_9999(tmp_path: Path, dtype: Any, options: Options) -> None:
    number = pl.col("id") % 2 if options.time == "id" or options.stratify else pl.col("id")
    far = (FAR // 86_400_000_000 + number if dtype == pl.Date else FAR + number).cast(dtype)
    if dtype == pl.Datetime("ms"):
        far = (2**60 + number).cast(dtype)  # microseconds since 1970 do not fit 64 bits
    with pytest.raises(InputUnusable, match=r"outside of the years 1 to 9999|do not reach|overflowed"):
        divide(tmp_path, table(300).with_columns(when=far), options)


def test_too_few_rows_and_none(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match="would be empty"):
        divide(tmp_path, table(2), Options())
    with pytest.raises(EmptyInput):
        divide(tmp_path, table(3).clear(), Options())


def test_columns_may_be_called_anything(tmp_path: Path) -> None:
    frame = table(300).rename({"id": "part", "group": "g[0]", "x": "hash", "label": "part_", "when": "row"})
    parts, _ = divide(tmp_path, frame, Options(group="g[0]", test="0.3"))
    assert parts["train"].columns == frame.columns
    assert sorted(row for part in parts.values() for row in part.rows()) == sorted(frame.rows())
    divide(tmp_path, frame, Options(stratify="part_"))
    divide(tmp_path, frame, Options(time="row"))


@given(st.fractions(0, 1, max_denominator=1000))
def test_shares_are_exact(number: Fraction) -> None:
    text = f"{float(number):.6f}"
    assert split_options.share(text) == Fraction(text)
    assert split_options.share(f"{float(number) * 100:.4f}%") == Fraction(f"{float(number) * 100:.4f}") / 100
