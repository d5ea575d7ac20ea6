"""The curl lines of docs/serving-images.md, run against a server of images."""

import json
from pathlib import Path

import pytest
from onnx_models import make_image_model, picture
from serving import Running, curl_lines

DOCS = Path(__file__).parents[2] / "docs" / "serving-images.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Running(make_image_model(tmp_path_factory.mktemp("models") / "vehicles")) as running:
        yield running


@pytest.mark.parametrize("line", curl_lines(DOCS))
def test_curl_lines_work(server, shell, work, line):
    (work / "car.jpg").write_bytes(picture("green"))
    (work / "bus.png").write_bytes(picture("red", "PNG"))
    ended = shell(line.replace(":8080", f":{server.port}"))
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    first = answer["outputs"][0]["data"][0] if "outputs" in answer else (answer.get("predictions") or [answer])[0]
    assert first in ("car",) or first["prediction"] == "car"
