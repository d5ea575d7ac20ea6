"""The curl lines of docs/serving-images.md, run against a server of images."""

import json
import re
from pathlib import Path

import pytest
from onnx_models import make_image_model, picture
from serving import Running

DOCS = Path(__file__).parents[2] / "docs" / "serving-images.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Running(make_image_model(tmp_path_factory.mktemp("models") / "vehicles")) as running:
        yield running


def lines():
    """Each command with its continuations."""
    for block in re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL):
        if "curl" in block:
            yield from re.split(r"\n(?=curl|printf)", block.strip())


@pytest.mark.parametrize("line", list(lines()))
def test_curl_lines_work(server, shell, work, line):
    (work / "car.jpg").write_bytes(picture("green"))
    (work / "bus.png").write_bytes(picture("red", "PNG"))
    ended = shell(line.replace(":8080", f":{server.port}"))
    assert ended.code == 0, ended.err
    answer = json.loads(ended.out)
    first = answer["outputs"][0]["data"][0] if "outputs" in answer else (answer.get("predictions") or [answer])[0]
    assert first in ("car",) or first["prediction"] == "car"
