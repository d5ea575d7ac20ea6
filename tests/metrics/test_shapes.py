"""The figures behind charts, against scikit-learn, scipy and plain numpy."""

import numpy as np
import pytest
from scipy import stats

from mlops_cli.metrics import shapes


@pytest.mark.parametrize("rows", [1000, 37])
def test_gains_are_counted_from_the_top(rows):
    rng = np.random.default_rng(0)
    truth = rng.random(rows) < 0.3
    score = rng.random(rows) + truth
    found = shapes.gains(score, truth)
    ordered = truth[np.argsort(-score)]
    for part in range(10):
        top = (part + 1) * rows / 10
        whole = ordered[: int(top)].sum() + (ordered[int(top)] * (top % 1) if int(top) < rows else 0)
        assert found.found[part] == pytest.approx(whole / truth.sum())
        assert found.lowest[part] == pytest.approx(np.sort(score)[::-1][int(np.ceil(top - 1e-9)) - 1])
    assert found.positives.sum() == pytest.approx(truth.sum()) and found.rows.sum() == pytest.approx(rows)


def test_rows_of_one_score_are_shared_out():
    truth = np.array([True] * 30 + [False] * 70)
    assert shapes.gains(np.full(100, 0.4), truth).positives == pytest.approx(np.full(10, 3.0))


def test_residuals_by_tenths():
    rng = np.random.default_rng(0)
    predicted = rng.gamma(2, 10, 5000)
    error = rng.normal(size=5000) * predicted / 10 + 0.5
    found = shapes.residuals(predicted, error)
    order = np.argsort(predicted)
    for part in range(10):
        own = order[part * 500 : (part + 1) * 500]
        assert found.rows[part] == 500
        assert found.mean[part] == pytest.approx(error[own].mean())
        assert found.deviation[part] == pytest.approx(error[own].std())
        assert found.quantiles[part] == pytest.approx(np.quantile(error[own], (0.05, 0.25, 0.5, 0.75, 0.95)))
    assert len(shapes.residuals(np.full(20, 3.0), np.arange(20.0)).rows) == 1


def test_quantiles_beside_the_normal_ones():
    values = np.random.default_rng(0).laplace(3, 2, 5000)
    theory, observed = shapes.normal_quantiles(values)
    assert len(theory) <= 100 and theory[0] == pytest.approx(stats.norm.ppf(0.5 / 5000))
    ordered = (np.sort(values) - values.mean()) / values.std()
    places = np.round(stats.norm.cdf(theory) * 5000 - 0.5).astype(int)
    assert observed == pytest.approx(ordered[places])
    straight = shapes.normal_quantiles(np.random.default_rng(1).normal(5, 3, 5000))
    assert np.abs(straight[0] - straight[1])[15:-15].max() < 0.15
