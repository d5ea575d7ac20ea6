"""Folds: every train row measured once, in step with the train part, stable when data grows, windows that expand."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlops_cli.errors import InputUnusable
from mlops_cli.steps import split
from mlops_cli.steps.context import Context
from mlops_cli.steps.memo import Output
from mlops_cli.steps.references import Given
from mlops_cli.steps.split import Options
from mlops_cli.store.workspace import Workspace

Cli = Callable[..., Any]
START = datetime.datetime(2013, 1, 1)
GOLDEN = [0, 0, 3, 0, 1, 3, 2, 1, 2, 0, 1, 4]


def folded(folder: Path, frame: pl.DataFrame, options: Options, name: str = "t") -> tuple[pl.DataFrame, dict[str, Any]]:
    """The train part with its folds beside it, and the certificate."""
    path = folder / f"{name}.parquet"
    frame.write_parquet(path)
    outcome = split.run(Context(workspace=Workspace(folder / ".mlops")), Given(str(path)), options, Output())
    made = outcome.artefact
    assert made is not None
    folds = pl.read_parquet(made.path / "folds.parquet")
    train = pl.read_parquet(made.tables("train"))
    assert folds.height == train.height
    return pl.concat([train, folds], how="horizontal"), json.loads(made.read("certificate.json"))


def names(count: int) -> list[str]:
    return [f"fold_{number}" for number in range(1, count + 1)]


def table(rows: int) -> pl.DataFrame:
    return pl.DataFrame({
        "id": range(rows),
        "group": [f"g{number * 7919 % 60}" for number in range(rows)],
        "label": ["rare" if number % 10 == 0 else "often" for number in range(rows)],
        "when": [START + datetime.timedelta(hours=number // 3) for number in range(rows)],
    })  # fmt: skip


@pytest.mark.parametrize(
    "options", [Options(folds=4), Options(folds=4, group="group"), Options(folds=4, stratify="label", key=("id",))]
)
def test_each_row_is_measured_in_one_fold_and_fitted_on_in_the_others(tmp_path: Path, options: Options) -> None:
    rows, certificate = folded(tmp_path, table(2000), options)
    measured = rows.select(names(4))
    assert measured.null_count().row(0) == (0,) * 4
    assert measured.select(pl.sum_horizontal(pl.all().cast(pl.Int8))).to_series().unique().to_list() == [1]
    told = certificate["folds"]
    assert [one["valid"] for one in told["folds"]] == list(measured.sum().row(0))
    assert all(one["train"] + one["valid"] == rows.height and one["left_out"] == 0 for one in told["folds"])
    if options.group:
        of = rows.group_by("group").agg(pl.struct(names(4)).n_unique().alias("places"))
        assert of["places"].unique().to_list() == [1]
    if options.stratify:
        rare = rows.filter(pl.col("label") == "rare").select(names(4)).sum().row(0)
        assert max(rare) - min(rare) <= 1


def test_folds_say_nothing_of_parts_and_are_of_like_size(tmp_path: Path) -> None:
    """The hash that put a row into train is a large one; folds must not all be those of large hashes."""
    rows, _ = folded(tmp_path, pl.DataFrame({"id": range(20_000)}), Options(folds=5, test="0.6", valid="0.2"))
    sizes = rows.select(names(5)).sum().row(0)
    assert min(sizes) > 0.9 * rows.height / 5 and max(sizes) < 1.1 * rows.height / 5


def test_the_fold_of_a_row_is_for_ever(tmp_path: Path) -> None:
    """floor(5 · (hash · 0x9E3779B97F4A7C15 mod 2⁶⁴) / 2⁶⁴), written again; a change here moves people's folds."""
    from mlops_cli.steps import split_hash

    rows, _ = folded(tmp_path, pl.DataFrame({"id": range(300)}), Options(folds=5))
    hashes = rows.select(split_hash.hashed({"id": pl.Int64()}, ["id"], 0)).to_series().to_list()
    wanted = [(value * 0x9E3779B97F4A7C15 % 2**64) // -(-(2**64) // 5) for value in hashes]
    assert [row.index(True) for row in rows.select(names(5)).rows()] == wanted
    assert wanted[:12] == GOLDEN


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from([None, "a", "b"])), min_size=80, max_size=140),
    st.lists(st.tuples(st.integers(0, 80), st.sampled_from([None, "a", "b"])), max_size=60),
    st.sampled_from([Options(folds=2), Options(key=("n",), folds=2), Options(group="n", folds=2)]),
)
def test_rows_stay_in_their_folds_when_data_grows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], more: list[Any], options: Options
) -> None:
    folder = tmp_path_factory.mktemp("folds")
    small = pl.DataFrame(rows, schema={"n": pl.Int64, "s": pl.String}, orient="row")
    large = pl.concat([small, pl.DataFrame(more, schema=small.schema, orient="row")]).cast({"n": pl.Float64})
    try:
        before, _ = folded(folder, small, options, "small")
        after, _ = folded(folder, large.reverse(), options, "large")
    except InputUnusable:
        assume(False)
    places: dict[Any, Any] = {}
    for n, s, *place in after.rows():
        assert places.setdefault((n, s), place) == place  # exact copies are in one fold
    assert all(places[n, s] == place for n, s, *place in before.rows())


def test_windows_expand_and_the_embargo_is_before_each_cut(tmp_path: Path) -> None:
    rows, certificate = folded(tmp_path, table(3000), Options(time="when", embargo="6h", folds=3))
    last = None
    for number, name in enumerate(names(3)):
        measured, fitted = rows.filter(pl.col(name)), rows.filter(~pl.col(name))
        begin = measured["when"].min()
        assert certificate["folds"]["folds"][number]["cut_off"] == begin.isoformat()
        assert fitted["when"].min() == START
        assert fitted["when"].max() == begin - datetime.timedelta(hours=7)  # rows are an hour apart
        assert last is None or last < begin
        last = measured["when"].max()
        outside = rows.filter(pl.col(name).is_null())["when"]
        assert all(begin - datetime.timedelta(hours=6) <= time < begin or time > last for time in outside)
    assert last == rows["when"].max()
    assert certificate["folds"]["folds"][0]["valid"] == pytest.approx(rows.height / 4, rel=0.02)


def test_each_group_has_its_own_windows(tmp_path: Path) -> None:
    """Two cameras in different years, and one with a single picture, which is fitted on in every fold."""
    one = table(900).with_columns(camera=pl.lit("a"))
    two = table(600).with_columns(
        camera=pl.lit("b"), when=pl.col("when") + pl.duration(days=700), id=pl.col("id") + 900
    )
    few = table(1).with_columns(camera=pl.lit("c"), id=pl.lit(5000, pl.Int64))
    rows, certificate = folded(tmp_path, pl.concat([one, two, few]), Options(time="when", group="camera", folds=2))
    for name in names(2):
        for camera in ("a", "b"):
            ours = rows.filter(pl.col("camera") == camera)
            assert ours.filter(~pl.col(name))["when"].max() < ours.filter(pl.col(name))["when"].min()
    assert rows.filter(pl.col("camera") == "c").select(names(2)).row(0) == (False, False)
    assert certificate["folds"]["folds"][0]["cut_off"] is None


def test_too_many_folds_are_refused(cli: Cli) -> None:
    pl.DataFrame({"id": range(60), "g": [number % 9 for number in range(60)]}).write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--group", "g", "--test", "0.3", "--seed", "2", "--folds", "40", "-o", "out")
    assert done.code == 4 and "nothing on one side" in done.err and not Path("out").exists(), done.err
    assert cli("split", "t.parquet", "--folds", "1").code == 2


def test_a_split_with_folds_is_a_split_like_others(cli: Cli) -> None:
    table(600).write_parquet("t.parquet")
    cli("split", "t.parquet", "--key", "id", "--folds", "3", "-o", "with")
    cli("split", "t.parquet", "--key", "id", "-o", "without")
    for part in ("train", "valid", "test"):
        pair = [Path(name, part, "part-00000.parquet").read_bytes() for name in ("with", "without")]
        assert pair[0] == pair[1]
    assert cli("split", "--audit", "with/train", "with/test").code == 0
    assert cli("inspect", "with", "--verify").code == 0
