"""Metrics mean what scikit-learn means by them; undefined ones are undefined, in valid JSON."""

import json
import math
import warnings

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from test_calibration import by_definition

from mlops_cli.metrics import classification, regression
from mlops_cli.metrics.base import CLASS, Measurements, Metric, metric, text_of

FEW = {"resamples": 20}


def named(found, column=None, level=None):
    return {each.name: each for each in found if (each.column, each.level) == (column, level)}


def binary_truth(y, p, s):
    precision, recall, f1, _ = sk.precision_recall_fscore_support(y, p, average="binary")
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "accuracy": sk.accuracy_score(y, p),
        "balanced_accuracy": sk.balanced_accuracy_score(y, p),
        "specificity": sk.recall_score(y, p, pos_label=0),
        "mcc": sk.matthews_corrcoef(y, p),
        "roc_auc": sk.roc_auc_score(y, s),
        "average_precision": sk.average_precision_score(y, s),
        "lift_at_10": lift(y, s),
        "log_loss": sk.log_loss(y, s, labels=[0, 1]),
        "brier": sk.brier_score_loss(y, s),
        "ece": by_definition(s, y == 1),
        "rows": len(y),
    }


def lift(y, s):
    """Row by row: those above the score at which a tenth of the rows ends, and a part of those of that score."""
    left, hits = len(y) / 10, 0.0
    for score in sorted(set(s), reverse=True):
        same = y[s == score]
        part = min(1.0, left / len(same))
        left, hits = left - part * len(same), hits + part * same.sum()
        if left <= 0:
            return hits / (len(y) / 10) / y.mean()
    return None


@pytest.mark.parametrize("rows", [30, 3000])
@pytest.mark.parametrize("ties", [False, True])
def test_binary(rows, ties):
    rng = np.random.default_rng(rows)
    y = (rng.random(rows) < 0.3).astype(np.int64)
    s = 1 / (1 + np.exp(-rng.normal(size=rows) - 1.2 * y + 0.8))
    s = np.round(s, 1) if ties else s
    p = (s >= 0.5).astype(np.int64)
    found = named(classification.binary(y, p, s, **FEW))
    truth = binary_truth(y, p, s)
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        assert found[name].value == pytest.approx(value, abs=1e-9), name
        assert found[name].n == rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0])), min_size=1, max_size=40))
def test_any_binary_rows_give_intervals_around_values(pairs):
    y, s = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    found = classification.binary(y, (s >= 0.5).astype(np.int64), s, **FEW)
    for each in found:
        assert each.value is None or math.isfinite(each.value)
        if each.low is not None:
            assert each.low <= each.value <= each.high
    defined = {each.name for each in found if each.value is not None}
    assert ("roc_auc" in defined) == (0 < y.sum() < len(y))
    assert ("precision" in defined) == bool((s >= 0.5).any())
    assert ("recall" in defined) == bool(y.any())
    json.loads(msgspec.json.encode(found), parse_constant=lambda text: pytest.fail(text))


@pytest.mark.parametrize(("rows", "classes"), [(40, 3), (2000, 6)])
def test_multiclass(rows, classes):
    rng = np.random.default_rng(rows)
    y = rng.integers(0, classes, rows)
    z = rng.normal(size=(rows, classes))
    z[np.arange(rows), y] += 1
    proba = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = proba.argmax(axis=1)
    levels = [f"class {code}" for code in range(classes)]
    found = classification.multiclass(y, p, proba, levels, **FEW)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(y, p, average="macro", zero_division=0)
    truth = {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "accuracy": sk.accuracy_score(y, p),
        "balanced_accuracy": sk.balanced_accuracy_score(y, p),
        "mcc": sk.matthews_corrcoef(y, p),
        "log_loss": sk.log_loss(y, proba),
        "brier": ((proba - np.eye(classes)[y]) ** 2).sum(axis=1).mean() / 2,
        "ece": by_definition(proba.max(axis=1), y == p),
        "roc_auc": sk.roc_auc_score(y, proba, multi_class="ovr"),
        "rows": rows,
    }
    overall = named(found)
    assert overall.keys() == truth.keys()
    for name, value in truth.items():
        assert overall[name].value == pytest.approx(value, abs=1e-9), name
    each = sk.precision_recall_fscore_support(y, p, labels=range(classes))
    for code, level in enumerate(levels):
        mine = named(found, CLASS, level)
        for name, values in zip(("precision", "recall", "f1", "support"), each, strict=True):
            assert mine[name].value == pytest.approx(values[code], abs=1e-9), (name, level)
            assert mine[name].n == (y == code).sum()
        assert mine["roc_auc"].value == pytest.approx(sk.roc_auc_score(y == code, proba[:, code]), abs=1e-9)


def test_multiclass_with_classes_that_are_missing_or_not_known():
    """Codes 0 to 3 of which 2 is nowhere, 1 is never predicted, and 3 is not a class of the model."""
    y = np.array([0, 0, 0, 1, 1, 3, 0, 1, 0, 3])
    p = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    proba = np.tile([0.8, 0.1, 0.1], (10, 1))
    found = classification.multiclass(y, p, proba, ["a", "b", "c", "new"], **FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = sk.precision_recall_fscore_support(y, p, average="macro", zero_division=0)
    overall = named(found)
    for name, value in zip(("precision", "recall", "f1"), macro, strict=False):
        assert overall[name].value == pytest.approx(value)
    assert overall["log_loss"].value == pytest.approx(-(5 * np.log(0.8) + 3 * np.log(0.1) + 2 * np.log(2**-52)) / 10)
    assert overall["roc_auc"].value == 0.5
    assert named(found, CLASS, "b")["precision"].value is None
    assert named(found, CLASS, "b")["recall"].value == 0
    nowhere = named(found, CLASS, "c")
    assert all(each.n == 0 for each in nowhere.values())
    assert [nowhere[name].value for name in ("precision", "recall", "f1", "roc_auc")] == [None] * 4
    assert named(found, CLASS, "new")["recall"].value == 0


def test_one_class_only_in_the_data():
    y, s = np.ones(20, np.int64), np.linspace(0, 1, 20)
    found = named(classification.binary(y, (s >= 0.5).astype(np.int64), s, **FEW))
    undefined = {name for name, each in found.items() if each.value is None}
    assert undefined == {"roc_auc", "average_precision", "lift_at_10", "specificity", "balanced_accuracy", "mcc"}
    all_right = named(classification.multiclass(y, y, np.tile([0.1, 0.8, 0.1], (20, 1)), list("abc"), **FEW))
    assert all_right["accuracy"].value == 1
    assert 0.75 < all_right["accuracy"].low < 0.99
    assert all_right["roc_auc"].value is None


def test_regression():
    rng = np.random.default_rng(0)
    actual = rng.gamma(2, 10, 500)
    predicted = actual + rng.normal(size=500)
    found = named(regression.regression(actual, predicted, **FEW))
    truth = {
        "rmse": sk.root_mean_squared_error(actual, predicted),
        "mae": sk.mean_absolute_error(actual, predicted),
        "r2": sk.r2_score(actual, predicted),
        "mape": sk.mean_absolute_percentage_error(actual, predicted),
        "bias": np.mean(predicted - actual),
        "median_absolute_error": sk.median_absolute_error(actual, predicted),
        "rows": 500,
    }
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name


def test_regression_undefined():
    actual = np.array([0.0, 2.0, 3.0])
    found = named(regression.regression(actual, actual + 1, **FEW))
    assert found["mape"].value is None
    assert named(regression.regression(actual * 0 + 5, actual, **FEW))["r2"].value is None
    one = named(regression.regression(np.array([1.0]), np.array([2.0]), **FEW))
    assert (one["mae"].value, one["r2"].value) == (1, None)


def test_large_targets_do_not_lose_r2():
    actual = 1e9 + np.random.default_rng(0).normal(size=400)
    predicted = actual + np.random.default_rng(1).normal(size=400) / 2
    found = named(regression.regression(actual, predicted, **FEW))
    assert found["r2"].value == pytest.approx(sk.r2_score(actual, predicted), abs=1e-6)


def test_document_is_plain_json_and_comes_back():
    made = Measurements(
        task="binary", target="late", rows=2, positive=True, classes=[False, True],
        metrics=[metric("precision", math.nan, None, 2), metric("recall", 1 / 3, (0.1, 0.3), 2)],
    )  # fmt: skip
    data = msgspec.json.encode(made)
    assert data.startswith(b'{"format":1,')
    assert json.loads(data)["metrics"][0]["value"] is None
    assert msgspec.json.decode(data, type=Measurements) == made
    assert made.metrics[1] == Metric("recall", 0.333333333333, 0.1, 0.333333333333, 2)


def test_labels_as_text():
    assert [text_of(label) for label in (True, False, 3, 3.0, 2.5, "truck")] == [
        "true",
        "false",
        "3",
        "3",
        "2.5",
        "truck",
    ]
