"""Images over every protocol: the same answer however they come, the log without their bytes, refusals with reasons."""

import base64
import io
import json
import struct

import numpy as np
import pytest
from onnx_models import CONTEXT, SIZE, image_signature, make_image_model, picture
from PIL import Image
from serving import call, invocations, logged, make_app, post

from mlops_cli.errors import UnknownColumn
from mlops_cli.runtime import log, predictors
from mlops_cli.runtime.protocols import v2_binary

INFER = "/v2/models/flights/infer"
LABELS = ["bus", "car", "truck"]
FILES = [picture(colour, format) for colour, format in (("red", "JPEG"), ("green", "PNG"), ("blue", "WEBP"))]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_image_model(tmp_path_factory.mktemp("models") / "vehicles")


@pytest.fixture(scope="module")
def app(model):
    made, said = make_app(model)
    yield made
    made.close()
    assert said == []


@pytest.fixture(scope="module")
def expected(model):
    answers = predictors.load(model).answer([{"image": data} for data in FILES])
    return [{"prediction": one["prediction"], "proba": one["proba"]} for one in answers]


def named(answer):
    return answer | {"proba": dict(zip(LABELS, answer["proba"], strict=True))}


def kind(text):
    return [(b"content-type", text.encode())]


def text(data):
    return base64.b64encode(data).decode()


def form(*parts, boundary="XyZ"):
    """A form of (name, file or None, bytes)."""
    out = b""
    for name, file, data in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
        out += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), kind(f"multipart/form-data; boundary={boundary}")


# --- what is right


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("header", ["image/jpeg", "image/x-anything", "application/octet-stream", ""])
def test_a_file_as_it_is(app, expected, method, header):
    for data, one in zip(FILES, expected, strict=True):
        status, _, body = call(app, method, "/predict?camera=north&time=2026-11-28T10:00:00Z", data, kind(header))
        assert (status, json.loads(body)) == (200, named(one))


def test_files_in_a_form(app, expected):
    parts = [("files", f"{n}.jpg", data) for n, data in enumerate(FILES)]
    body, headers = form(("camera", None, b"north"), *parts)
    status, answer = post(app, "/predict", body, headers)
    assert status == 200
    assert answer == {"predictions": [named(one) | {"file": f"{n}.jpg"} for n, one in enumerate(expected)]}
    body, headers = form(("image", "bär.jpg", FILES[0]))
    assert post(app, "/predict", body, headers)[1]["predictions"][0]["file"] == "bär.jpg"
    body, headers = form(("image", None, FILES[0]))  # a field with the column's name need not be a file
    assert post(app, "/predict", body, headers)[1] == {"predictions": [named(expected[0]) | {"file": None}]}


def test_base64_in_json(app, expected):
    rows = [{"image": text(data), "camera": "north"} for data in FILES]
    assert invocations(app, {"dataframe_records": rows}) == (200, {"predictions": expected})
    assert invocations(app, {"instances": [[text(FILES[0])]]}) == (200, {"predictions": expected[:1]})
    assert post(app, "/predict", rows[0]) == (200, named(expected[0]))
    assert post(app, "/predict", rows) == (200, {"predictions": [named(one) for one in expected]})
    url = {"image": f"data:image/jpeg;base64,{text(FILES[0])}"}
    assert post(app, "/predict", url) == (200, named(expected[0]))


def outputs(expected):
    """What V2 answers."""
    return [[one["prediction"] for one in expected], [p for one in expected for p in one["proba"]]]


def infer(app, *inputs, rest=b"", **more):
    """The outputs' data of a V2 request; with `rest` in its binary form."""
    head = json.dumps({"inputs": list(inputs), **more}).encode()
    length = [(b"inference-header-content-length", str(len(head)).encode())] if rest else []
    status, answer = post(app, INFER, head + rest, [*kind("application/json"), *length])
    return [one["data"] for one in answer["outputs"]] if status == 200 else (status, answer["error"])


def test_v2_bytes(app, expected):
    camera = {"name": "camera", "shape": [3], "datatype": "BYTES", "data": ["north"] * 3}
    image = {"name": "image", "shape": [3], "datatype": "BYTES", "data": [text(data) for data in FILES]}
    assert infer(app, image, camera) == outputs(expected)
    one = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text(FILES[0])]}
    assert infer(app, one) == outputs(expected[:1])


def test_v2_binary(app, expected):
    packed = b"".join(struct.pack("<I", len(data)) + data for data in FILES)
    cameras = b"".join(struct.pack("<I", 5) + b"north" for _ in FILES)
    image = {"name": "image", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": len(packed)}}
    camera = {"name": "camera", "shape": [3], "datatype": "BYTES", "parameters": {"binary_data_size": len(cameras)}}
    assert infer(app, image, camera, rest=packed + cameras) == outputs(expected)
    assert json.loads(call(app, "GET", "/v2")[2])["extensions"] == ["binary_tensor_data"]


def pixels(size=(SIZE, SIZE)):
    """The pixels of two pictures, shape (2, h, w, 3)."""
    images = [Image.open(io.BytesIO(data)).convert("RGB").resize(size) for data in FILES[:2]]
    return np.stack([np.asarray(image) for image in images])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("size", [(SIZE, SIZE), (31, 17)])
def test_v2_pixels(app, model, first, size):
    """Pixels answer like a lossless file of them, channels last or first, as bytes or as numbers between 0 and 1."""
    files = []
    for image in pixels(size):
        out = io.BytesIO()
        Image.fromarray(image).save(out, "PNG")
        files.append({"image": out.getvalue()})
    answers = outputs(predictors.load(model).answer(files))
    values = pixels(size)
    values = values.transpose(0, 3, 1, 2) if first else values
    tensor = {"name": "image", "shape": list(values.shape)}
    assert infer(app, tensor | {"datatype": "UINT8", "data": values.tolist()}) == answers
    assert infer(app, tensor | {"datatype": "UINT8", "data": values.ravel().tolist()}) == answers
    floats = (values / 255).astype(np.float32)
    assert infer(app, tensor | {"datatype": "FP32", "data": floats.tolist()}) == answers
    for datatype, array in (("UINT8", values.astype(np.uint8)), ("FP32", floats)):
        rest = np.ascontiguousarray(array).tobytes()
        told = tensor | {"datatype": datatype, "parameters": {"binary_data_size": len(rest)}}
        assert infer(app, told, rest=rest) == answers


def test_metadata_tells_what_an_image_may_be(app):
    told = json.loads(call(app, "GET", "/v2/models/flights")[2])
    assert [one["name"] for one in told["inputs"]] == ["image", "camera", "time"]
    assert told["inputs"][0]["datatype"] == "BYTES" and "base64" in told["inputs"][0]["parameters"]["content"]
    assert "/predict" in json.loads(call(app, "GET", "/")[2])["post"]
    status, headers, _ = call(app, "GET", "/predict")
    assert status == 405 and headers[b"allow"] == b"POST, PUT"


def test_rows_of_a_table(tmp_path):
    from serving import ROW, make_model

    app, _ = make_app(make_model(tmp_path / "table"))
    (one,) = predictors.load(tmp_path / "table").answer([ROW])
    labelled = one | {"proba": dict(zip(["false", "true"], one["proba"], strict=True))}
    assert post(app, "/predict", ROW) == (200, labelled)
    assert post(app, "/predict", [ROW, ROW]) == (200, {"predictions": [labelled] * 2})
    rest = {name: value for name, value in ROW.items() if name not in ("carrier", "hour")}
    assert post(app, "/predict?carrier=UA&hour=17", rest) == (200, labelled)
    assert post(app, "/predict", FILES[0], kind("image/jpeg"))[0] == 415


# --- what is refused


@pytest.mark.parametrize(
    ("path", "body", "header", "status", "why"),
    [
        ("/predict", b"", "image/jpeg", 400, "empty"),
        ("/predict", b"not an image", "image/jpeg", 400, "not an image: it begins with the bytes 6e 6f 74 20"),
        ("/predict", FILES[0][:300], "image/jpeg", 400, "image"),
        ("/predict", FILES[0], "text/plain", 415, "content type must be image/"),
        ("/predict", FILES[0], "application/x-www-form-urlencoded", 415, "content type must be image/"),
        ("/predict?speed=3", FILES[0], "image/jpeg", 400, "unknown column 'speed'"),
        ("/predict?image=3", FILES[0], "image/jpeg", 400, "unknown column 'image'"),
        ("/predict?time=noon", FILES[0], "image/jpeg", 400, "takes a time in ISO 8601"),
        ("/predict?" + "a=1&" * 101, FILES[0], "image/jpeg", 400, "more than 100"),
        ("/predict", b'{"image": "!"}', "application/json", 400, "base64"),
        ("/predict", b'{"camera": "north"}', "application/json", 400, "column 'image' is missing"),
        ("/predict", b'{"image": null}', "application/json", 400, "base64"),
        ("/predict", b'{"image": "", "camera": 3}', "application/json", 400, "takes a string"),
        ("/predict", b"[]", "application/json", 400, "no rows"),
        ("/predict", b"x", "multipart/form-data", 400, "boundary"),
        ("/predict", b"x", "multipart/form-data; boundary=a", 400, "cut short"),
        ("/predict", b"--a\r\nX: y\r\n--a--", "multipart/form-data; boundary=a", 400, "headers"),
        ("/predict", b"--a--", "multipart/form-data; boundary=a", 400, "no rows"),
        ("/predict", b"--a\r\nX: y\r\n\r\n1\r\n--a--", "multipart/form-data; boundary=a", 400, "no name"),
        ("/predict", b"x", 'multipart/form-data; boundary*0=a;boundary*=""', 400, "cannot be read"),
        ("/predict", b'--a\r\nContent-Disposition: form-data;name*0=a;name*=""\r\n\r\n1\r\n--a--',
         "multipart/form-data; boundary=a", 400, "cannot be read"),
    ],
)  # fmt: skip
def test_refused_with_a_reason(app, path, body, header, status, why):
    found = call(app, "PUT", path, body, kind(header))
    assert found[0] == status and why in json.loads(found[2])["error"]


def test_too_large_and_too_many(model):
    app, _ = make_app(model, max_body=2000, max_rows=2)
    length = [(b"content-length", b"3000")]
    assert call(app, "PUT", "/predict", b"", [*kind("image/jpeg"), *length])[0] == 413
    assert call(app, "PUT", "/predict", b"x" * 3000, kind("image/jpeg"), chunks=100)[0] == 413
    body, headers = form(*[("f", "x", b"1")] * 3)
    assert call(app, "POST", "/predict", body, headers)[0] == 413
    app, _ = make_app(model)
    body, headers = form(*[("f", "x", b"1")] * 1001)
    assert call(app, "POST", "/predict", body, headers)[0] == 413


def test_a_bomb_is_refused_before_it_is_decoded(app):
    out = io.BytesIO()
    Image.new("L", (9000, 9000)).save(out, "PNG", compress_level=9)
    status, _, body = call(app, "PUT", "/predict", out.getvalue(), kind("image/png"))
    assert status == 400 and "pixels are more than" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shape": [2, 8, 8]}, "takes pixels of shape"),
        ({"shape": [2, 8, 8, 4]}, "takes pixels of shape"),
        ({"shape": [15_000_000, 0, 0, 3], "data": []}, "takes pixels of shape"),
        ({"shape": [2**70, 0, 1, 3], "data": []}, "takes pixels of shape"),
        ({"data": [1, 2, 3]}, "numbers"),
        ({"data": [[1, 2], [3]]}, "uneven"),
        ({"data": [None] * 384}, "numbers"),
        ({"data": [0.5] * 384}, "numbers"),
        ({"data": [256] * 384}, "between 0 and 255"),
        ({"datatype": "FP32", "data": [1.5] * 384}, "between 0 and 1"),
        ({"datatype": "INT64"}, "takes BYTES"),
        ({"data": None}, "no data"),
    ],
)
def test_pixels_that_are_none(app, change, why):
    good = {"name": "image", "shape": [2, 8, 8, 3], "datatype": "UINT8", "data": pixels().ravel().tolist()}
    assert len(infer(app, good)) == 2
    status, error = infer(app, good | change)
    assert status == 400 and why in error


def test_a_tensor_of_very_many_tiny_images_is_refused_before_any_is_made(app, monkeypatch):
    made = []
    monkeypatch.setattr(v2_binary, "_file", made.append)
    many = v2_binary.MOST_PICTURES + 1
    tiny = {"name": "image", "shape": [many, 1, 1, 1], "datatype": "UINT8", "data": [0] * many}
    status, error = infer(app, tiny)
    assert status == 413 and "more than one request may have" in error and not made


def test_one_bad_image_among_several_is_the_clients_fault(app):
    bad = [text(FILES[0]), "aGVsbG8="]
    for path, asked in (
        (INFER, {"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": bad}]}),
        ("/invocations", {"dataframe_split": {"columns": ["image"], "data": [[one] for one in bad]}}),
        ("/invocations", {"inputs": {"image": bad}}),
    ):
        status, answer = post(app, path, json.dumps(asked).encode(), kind("application/json"))
        assert status == 400 and "not an image" in json.dumps(answer)


def test_binary_whose_sizes_do_not_add_up(app):
    data = struct.pack("<I", len(FILES[0])) + FILES[0]
    told = {"name": "image", "shape": [1], "datatype": "BYTES"}
    for size, rest in ((len(data), data[:-1]), (len(data) - 1, data), (len(data) + 1, data), (-1, data), (True, data)):
        assert infer(app, told | {"parameters": {"binary_data_size": size}}, rest=rest)[0] == 400
    assert infer(app, told | {"parameters": {"binary_data_size": 6}}, rest=b"\xff\xff\xff\xff..")[0] == 400
    camera = {"name": "camera", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}
    assert "not UTF-8" in infer(app, camera, rest=b"\x01\0\0\0\xff")[1]
    length = [(b"inference-header-content-length", b"x")]
    assert post(app, INFER, b"{}", [*kind("application/json"), *length])[0] == 400


# --- what is logged


def test_the_log_has_measurements_and_context_and_no_bytes(model, tmp_path):
    app, _ = make_app(model, log=log.Options(tmp_path / "log"), key="frame")
    query = "/predict?camera=north&time=2026-11-28T10:00:00Z&frame=f7"
    assert call(app, "PUT", query, FILES[0], [*kind("image/jpeg"), (b"x-request-id", b"r1")])[0] == 200
    assert infer(app, {"name": "image", "shape": [2], "datatype": "BYTES", "data": [text(d) for d in FILES[:2]]})
    app.close()
    one, two, three = logged(tmp_path / "log")
    measured = [column.name for column in image_signature().measured]
    assert list(one["inputs"]) == [*(column.name for column in CONTEXT), *measured]
    assert (one["key"], one["request_id"], one["prediction"]) == ("f7", "r1", "bus")
    assert (one["inputs"]["camera"], one["inputs"]["width"]) == ("north", 40)
    assert list(two["inputs"]) == list(three["inputs"]) == measured
    assert one["inputs"]["brightness"] == two["inputs"]["brightness"] != three["inputs"]["brightness"]


def test_the_log_keeps_what_it_is_told(model, tmp_path):
    options = log.Options(tmp_path / "log", columns=("camera", "brightness"), redacted=("camera",))
    app, _ = make_app(model, log=options)
    assert call(app, "PUT", "/predict?camera=north", FILES[0], kind("image/jpeg"))[0] == 200
    app.close()
    (line,) = logged(tmp_path / "log")
    assert list(line["inputs"]) == ["camera", "brightness"] and line["inputs"]["camera"] == "***"
    with pytest.raises(UnknownColumn):
        make_app(model, log=log.Options(tmp_path / "log", columns=("image",)))


def test_metrics_count_the_protocol(model):
    app, _ = make_app(model)
    call(app, "PUT", "/predict", FILES[0], kind("image/jpeg"))
    told = call(app, "GET", "/metrics")[2].decode()
    assert 'protocol="predict",code="200"} 1' in told and 'mlops_prediction_total{class="bus"} 1' in told
