"""The application without sockets: every protocol, bounds, tokens, the log and the metrics."""

import asyncio
import json
import re
import threading

import pytest
from serving import (
    CLASSES,
    INFER,
    JSON,
    ROW,
    call,
    called,
    invocations,
    logged,
    make_app,
    make_model,
    post,
    sample,
    tensor,
    v2,
)

from mlops_cli.errors import Outside, UnknownColumn
from mlops_cli.runtime import log, predictors
from mlops_cli.runtime import settings as told


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {task: make_model(folder / task, task) for task in CLASSES}


@pytest.fixture(scope="module")
def app(models):
    made, said = make_app(models["binary"])
    yield made
    made.close()
    assert said == []  # nothing that a client sent was a bug of ours


# --- what is right


@pytest.mark.parametrize("task", CLASSES)
def test_all_protocols_give_what_the_predictor_gives(models, task):
    app, said = make_app(models[task])
    rows = sample(40, seed=3)
    expected = predictors.load(models[task]).answer(rows)
    names = list(ROW)
    lists = [[row[name] for name in names] for row in rows]
    columns = {name: [row[name] for row in rows] for name in names}
    bodies = [
        {"dataframe_records": rows},
        {"dataframe_split": {"columns": names, "data": lists, "index": list(range(40))}},
        {"dataframe_split": {"columns": names[::-1], "data": [row[::-1] for row in lists]}, "params": {"a": 1}},
        {"instances": rows},
        {"instances": lists},
        {"inputs": columns},
        {"inputs": lists},
    ]
    for body in bodies:
        assert invocations(app, body) == (200, {"predictions": expected})
    for row, one in zip(rows, expected, strict=True):
        assert invocations(app, {"dataframe_records": [row]}) == (200, {"predictions": [one]})
    kinds = {"carrier": "BYTES", "hour": "INT32", "distance": "FP64", "weekend": "BOOL", "departs": "BYTES"}
    for nested in (False, True):
        inputs = [
            {
                "name": name,
                "shape": [40, 1] if nested else [40],
                "datatype": kinds[name],
                "data": [[value] for value in values] if nested else values,
                "parameters": {"content_type": "np"},
            }
            for name, values in columns.items()
        ]
        status, answer = post(app, INFER, {"id": "ü", "inputs": inputs, "parameters": {"x": 1}})
        assert status == 200 and answer["id"] == "ü"
        outputs = {output["name"]: output for output in answer["outputs"]}
        assert outputs["prediction"]["data"] == [one["prediction"] for one in expected]
        assert outputs["prediction"]["shape"] == [40]
        if task == "regression":
            assert list(outputs) == ["prediction"]
        else:
            k = len(CLASSES[task])
            assert outputs["proba"]["shape"] == [40, k] and outputs["proba"]["datatype"] == "FP64"
            assert outputs["proba"]["data"] == [p for one in expected for p in one["proba"]]
        assert (
            outputs["prediction"]["datatype"] == {"binary": "BOOL", "multiclass": "BYTES", "regression": "FP64"}[task]
        )
    assert said == []
    app.close()


def test_csv(app, models):
    rows = sample(5, seed=8)
    text = "\r\n".join(
        [",".join(ROW)]
        + [
            ",".join("" if v is None else str(v).lower() if type(v) is bool else str(v) for v in row.values())
            for row in rows
        ]
    )
    expected = predictors.load(models["binary"]).answer(rows)
    for kind in (b"text/csv", b"text/csv; charset=utf-8", b'TEXT/CSV;charset="UTF-8"'):
        assert invocations(app, text.encode(), [(b"content-type", kind)]) == (200, {"predictions": expected})
    assert invocations(app, b"\xef\xbb\xbf" + text.encode(), [(b"content-type", b"text/csv")])[0] == 200


def test_model_and_version_are_named(app):
    status, answer = post(app, INFER, v2(ROW, id="a"))
    assert (status, answer["model_name"], answer["model_version"], answer["id"]) == (200, "flights", "7", "a")
    assert post(app, "/v2/models/flights/versions/7/infer", v2(ROW, id="a")) == (status, answer)


def test_only_the_outputs_asked_for(app):
    status, answer = post(app, INFER, v2(ROW, outputs=[{"name": "proba", "parameters": {}}]))
    assert status == 200 and [output["name"] for output in answer["outputs"]] == ["proba"]
    status, answer = post(app, INFER, v2(ROW, outputs=[{"name": "proba"}, {"name": "prediction"}]))
    assert [output["name"] for output in answer["outputs"]] == ["proba", "prediction"]
    assert len(post(app, INFER, v2(ROW, outputs=[]))[1]["outputs"]) == 2


def test_columns_may_be_left_out_and_null(app, models):
    row = {"hour": None, "distance": 3}
    expected = predictors.load(models["binary"]).answer([row])
    assert invocations(app, {"dataframe_records": [row]}) == (200, {"predictions": expected})
    body = {"inputs": [{"name": "hour", "shape": [1], "datatype": "INT64", "data": [None]},
                       {"name": "distance", "shape": [1], "datatype": "FP32", "data": [3]}]}  # fmt: skip
    assert post(app, INFER, body)[1]["outputs"][1]["data"] == expected[0]["proba"]


def test_request_id(app):
    def sent(body, *headers):
        return call(app, "POST", INFER, json.dumps(body).encode(), [*JSON, *headers])

    _, headers, body = sent(v2(ROW))
    own = headers[b"x-request-id"].decode()
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{8}", own) and json.loads(body)["id"] == own
    assert sent(v2(ROW), (b"x-request-id", b"mine"))[1][b"x-request-id"] == b"mine"
    assert sent(v2(ROW, id="body"), (b"x-request-id", b"mine"))[1][b"x-request-id"] == b"body"
    # What could break the header is written so that it cannot; what the client chose too long or odd is not used.
    assert sent(v2(ROW, id="a\r\nb: ü"))[1][b"x-request-id"] == b"a%0D%0Ab%3A%20%C3%BC"
    for odd in (b"x" * 300, b"\xff", b"\x00", b""):
        assert re.fullmatch(rb"[0-9a-f]{16}-[0-9a-f]{8}", sent(v2(ROW), (b"x-request-id", odd))[1][b"x-request-id"])


# --- bounds


def test_bodies_are_bounded(models):
    app, _ = make_app(models["binary"], max_body=2000, max_rows=3)
    big = b" " * 3000
    assert post(app, INFER, b"", [(b"content-length", b"3000")])[0] == 413  # told before a byte is read
    assert post(app, INFER, big)[0] == 413
    assert invocations(app, big, chunks=100)[0] == 413
    assert post(app, INFER, v2(ROW), chunks=7)[0] == 200
    assert post(app, INFER, v2({"hour": 1}, 4)) == (413, {"error": "4 rows are more than one request may have, 3"})
    assert invocations(app, {"dataframe_records": [{}] * 4})[0] == 413
    assert post(app, INFER, b"", [(b"content-length", b"9" * 5000)])[0] in (400, 413)
    app.close()


def test_memory_for_large_bodies_is_bounded(models):
    app, _ = make_app(models["binary"], max_body=20_000_000)
    app._bodies._held = app._bodies._max_held
    status, headers, _ = call(app, "POST", INFER, b"", [(b"content-length", b"1000000")])
    assert status == 503 and headers[b"retry-after"] == b"1"
    assert post(app, INFER, b" " * 100_000)[0] == 503
    assert post(app, INFER, v2(ROW))[0] == 200  # small ones are answered all the same
    app._bodies._held = 0
    for body in (b" " * 100_000, json.dumps(v2(ROW, 1000)).encode()):
        post(app, INFER, body)
        post(app, INFER, body, chunks=10_000)
    assert app._bodies._held == 0
    app.close()


def test_a_client_that_goes_is_no_error(app):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": INFER, "headers": []}
    asyncio.run(app(scope, receive, lambda message: sent.append(message)))
    assert sent == [] and "mlops_requests_in_progress 0\n" in app._metrics.text().decode()


def test_a_large_body_does_not_hold_the_loop(models):
    app, _ = make_app(models["binary"])
    release, score = threading.Event(), app._now.scorer.score

    def slow(*arguments):
        assert release.wait(10)
        return score(*arguments)

    app._now.scorer.score = slow
    body = json.dumps(v2(ROW, 1000)).encode()

    async def both():
        large = asyncio.create_task(called(app, "POST", INFER, body))
        await asyncio.sleep(0.05)
        assert (await called(app, "GET", "/v2/health/live"))[0] == 200 and not large.done()
        release.set()
        return await large

    assert asyncio.run(both())[0] == 200
    app.close()


# --- tokens


def test_tokens(models, tmp_path):
    (tmp_path / "tokens").write_text("first\nsecond\n")
    app, _ = make_app(models["binary"], tokens=told.tokens(tmp_path / "tokens"))
    for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/health", "/v2/models/flights/ready"):
        assert call(app, "GET", path)[0] == 200
    for path in ("/", "/metrics", "/v2", "/v2/models/flights", "/version", "/nope"):
        status, headers, _ = call(app, "GET", path)
        assert status == 401 and headers[b"www-authenticate"] == b"Bearer"
        assert call(app, "GET", path, headers=[(b"authorization", b"Bearer second")])[0] in (200, 404)
    for value in (b"", b"first", b"Basic first", b"Bearer", b"Bearer firs", b"Bearer \xff", b"Bearer first second"):
        assert post(app, INFER, v2(ROW), [*JSON, (b"authorization", value)])[0] == 401
        assert invocations(app, {"instances": [ROW]}, [*JSON, (b"authorization", value)])[0] == 401
    for value in (b"Bearer first", b"bearer second", b"Bearer  first "):
        assert post(app, INFER, v2(ROW), [*JSON, (b"authorization", value)])[0] == 200
    app.close()


# --- the log


def test_log_of_requests(models, tmp_path):
    app, _ = make_app(models["binary"], log=log.Options(tmp_path / "log"), key="flight")
    rows = [ROW | {"flight": "UA1"}, {"hour": 3, "flight": 17}, {"hour": None}]
    _, answer = invocations(app, {"dataframe_records": rows}, [*JSON, (b"x-request-id", b"r1")])
    body = v2(ROW, 2, id="r2")
    body["inputs"].append(tensor("flight", [2], "BYTES", ["a", "b"]))
    post(app, INFER, body)
    post(app, INFER, {"id": "r3", "inputs": [tensor("flight", [2], "BYTES", ["a", "b"])]})
    post(app, INFER, v2({"hour": 1}, 2000, id="r4"))  # through the thread
    post(app, INFER, {"inputs": []})  # refused: not logged
    status, refused = invocations(app, {"dataframe_records": [{"flight": [1]}]})
    assert status == 400 and "the key 'flight'" in refused["message"]
    app.close()
    lines = logged(tmp_path / "log")
    first = lines[0]
    assert list(first) == ["at", "request_id", "row", "key", "model", "version", "inputs", "prediction", "proba", "ms"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["at"])
    assert [(line["request_id"], line["row"], line["key"]) for line in lines[:7]] == [
        *(("r1", 0, "UA1"), ("r1", 1, 17), ("r1", 2, None)),
        *(("r2", 0, "a"), ("r2", 1, "b"), ("r3", 0, "a"), ("r3", 1, "b")),
    ]
    assert [line["inputs"] for line in lines[:3]] == [ROW, {"hour": 3}, {"hour": None}]
    assert [{"prediction": line["prediction"], "proba": line["proba"]} for line in lines[:3]] == answer["predictions"]
    assert {(line["model"], line["version"]) for line in lines} == {("flights", "7")}
    assert [line["row"] for line in lines[7:]] == list(range(2000)) and len({line["ms"] for line in lines[7:]}) == 1


def test_log_keeps_and_redacts(models, tmp_path):
    options = log.Options(tmp_path / "log", ("carrier", "hour"), ("carrier",))
    app, _ = make_app(models["regression"], log=options, version=None, key="hour")
    invocations(app, {"dataframe_records": [ROW, {"carrier": None}]})
    app.close()
    first, second = logged(tmp_path / "log")
    assert first["inputs"] == {"carrier": "***", "hour": 17} and first["key"] == 17
    assert second["inputs"] == {"carrier": None}
    assert first["version"] is None and first["proba"] is None


def test_the_whole_row_may_be_sent(models, tmp_path):
    """Columns of the training data that the model does not use: every protocol takes them, and the log has them."""
    app, _ = make_app(models["binary"], log=log.Options(tmp_path / "log"))
    whole, csv = ROW | {"late": True, "tail": "N1"}, b"hour,late,tail\n17,true,N1\n"
    for one, two in ((ROW, whole), (ROW | {"hour": 5}, whole | {"hour": 5, "tail": 5})):
        asked, sent = ({"dataframe_records": [row] * 2} for row in (one, two))
        assert invocations(app, asked) == invocations(app, sent)
        assert invocations(app, {"inputs": {name: [value] * 2 for name, value in two.items()}})[0] == 200
        assert post(app, "/predict", one) == post(app, "/predict", two)
        assert post(app, "/predict?late=true", two)[0] == 200
        more = [tensor("late", datatype="BOOL", data=[True]), tensor("tail", datatype="BYTES", data=["N1"])]
        plain, added = (
            post(app, INFER, v2(one, id="a")),
            post(app, INFER, {**v2(one, id="a"), "inputs": [*v2(one)["inputs"], *more]}),
        )
        assert plain == added and plain[0] == 200
    assert invocations(app, csv, [(b"content-type", b"text/csv")])[0] == 200
    status, answer = invocations(app, {"dataframe_records": [ROW, ROW | {"tail": [1]}]})
    assert status == 400 and "row 1: column 'tail' takes one value, not [1]" in answer["message"]
    assert invocations(app, {"inputs": {"hour": [1, 2], "tail": [None, {}]}})[0] == 400
    assert b"tail" not in call(app, "GET", "/v2/models/flights")[2]  # no input of the model
    app.close()
    lines = logged(tmp_path / "log")
    assert {"late": True, "tail": "N1"}.items() <= lines[2]["inputs"].items()


def test_log_of_unknown_columns_is_refused(models, tmp_path):
    for options in (log.Options(tmp_path / "log", ("speed",)), log.Options(tmp_path / "log", redacted=("speed",))):
        with pytest.raises(UnknownColumn, match="speed"):
            make_app(models["binary"], log=options)
    (tmp_path / "file").write_text("")
    with pytest.raises(Outside, match="cannot be written"):
        make_app(models["binary"], log=log.Options(tmp_path / "file" / "log"))


# --- health, metrics


def test_readiness_while_draining(models):
    app, _ = make_app(models["binary"])
    assert call(app, "GET", "/v2/health/ready")[0] == 200
    app.draining = True
    for path in ("/v2/health/ready", "/ping", "/health", "/v2/models/flights/ready"):
        status, headers, _ = call(app, "GET", path)
        assert status == 503 and headers[b"connection"] == b"close"
    assert call(app, "GET", "/v2/health/live")[0] == 200
    status, headers, _ = call(app, "POST", INFER, json.dumps(v2(ROW)).encode())
    assert status == 200 and headers[b"connection"] == b"close"
    app.close()


def test_metrics(models):
    app, _ = make_app(models["multiclass"])
    _, answer = invocations(app, {"dataframe_records": sample(50)})
    post(app, INFER, v2(ROW))
    post(app, INFER, b"{")
    call(app, "GET", "/nope")
    status, headers, body = call(app, "GET", "/metrics")
    assert status == 200 and headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    values = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
    model = 'model="flights",version="7"'
    assert values[f'mlops_requests_total{{{model},protocol="mlflow",code="200"}}'] == "1"
    assert values[f'mlops_requests_total{{{model},protocol="v2",code="200"}}'] == "1"
    assert values[f'mlops_requests_total{{{model},protocol="v2",code="400"}}'] == "1"
    assert values[f'mlops_requests_total{{{model},protocol="other",code="404"}}'] == "1"
    assert (
        values["mlops_request_duration_seconds_count"]
        == values['mlops_request_duration_seconds_bucket{le="+Inf"}']
        == "3"
    )
    assert float(values["mlops_request_duration_seconds_sum"]) > 0 and values["mlops_requests_in_progress"] == "0"
    predicted = [one["prediction"] for one in answer["predictions"]]
    total = sum(int(values[f'mlops_prediction_total{{class="{label}"}}']) for label in CLASSES["multiclass"])
    assert total == 51 and int(values['mlops_prediction_total{class="late"}']) >= predicted.count("late")
    assert values["mlops_log_errors_total"] == "0"
    app.close()


def test_our_bug_is_a_500_without_details(models):
    app, said = make_app(models["binary"])
    app._now.scorer._predictor = None
    for _ in range(3):
        assert invocations(app, {"instances": [ROW]}) == (
            500,
            {"error_code": "INTERNAL_ERROR", "message": "internal error"},
        )
    assert said[0].startswith("bug: AttributeError at ") and sum(line.startswith("bug: ") for line in said) == 1
    app.close()
