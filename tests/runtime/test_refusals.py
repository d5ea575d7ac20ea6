"""Every way for a request to be wrong: a 4xx that says what is wrong, and never a 5xx for what a client sends."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import INFER, ROW, call, invocations, make_app, make_model, post, tensor, v2


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    made, said = make_app(make_model(tmp_path_factory.mktemp("models") / "binary"))
    yield made
    made.close()
    assert said == []  # nothing that a client sent was a bug of ours


NESTED = b'{"inputs":[{"name":"hour","shape":[1],"datatype":"FP64","data":' + b"[" * 50_000 + b"]" * 50_000 + b"}]}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body is empty"),
        (b"{", "JSON"),
        (b"nul", "JSON"),
        (b"{} {}", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"inputs":"' + b"\xc3\x28" + b'"}', "JSON"),
        (b"{}", "inputs"),
        (b"[]", "object"),
        (b"[" * 100_000, "JSON"),
        (b'{"inputs":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (NESTED, "deep"),
        ({"inputs": []}, "no inputs"),
        ({"inputs": [tensor("speed")]}, "unknown input 'speed'"),
        ({"inputs": [tensor(), tensor()]}, "given twice"),
        ({"inputs": [tensor(datatype="FP64")]}, "takes INT64, not FP64"),
        ({"inputs": [tensor(datatype="int64")]}, "takes INT64, not int64"),
        ({"inputs": [tensor("carrier", datatype="INT64")]}, "takes BYTES, not INT64"),
        ({"inputs": [tensor("carrier", datatype="BYTES", data=[5])]}, "row 0: input 'carrier' holds 5"),
        ({"inputs": [tensor(data=["1"])]}, "row 0: input 'hour' holds '1'"),
        ({"inputs": [tensor(data=[True])]}, "row 0: input 'hour' holds True"),
        ({"inputs": [tensor(data=[1.5])]}, "row 0: input 'hour' holds 1.5"),
        ({"inputs": [tensor(datatype="INT8", data=[1, 128], shape=[2])]}, "row 1: input 'hour' holds 128"),
        ({"inputs": [tensor(datatype="UINT64", data=[-1])]}, "row 0: input 'hour' holds -1"),
        ({"inputs": [tensor(datatype="UINT64", data=[2**64 - 1])]}, "hour"),
        ({"inputs": [tensor(data=[10**400])]}, "row 0: column 'hour'"),
        (b'{"inputs":[{"name":"hour","shape":[1],"datatype":"INT64","data":[' + b"9" * 6000 + b"]}]}", ""),
        (b'{"inputs":[{"name":"hour","shape":[1],"datatype":"UINT8","data":[' + b"9" * 6000 + b"]}]}", ""),
        (b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":[' + b"9" * 6000 + b"]}]}", ""),
        (b'{"inputs":[{"name":"carrier","shape":[1],"datatype":"BYTES","data":[' + b"9" * 6000 + b"]}]}", ""),
        (b'{"inputs":[{"name":"hour","shape":[' + b"9" * 6000 + b'],"datatype":"INT64","data":[1]}]}', "JSON"),
        ({"inputs": [tensor(shape=[2])]}, "has 1 values, its shape says 2"),
        ({"inputs": [tensor(shape=[-1])]}, "its shape says -1"),
        ({"inputs": [tensor(shape=[])]}, "shape [n] or [n, 1]"),
        ({"inputs": [tensor(shape=[1, 2], data=[1, 2])]}, "shape [n] or [n, 1]"),
        ({"inputs": [tensor(shape=[2, 1], data=[[1], [2, 3]])]}, "one value a row"),
        ({"inputs": [tensor(shape=[2, 1], data=[[1], 2])]}, "one value a row"),
        ({"inputs": [tensor(shape=[1, 1], data=[[[1]]])]}, "hour"),
        ({"inputs": [tensor(shape=[0], data=[])]}, "no rows"),
        ({"inputs": [tensor(), tensor("distance", [2], "FP64", [1, 2])]}, "'distance' has 2 rows, input 'hour' has 1"),
        ({"inputs": [tensor("departs", datatype="BYTES", data=["yesterday"])]}, "row 0: column 'departs'"),
        ({"inputs": [tensor()], "outputs": [{"name": "logits"}]}, "unknown output 'logits'"),
        ({"inputs": [tensor()], "id": 5}, "id"),
        ({"inputs": [tensor()], "id": "x" * 300}, "id is longer"),
        (b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":[NaN]}]}', "JSON"),
        (b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":[-Infinity]}]}', "JSON"),
        (b'{"inputs":[{"name":"distance","shape":[1],"datatype":"FP64","data":[1e999]}]}', "JSON"),
        (b'{"inputs":[{"name":"carrier","shape":[1],"datatype":"BYTES","data":["\\ud800"]}]}', "JSON"),
    ],
)  # fmt: skip
def test_v2_refusals(app, body, said):
    status, answer = post(app, INFER, body)
    assert status == 400 and list(answer) == ["error"] and said in answer["error"]
    assert "\n" not in answer["error"] and len(answer["error"]) < 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        ({}, "exactly one of"),
        ({"dataframe_records": [], "instances": []}, "has dataframe_records and instances"),
        ({"dataframe_records": []}, "no rows"),
        ({"inputs": {}}, "no rows"),
        ({"inputs": {"hour": []}}, "no rows"),
        ({"dataframe": []}, "unknown field"),
        ({"dataframe_records": [5]}, "JSON"),
        ({"dataframe_records": [{"speed": 1}]}, "row 0: unknown column 'speed'"),
        ({"dataframe_records": [ROW, {"hour": "x"}]}, "row 1: column 'hour'"),
        ({"dataframe_records": [{"hour": {"a": 1}}]}, "row 0: column 'hour'"),
        ({"dataframe_records": [{"distance": [[]] * 50}]}, "row 0: column 'distance'"),
        ({"dataframe_records": [{"weekend": 1}]}, "row 0: column 'weekend'"),
        ({"dataframe_split": {"columns": ["hour", "hour"], "data": [[1, 2]]}}, "'hour' is given twice"),
        ({"dataframe_split": {"columns": ["hour"], "data": [[1], [1, 2]]}}, "row 1 has 2 values for 1 columns"),
        ({"dataframe_split": {"columns": ["hour"]}}, "data"),
        ({"dataframe_split": {"columns": ["hour"], "data": []}}, "no rows"),
        ({"instances": [1, 2]}, "rows must be"),
        ({"instances": [{"hour": 1}, [1]]}, "rows must be"),
        ({"instances": [[1]]}, "row 0 has 1 values for 5 columns"),
        ({"inputs": {"hour": [1], "distance": [1, 2]}}, "differ in length"),
        ({"inputs": {"hour": 5}}, "JSON"),
        ({"inputs": 5}, "JSON"),
        (b'{"dataframe_records":[{"distance":NaN}]}', "JSON"),
        (b'{"dataframe_records":[{"distance":' + b"9" * 6000 + b"}]}", ""),
        (b'{"dataframe_records":[{"hour":' + b"9" * 6000 + b"}]}", ""),
        (b'{"dataframe_records":[{"carrier":' + b"9" * 6000 + b"}]}", ""),
        (b'{"dataframe_records":[{"weekend":' + b"9" * 4000 + b"}]}", ""),
        (b'{"inputs":{"hour":[' + b"9" * 6000 + b",1]}}", ""),
        (b'{"inputs":{"distance":[' + b"9" * 6000 + b",1]}}", ""),
        (b'{"params":{"a":' + b"[" * 100_000, "deep"),
    ],
)
def test_mlflow_refusals(app, body, said):
    status, answer = invocations(app, body)
    assert status == 400 and answer["error_code"] == "BAD_REQUEST" and said in answer["message"]
    assert "\n" not in answer["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"hour\n", "no rows"),
        (b"hour\n1,2\n", "row 0 has 2 values"),
        (b"hour\n1_0\n", "row 0: column 'hour'"),
        (b"hour\n" + b"9" * 5000 + b"\n", "row 0: column 'hour'"),
        (b"distance\nnan\n", "row 0: column 'distance'"),
        (b"distance\ninf\n", "row 0: column 'distance'"),
        (b"distance\n1e999\n", "row 0: column 'distance'"),
        (b"weekend\nyes\n", "row 0: column 'weekend'"),
        (b'carrier\n"x\n', "CSV"),
        (b"carrier\n\xff\n", "UTF-8"),
        (b"carrier\n\x00\n", ""),
        (b"speed\n1\n", "unknown column 'speed'"),
    ],
)
def test_csv_refusals(app, text, said):
    status, answer = invocations(app, text, [(b"content-type", b"text/csv")])
    assert said in answer.get("message", "") if said else status in (200, 400)
    assert status == 400 or not said


@pytest.mark.parametrize(
    "kind",
    [b"text/plain", b"", b"application/json; charset=latin-1", b"application/json; x=y", b"multipart/form-data"],
)
def test_other_content_types(app, kind):
    status, answer = invocations(app, {"instances": [ROW]}, [(b"content-type", kind)])
    assert status == 415 and answer["error_code"] == "BAD_REQUEST"


def test_what_is_not_there(app):
    def get(path, method="GET"):
        status, headers, body = call(app, method, path)
        return status, json.loads(body)["error"], headers

    assert get("/v2/models/other")[:2] == (404, "there is no model other, only flights")
    assert get("/v2/models/flights/versions/8/infer", "POST")[:2] == (404, "model flights has no version 8 here")
    assert get("/v2/models/other/infer", "POST")[0] == 404
    assert get("/x\ny")[0] == 404
    assert get(INFER)[0] == 405 and get(INFER)[2][b"allow"] == b"POST"
    assert get("/metrics", "DELETE")[2][b"allow"] == b"GET, HEAD"


def test_compressed_and_binary_bodies(app):
    assert post(app, INFER, v2(ROW), [(b"content-encoding", b"gzip")])[0] == 415
    assert post(app, INFER, v2(ROW), [(b"inference-header-content-length", b"5")])[0] == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
columns = st.sampled_from([*ROW, "speed"])
tensors = st.fixed_dictionaries(
    {
        "name": columns | st.text(max_size=3),
        "shape": st.lists(st.integers(-1, 3), max_size=3) | json_values,
        "datatype": st.sampled_from(["BOOL", "INT64", "UINT8", "FP32", "BYTES", "x"]),
        "data": st.lists(json_values, max_size=3) | json_values,
    }
)
some_columns = st.lists(st.sampled_from(list(ROW)), max_size=3)
near = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values,
        "inputs": st.lists(tensors, max_size=4)
        | st.dictionaries(columns, st.lists(json_values, max_size=3))
        | json_values,
        "dataframe_records": st.lists(st.dictionaries(columns, json_values, max_size=5), max_size=3),
        "dataframe_split": st.fixed_dictionaries(
            {"data": st.lists(st.lists(json_values, max_size=3), max_size=3)}, optional={"columns": some_columns}
        ),
        "instances": json_values,
        "outputs": json_values,
    },
)


@settings(max_examples=600, deadline=None)
@given(
    body=st.binary(max_size=60) | near | json_values, path=st.sampled_from([INFER, "/invocations"]), csv=st.booleans()
)
def test_nothing_a_client_sends_is_a_5xx(app, body, path, csv):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = b"text/csv" if csv and isinstance(body, bytes) else b"application/json"
    status, _, answer = call(app, "POST", path, data, [(b"content-type", kind)])
    assert status in (200, 400)
    assert json.loads(answer)
