"""What was written once is read for ever: golden artefacts of every format, read with today's code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from makers import tree

from mlops_cli.errors import Corrupt, Stopped
from mlops_cli.runtime import predictors
from mlops_cli.steps import stream
from mlops_cli.store import artefact, manifest, registry

HERE = Path(__file__).parent
FORMATS = sorted(path for path in HERE.iterdir() if path.name.startswith("v"))
KINDS = ("dataset", "split", "model", "evaluation", "predictions", "package", "report")
BROKEN = {
    "flipped": (5, "digest does not match"),
    "cut": (5, "bytes"),
    "missing": (5, "missing"),
    "no-manifest": (4, "without manifest.json"),
    "newer": (4, "newer"),
    "edited": (5, "changed after it was written"),
    "outside": (5, "outside the artefact"),
    "doubled": (5, "same path"),
}


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def golden(request: pytest.FixtureRequest, work: Path) -> Path:
    """A copy of the goldens of one format."""
    return Path(shutil.copytree(request.param, work / "golden"))


@pytest.fixture
def expected(golden: Path) -> Any:
    """What was in them."""
    return json.loads((golden / "expected.json").read_text())


def test_there_are_goldens_of_the_format_that_is_written_now() -> None:
    assert FORMATS[-1].name == f"v{manifest.FORMAT}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_artefact_of_every_kind_is_intact(golden: Path, expected: Any, cli: Any, kind: str) -> None:
    found = artefact.open_artefact(golden / kind, (kind,))
    assert artefact.verify(found) == []
    assert (found.id, found.manifest.self_) == (expected["ids"][kind], expected["selves"][kind])
    before = tree(golden)
    told = json.loads(cli("inspect", golden / kind, "--verify", "--lineage", "--json").ref)
    assert told["intact"] and told["kind"] == kind and told["id"] == found.id
    assert tree(golden) == before, "looking changes nothing"


def test_an_old_model_gives_the_answers_it_gave(golden: Path, expected: Any, cli: Any) -> None:
    ref = cli("predict", golden / "model", golden / "dataset", "--proba", "-q").ref
    answers = pl.read_parquet(f"{ref}/*.parquet").to_dicts()
    assert answers == expected["predictions"]
    ref = cli("predict", golden / "model", golden / "data.csv", "--proba", "-q").ref
    assert pl.read_parquet(f"{ref}/*.parquet").to_dicts() == expected["predictions"]
    assert predictors.load(golden / "model").signature.target == "late"


def test_every_command_takes_old_artefacts(golden: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(golden)
    assert cli("validate", golden / "dataset").code == 0
    assert cli("split", golden / "dataset", "--test", "0.3").code == 0
    flags = ("--target", "late", "--set", "num_iterations=2", "--set", "min_data_in_leaf=5")
    assert cli("train", golden / "split", *flags).code == 0
    assert cli("evaluate", golden / "model", "--data", golden / "dataset", "--require", "accuracy>=0", "-q").code == 0
    assert cli("evaluate", golden / "model", "-q").code == 0, "its split is found by id"
    assert cli("register", golden / "evaluation", "--name", "m", "--registry", "r").ref == "m@1"
    assert "Traceback" not in cli("report", "m", "--registry", "r").ref


def test_an_old_registry_is_read_and_goes_on(golden: Path, expected: Any, cli: Any) -> None:
    root = ("--registry", golden / "registry")
    store = registry.locate(str(golden / "registry"))
    assert store.damage("flights") == [] and store.models() == ["flights"]
    assert [move.version for move in store.moves("flights", "production")] == [1, 2, 1]
    assert [move.why for move in store.moves("flights", "production")] == ["first", "second", "rollback"]
    assert [item.kind for item in store.evidence("flights", 1)] == ["evaluation", "package"]
    told = json.loads(cli("inspect", "flights@production", "--verify", "--lineage", "--json", *root).ref)
    assert told["intact"] and told["id"] == expected["ids"]["model"]
    assert {one["kind"] for one in told["lineage"]} == {"split", "dataset"}
    assert cli("list", "flights", *root).code == 0 and cli("report", "flights@1", *root).code == 0
    gate = ("--require", "roc_auc>=0.5", "--point")
    assert cli("promote", "flights@1", "staging", *gate, *root).code == 0
    assert cli("promote", "flights@2", "production", *root).ref == "flights@2"
    assert cli("register", golden / "model", "--name", "flights", "--force", *root).ref == "flights@3"
    assert store.damage("flights") == []


@pytest.mark.parametrize("name", BROKEN)
def test_broken_artefacts_are_refused(golden: Path, cli: Any, name: str) -> None:
    code, part = BROKEN[name]
    ended = cli("inspect", golden / "broken" / name, "--verify")
    assert (ended.code, part in ended.err) == (code, True), ended.err
    kind = "model" if name == "flipped" else "dataset"
    command = ("evaluate", "--data", golden / "dataset") if kind == "model" else ("split", "--test", "0.3")
    ended = cli(command[0], golden / "broken" / name, *command[1:])
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err and len(ended.err.splitlines()) <= 2


def test_a_broken_registry_is_told(golden: Path, cli: Any) -> None:
    store = registry.locate(str(golden / "broken" / "registry"))
    assert store.damage("flights") == ["models/flights/versions/000002.json: the record before it was changed"]
    ended = cli("list", "--registry", golden / "broken" / "newer-registry")
    assert ended.code == 4 and "newer" in ended.err


def test_streams(golden: Path, expected: Any, cli: Any) -> None:
    data = (golden / "stream.arrow").read_bytes()
    with (golden / "stream.arrow").open("rb") as file:
        assert sum(batch.num_rows for batch in stream.Reader(file)) == expected["rows"]
    for name, error in (("cut", Corrupt), ("stopped", Stopped)):
        with (golden / "broken" / f"{name}.arrow").open("rb") as file, pytest.raises(error):
            list(stream.Reader(file))
    assert cli("validate", stdin=data).code == 0
    assert cli("validate", stdin=(golden / "broken" / "cut.arrow").read_bytes()).code == 4
    assert cli("validate", stdin=(golden / "broken" / "stopped.arrow").read_bytes()).code == 1
