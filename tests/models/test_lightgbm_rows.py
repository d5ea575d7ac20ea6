"""Rows that LightGBM bins batch by batch are those of a matrix, and its package loads little else."""

import subprocess
import sys

import numpy as np
import pytest

from mlops_cli.models.lightgbm_rows import Binned, Rows, lightgbm

MATRIX = np.random.default_rng(0).normal(size=(1000, 3))


def rows(size=170):
    """The matrix in batches, and how often it was begun."""
    begun = []

    def batches():
        begun.append(1)
        for start in range(0, len(MATRIX), size):
            yield MATRIX[start : start + size]

    return Rows(batches, len(MATRIX), lambda numbers: np.array_split(MATRIX[numbers], 3)), begun


def test_rows_in_order_take_one_pass():
    found, begun = rows()
    for times in (1, 2):
        parts = [found[start : start + 256] for start in range(0, 1000, 256)]  # across the batches
        assert np.array_equal(np.concatenate(parts), MATRIX)
        assert len(begun) == times


@pytest.mark.parametrize("size", [1, 170, 1000])
def test_the_bins_are_those_of_the_matrix(size):
    labels = MATRIX[:, 0] + MATRIX[:, 1] ** 2
    told = {"objective": "regression", "verbosity": -1, "deterministic": True, "force_col_wise": True}
    texts = []
    told["bin_construct_sample_cnt"] = 300
    for kind, values in ((lightgbm.Dataset, MATRIX), (Binned, rows(size)[0]), (lightgbm.Dataset, rows(size)[0])):
        booster = lightgbm.train(told, kind(values, labels, params=told), 10)
        texts.append(booster.model_to_string())
    assert texts[0] == texts[1] == texts[2], "rows together, and one by one"


def test_the_package_loads_no_scikit_learn_pandas_or_scipy():
    first = "import mlops_cli.models.lightgbm_fit, sys; "
    code = first + "print({'sklearn', 'pandas', 'matplotlib', 'scipy', 'scipy.sparse'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
    after = first + "import sklearn, scipy.sparse; print(scipy.sparse.csr_matrix.__name__)"  # which can still be had
    ended = subprocess.run([sys.executable, "-c", after], capture_output=True, text=True)
    assert ended.stdout.strip() == "csr_matrix"
