"""The certificate about the target: columns that tell it alone, its shares with intervals, and what follows."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_cli.steps import split_predictors, split_target

Cli = Callable[..., Any]
ROWS = 3000
DICE = np.random.default_rng(7)
NOISE = DICE.normal(size=ROWS)


def table(**more: Any) -> pl.DataFrame:
    """A target of one in ten with a strong and honest feature beside it."""
    late = NOISE > 1.28
    honest = NOISE + np.random.default_rng(1).normal(size=ROWS)
    frame = pl.DataFrame({"id": range(ROWS), "honest": honest, "late": late})
    return frame.with_columns(**more)


def certificate(cli: Cli, frame: pl.DataFrame, *flags: str) -> tuple[dict[str, Any], Any]:
    frame.write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--key", "id", *flags, "--json")
    return json.loads(Path(json.loads(done.out)["ref"], "certificate.json").read_bytes()), done


LATE = pl.col("late")
TELLING = {
    "a copy": LATE,
    "a copy as text": pl.when(LATE).then(pl.lit("yes")).otherwise(pl.lit("no")),
    "a number above a threshold": pl.Series(NOISE * 1000),
    "a number on both sides of it": pl.Series(np.where(NOISE > 1.28, 5 + abs(NOISE), NOISE)),
    "filled in only afterwards": pl.when(LATE).then(pl.Series(abs(NOISE))),
    "a time": pl.datetime(2026, 1, 1) + pl.when(LATE).then(pl.duration(days=400)).otherwise(pl.duration(days=0)),
    "text with holes": pl.when(LATE).then(pl.lit("late")),
    "nearly a copy": pl.when(pl.col("id") == 17).then(~LATE).otherwise(LATE),
}
HONEST = {
    "names that are all different": pl.format("{} {}", LATE, "id"),
    "bytes": LATE.cast(pl.String).cast(pl.Binary),
    "a list": pl.concat_list(LATE),
    "nothing": pl.lit(None),
    "all missing": pl.lit(None, pl.Float64),
    "one value": pl.lit(1),
    "true for nine in ten of the late": LATE & (pl.col("id") % 10 != 0),
    "a number with noise": pl.Series(NOISE + np.random.default_rng(2).normal(0, 0.3, ROWS)),
}


@pytest.mark.parametrize("name", TELLING)
def test_a_column_that_tells_the_target_alone_is_a_leak(cli: Cli, name: str) -> None:
    found, done = certificate(cli, table(told=TELLING[name]), "--target", "late")
    assert (done.code, found["clean"], found["predictors"]["leaking"]) == (1, False, ["told"])
    assert found["predictors"]["spared"]["told"] >= 0.98
    assert "leak: column told alone tells late" in done.err


@pytest.mark.parametrize("name", HONEST)
def test_what_does_not_is_none(cli: Cli, name: str) -> None:
    found, done = certificate(cli, table(told=HONEST[name]), "--target", "late")
    assert (done.code, found["clean"], found["predictors"]["leaking"]) == (0, True, [])
    assert found["predictors"]["spared"].get("told", 0) < 0.95


def test_the_score_is_the_share_of_errors_spared(cli: Cli) -> None:
    """λ by hand: 1 in 4 of the late are told, none of the others is called late."""
    half = (LATE & (pl.col("id") % 4 == 0)).alias("half")
    found, _ = certificate(cli, table(half=half), "--target", "late")
    test = table(half=half).filter(pl.col("id").is_in(_test_ids(cli).implode()))
    hits, base = int((test["half"] == test["late"]).sum()), int((~test["late"]).sum())
    assert found["predictors"]["spared"]["half"] == pytest.approx((hits - base) / (test.height - base), abs=1e-6)


def _test_ids(cli: Cli) -> pl.Series:
    cli("split", "t.parquet", "--key", "id", "-o", "plain")
    return pl.read_parquet("plain/test/*.parquet")["id"]


def test_a_target_of_quantities_and_what_it_was_made_from(cli: Cli) -> None:
    cost = pl.Series(np.exp(NOISE * 2))
    found, done = certificate(cli, table(source=pl.Series(NOISE), cost=cost), "--stratify", "cost")
    assert done.code == 1 and found["predictors"]["leaking"] == ["source"]
    assert len(found["target"]["edges"]) == 9
    found, done = certificate(cli, table(cost=cost), "--stratify", "cost")
    assert done.code == 0 and found["predictors"]["looked_at"] == 3


def test_too_few_of_the_rare_value_decide_nothing(cli: Cli) -> None:
    rare = (pl.col("id") % 400 == 0).alias("rare")
    found, done = certificate(cli, table(rare=rare, copy=rare), "--target", "rare")
    assert (done.code, found["predictors"]["looked_at"], found["predictors"]["leaking"]) == (0, 0, [])


def test_a_table_that_goes_up_and_down_with_its_rows_hides_nothing(cli: Cli) -> None:
    """Of more rows than are looked at: every second one of them, or of any number, has the same value."""
    rows = 250_000
    for period in (2, 3, 10):
        same = pl.int_range(rows) % period
        frame = pl.select(id=pl.int_range(rows), late=same == 0, told=3 * (same == 0))
        frame.write_parquet("t.parquet")
        done = cli("split", "t.parquet", "--time", "id", "--target", "late", "--json")
        found = json.loads(done.out)["predictors"]
        assert (done.code, found["leaking"]) == (1, ["told"]), period
        assert 98_000 < found["rows"]["train"] < 102_000 and found["rows"]["test"] == rows // 5


def test_shares_have_intervals_and_a_difference_is_told_and_no_leak(cli: Cli) -> None:
    found, done = certificate(cli, table(), "--target", "late")
    level = found["target"]["parts"]["test"]["levels"][1]
    assert level["value"] == "True" and level["low"] < level["share"] < level["high"]
    part = found["parts"]["test"]
    assert part["low"] < 0.2 < part["high"] and part["low"] < part["share"] < part["high"]
    assert found["target"]["p"] > 0.001 and "more than by chance" not in done.err
    frame = table(when=pl.datetime(2026, 1, 1) + pl.duration(hours="id")).with_columns(
        late=(pl.col("id") >= 2600) & (pl.col("id") % 2 == 0)
    )
    frame.write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--time", "when", "--target", "late")
    assert done.code == 0, done.err
    assert "late=True is 0.0% of train and 33.3% of test: the parts differ more than by chance" in done.err


def test_rows_without_a_target_are_in_no_share(cli: Cli) -> None:
    holes = pl.when(pl.col("id") % 3 != 0).then(LATE)
    found, _ = certificate(cli, table(late=holes), "--target", "late")
    part = found["target"]["parts"]["train"]
    assert part["missing"] + part["rows"] == found["parts"]["train"]["rows"]
    assert sum(level["rows"] for level in part["levels"]) == part["rows"]


def test_audit_finds_the_telling_column_between_parts_made_elsewhere(cli: Cli) -> None:
    frame = table(told=TELLING["a number above a threshold"])
    frame.filter(pl.col("id") % 4 > 1).write_parquet("train.parquet")
    frame.filter(pl.col("id") % 4 == 1).write_parquet("valid.parquet")
    frame.filter(pl.col("id") % 4 == 0).with_columns(pl.col("told").cast(pl.Float32)).write_parquet("test.parquet")
    assert cli("split", "--audit", "train.parquet", "test.parquet", "--key", "id").code == 0
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--target", "late", "--json")
    assert done.code == 1 and json.loads(done.out)["predictors"]["leaking"] == ["told"]
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--valid", "valid.parquet", "--json")
    assert (done.code, list(json.loads(done.out)["parts"])) == (0, ["train", "valid", "test"])
    frame.filter(pl.col("id") % 4 > 0).write_parquet("more.parquet")
    done = cli("split", "--audit", "more.parquet", "test.parquet", "--valid", "valid.parquet")
    assert done.code == 1 and "exact copies" in done.err


DAY = datetime.date(2026, 1, 1)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (LATE, LATE.cast(pl.String), "boolean in one part and string"),
        (LATE.cast(pl.String), pl.lit(DAY), "string in one part and date"),
        (pl.lit(DAY), LATE.cast(pl.String), "date in one part and string"),
        (LATE.cast(pl.String), pl.lit(DAY).cast(pl.Datetime), "string in one part and datetime[us]"),
        (pl.lit(DAY), pl.lit(DAY).cast(pl.Datetime), "date in one part and datetime[us]"),
        (pl.lit(DAY).cast(pl.Datetime), pl.lit(DAY).cast(pl.Datetime("ms", "UTC")), "[us] in one part and datetime"),
        (LATE.cast(pl.String), LATE.cast(pl.Int8), "string in one part and int8"),
        (LATE.cast(pl.String), LATE.cast(pl.String).cast(pl.Categorical), ""),
        (LATE.cast(pl.String), pl.lit(None), "string in one part and null"),
        (LATE.cast(pl.Int8), LATE.cast(pl.Float32), ""),
    ],
)
def test_a_target_of_another_kind_in_another_part(cli: Cli, one: pl.Expr, other: pl.Expr, told: str) -> None:
    table(late=one).write_parquet("train.parquet")
    table(late=other, id=pl.col("id") + ROWS).write_parquet("test.parquet")
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--target", "late")
    if told:
        assert done.code == 4 and told in done.err and done.err.count("\n") == 2
    else:
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [("UTC", None, 4), ("UTC", "Europe/Berlin", 0), (None, None, 0)],
)
def test_times_with_and_without_a_zone_are_not_compared(
    cli: Cli, one: str | None, other: str | None, code: int
) -> None:
    times = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=number) for number in range(20)]
    frame = pl.DataFrame({"id": range(20), "when": times})
    for name, zone, low in (("train", one, 0), ("test", other, 10)):
        frame[low : low + 10].with_columns(pl.col("when").dt.replace_time_zone(zone)).write_parquet(f"{name}.parquet")
    done = cli("split", "--audit", "train.parquet", "test.parquet", "--time", "when")
    assert done.code == code, done.err
    assert code == 0 or "datetime[us, UTC] in train, datetime[us] in test: they cannot be compared" in done.err


def test_a_cut_with_an_offset_in_a_column_without_a_zone(cli: Cli) -> None:
    times = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=number) for number in range(40)]
    pl.DataFrame({"id": range(40), "when": times}).write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--time", "when", "--test", "2026-02-01T00:00Z")
    assert done.code == 2 and "has a time zone" in done.err
    text = pl.read_parquet("t.parquet").with_columns(pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%S+01:00"))
    text.write_parquet("text.parquet")
    done = cli("split", "text.parquet", "--time", "when")
    assert done.code == 4 and "coerce" in done.err


def test_promote_takes_no_pass_from_a_split_that_leaks(cli: Cli) -> None:
    table(told=TELLING["a copy as text"]).write_parquet("t.parquet")
    done = cli("split", "t.parquet", "--key", "id", "--target", "late")
    leaky = done.err.rsplit("the result is in ", 1)[1].strip()
    assert cli("train", leaky, "--target", "late", "--set", "num_iterations=5", "-o", "model").ref
    done = cli("evaluate", "model", "--require", "accuracy>=0.5", "-o", "measured")
    assert done.code == 0 and "the metrics may flatter" in done.err and "column told alone" in done.err
    kept = json.loads(Path("measured/metrics.json").read_bytes())["certificate"]
    assert kept["clean"] is False and "column told alone" in kept["leaks"][0]
    assert cli("register", "measured", "--name", "m").ref
    gates = ("--require", "accuracy>=0.5", "--require", "accuracy>=0.4")
    done = cli("promote", "m@1", "production", *gates)
    assert done.code == 3 and done.err.count("but the split is not clean: column told alone") == 2
    done = cli("promote", "m@1", "production", "--require", "accuracy<=0.1")
    assert done.code == 1  # what fails anyway still fails
    done = cli("promote", "m@1", "production", *gates, "--accept-leaks", "a toy")
    assert done.code == 0, done.err
    record = json.loads(Path("mlops-registry/models/m/aliases/production/000001.json").read_bytes())
    assert record["verdict"]["accepted_leaks"] == "a toy"


def test_promote_takes_what_was_measured_on_a_bare_table(cli: Cli) -> None:
    table().write_parquet("t.parquet")
    cli("split", "t.parquet", "--key", "id", "-o", "parts")
    assert cli("train", "parts", "--target", "late", "--set", "num_iterations=5", "-o", "model").ref
    table(id=pl.col("id") + ROWS).write_parquet("later.parquet")
    for data in ((), ("--data", "later.parquet")):
        ref = cli("evaluate", "model", *data).ref
        assert ("certificate" in json.loads(Path(ref, "metrics.json").read_bytes())) == (not data)
        assert cli("register", ref, "--name", "m", "--force").ref
        assert cli("promote", "m", "production", "--require", "accuracy>=0.5", "--force").code == 0


def test_what_a_small_part_finds_perfect_is_tried_on_train_too() -> None:
    """Of a column that spares 95 % a fifth of such small parts say that it spares all."""
    rng = np.random.default_rng(0)
    found, kept = {"honest": 0, "copy": 0, "sharp": 0}, {"honest": 0, "copy": 0, "sharp": 0}
    for _ in range(40):
        yes = rng.random(420) < 0.5
        honest = yes + 0.25 * rng.normal(size=420)
        copy, sharp = np.where(yes, "a", "b"), yes + rng.random(420)
        frame = pl.DataFrame({"honest": honest, "copy": copy, "sharp": sharp, "yes": yes})
        train, valid = frame[:360].lazy(), frame[360:].lazy()
        strata = split_target.strata(train, "yes", 10, "t")
        leaking = split_predictors.find(train, valid, strata, "valid").leaking
        confirmed = split_predictors.confirmed(train, strata, leaking)
        for name in found:
            found[name] += name in leaking
            kept[name] += name in confirmed
    assert found["honest"] >= 4 and kept["honest"] <= 1
    assert kept["copy"] == 40 and kept["sharp"] >= 0.9 * found["sharp"] > 20
    price = pl.LazyFrame({"x": np.arange(300.0), "y": np.arange(300.0)})
    quantities = split_target.strata(price, "y", 10, "t")
    assert split_predictors.confirmed(price, quantities, ["x"]) == ["x"]
