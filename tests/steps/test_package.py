"""`mlops package` around its target: which model, which name, what is recorded, and what a failure leaves."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops_cli import extensions
from mlops_cli.errors import Outside
from mlops_cli.store import artefact
from mlops_cli.store import registry as registries
from mlops_cli.store.artefact import Artefact
from mlops_cli.store.manifest import Input
from mlops_cli.store.registry import Entry
from mlops_cli.targets.base import Built, Order

COLUMNS = [{"name": "distance", "type": "float"}]
SIGNATURE = {"format": 1, "family": "lightgbm", "task": "regression", "target": "delay", "columns": COLUMNS}
EXAMPLE = {"request": {"dataframe_records": []}, "answer": {"predictions": []}}


def sealed(folder: Path, kind: str, files: dict[str, Any], *inputs: Input) -> Artefact:
    """An artefact of small JSON files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    created = "2026-01-02T03:04:05Z"
    return artefact.seal(folder, kind=kind, created=created, tool="t", command=["mlops"], inputs=list(inputs))


@pytest.fixture
def model(work: Path) -> Artefact:
    """A model in ./model."""
    return sealed(work / "model", "model", {"signature.json": SIGNATURE, "example.json": EXAMPLE})


@pytest.fixture
def evaluation(work: Path, model: Artefact) -> Artefact:
    """An evaluation of it in ./evaluation."""
    return sealed(work / "evaluation", "evaluation", {"metrics.json": {}}, Input("model", model.id, "model"))


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """The orders that a target in the place of the real one was given."""
    given: list[Order] = []

    def build(order: Order, directory: Path) -> Built:
        given.append(order)
        (directory / "package.json").write_text(json.dumps({"image": f"sha256:{len(given)}"}))
        return Built(("a line for people",), {"image": f"sha256:{len(given)}", "tag": order.tag})

    monkeypatch.setattr(extensions, "load", lambda table, name: SimpleNamespace(build=build))
    return given


def register(model: Artefact, *evidence: Artefact) -> None:
    """The next version of flights in the registry here."""
    store = registries.locate(None, create=True)
    store.register("flights", Entry(model, [], list(evidence), "", "", "tester"))


def test_a_model_directory(cli: Callable[..., Any], model: Artefact, orders: list[Order]) -> None:
    ended = cli("package", "model", "--tag", "flights:1", "--base", "python:3.11", "-o", "image")
    assert ended.ref == "image"
    assert "a line for people" in ended.err
    made = artefact.open_artefact(Path("image"), ("package",))
    assert made.manifest.inputs == [Input("model", model.id, "model")]
    assert made.manifest.params == {"target": "docker", "tag": "flights:1", "base": "python:3.11", "dry_run": False}
    (order,) = orders
    assert (order.name, order.version, order.evaluations) == ("model", None, ())
    assert (order.tag, order.base, order.push, order.dry_run) == ("flights:1", "python:3.11", False, False)
    assert order.created == 1_767_323_045


def test_a_registered_version_with_its_evidence(
    cli: Callable[..., Any], model: Artefact, evaluation: Artefact, orders: list[Order]
) -> None:
    register(model, evaluation)
    ended = cli("package", "flights@1", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["kind"], told["image"], told["exit"]) == ("package", "sha256:1", 0)
    assert [(order.name, order.version) for order in orders] == [("flights", "1")]
    assert orders[0].evaluations == (evaluation.id,)
    made = artefact.open_artefact(Path(told["ref"]))
    assert made.manifest.inputs[0].ref == "flights@1"


def test_an_evaluation_leads_to_its_model(
    cli: Callable[..., Any], model: Artefact, evaluation: Artefact, orders: list[Order]
) -> None:
    assert cli("package", stdin=b"evaluation\n").code == 0
    assert orders[0].model.id == model.id
    assert orders[0].evaluations == (evaluation.id,)


def test_it_always_runs(cli: Callable[..., Any], model: Artefact, orders: list[Order]) -> None:
    first, second = cli("package", "model"), cli("package", "model")
    assert first.ref != second.ref
    assert len(orders) == 2
    assert "cached" not in second.err


def test_the_date_can_be_fixed(
    cli: Callable[..., Any], model: Artefact, orders: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert cli("package", "model").code == 0
    assert orders[0].created == 1_700_000_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    ended = cli("package", "model")
    assert ended.code == 2
    assert "yesterday" in ended.err


def test_the_default_base_can_come_from_the_environment(
    cli: Callable[..., Any], model: Artefact, orders: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_PACKAGE_BASE", "my/base:1")
    assert cli("package", "model").code == 0
    assert orders[0].base == "my/base:1"


def test_a_failure_leaves_nothing(
    cli: Callable[..., Any], model: Artefact, monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    def build(order: Order, directory: Path) -> Built:
        (directory / "half").touch()
        raise Outside("the engine has gone", "start it")

    monkeypatch.setattr(extensions, "load", lambda table, name: SimpleNamespace(build=build))
    ended = cli("package", "model", "-o", "image")
    assert (ended.code, ended.out) == (8, "")
    assert ended.err == "mlops package: outside: the engine has gone\nhint: start it\n"
    assert sorted(path.name for path in work.iterdir()) == [".mlops", "model"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nothing-there"], 4, "nothing-there"),
        (["nobody@3"], 4, "no registry"),
        (["model", "--target", "dokcer"], 2, "docker"),
        (["model", "--tag", "Not A Tag"], 2, "--tag"),
        (["model", "--push"], 2, "--tag"),
        (["model", "--base", "a b"], 2, "--base"),
        (["."], 4, "manifest.json"),
    ],
)
def test_what_cannot_be_packaged(
    cli: Callable[..., Any], model: Artefact, arguments: list[str], code: int, says: str
) -> None:
    ended = cli("package", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert "Traceback" not in ended.err


def test_no_docker_engine(
    cli: Callable[..., Any], model: Artefact, monkeypatch: pytest.MonkeyPatch, work: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    ended = cli("package", "model", "-o", "image")
    assert ended.code == 8
    assert re.match(r"mlops package: outside: no Docker engine answers.*\nhint: .*--dry-run.*\n$", ended.err)
    assert not (work / "image").exists()


def test_a_damaged_model(cli: Callable[..., Any], model: Artefact) -> None:
    (model.path / "example.json").write_text("{}")
    assert cli("package", "model", "-n").code == 5


def test_a_dry_run_is_a_build_context(
    cli: Callable[..., Any], model: Artefact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    assert cli("package", "model", "-n", "-o", "image").ref == "image"
    made = artefact.open_artefact(Path("image"), ("package",))
    assert artefact.verify(made) == []
    assert made.json("package.json", dict)["smoke"] == "not run"
    assert made.read("context/Dockerfile").startswith(b"FROM python:3.")
    again = cli("package", "model", "-n", "-o", "again")
    assert artefact.open_artefact(Path(again.ref)).id == made.id


@pytest.fixture
def container(docker_client: Any) -> Iterator[Callable[[str], str]]:
    """`container(tag)` runs an image locked down and published on loopback; its address. Removed after."""
    running: list[Any] = []
    tags: list[str] = []

    def start(tag: str) -> str:
        started = docker_client.containers.run(
            tag, detach=True, read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"],
            ports={"8080/tcp": ("127.0.0.1", None)},
        )  # fmt: skip
        running.append(started)
        tags.append(tag)
        for _ in range(100):
            started.reload()
            published = started.ports.get("8080/tcp")
            if published:
                address = f"http://127.0.0.1:{published[0]['HostPort']}"
                try:
                    urllib.request.urlopen(f"{address}/v2/health/ready", timeout=2).close()
                    return address
                except OSError:
                    pass  # it is starting
            time.sleep(0.1)
        raise AssertionError(started.logs().decode())

    yield start
    for one in running:
        one.remove(force=True)
    for tag in tags:
        docker_client.images.remove(tag, force=True)


def flights(path: Path, rows: int = 600) -> None:
    """Flights, made up: a category, numbers, nothing in some cells, and a delay that follows from them."""
    lines = ["carrier,distance,dep_delay,late"]
    for number in range(rows):
        carrier = ("UA", "AA", "DL", "")[number % 4]
        delay = "" if number % 17 == 0 else f"{math.sin(number) * 30:.2f}"
        late = "true" if (math.sin(number) * 30 + number % 4 * 5) > 10 else "false"
        lines.append(f"{carrier},{100 + number * 7 % 2500},{delay},{late}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.docker
def test_a_container_answers_with_the_same_numbers_as_predict(
    shell: Callable[..., Any], work: Path, docker_base: str, container: Callable[[str], str]
) -> None:
    """From a CSV file to `curl` on the V2 protocol: the probabilities of predict, digit by digit."""
    import polars as pl

    flights(work / "flights.csv")
    tag = f"mlops-test-flights-{time.monotonic_ns()}:1"
    ended = shell(
        "mlops ingest flights.csv | mlops split --test 0.2 | mlops train --target late -o model >/dev/null"
        f" && mlops package model --base {docker_base} --tag {tag} -o image"
        " && mlops predict model flights.csv --proba -o predictions >/dev/null"
    )
    assert ended.ref == "image", ended.err
    address = container(tag)
    table = pl.read_csv(work / "flights.csv").head(50)
    predicted = pl.read_parquet(next((work / "predictions").glob("*.parquet"))).head(50)
    kinds = {"carrier": "BYTES", "distance": "INT64", "dep_delay": "FP64"}
    inputs = [
        {"name": name, "shape": [table.height], "datatype": kind, "data": table[name].to_list()}
        for name, kind in kinds.items()
    ]
    (work / "request.json").write_text(json.dumps({"id": "one", "inputs": inputs}))
    command = ["curl", "-sS", "-f", "-d", "@request.json", f"{address}/v2/models/model/infer"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=work)
    assert done.returncode == 0, done.stderr + done.stdout
    outputs = {output["name"]: output for output in json.loads(done.stdout)["outputs"]}
    assert outputs["prediction"]["data"] == predicted["prediction"].to_list()
    proba = outputs["proba"]["data"]
    expected = [value for row in predicted["proba"].to_list() for value in row]
    assert proba == expected
