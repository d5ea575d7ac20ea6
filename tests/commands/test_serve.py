"""`mlops serve`: what is served under which name, and how it ends."""

import json
import signal
import sys
from pathlib import Path

import pytest
from serving import ROW, Running, logged, make_model, v2

from mlops_cli.runtime import predictors
from mlops_cli.store import artefact, registry
from mlops_cli.store.registry import Entry

MLOPS = [str(Path(sys.executable).parent / "mlops"), "serve"]
NEVER = {"pandas", "polars", "pyarrow", "sklearn", "scipy"}


@pytest.fixture
def model(work):
    """A model in the current directory, registered as flights@1 and in production."""
    path = make_model(work / "model")
    store = registry.locate(str(work / "mlops-registry"), create=True)
    store.register("flights", Entry(artefact.open_artefact(path), [], [], "test", "", "test"))
    store.move("flights", "production", lambda _: (1, "", {}), "test")
    return path


def running(*words):
    return Running(Path(), command=[*MLOPS, *words])


@pytest.mark.parametrize(
    "ref", ["flights@production", "flights", "flights@1", "models:/flights/1", "models:/flights@production"]
)
def test_a_registered_model_has_its_name_and_version(model, ref):
    with running(ref, "--log", "logs") as server:
        assert "mlops serve: flights 1 on http://127.0.0.1:" in server.said
        status, _, answer = server.ask("POST", "/v2/models/flights/versions/1/infer", v2(ROW, id="x"))
        assert status == 200 and (answer["model_name"], answer["model_version"]) == ("flights", "1")
        expected = predictors.load(model).answer([ROW])[0]
        assert (
            answer["outputs"][0]["data"] == [expected["prediction"]]
            and answer["outputs"][1]["data"] == expected["proba"]
        )
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert not any(f"/{name}/" in maps for name in NEVER)
        assert server.end() == 0
    assert [(line["model"], line["version"]) for line in logged(Path("logs"))] == [("flights", "1")]


def test_a_directory_has_its_own_name_and_no_version(model):
    with running("model") as server:
        status, _, answer = server.ask("POST", "/v2/models/model/infer", v2(ROW))
        assert status == 200 and "model_version" not in answer
    with running("model", "--name", "delays") as server:
        assert server.ask("GET", "/v2/models/delays")[0] == 200


def test_json_tells_the_url(model):
    with running("flights@production", "--json") as server:
        told = json.loads(server.process.stdout.readline())
        assert told == {"exit": 0, "url": f"http://127.0.0.1:{server.port}", "name": "flights", "version": "1"}
        assert server.end(signal.SIGINT) == 130
        assert server.process.stdout.read() == ""


def test_workers(model):
    with running("flights@production", "--workers", "2", "--drain-seconds", "0.2") as server:
        assert server.ask("POST", "/invocations", {"instances": [ROW]})[0] == 200
        assert server.end() == 0


def test_a_reference_from_a_pipe(model, shell):
    line = (
        "(echo flights@production | mlops serve --port 0 --json --drain-seconds 0.1 > said) & "
        "until [ -s said ]; do sleep 0.05; done; "
        'curl -fsS $(sed \'s/.*"url":"\\([^"]*\\)".*/\\1/\' said)/v2/models/flights/ready; kill $(pgrep -P $!); wait $!'
    )
    ended = shell(line)
    assert ended.code == 0 and ended.out == '{"name":"flights","ready":true}', ended.err


def test_stdio(model, shell):
    Path("rows").write_text(json.dumps(ROW) + "\n" + json.dumps(ROW) + "\n")
    ended = shell("cat rows | mlops serve flights@production --stdio --log logs")
    assert ended.code == 0
    assert [json.loads(line) for line in ended.out.splitlines()] == predictors.load(model).answer([ROW]) * 2
    assert len(logged(Path("logs"))) == 2
    assert shell("cat rows | mlops serve --stdio").code == 2
    assert shell("yes '{}' | mlops serve flights --stdio | head -1").code == 141
    assert (
        shell("mlops validate nothing.csv | mlops serve flights --stdio").code == 4
    )  # what failed before says so, once


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 4, "missing: nothing: no such file"),
        (["flights@7"], 4, "missing"),
        (["flights@staging"], 4, "missing"),
        (["data"], 4, "kind: data is a dataset, not a model"),
        (["model", "--port", "70000"], 2, "--port 70000"),
        (["model", "--workers", "x"], 2, "usage"),
        (["model", "--log", "/proc/nothing"], 8, "log directory"),
        (["model", "--log", "logs", "--log-columns", "speed"], 4, "column"),
        (["model", "--workers", "2", "--log", "logs", "--log-columns", "speed", "--port", "0"], 4, "column"),
        (["model", "--retain", "3d"], 2, "need --log"),
    ],
)
def test_what_cannot_be_served(model, shell, words, code, said):
    data = model.parent / "data"
    data.mkdir()
    (data / "x").write_text("x")
    artefact.seal(data, kind="dataset", created="2026-01-01T00:00:00Z", tool="test", command=["test"], inputs=[])
    ended = shell(f"mlops serve {' '.join(words)}")
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("mlops serve: ") and said in ended.err and "Traceback" not in ended.err
    assert len(ended.err.splitlines()) <= 2


def test_a_flipped_byte(model, shell):
    data = bytearray((model / "model.txt").read_bytes())
    data[1000] ^= 1
    (model / "model.txt").write_bytes(data)
    for workers in (1, 2):
        ended = shell(f"mlops serve model --port 0 --workers {workers}")
        assert ended.code == 5 and "integrity: " in ended.err and "the digest does not match" in ended.err
    ended = shell("mlops serve model --port 0 --workers 2 --json")
    assert ended.code == 5 and json.loads(ended.err)["error"] == "integrity"


def test_port_in_use(model, shell):
    with running("flights") as server:
        ended = shell(f"mlops serve flights --port {server.port}")
    assert ended.code == 8
    assert (
        ended.err
        == f"mlops serve: outside: port {server.port} is in use\nhint: give another --port, or 0 for any free one\n"
    )


def test_without_the_extra(model, cli, monkeypatch):
    for name in ("mlops_cli.runtime.server", "mlops_cli.runtime.connection"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delattr("mlops_cli.runtime.server", raising=False)
    ended = cli("serve", "model")
    assert ended.code == 7 and "hint: pip install 'mlops-cli[serve]'" in ended.err
