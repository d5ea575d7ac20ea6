"""Models that several test modules look at."""

import pytest
from boosters import KINDS, train


@pytest.fixture(scope="session")
def texts():
    """{kind: the text of a model}"""
    return {kind: train(kind)[0] for kind in KINDS}
