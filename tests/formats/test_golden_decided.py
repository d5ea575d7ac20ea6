"""What a model that decides was, and what was recorded of it, is read for ever: signature 2, features 2, a verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import features, predictors, signature
from mlops_cli.runtime.predictors import Predictor

ROOT = ("--registry", "registry")


@pytest.fixture
def expected(work: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What was in them; a copy of them is the current directory."""
    folder = shutil.copytree(Path(__file__).parent / "decided", work / "decided")
    monkeypatch.chdir(folder)
    return json.loads(Path("expected.json").read_text())


def model() -> Path:
    """Where the registry keeps the model."""
    (found,) = Path("registry/objects").glob("*/decision.json")
    return found.parent


def loaded() -> Predictor:
    """The model as `serve` loads it."""
    return predictors.load(model())


def test_it_is_of_the_formats_that_it_stands_for(expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that an `mlops` of format 1 must not answer by: it would answer wrongly."""
    made = features.decode((model() / features.FILE).read_bytes())
    assert made.format == 2 and loaded().signature.format == 2
    assert {"words", "time", "category"} <= {one.use for one in made.columns} and any(one.rare for one in made.columns)
    for module in (signature, features):
        with monkeypatch.context() as old, pytest.raises(Corrupt, match="newer"):
            old.setattr(module, "FORMAT", 1)
            loaded()


def test_it_gives_the_answers_it_gave(expected: Any, cli: Any) -> None:
    ref = cli("predict", "flights@production", "data.csv", "--proba", "--keep", "id", "-q", *ROOT).ref
    assert pl.read_parquet(f"{ref}/*.parquet").to_dicts() == expected["predictions"]
    rows = [
        {**row, "departed": row["departed"].isoformat()}
        for row in pl.read_csv("data.csv", try_parse_dates=True).to_dicts()
    ]
    served = loaded().answer(rows)  # whole rows: training left out id and sex
    assert [(one["prediction"], one["proba"]) for one in served] == [
        (one["prediction"], one["proba"]) for one in expected["predictions"]
    ]


def test_what_was_measured_and_judged_is_read(expected: Any, cli: Any) -> None:
    told = json.loads(cli("report", "flights@production", "--format", "json", *ROOT).ref)
    assert told["held"] == expected["held"]
    text = cli("report", "flights@production", *ROOT).ref
    for words in ("about late=false", "calibrated by platt", "compared by sex", "four fifths", "Ann", "flip\\_rate"):
        assert words.replace("\\", "") in text.replace("\\", ""), words
    bom = cli("report", "flights@production", "--format", "cyclonedx", *ROOT).ref
    assert all(json.dumps(gate["gate"])[1:-1] in bom for gate in expected["held"][0]["verdict"]["judgements"])
    gates = ("cost<=200", "demographic_parity_ratio[sex]>=0.1", "flip_rate[noise=0.05]<0.5", "cost<=champion+1")
    asked = [word for gate in gates for word in ("--require", gate)]
    assert cli("promote", "flights@1", "staging", *asked, *ROOT).code == 0
    assert cli("promote", "flights@1", "next", "--policy", "policy.toml", *ROOT).code == 0
    again = cli(
        "evaluate", "flights@1", "--data", "data.csv", "--by", "sex", "--positive", "false", "--against",
        "flights@production", "--require", "cost<=1000", "-q", *ROOT,
    )  # fmt: skip
    assert again.code == 0, again.err
    assert json.loads(cli("inspect", "flights@1", "--verify", "--json", *ROOT).ref)["intact"]
