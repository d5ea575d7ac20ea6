"""What columns add to an answer: the package's own Shapley values, by input column, adding up to the raw score."""

import datetime as dt

import numpy as np
import pytest
from boosters import train
from test_lightgbm import CLASSES, described, fitted, rows_of

from mlops_cli.errors import Usage
from mlops_cli.runtime import lightgbm_text, predictors, rows
from mlops_cli.runtime.features import FeatureColumn, Features
from mlops_cli.runtime.lightgbm import Model
from mlops_cli.runtime.signature import InputColumn, Signature


@pytest.mark.parametrize("task", list(CLASSES))
def test_the_numbers_of_the_package_add_up_to_the_raw_score(task):
    text, booster, matrix = train(task)
    matrix = matrix[:200]
    model = Model(text, fitted(), described(task))
    assert isinstance(model, predictors.Explainer)
    found = model.explain(rows.batch_from_rows(model.signature, rows_of(matrix)))
    assert found.columns == [*(f"c{place}" for place in range(8)), "(base)"]
    expected = booster.predict(matrix, pred_contrib=True)
    raw = booster.predict(matrix, raw_score=True)
    if task == "multiclass":
        own = raw.argmax(axis=1)
        expected = expected.reshape(200, 3, 9)[np.arange(200), own]
        raw = raw[np.arange(200), own]
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    np.testing.assert_allclose(found.values.sum(axis=1), raw, atol=1e-9)
    assert model.explain(rows.batch_from_rows(model.signature, [])).values.shape == (0, 9)


def test_the_parts_of_a_time_are_one_column():
    text, booster, _ = train("regression")
    parts = ["year", "month", "day"]
    columns = [FeatureColumn("at", "datetime", "time", parts=parts), *fitted().columns[3:]]
    signature = Signature("lightgbm", "regression", "y", [InputColumn(c.name, c.type) for c in columns])
    model = Model(text, Features(columns), signature)
    row = {"at": dt.datetime(2026, 3, 4).isoformat()} | {c.name: None for c in columns[1:]}
    found = model.explain(rows.batch_from_rows(signature, [row]))
    expected = booster.predict(np.array([[2026.0, 3, 4, *[np.nan] * 5]]), pred_contrib=True)[0]
    assert found.values[0, 0] == pytest.approx(expected[:3].sum())
    assert len(found.columns or ()) == found.values.shape[1] == 7


def splits(node):
    """How many splits there are at most below a node of the package's own account."""
    return 0 if "left_child" not in node else 1 + max(splits(node["left_child"]), splits(node["right_child"]))


def test_depth_is_that_of_the_trees_and_too_deep_is_refused(monkeypatch):
    text, booster, _ = train("binary")
    deepest = max(splits(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"])
    assert lightgbm_text.check(text).depth == deepest > 2
    assert lightgbm_text.check(train("constant")[0]).depth == 0
    monkeypatch.setattr(lightgbm_text, "DEEP", 2)
    model = Model(text, fitted(), described("binary"))
    with pytest.raises(Usage, match="too deep to explain"):
        model.explain(rows.batch_from_rows(model.signature, [{}]))
