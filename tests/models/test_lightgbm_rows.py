"""Rows that LightGBM bins batch by batch are those of a matrix, and its package loads little else."""

import subprocess
import sys

import numpy as np
import pytest

from mlops_cli.models.lightgbm_rows import Rows, lightgbm

MATRIX = np.random.default_rng(0).normal(size=(1000, 3))


def rows(size=170):
    """The matrix in batches, and how often it was begun."""
    begun = []

    def batches():
        begun.append(1)
        for start in range(0, len(MATRIX), size):
            yield MATRIX[start : start + size]

    return Rows(batches, len(MATRIX)), begun


def test_rows_in_order_take_one_pass():
    found, begun = rows()
    asked = [0, 1, 169, 170, 600, 999]
    assert np.array_equal([found[index] for index in asked], MATRIX[asked])
    assert len(begun) == 1
    parts = [found[start : start + 256] for start in range(0, 1000, 256)]  # across the batches
    assert np.array_equal(np.concatenate(parts), MATRIX)
    assert len(begun) == 2


def test_a_row_does_not_keep_its_batch():
    found, _ = rows()
    assert found[5].base is None


@pytest.mark.parametrize("size", [1, 170, 1000])
def test_the_bins_are_those_of_the_matrix(size):
    labels = MATRIX[:, 0] + MATRIX[:, 1] ** 2
    told = {"objective": "regression", "verbosity": -1, "deterministic": True, "force_col_wise": True}
    texts = []
    for values in (MATRIX, rows(size)[0]):
        booster = lightgbm.train(told, lightgbm.Dataset(values, labels, params=told), 10)
        texts.append(booster.model_to_string())
    assert texts[0] == texts[1]


def test_the_package_loads_neither_scikit_learn_nor_pandas():
    code = "import mlops_cli.models.lightgbm_fit, sys; print({'sklearn', 'pandas', 'matplotlib'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
    after = "import mlops_cli.models.lightgbm_fit, sklearn; print(sklearn.__name__)"  # which can still be had
    assert subprocess.run([sys.executable, "-c", after], capture_output=True, text=True).stdout.strip() == "sklearn"
