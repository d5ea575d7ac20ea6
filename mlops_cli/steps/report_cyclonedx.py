"""The account of a registered version as an ML-BOM: CycloneDX 1.7, JSON, the same for the same records."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from mlops_cli.metrics import fairness, wording
from mlops_cli.metrics.base import Measurements, Metric, text_of
from mlops_cli.steps import report_story
from mlops_cli.steps.report_story import Story
from mlops_cli.store import manifest

SCHEMA = "http://cyclonedx.org/schema/bom-1.7.schema.json"
_MODEL = "model"


def document(story: Story) -> dict[str, Any]:
    """The bill of materials: the model with its card, what it was made from, and the libraries that made it.

    Which class the metrics are about and how answers are decided are properties of the card (`mlops:positive`,
    `mlops:decision`, canonical JSON), and so are the verdicts of promotions, with the gates' owners, severities and
    reasons: `mlops:gate`, one a gate, canonical JSON; `mlops:policy`, the digest of the policy file;
    `mlops:accepted-leaks`, why and by whom metrics of a leaking split were taken.
    """
    data, libraries = _data(story), _libraries(story)
    parts = [*data, *libraries]
    dependencies: list[dict[str, Any]] = [{"ref": part["bom-ref"]} for part in parts]
    body = {
        "version": 1,
        "metadata": {
            "timestamp": _newest(story),
            "tools": {"components": [_tool(story.model.tool)]},
            "component": _model(story, [part["bom-ref"] for part in data]),
        },
        "components": parts,
        "dependencies": [{"ref": _MODEL, "dependsOn": [part["bom-ref"] for part in parts]}, *dependencies],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, manifest.canonical(body).decode())
    head = {"$schema": SCHEMA, "bomFormat": "CycloneDX", "specVersion": "1.7", "serialNumber": f"urn:uuid:{serial}"}
    return head | body


def _newest(story: Story) -> str:
    """When the newest of the records was written."""
    return max([story.record.at, *(one.since for one in story.held), *(one.at for one in story.evidence)])


def _tool(tool: str) -> dict[str, Any]:
    name, _, version = tool.partition(" ")
    return {"type": "application", "name": name or "mlops", **({"version": version} if version else {})}


def _model(story: Story, data: list[str]) -> dict[str, Any]:
    """The model: its files with their digests, and its card."""
    files = [
        {"type": "file", "name": one.path, "hashes": [{"alg": "SHA-256", "content": one.sha256}]}
        for one in story.model.files
    ]
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": story.name,
        "version": str(story.version),
        "components": files,
        "modelCard": _card(story, data),
        "properties": [
            _property("mlops:id", story.record.id),
            _property("mlops:object", story.record.object),
            *(_property("mlops:alias", one.alias) for one in story.held if one.until is None),
        ],
    }
    if story.record.owner:
        found["authors"] = [{"name": story.record.owner}]
    if story.record.note:
        found["description"] = story.record.note
    return found


def _card(story: Story, data: list[str]) -> dict[str, Any]:
    """What the model is for, how it was measured by its newest evaluation, and who judged it by what."""
    parameters: dict[str, Any] = {"approach": {"type": "supervised"}, "datasets": [{"ref": one} for one in data]}
    signature = story.signature
    if signature is not None:
        parameters |= {
            "task": signature.task,
            "architectureFamily": signature.family,
            "inputs": [{"format": f"{column.name}: {column.type}"} for column in signature.columns],
            "outputs": [{"format": signature.target}],
        }
    card: dict[str, Any] = {"modelParameters": parameters}
    measured = next((one.measured for one in reversed(story.evidence) if one.measured), None)
    if measured is not None:
        known = [one for one in measured.metrics if one.value is not None]
        card["quantitativeAnalysis"] = {"performanceMetrics": [_metric(one) for one in known]}
        considerations = _considerations(measured)
        if considerations:
            card["considerations"] = considerations
    properties = [*([] if measured is None else _about(measured)), *_verdicts(story)]
    if properties:
        card["properties"] = properties
    return card


def _about(measured: Measurements) -> list[dict[str, str]]:
    """Which class the metrics are about, and how the model that was measured makes answers of probabilities."""
    found = [] if measured.positive is None else [_property("mlops:positive", text_of(measured.positive))]
    if measured.decided:
        decided = manifest.canonical(msgspec.to_builtins(measured.decided)).decode()
        found.append(_property("mlops:decision", decided))
    return found


def _metric(one: Metric) -> dict[str, Any]:
    """A metric with its slice and its 95 % interval."""
    found: dict[str, Any] = {"type": one.name, "value": str(one.value)}
    if one.column is not None:
        found["slice"] = one.column if one.level is None else f"{one.column}={one.level}"
    if one.low is not None and one.high is not None:
        found["confidenceInterval"] = {"lowerBound": str(one.low), "upperBound": str(one.high)}
    return found


def _considerations(measured: Measurements) -> dict[str, Any]:
    """Why the metrics may flatter, and the groups that are surely chosen less often than another."""
    found: dict[str, Any] = {}
    doubt = measured.certificate.doubt if measured.certificate else ""
    if doubt:
        found["technicalLimitations"] = [f"the metrics may flatter: {doubt}"]
    ratios = [one for one in measured.metrics if one.name == "demographic_parity_ratio"]
    risks = [_risk(measured, one.column) for one in ratios if one.high is not None and one.high < 1]
    if risks:
        found["fairnessAssessments"] = risks
    return found


def _risk(measured: Measurements, column: str | None) -> dict[str, str]:
    """The group of a column with the lowest selection rate, beside the one with the highest."""
    rates = [one for one in measured.metrics if one.name == "selection_rate" and one.column == column]
    compared = [one for one in rates if one.n >= fairness.LEAST and one.level not in fairness.LUMPED]
    lowest, *_, highest = sorted(compared, key=lambda one: one.value or 0.0)
    told = [f"{wording.value(one)} {wording.interval(one)} of {column}={one.level}" for one in (lowest, highest)]
    harm = f"{measured.target}={measured.positive} is predicted for {told[0]}, and for {told[1]}"
    return {"groupAtRisk": f"{column}={lowest.level}", "harms": harm}


def _verdicts(story: Story) -> list[dict[str, str]]:
    """What every gate said when an alias was moved to the version, and by which policy."""
    found = []
    for one in story.held:
        policy = one.verdict.get("policy")
        if isinstance(policy, dict):
            found.append(_property("mlops:policy", manifest.canonical(policy | _when(one.alias, one.since)).decode()))
        if one.verdict.get("accepted_leaks"):
            accepted = {"why": str(one.verdict["accepted_leaks"]), "by": one.by} | _when(one.alias, one.since)
            found.append(_property("mlops:accepted-leaks", manifest.canonical(accepted).decode()))
    for held, gate in report_story.judgements(story):
        found.append(_property("mlops:gate", manifest.canonical(gate | _when(held.alias, held.since)).decode()))
    return found


def _when(alias: str, since: str) -> dict[str, str]:
    return {"alias": alias, "since": since}


def _data(story: Story) -> list[dict[str, Any]]:
    """The artefacts and raw inputs that the model was made from, nearest first."""
    made = [
        {"type": "data", "name": one["kind"], "properties": [_property("mlops:id", one["id"])]} for one in story.lineage
    ]
    raw = []
    for one in report_story.raw_inputs(story):
        found: dict[str, Any] = {"type": "data", "name": one["ref"] or one["kind"]}
        digest = one["id"].removeprefix("sha256:")
        if one["kind"] == "file" and len(digest) == 64:
            found["hashes"] = [{"alg": "SHA-256", "content": digest}]
        elif one["id"]:
            found["properties"] = [_property("mlops:id", one["id"])]
        raw.append(found)
    return [{"bom-ref": f"data-{number}", **one} for number, one in enumerate([*made, *raw], 1)]


def _libraries(story: Story) -> list[dict[str, Any]]:
    """The packages that trained the model."""
    packages = story.model.environment.get("packages") or {}
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": str(version),
            "purl": f"pkg:pypi/{name}@{version}",
        }
        for name, version in packages.items()
    ]


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}
