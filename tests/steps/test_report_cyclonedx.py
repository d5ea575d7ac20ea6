"""`report --format cyclonedx`: an ML-BOM that its own schema takes, with the verdicts of a policy in it."""

import json
from pathlib import Path

import msgspec
import pytest
import watching as world
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from mlops_cli.metrics.base import Certified, Decided, Measurements, Metric
from mlops_cli.store import artefact, registry
from mlops_cli.store.manifest import Input
from mlops_cli.store.registry import Entry

NASTY = '<script>"x"\n'
RAW = "sha256:" + "ab" * 32
POLICY = 'owner = "Claims"\n[[gate]]\nexpression = "precision>=0.5"\nreason = "drivers"\n'


def measured():
    """What an evaluation found: by sex the groups are treated differently, by town not surely."""
    return Measurements(
        task="binary",
        target="won",
        positive=True,
        rows=400,
        decided=Decided(threshold=0.2),
        certificate=Certified(None, ["the rows are of the train part"]),
        metrics=[
            Metric("precision", 0.9, 0.88, 0.92, 400),
            Metric("mcc", None, None, None, 400),
            Metric("selection_rate", 0.5, 0.4, 0.6, 200, "sex", "f"),
            Metric("selection_rate", 0.8, 0.7, 0.9, 180, "sex", "m"),
            Metric("selection_rate", 0.1, 0.0, 0.9, 20, "sex", "x"),
            Metric("demographic_parity_ratio", 0.625, 0.5, 0.8, 380, "sex"),
            Metric("demographic_parity_ratio", 0.9, 0.7, 1.0, 400, "town"),
        ],
    )


@pytest.fixture
def flights(work):
    """Version 1 with nasty words, a raw file and a database in its lineage, and an evaluation."""
    made = world.model(Path("models/one"))
    folder = Path("models/evaluation")
    folder.mkdir()
    (folder / "metrics.json").write_bytes(msgspec.json.encode(measured()))
    proof = artefact.seal(folder, kind="evaluation", created="", tool="mlops 0", command=[], inputs=[])
    split = work / "split"
    split.mkdir()
    (split / "certificate.json").write_text("{}")
    inputs = [Input("file", RAW, NASTY), Input("query", "", "postgresql://db/x")]
    parent = artefact.seal(split, kind="split", created="", tool="mlops 0", command=[], inputs=inputs)
    lineage = [json.loads((parent.path / "manifest.json").read_bytes())]
    store = registry.locate(None, create=True)
    store.register("flights", Entry(made, lineage, [proof], NASTY, NASTY, "ann@host"))
    return work


def bom(cli, *more):
    return cli("report", "flights@1", "--format", "cyclonedx", *more).ref


def test_the_schema_takes_it_before_and_after_a_promotion(flights, cli):
    check = JsonStrictValidator(SchemaVersion.V1_7)
    before = bom(cli)
    assert check.validate_str(before) is None
    assert check.validate_str(before.replace('"machine-learning-model"', '"model"')) is not None
    Path("policy.toml").write_text(POLICY)
    leaks = "--accept-leaks", "known"
    assert cli("promote", "flights@1", "production", "--policy", "policy.toml", *leaks).code == 0
    after = bom(cli)
    assert check.validate_str(after) is None and bom(cli) == after
    assert json.loads(before)["serialNumber"] != json.loads(after)["serialNumber"]
    assert bom(cli, "-o", "bom.json") == "bom.json" and Path("bom.json").read_text().strip() == after


def test_it_tells_what_was_measured_who_is_at_risk_and_what_gates_said(flights, cli):
    Path("policy.toml").write_text(POLICY)
    cli("promote", "flights@1", "production", "--policy", "policy.toml", "--accept-leaks", "known")
    model = json.loads(bom(cli))["metadata"]["component"]
    card = model["modelCard"]
    numbers = card["quantitativeAnalysis"]["performanceMetrics"]
    assert numbers[0] == {
        "type": "precision", "value": "0.9", "confidenceInterval": {"lowerBound": "0.88", "upperBound": "0.92"}
    }  # fmt: skip
    assert numbers[1]["slice"] == "sex=f" and "mcc" not in [one["type"] for one in numbers]
    considered = card["considerations"]
    (risk,) = considered["fairnessAssessments"]
    assert risk["groupAtRisk"] == "sex=f" and "0.80 [0.70, 0.90] of sex=m" in risk["harms"]
    assert "train part" in considered["technicalLimitations"][0]
    plain = {one["name"]: one["value"] for one in card["properties"]}
    assert plain["mlops:positive"] == "true" and json.loads(plain["mlops:decision"]) == {"threshold": 0.2}
    told = [(one["name"], json.loads(one["value"])) for one in card["properties"] if one["name"] != "mlops:positive"]
    (policy,) = (value for name, value in told if name == "mlops:policy")
    (gate,) = (value for name, value in told if name == "mlops:gate")
    (accepted,) = (value for name, value in told if name == "mlops:accepted-leaks")
    assert accepted["why"] == "known" and accepted["alias"] == "production" and accepted["by"]
    assert policy["digest"].startswith("sha256:") and policy["alias"] == "production"
    assert (gate["gate"], gate["answer"], gate["owner"], gate["severity"], gate["why"]) == (
        "precision>=0.5", "pass", "Claims", "block", "drivers"
    )  # fmt: skip
    parts = {one["name"]: one for one in json.loads(bom(cli))["components"]}
    assert parts[NASTY]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
