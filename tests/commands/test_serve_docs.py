"""The curl lines of docs/serving.md, run against a server."""

import json
from pathlib import Path

import pytest
from serving import Running, curl_lines, make_model

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Running(make_model(tmp_path_factory.mktemp("models") / "flights")) as running:
        yield running


@pytest.mark.parametrize("line", curl_lines(DOCS))
def test_curl_lines_work(server, shell, line):
    ended = shell(line.replace(":8080", f":{server.port}"))
    assert ended.code == 0, ended.err
    if "/metrics" not in line:
        answer = json.loads(ended.out)
        assert len(answer.get("predictions") or answer["outputs"][0]["data"]) in (1, 2)


def test_every_endpoint_is_documented(server):
    told = server.ask("GET", "/")[2]
    text = DOCS.read_text()
    for path in told["get"] + told["post"]:
        assert (
            f"`{path.replace('flights', 'NAME')}`" in text
            or f"GET {path}" in text
            or f"POST {path}" in text.replace("NAME", "flights")
        )
