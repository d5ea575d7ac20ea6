"""Folds as the split was cut: alike in classes, whole groups, forward in time."""

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from mlops_cli.errors import InputUnusable
from mlops_cli.models import target as targets
from mlops_cli.steps import search_folds
from mlops_cli.steps.train_data import Cut


def table(rows=300):
    dice = np.random.default_rng(0)
    group = dice.integers(0, 30, rows)
    return pl.DataFrame(
        {"x": dice.normal(size=rows), "who": group, "at": np.arange(rows)[::-1], "rare": dice.random(rows) < 0.1}
    ).with_columns(y=pl.col("x") + pl.col("who"))


def folds(count, cut, target="rare", frame=None):
    frame = table() if frame is None else frame
    found = targets.infer(frame.lazy(), target)
    return search_folds.of(frame.lazy(), found, count, msgspec.convert(cut, Cut), 0, "t"), frame


def covered(found, rows):
    for fold in found.folds:
        assert not set(fold.train) & set(fold.valid)
    return sorted(np.concatenate([fold.valid for fold in found.folds])) == list(range(rows))


def test_rows_are_alike_in_classes_and_copies_stay_together():
    found, frame = folds(5, {})
    assert covered(found, 300) and found.cut == "alike in classes"
    rare = [frame["rare"].to_numpy()[fold.valid].sum() for fold in found.folds]
    assert max(rare) - min(rare) <= 1
    assert folds(5, {})[0].folds[0].valid.tolist() == found.folds[0].valid.tolist()
    doubled, _ = folds(5, {}, frame=pl.concat([frame, frame]))
    for fold in doubled.folds:
        assert set(fold.valid) == {(at + 300) % 600 for at in fold.valid}


def test_groups_stay_whole_and_classes_are_spread():
    found, frame = folds(5, {"group": "who"})
    assert covered(found, 300)
    for fold in found.folds:
        assert not set(frame["who"][fold.train]) & set(frame["who"][fold.valid])
        assert 45 <= len(fold.valid) <= 75
    rare = [frame["rare"].to_numpy()[fold.valid].sum() for fold in found.folds]
    assert max(rare) <= 2 * min(rare)
    assert covered(folds(5, {"group": "who"}, "y")[0], 300)


def test_time_goes_forward_with_the_embargo_of_the_split():
    found, frame = folds(4, {"time": "at", "embargo": "7"}, "y")
    times = frame["at"].to_numpy()
    for fold in found.folds:
        assert times[fold.train].max() + 7 < times[fold.valid].min() + 1
    assert [len(fold.train) for fold in found.folds] == [53, 113, 173, 233] and found.cut == "forward in at"


@pytest.mark.parametrize(
    ("count", "cut", "target", "why"),
    [
        (40, {"group": "who"}, "rare", "30 values of 'who' are fewer than --cv 40"),
        (60, {}, "rare", "one class to judge by"),
        (90, {"time": "who"}, "y", "no rows to"),
    ],
)
def test_too_many_folds(count, cut, target, why):
    with pytest.raises(InputUnusable, match=why):
        folds(count, cut, target)


def test_the_flags_of_the_split_decide(cli, work):
    table().write_parquet("t.parquet")
    for flags, cut in ((("--group", "who"), "of whole who"), (("--time", "at"), "forward in at"), ((), "of rows")):
        cli("split", "t.parquet", *flags, "-o", "parts").ref  # noqa: B018
        ended = cli("train", "parts", "--target", "y", "--cv", "3", "--set", "num_iterations=5", "-o", "model")
        assert ended.code == 0 and f"3 folds {cut}" in ended.err, ended.err
        assert json.loads(Path("model/trials.json").read_text())["cut"] == cut


def test_the_folds_of_the_split_are_taken(cli, work):
    frame = table().with_columns(y=pl.when(pl.col("x") < 1).then(pl.col("y")))
    frame.write_parquet("t.parquet")
    cli("split", "t.parquet", "--folds", "3", "-o", "parts").ref  # noqa: B018
    train = pl.scan_parquet("parts/train/*.parquet")
    found = targets.infer(train, "y")
    known = train.filter(pl.col("y").is_not_null())
    rows = known.select(pl.len()).collect().item()
    made = search_folds.made(Path("parts/folds.parquet"), train, found, rows)
    taken = search_folds.of(known, found, 3, Cut(), 0, "t", made)
    both = pl.concat([train.collect(), pl.read_parquet("parts/folds.parquet")], how="horizontal")
    for number, fold in enumerate(taken.folds):
        measured = both.filter(pl.col(f"fold_{number + 1}") & pl.col("y").is_not_null())
        assert known.collect()[fold.valid]["x"].equals(measured["x"])
    assert search_folds.made(Path("parts/folds.parquet"), train, found, rows - 1) is None
    ended = cli("train", "parts", "--target", "y", "--cv", "3", "--set", "num_iterations=5")
    assert ended.code == 0 and "3 folds of the split" in ended.err
    assert "3 folds" not in cli("train", "parts", "--target", "y", "--cv", "4", "--set", "num_iterations=5").err
