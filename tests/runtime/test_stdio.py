"""`--stdio`: a row in, an answer out, line by line."""

import json
import os
import subprocess
import sys

import pytest
from serving import ROW, logged, make_model, sample

from mlops_cli.runtime import predictors


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "binary")


def command(model, *flags):
    return [sys.executable, "-m", "mlops_cli.runtime", str(model), "--stdio", *map(str, flags)]


def answered(model, data, *flags):
    done = subprocess.run(command(model, *flags), input=data, capture_output=True, timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_rows_in_answers_out(model):
    rows = sample(3000)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    code, answers, said = answered(model, data)
    assert code == 0 and answers == predictors.load(model).answer(rows)
    assert said == "mlops serve: 3000 rows answered, 0 refused\n"
    assert answered(model, data[:-1])[1] == answers  # the last line without its line break
    assert answered(model, b"")[:2] == (0, [])


def test_a_bad_row_is_answered_in_its_place(model, tmp_path):
    lines = [json.dumps(ROW | {"id": "a"}), "{", '{"hour":"x"}', "[]", "", "[" * 50_000, json.dumps(ROW | {"id": "b"})]
    code, answers, said = answered(model, "\n".join(lines).encode(), "--key", "id", "--log", tmp_path / "log")
    assert code == 0 and "2 rows answered, 4 refused" in said
    assert ["error" in answer for answer in answers] == [False, True, True, True, True, False]
    assert answers[2]["error"] == "column 'hour' takes a whole number, not 'x'"
    assert [line["key"] for line in logged(tmp_path / "log")] == ["a", "b"]
    assert len({line["request_id"] for line in logged(tmp_path / "log")}) == 2


def test_a_partner_that_waits_for_each_answer(model):
    with subprocess.Popen(
        command(model), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        for _ in range(5):
            process.stdin.write(json.dumps(ROW).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["prediction"] is True
        process.stdin.close()
        assert process.wait(10) == 0


def test_nobody_reads(model):
    reader, writer = os.pipe()
    process = subprocess.Popen(command(model), stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.close(reader)
    _, said = process.communicate(json.dumps(ROW).encode() + b"\n", timeout=30)
    assert process.returncode == 141 and said == b""


def test_a_stop_from_earlier_in_the_pipe(model):
    assert answered(model, b"mlops:stop:1:validate\n") == (1, [], "")
