"""What is predicted, told from the target's values, and targets that cannot be."""

import numpy as np
import polars as pl
import pytest
from learnable import table

from mlops_cli.errors import EmptyInput, InputUnusable, UnknownColumn, Usage
from mlops_cli.models import target


def infer(values, task=None, positive=None, dtype=None):
    return target.infer(pl.LazyFrame({"y": pl.Series(values, dtype=dtype)}), "y", task, positive)


@pytest.mark.parametrize(
    ("name", "task", "classes", "positive"),
    [
        ("yes", "binary", [False, True], True),
        ("kind", "multiclass", ["hi", "lo", "mid"], None),
        ("price", "regression", None, None),
        ("stars", "multiclass", [3, 4, 5], None),
        ("code", "regression", None, None),
    ],
)
def test_the_target_says_what_it_is(name, task, classes, positive):
    found = target.infer(table().lazy(), name)
    assert (found.task, found.classes, found.positive) == (task, classes, positive)
    assert [type(label) for label in found.classes or []] == [type(label) for label in classes or []]


def test_two_values_of_any_type_are_binary():
    assert infer([1, 7, 7, None]).classes == [1, 7]
    assert infer(["n", "y"]).positive == "y"
    assert infer([0.0, 1.0]).task == "binary"
    assert infer(["n", "y"], dtype=pl.Categorical).classes == ["n", "y"]


def test_twenty_whole_numbers_are_classes_and_twenty_one_are_not():
    assert infer(range(20)).task == "multiclass"
    assert infer(range(21)).task == "regression"
    assert infer(range(21), task="multiclass").classes == list(range(21))
    assert infer(range(5), task="regression").classes is None


def test_the_positive_class():
    assert infer(["n", "y"], positive="n").positive == "n"
    assert infer([False, True], positive="false").positive is False
    assert infer([1, 2], positive="1").positive == 1
    assert infer([1.0, 2.0], positive="1").positive == 1.0


@pytest.mark.parametrize(
    ("values", "options", "error", "says"),
    [
        ([True, True, None], {}, InputUnusable, "one class"),
        ([2.5, 2.5], {}, InputUnusable, "one value"),
        ([None, None], {"dtype": pl.Int64}, EmptyInput, "no row"),
        ([], {"dtype": pl.String}, EmptyInput, "no row"),
        ([1.0, float("nan")], {}, InputUnusable, "NaN or infinite in 1"),
        ([1.0, float("inf"), 2.0], {}, InputUnusable, "infinite"),
        ([[1], [2]], {}, InputUnusable, "cannot be predicted"),
        ([f"s{index}" for index in range(1001)], {}, InputUnusable, "more than 1000 classes"),
        (["a", "b", "c"], {"task": "binary"}, Usage, "needs two classes, but y has 3"),
        (["a", "b"], {"task": "regression"}, Usage, "needs numbers"),
        (["a", "b"], {"positive": "c"}, Usage, "no class of y"),
        (["a", "b", "c"], {"positive": "c"}, Usage, "two classes"),
    ],
)
def test_targets_that_cannot_be(values, options, error, says):
    with pytest.raises(error) as caught:
        infer(values, **options)
    assert says in caught.value.message


def test_an_unknown_target_has_a_hint():
    with pytest.raises(UnknownColumn) as caught:
        target.infer(table().lazy(), "prize")
    assert caught.value.exit == 4 and "price" in caught.value.hint
    with pytest.raises(Usage, match="clustering"):
        target.task_named("clustering")


def test_codes():
    found = infer(["b", "a", None, "c"])
    assert found.codes(pl.Series(["a", "zzz", None, "c"])).tolist() == [0, -1, -1, 2]
    assert infer([True, False]).codes(pl.Series([True, None, False])).tolist() == [1, -1, 0]
    assert infer([0.5, 1.5]).codes(pl.Series([1.5, np.nan])).tolist() == [1, -1]
