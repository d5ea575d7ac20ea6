"""Numbers for people: as many digits as their interval bears."""

import pytest

from mlops_cli.metrics import wording
from mlops_cli.metrics.base import Metric


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.71234, 0.68, 0.74, "0.712 [0.680, 0.740]"),
        (1234567.8, 1234000.0, 1235000.0, "1,234,568 [1,234,000, 1,235,000]"),
        (-1e-9, -2e-9, 1e-9, "0.000000 [0.000000, 0.000000]"),
        (-0.0011, -0.003, 0.0003, "-0.0011 [-0.0030, 0.0003]"),
        (12.0, None, None, "12 "),
    ],
)
def test_digits(value, low, high, text):
    metric = Metric("rmse", value, low, high, 100)
    assert f"{wording.value(metric)} {wording.interval(metric)}" == text
