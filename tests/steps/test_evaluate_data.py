"""What metrics are doubted: by the certificate of the model's own split, on rows of another one, on rows of train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlops_cli.store import artefact
from mlops_cli.store.manifest import Input

Cli = Callable[..., Any]
GATE = ("--require", "accuracy>=0.5")


def table(seed: int, rows: int = 1500) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pl.DataFrame({"id": range(rows), "x": x, "late": x + rng.normal(size=rows) > 1})


@pytest.fixture
def model(cli: Cli) -> str:
    """A model trained on `parts`, which is clean; `other` is the same table divided in another way."""
    table(0).write_parquet("t.parquet")
    table(1).write_parquet("november.parquet")
    assert cli("split", "t.parquet", "--key", "id", "-o", "parts").ref
    assert cli("split", "t.parquet", "--key", "id", "--seed", "2", "-o", "other").ref
    return trained(cli, "parts", "model")


def trained(cli: Cli, split: str, out: str, *flags: str) -> str:
    return str(cli("train", split, "--target", "late", "--set", "num_iterations=5", *flags, "-o", out).ref)


def leaking(cli: Cli) -> str:
    """A split of which a column tells the target."""
    pl.read_parquet("t.parquet").with_columns(told=pl.col("late").cast(pl.Int8)).write_parquet("told.parquet")
    done = cli("split", "told.parquet", "--key", "id", "--target", "late")
    assert done.code == 1
    return str(done.err.rsplit("the result is in ", 1)[1].strip())


def promoted(cli: Cli, model: str, *data: str) -> tuple[int, str, Any]:
    """How a promotion ends on the evidence of one evaluation, what it says, and the certificate that was kept."""
    ref = cli("evaluate", model, *data, *GATE).ref
    assert cli("register", ref, "--name", "m", "--force").ref
    done = cli("promote", "m", "production", *GATE, "-n")
    return done.code, done.err, json.loads(Path(ref, "metrics.json").read_bytes()).get("certificate")


def test_the_certificate_of_another_split_is_not_the_models(cli: Cli, model: str) -> None:
    assert promoted(cli, model)[::2] == (0, {"clean": True, "leaks": []})
    assert promoted(cli, model, "--data", "parts")[::2] == (0, {"clean": True, "leaks": []})
    code, told, kept = promoted(cli, model, "--data", "other")
    assert code == 3 and "of a split that is not the model's own" in told
    assert kept["clean"] is None and len(kept["leaks"]) == 1
    assert cli("promote", "m", "production", *GATE, "--accept-leaks", "I know", "-n").code == 0


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("parts/test/part-00000.parquet", 0, ""),
        ("copies/test.parquet", 0, ""),
        ("november.parquet", 0, ""),
        ("parts/train/part-00000.parquet", 3, "of the train part, which training has seen"),
        ("copies/train.parquet", 3, "of the train part, which training has seen"),
        ("parts/valid/part-00000.parquet", 3, "of the valid part, which training has seen"),
        ("t.parquet", 3, "those that the model was made from"),
        ("other/test/part-00000.parquet", 3, "of a split that is not the model's own"),
    ],
)
def test_a_file_leads_back_to_its_split_and_outside_rows_to_none(
    cli: Cli, model: str, file: str, code: int, words: str
) -> None:
    Path("copies").mkdir()
    for part in ("train", "test"):
        shutil.copy(f"parts/{part}/part-00000.parquet", f"copies/{part}.parquet")
    ended, told, kept = promoted(cli, model, "--data", file)
    assert ended == code and words in told
    assert (kept is None) == (file == "november.parquet")


def test_what_leaks_into_a_models_split_goes_with_the_model(cli: Cli, model: str) -> None:
    split = leaking(cli)
    leaky = trained(cli, split, "leaky", "--include", "told")
    table(1).with_columns(told=pl.col("late").cast(pl.Int8)).write_parquet("november.parquet")
    for data in ((), ("--data", f"{split}/test/part-00000.parquet"), ("--data", "november.parquet")):
        code, told, kept = promoted(cli, leaky, *data)
        assert (code, kept["clean"]) == (3, False) and "column told alone tells late" in told


def test_a_champion_has_the_doubts_of_its_own(cli: Cli, model: str) -> None:
    """What the champion is measured on is the challenger's test part, and another split for the champion."""
    again = trained(cli, "other", "again")
    assert cli("evaluate", again, "--against", model, "--require", "accuracy>=champion-0.5").code == 0
    cached = cli("evaluate", model, "--data", "other", "--json")
    assert json.loads(cached.out)["cached"] is True and "not the model's own" in cached.err
    assert json.loads(cached.out)["certificate"]["clean"] is None


def test_a_telling_column_is_found_where_the_target_is_first_known(cli: Cli) -> None:
    """Nothing was said to split: its certificate is clean, and train looks. Included, the column is doubted."""
    table(0).with_columns(told=2 * pl.col("late").cast(pl.Int64)).write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--test", "0.3", "-o", "parts").code == 0
    for _ in range(2):  # done, and known already
        flags = ("--include", "told", "--set", "num_iterations=5", "-o", "model")
        done = cli("train", "parts", "--target", "late", *flags)
        assert done.code == 0 and "leak: column told alone tells late on the valid part (100.0%" in done.err
    found = json.loads(Path("model/leaks.json").read_bytes())
    assert (found["clean"], found["predictors"]["leaking"]) == (True, ["told"])
    code, told, kept = promoted(cli, "model")
    assert code == 3 and "column told alone tells late" in told and kept["clean"] is False
    assert cli("promote", "m", "production", *GATE, "--accept-leaks", "it is known in time", "-n").code == 0


def test_a_telling_column_is_left_out_and_the_model_is_not_doubted(cli: Cli) -> None:
    table(0).with_columns(told=2 * pl.col("late").cast(pl.Int64)).write_parquet("t.parquet")
    assert cli("split", "t.parquet", "--test", "0.3", "-o", "parts").code == 0
    done = cli("train", "parts", "--target", "late", "--set", "num_iterations=5", "-o", "model")
    assert done.code == 0 and "left out told: alone tells late on the valid part (100.0%" in done.err
    assert "--include told" in done.err and "leak:" not in done.err
    found = json.loads(Path("model/leaks.json").read_bytes())
    assert (found["predictors"]["leaking"], found["left_out"]) == ([], {"told": 1.0})
    assert "told" not in found["predictors"]["spared"]
    assert promoted(cli, "model")[::2] == (0, {"clean": True, "leaks": []})


def test_nothing_left_but_a_telling_column_is_told(cli: Cli) -> None:
    table(0).select("id", "late", told=2 * pl.col("late").cast(pl.Int64)).write_parquet("t.parquet")
    done = cli("train", "t.parquet", "--target", "late", "-o", "model")
    assert done.code == 4 and "no column to learn from (told: alone tells late" in done.err
    assert done.err.count("\n") == 2 and "--include" in done.err and not Path("model").exists()


def test_an_honest_column_is_no_leak_and_a_whole_table_is_looked_at_too(cli: Cli) -> None:
    rng = np.random.default_rng(5)
    strong = table(0).with_columns(strong=pl.col("x") + pl.Series(rng.normal(0, 0.1, 1500)))
    strong.with_columns(late=pl.col("x") > 1).drop("x").write_parquet("t.parquet")
    done = cli("train", "t.parquet", "--target", "late", "--set", "num_iterations=5", "-o", "model")
    assert done.code == 0 and "leak" not in done.err
    found = json.loads(Path("model/leaks.json").read_bytes())
    assert found["clean"] is None and 0.6 < found["predictors"]["spared"]["strong"] < 0.98


def test_a_model_remembers_that_its_split_leaks(cli: Cli, model: str) -> None:
    split = leaking(cli)
    leaky = trained(cli, split, "leaky", "--include", "told")
    table(1).with_columns(told=pl.col("late").cast(pl.Int8)).write_parquet("november.parquet")
    shutil.rmtree(split)
    found = json.loads(Path("leaky/leaks.json").read_bytes())
    found["predictors"]["leaking"] = []
    Path("leaky/leaks.json").write_text(json.dumps(found))
    Path("leaky/manifest.json").unlink()
    gone = [Input("split", "sha256:" + "0" * 64, "gone")]
    artefact.seal(Path("leaky"), kind="model", created="2026-01-02T03:04:05Z", tool="t", command=[], inputs=gone)
    code, told, kept = promoted(cli, leaky, "--data", "november.parquet")
    assert (code, kept["clean"]) == (3, False) and "the split of the model, which is out of reach, leaks" in told


def test_a_doubt_is_told_without_gates_and_gates_hold_for_what_is_there_already(cli: Cli, model: str) -> None:
    leaky = trained(cli, leaking(cli), "leaky", "--include", "told")
    assert promoted(cli, leaky)[0] == 3
    bare = cli("promote", "m", "production")
    assert bare.code == 0 and "warning: " in bare.err and "column told alone tells late" in bare.err
    again = cli("promote", "m", "production", *GATE)
    assert again.code == 3 and "names version" not in again.err
    assert cli("promote", "m", "production", "--require", "accuracy>=champion").code == 0  # it is the champion
    accepted = cli("promote", "m", "production", *GATE, "--accept-leaks", "known in time")
    assert accepted.code == 0 and "names version 1 already" in accepted.err
