"""Weights of rows and classes, and ways of columns: what is read, and what is refused."""

import numpy as np
import polars as pl
import pytest
from sklearn.utils.class_weight import compute_class_weight

from mlops_cli.errors import InputUnusable, UnknownColumn, Usage
from mlops_cli.models import target, terms
from mlops_cli.models.terms import Terms

FRAME = pl.DataFrame(
    {"y": ["no", "yes", "no", "no"], "n": [1.0, 2.0, 3.5, 4.0], "b": [True, False] * 2, "s": list("abcd")}
)
Y = target.infer(FRAME.lazy(), "y")


@pytest.mark.parametrize(
    ("weight", "classes", "monotone", "says"),
    [
        (None, "yes", [], "not weights"),
        (None, "yes=-1", [], "not weights"),
        (None, "yes=nan", [], "not weights"),
        (None, "yes=inf", [], "not weights"),
        (None, "", [], "not weights"),
        (None, "yes=1,yes=2", [], "twice"),
        (None, "yes=0,no=0", [], "every weight is 0"),
        (None, None, ["n"], "not a column and a way"),
        (None, None, ["n=increasin"], "did you mean n=increasing"),
        (None, None, ["n=increasing", "n=decreasing"], "both ways"),
    ],
)
def test_what_cannot_be_read(weight, classes, monotone, says):
    with pytest.raises(Usage) as caught:
        terms.read(weight, classes, monotone)
    assert says in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        (Terms(weight="m"), UnknownColumn, "no column 'm' for --weight"),
        (Terms(weight="y"), Usage, "that is the target"),
        (Terms(weight="s"), Usage, "not of numbers"),
        (Terms(monotone={"s": 1}), Usage, "no order"),
        (Terms(monotone={"x": 1}), UnknownColumn, "no column 'x' for --monotone"),
        (Terms(weight="n", monotone={"n": 1}), Usage, "not learnt from"),
        (Terms(classes={"yess": 1.0}), Usage, "did you mean yes?"),
    ],
)
def test_what_does_not_fit_the_data(given, kind, says):
    with pytest.raises(kind) as caught:
        terms.check(given, Y, FRAME.schema)
    assert says in f"{caught.value.message} {caught.value.hint}"


def test_what_does_not_fit_the_task():
    three = target.infer(FRAME.lazy(), "s")
    with pytest.raises(Usage, match="two classes or a regression"):
        terms.check(Terms(monotone={"n": 1}), three, FRAME.schema)
    with pytest.raises(Usage, match="this is a regression"):
        terms.check(Terms(classes="balanced"), target.infer(FRAME.lazy(), "n"), FRAME.schema)
    with pytest.raises(Usage, match="cnn has no --weight"):
        terms.refuse(Terms(weight="n"), ("--class-weight",), "cnn")


def test_balanced_is_that_of_scikit_learn():
    codes = Y.codes(FRAME["y"])
    theirs = compute_class_weight("balanced", classes=np.unique(codes), y=codes)
    assert np.allclose(terms.of_classes(Terms(classes="balanced"), Y, codes), theirs)
    assert terms.of_classes(Terms(classes={"yes": 5.0}), Y, codes).tolist() == [1.0, 5.0]
    assert terms.of_classes(Terms(), Y, codes) is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1.0, None, -1.0, float("inf")], "3 train rows"),
        ([1.0, float("nan"), 1.0, 1.0], "1 train rows"),
        ([0.0] * 4, "is 0 in every train row"),
    ],
)
def test_weights_that_are_none(values, says):
    with pytest.raises(InputUnusable, match=says):
        terms.check_weights(pl.LazyFrame({"w": values}), pl.col("w"), "w", "train")
