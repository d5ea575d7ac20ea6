"""Which work is done again, and which is not: every way a key must change, and the ways it must not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops_cli.steps import environment

SETS = ("--set", "num_iterations=5", "--set", "min_data_in_leaf=5", "--set", "num_leaves=4")
BASE: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest", "data.csv"),
    "validate": ("validate", "dataset", "--schema", "rules.yaml"),
    "split": ("split", "good", "--test", "0.3", "--valid", "0.2"),
    "train": ("train", "parts", "--target", "late", *SETS),
    "evaluate": ("evaluate", "model"),
    "predict": ("predict", "model", "dataset"),
}
SAME: list[tuple[str, tuple[str, ...]]] = [
    ("ingest", ("-o", "x")),
    ("validate", ("--max-bad", "0.5")),
    ("validate", ("--reject", "bad.parquet")),
    ("train", ("--jobs", "2")),
    ("evaluate", ("--require", "f1>=0")),
    ("evaluate", ("--require", "accuracy>=0", "--point")),
    ("predict", ("--batch-rows", "7")),
    *((name, ("-o", "x")) for name in BASE),
    *((name, ("-v",)) for name in BASE),
]
OTHER: list[tuple[str, tuple[str, ...]]] = [
    ("ingest", ("--columns", "id,late")),
    ("ingest", ("--columns", "late,id")),
    ("ingest", ("--limit", "10")),
    ("ingest", ("--sql", "select id, late from data")),
    ("ingest", ("other.csv",)),
    ("split", ("--test", "0.25")),
    ("split", ("--valid", "0.1")),
    ("split", ("--seed", "1")),
    ("split", ("--stratify", "late")),
    ("split", ("--group", "day")),
    ("split", ("--time", "day")),
    ("split", ("--key", "id")),
    ("train", ("--seed", "1")),
    ("train", ("--set", "learning_rate=0.2")),
    ("train", ("--positive", "false")),
    ("train", ("--metric", "roc_auc")),
    ("train", ("--threshold", "0.3")),
    ("train", ("--search", "grid", "--space", "learning_rate=0.1,0.2")),
    ("train", ("--cv", "3")),
    ("evaluate", ("--seed", "1")),
    ("evaluate", ("--data", "dataset")),
    ("evaluate", ("--by", "carrier")),
    ("evaluate", ("--positive", "false")),
    ("predict", ("--proba",)),
    ("predict", ("--keep", "id")),
]


def told(cli: Any, *words: str) -> dict[str, Any]:
    """What a command says of its work; it must have passed."""
    ended = cli(*words, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BASE)
def test_the_same_is_not_done_again(life: Path, cli: Any, name: str) -> None:
    first = told(cli, *BASE[name])
    if name != "predict":
        assert first["cached"], "it was done in the life that this is a copy of"
    again = told(cli, *BASE[name])
    assert again["cached"] and again["id"] == first["id"]
    forced = told(cli, *BASE[name], "--force")
    assert not forced["cached"]
    assert forced["id"] == first["id"], "the same work gives the same bytes"


@pytest.mark.parametrize(("name", "flags"), SAME, ids=str)
def test_flags_that_do_not_change_the_result(life: Path, cli: Any, name: str, flags: tuple[str, ...]) -> None:
    first = told(cli, *BASE[name])
    again = told(cli, *BASE[name], *flags)
    assert again["cached"] and again["id"] == first["id"]


@pytest.mark.parametrize(("name", "flags"), OTHER, ids=str)
def test_flags_that_change_the_result(life: Path, cli: Any, name: str, flags: tuple[str, ...]) -> None:
    told(cli, *BASE[name])
    assert not told(cli, *BASE[name], *flags)["cached"]
    assert told(cli, *BASE[name], *flags)["cached"]
    assert told(cli, *BASE[name])["cached"]


@pytest.mark.parametrize("name", BASE)
def test_versions_are_part_of_it(life: Path, cli: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told(cli, *BASE[name])
    with monkeypatch.context() as patch:
        patch.setattr(environment, "tool", lambda: "mlops 0.1.0+ffffffffffff")
        assert not told(cli, *BASE[name])["cached"]
    asked: list[str] = []
    real = environment.versions

    def versions(names: Any) -> dict[str, str]:
        asked.extend(names)
        return dict.fromkeys(real(names), "99")

    monkeypatch.setattr(environment, "versions", versions)
    assert not told(cli, *BASE[name])["cached"]
    assert "polars" in asked
    assert "lightgbm" in asked or name in ("ingest", "validate", "split")


@pytest.mark.parametrize("name", ["ingest", "predict"])
def test_a_file_is_its_content(life: Path, cli: Any, name: str) -> None:
    base = (name, "data.csv") if name == "ingest" else (name, "model", "data.csv")
    told(cli, *base)
    os.utime("data.csv")
    assert told(cli, *base)["cached"], "touched"
    Path("below").mkdir()
    shutil.copy("data.csv", "below/renamed.csv")
    assert told(cli, *base[:-1], "below/renamed.csv")["cached"], "elsewhere"
    before = Path("data.csv").stat()
    text = Path("data.csv").read_text()
    Path("data.csv").write_text(text.replace("A", "B", 1))
    os.utime("data.csv", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert Path("data.csv").stat().st_size == before.st_size
    assert not told(cli, *base)["cached"], "one letter"
    Path("data.csv").write_text(text)
    assert told(cli, *base)["cached"], "as it was"


def test_several_files_are_their_order(life: Path, cli: Any) -> None:
    told(cli, "ingest", "data.csv", "other.csv")
    assert told(cli, "ingest", "data.csv", "other.csv")["cached"]
    assert not told(cli, "ingest", "data.csv", "other.csv", "data.csv")["cached"]
    assert told(cli, "ingest", "data.csv")["id"] != told(cli, "ingest", "data.csv", "other.csv")["id"]


def test_rules_are_their_content(life: Path, cli: Any) -> None:
    base = ("validate", "dataset", "--schema")
    shutil.copy("rules.yaml", "copy.yaml")
    assert told(cli, *base, "copy.yaml")["cached"]
    Path("copy.yaml").write_text(Path("rules.yaml").read_text().replace(": 0", ": 1"))
    assert not told(cli, *base, "copy.yaml")["cached"]
    assert not told(cli, "validate", "dataset")["cached"]


@pytest.mark.parametrize("name", ["validate", "split", "train", "evaluate", "predict"])
def test_an_artefact_is_its_id_not_its_place(life: Path, cli: Any, name: str) -> None:
    words = list(BASE[name])
    told(cli, *words)
    position = 2 if name == "predict" else 1
    shutil.copytree(words[position], "elsewhere")
    words[position] = "elsewhere"
    assert told(cli, *words)["cached"]
    words[position] = f"{life}/elsewhere"
    assert told(cli, *words)["cached"]


def test_an_input_that_was_made_again_to_the_same_bytes_asks_for_nothing(life: Path, cli: Any) -> None:
    with Path("data.csv").open("a") as file:
        file.write("\n")
    assert told(cli, "ingest", "data.csv", "-o", "dataset")["cached"] is False
    for name in ("validate", "split", "train", "evaluate"):
        assert told(cli, *BASE[name])["cached"], name


def test_other_rows_ask_for_everything(life: Path, cli: Any) -> None:
    names = {"validate": "good", "split": "parts", "train": "model", "evaluate": "evaluation"}
    assert not told(cli, "ingest", "other.csv", "-o", "dataset")["cached"]
    for name, out in names.items():
        assert not told(cli, *BASE[name], "-o", out)["cached"], name


def test_data_on_standard_input_cannot_be_known_before(life: Path, cli: Any) -> None:
    data = Path("data.csv").read_bytes()
    for _ in range(2):
        ended = cli("ingest", "-", "--json", stdin=data)
        assert ended.code == 0 and not json.loads(ended.out)["cached"]


def test_make_asks_for_one_command_and_no_more(life: Path, shell: Any) -> None:
    Path("Makefile").write_text(
        "all: evaluation/manifest.json\n"
        "dataset/manifest.json: data.csv ; mlops ingest data.csv -o dataset\n"
        "good/manifest.json: dataset/manifest.json rules.yaml ; mlops validate dataset --schema rules.yaml -o good\n"
        "parts/manifest.json: good/manifest.json ; mlops split good --test 0.3 --valid 0.2 -o parts\n"
        f"model/manifest.json: parts/manifest.json ; mlops train parts --target late {' '.join(SETS)} -o model\n"
        "evaluation/manifest.json: model/manifest.json ; mlops evaluate model -o evaluation\n"
    )
    assert shell("make -s").code == 0
    nothing = shell("make")
    assert nothing.code == 0 and "mlops" not in nothing.err
    Path("data.csv").touch()
    asked = shell("make")
    assert asked.code == 0
    asked_for = [line for line in asked.out.splitlines() if line.startswith("mlops ")]
    assert asked_for == ["mlops ingest data.csv -o dataset"]
    assert "cached" in asked.err
