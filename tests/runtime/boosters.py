"""Small trained LightGBM models, as text."""

import lightgbm
import numpy as np

from mlops_cli.runtime import lightgbm_text

WIDTH = 8
KINDS = {
    "binary": {"objective": "binary"},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "regression": {"objective": "regression"},
    "constant": {"objective": "regression"},
}


def train(kind, rounds=5):
    """A model of WIDTH features, two of them categories, with missing values."""
    random = np.random.default_rng(1)
    matrix = random.normal(size=(2000, WIDTH))
    matrix[:, 3] = random.integers(0, 70, 2000)
    matrix[:, 4] = random.integers(0, 5, 2000)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    signal = np.nan_to_num(matrix[:, 0]) + np.nan_to_num(matrix[:, 3]) % 7 + random.normal(size=2000)
    target = {
        "binary": signal > 3,
        "multiclass": np.digitize(signal, [2, 4]),
        "regression": signal,
        "constant": np.ones(2000),
    }[kind]
    data = lightgbm.Dataset(
        matrix, target, categorical_feature=[3, 4], feature_name=[f"f{index}" for index in range(WIDTH)]
    )
    options = {"verbose": -1, "num_leaves": 15, "seed": 0, "num_threads": 1, **KINDS[kind]}
    booster = lightgbm.train(options, data, rounds)
    return lightgbm_text.strip(booster.model_to_string().encode()), booster, matrix
