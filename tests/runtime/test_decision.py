"""A model with a decision answers by it whichever way a row comes; a damaged decision is refused."""

import json
import subprocess
import sys
from pathlib import Path

import image_models
import msgspec
import numpy as np
import pytest
import serving
from hypothesis import given, settings

from mlops_cli.errors import Corrupt
from mlops_cli.runtime import decision, predictors, rows
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.decision import Calibration, Curve, Decision
from mlops_cli.runtime.predictors import Explainer, Prediction
from mlops_cli.runtime.pyfunc import PyfuncModel
from mlops_cli.runtime.signature import InputColumn, Signature
from mlops_cli.steps import batches
from mlops_cli.store import artefact

sys.path.insert(0, str(Path(__file__).parent))
from test_agree import CLASSES, frame, json_rows, models  # noqa: F401  # a fixture

RISING = Curve(x=[0.1, 0.4, 0.6, 0.9], y=[0.02, 0.02, 0.3, 0.7])
STEEP = Curve(a=-1.7, b=0.4)


def price(task):
    classes = CLASSES[task]
    table = np.arange(len(classes) ** 2, dtype=float).reshape(len(classes), -1) * 7 % 5
    np.fill_diagonal(table, 0.0)
    return Costs("EUR", list(classes), table.tolist())


def calibration(task, method):
    curves = [RISING if method == "isotonic" else STEEP] * (1 if task == "binary" else 3)
    return Calibration(method, curves, 100)


DECISIONS = [
    ("binary", Decision(threshold=0.21)),
    ("binary", Decision(calibration("binary", "platt"))),
    ("binary", Decision(calibration("binary", "isotonic"), threshold=0.3)),
    ("binary", Decision(calibration("binary", "platt"), threshold=0.3, costs=price("binary"))),
    ("multiclass", Decision(calibration("multiclass", "platt"))),
    ("multiclass", Decision(calibration("multiclass", "isotonic"), least=True, costs=price("multiclass"))),
    ("multiclass", Decision(least=True, costs=price("multiclass"))),
]


@given(json_rows)
@settings(max_examples=60, deadline=None)
def test_a_decided_answer_is_the_same_row_by_row_together_and_from_a_table(models, given_rows):  # noqa: F811
    for task, made in DECISIONS:
        model = decision.around(models[task], made)
        together = model.answer(given_rows)
        assert [model.answer([row])[0] for row in given_rows] == together
        batch = rows.batch_from_rows(model.signature, given_rows)
        assert rows.answers(model.signature, model.predict(batch)) == together
        table = batches.batch(frame(given_rows), model.signature)
        assert rows.answers(model.signature, model.predict(table)) == together
        assert PyfuncModel(model).predict(given_rows) == together
        for row in together:
            assert sum(row["proba"]) == pytest.approx(1)
            if made.threshold is not None:
                assert row["prediction"] is (row["proba"][1] >= made.threshold)


def test_formulas():
    own = np.array([0.05, 0.3, 0.5, 0.95])
    assert decision.mapped(own, "isotonic", RISING) == pytest.approx([0.02, 0.02, 0.16, 0.7])
    odds = np.log(own / (1 - own))
    assert decision.mapped(own, "platt", STEEP) == pytest.approx(1 / (1 + np.exp(-1.7 * odds + 0.4)))
    assert decision.mapped(own, "platt", Curve()) == pytest.approx(own)
    assert decision.mapped(np.array([0.0, 1.0]), "platt", Curve(a=-40.0)) == pytest.approx([0, 1])
    proba = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    table = np.array([[0.0, 1, 1], [1, 0, 1], [50, 1, 0]])  # to take the third for the first is dear
    assert decision.expected(proba, table) == pytest.approx(proba @ table)
    wanted = Signature("x", "multiclass", "y", [], ["a", "b", "c"])
    made = Decision(least=True, costs=Costs("", ["a", "b", "c"], table.tolist()))
    assert decision.decided(Prediction(np.zeros(2), proba), made, wanted).values.tolist() == [1, 1]


def seal(directory, made, **changes):
    """Puts a decision into a sealed model, whose signature says so."""
    found = signatures.decode((directory / "signature.json").read_bytes())
    found = decision.deciding(found) if made.changes else found
    found = msgspec.structs.replace(found, **changes)
    (directory / "signature.json").write_bytes(signatures.encode(found))
    (directory / decision.FILE).write_bytes(decision.encode(made))
    reseal(directory)


def reseal(directory):
    (directory / "manifest.json").unlink()
    artefact.seal(directory, kind="model", created="", tool="", command=[], inputs=[])


def test_every_protocol_of_a_server_answers_by_it(tmp_path):
    made = Decision(Calibration("platt", [STEEP], 100), threshold=0.15)
    plain, decided = (serving.make_model(tmp_path / name) for name in ("plain", "decided"))
    seal(decided, made)
    asked = serving.sample(40)
    own, answers = predictors.load(plain).answer(asked), predictors.load(decided).answer(asked)
    assert [row["prediction"] for row in own] != [row["prediction"] for row in answers]
    for one, other in zip(own, answers, strict=True):
        assert other["proba"][1] == pytest.approx(decision.mapped(np.array([one["proba"][1]]), "platt", STEEP)[0])
        assert other["prediction"] is (other["proba"][1] >= 0.15)
    app, _ = serving.make_app(decided)
    assert serving.invocations(app, {"dataframe_records": asked})[1]["predictions"] == answers
    single = [serving.invocations(app, {"dataframe_records": [row]})[1]["predictions"][0] for row in asked]
    assert single == answers
    whole = [(row, answer) for row, answer in zip(asked, answers, strict=True) if None not in row.values()]
    for row, answer in whole[:5]:
        outputs = serving.post(app, "/v2/models/flights/infer", serving.v2(row))[1]["outputs"]
        found = {out["name"]: out["data"] for out in outputs}
        assert found["prediction"] == [answer["prediction"]] and found["proba"] == answer["proba"]
    command = [sys.executable, "-m", "mlops_cli.runtime", str(decided), "--stdio"]
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in asked)
    ended = subprocess.run(command, input=lines, capture_output=True, check=True)
    assert [json.loads(line)["prediction"] for line in ended.stdout.splitlines()] == [a["prediction"] for a in answers]


def test_why_passes_through_and_costs_alone_change_nothing(tmp_path):
    directory = serving.make_model(tmp_path / "m")
    before = predictors.load(directory)
    seal(directory, Decision(costs=Costs("EUR", [False, True], [[0, 1], [5, 0]])))
    assert type(predictors.load(directory)) is type(before)
    assert json.loads((directory / "signature.json").read_bytes())["format"] == 1
    seal(directory, Decision(threshold=0.2))
    after = predictors.load(directory)
    batch = rows.batch_from_rows(before.signature, serving.sample(9))
    assert isinstance(after, Explainer)
    assert np.array_equal(after.explain(batch).values, before.explain(batch).values)
    signature = json.loads((directory / "signature.json").read_bytes())
    assert signature["format"] == 2 and signature["decides"] is True  # what an mlops of before refuses


def test_a_model_of_images_answers_by_it(tmp_path):
    image_models.model(tmp_path / "plain")
    image_models.model(tmp_path / "decided")
    table = [[0.0, 1, 1], [1, 0, 1], [90, 90, 0]]
    made = Decision(
        Calibration("platt", [Curve(a=-0.5)] * 3, 9), least=True, costs=Costs("", image_models.CLASSES, table)
    )
    seal(tmp_path / "decided", made)
    asked = [{"image": row["bytes"]} for row in image_models.table(20)["image"].to_list()]
    own, found = (predictors.load(tmp_path / name).answer(asked) for name in ("plain", "decided"))
    for one, other in zip(own, found, strict=True):
        odds = np.array(one["proba"]) / (1 - np.array(one["proba"]))
        wanted = np.sqrt(odds) / (1 + np.sqrt(odds))
        assert other["proba"] == pytest.approx(wanted / wanted.sum())
        assert other["prediction"] == image_models.CLASSES[int((np.array(other["proba"]) @ table).argmin())]
        assert other["measured"]["confidence"] == pytest.approx(max(other["proba"]), rel=1e-5)
    assert [one["prediction"] for one in own] != [one["prediction"] for one in found]
    assert [predictors.load(tmp_path / "decided").answer([row])[0] for row in asked] == found


GOOD = {"threshold": 0.3, "format": 1}
DAMAGED = {
    "no JSON": b"{",
    "another type": {"threshold": "half"},
    "newer": {"threshold": 0.3, "format": 2},
    "beyond": {"threshold": 1.5},
    "nothing decided": {},
    "two curves": {"calibration": {"method": "platt", "curves": [{}, {}], "rows": 1}},
    "falling": {"calibration": {"method": "isotonic", "curves": [{"x": [0, 1], "y": [1, 0]}], "rows": 1}},
    "no points": {"calibration": {"method": "isotonic", "curves": [{}], "rows": 1}},
    "no costs": {"least": True},
    "other classes": {"threshold": 0.3, "costs": {"classes": ["a", "b"], "table": [[0, 1], [1, 0]]}},
    "a narrow table": {"threshold": 0.3, "costs": {"classes": [False, True], "table": [[0, 1], [1]]}},
    "costs of a regression": {"threshold": 0.3, "costs": {"over": 1, "under": 1}},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_decision_is_refused(damage):
    decided = Signature("lightgbm", "binary", "y", [InputColumn("x", "float")], [False, True], True, 2, decides=True)
    decision.decode(json.dumps(GOOD).encode(), decided)
    data = DAMAGED[damage]
    with pytest.raises(Corrupt, match=r"decision\.json"):
        decision.decode(data if isinstance(data, bytes) else json.dumps(data).encode(), decided)


def test_a_decision_that_the_signature_knows_nothing_of_or_misses_is_refused(tmp_path):
    directory = serving.make_model(tmp_path / "m")
    seal(directory, Decision(threshold=0.2), decides=msgspec.UNSET, format=1)
    with pytest.raises(Corrupt, match="says otherwise"):
        predictors.load(directory)
    seal(directory, Decision(threshold=0.2))
    (directory / decision.FILE).unlink()
    reseal(directory)
    with pytest.raises(Corrupt, match="is missing"):
        predictors.load(directory)
    seal(directory, Decision(threshold=0.2), format=1)
    with pytest.raises(Corrupt, match="format 1 cannot"):
        predictors.load(directory)
