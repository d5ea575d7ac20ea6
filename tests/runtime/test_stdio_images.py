"""`--stdio` for a camera loop: frames with their length before them, or rows with base64 or a path, each answered."""

import base64
import json
import struct
import subprocess
import sys

import pytest
from onnx_models import make_image_model, picture
from serving import logged

from mlops_cli.runtime import frames, predictors
from mlops_cli.runtime.protocols.base import Refused

FILES = [picture(colour) for colour in ("red", "green", "blue")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_image_model(tmp_path_factory.mktemp("models") / "vehicles")


@pytest.fixture(scope="module")
def expected(model):
    answers = predictors.load(model).answer([{"image": data} for data in FILES])
    return [{"prediction": one["prediction"], "proba": one["proba"]} for one in answers]


def command(model, *flags):
    return [sys.executable, "-m", "mlops_cli.runtime", str(model), "--stdio", *map(str, flags)]


def answered(model, data, *flags, cwd=None):
    done = subprocess.run(command(model, *flags), input=data, capture_output=True, timeout=60, cwd=cwd)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def frame(data):
    return struct.pack(">I", len(data)) + data


def test_frames(model, expected, tmp_path):
    data = b"".join(map(frame, FILES))
    code, answers, said = answered(model, data, "--context", "camera=north", "--log", tmp_path / "log")
    assert (code, answers, said) == (0, expected, "mlops serve: 3 rows answered, 0 refused\n")
    lines = logged(tmp_path / "log")
    assert [line["inputs"]["camera"] for line in lines] == ["north"] * 3
    assert [line["prediction"] for line in lines] == ["bus", "car", "truck"] and "image" not in lines[0]["inputs"]


def test_a_bad_frame_is_answered_in_its_place(model, expected):
    bad = [frame(FILES[0]), frame(b"nothing"), frame(b""), frame(b"x" * 5000), frame(FILES[1]), frame(FILES[2])[:-9]]
    code, answers, _ = answered(model, b"".join(bad), "--max-body", "4000")
    assert code == 0
    assert [answer.get("error") for answer in answers] == [
        None,
        "column 'image': not an image: it begins with the bytes 6e 6f 74 68",
        "the frame is empty",
        "a frame of 5000 bytes is larger than 4000",
        None,
        "the input ends in the middle of a frame",
    ]
    assert answers[0] == expected[0] and answers[4] == expected[1]


def test_a_camera_that_waits_for_each_answer(model, expected):
    process = subprocess.Popen(
        command(model), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    with process:
        for data, one in list(zip(FILES, expected, strict=True)) * 2:
            whole = frame(data)
            for piece in (whole[:2], whole[2:50], whole[50:]):  # as a pipe may cut it
                process.stdin.write(piece)
            assert json.loads(process.stdout.readline()) == one
        process.stdin.close()
        assert process.wait(10) == 0


def test_rows_with_base64_or_a_path(model, expected, tmp_path):
    (tmp_path / "a.jpg").write_bytes(FILES[0])
    (tmp_path / "large.jpg").write_bytes(b"x" * 5000)
    rows = [
        {"path": "a.jpg", "camera": "north"},
        {"image": base64.b64encode(FILES[1]).decode()},
        {"path": "none.jpg"},
        {"path": "large.jpg"},
        {"path": "a\0b"},
        {"path": "."},
        {"camera": "north"},
    ]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    code, answers, _ = answered(model, data, "--max-body", "4000", cwd=tmp_path)
    assert code == 0 and answers[:2] == expected[:2]
    errors = [answer["error"] for answer in answers[2:]]
    for error, why in zip(errors, ["No such file", "larger than 4000", "null", "directory", "missing"], strict=True):
        assert why in error


def test_frames_are_told_from_text():
    assert not frames.begins(b"") and not frames.begins(b'{"image"') and not frames.begins(b"\tx")
    assert not frames.begins(b"mlops:stop:1:x") and frames.begins(b"\0\0\x10\0")


def test_frames_however_they_are_cut():
    whole = b"".join(map(frame, [b"a", b"", b"x" * 300, b"bc" * 9]))
    for size in (1, 2, 3, 7, 100, 1000):
        pieces = iter([whole[at : at + size] for at in range(0, len(whole), size)])
        found = [one for group in frames.split(pieces, 200) for one in group]
        assert found == [frame(b"a"), frame(b""), frame(b"x" * 300)[:4], frame(b"bc" * 9)]
    with pytest.raises(Refused):
        frames.content(frame(b"x" * 300)[:4], 200)


def test_over_http_a_path_is_no_way_to_a_file(model, tmp_path):
    from serving import make_app, post

    (tmp_path / "a.jpg").write_bytes(FILES[0])
    app, _ = make_app(model)
    status, answer = post(app, "/predict", {"path": str(tmp_path / "a.jpg")})
    assert status == 400 and "unknown column 'path'" in answer["error"]
