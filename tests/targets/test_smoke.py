"""When an image's answer is the recorded one, and what is said when it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlops_cli.errors import Outside
from mlops_cli.targets import smoke

RECORDED = {"predictions": [{"prediction": True, "proba": [0.25, 0.75]}, {"prediction": False, "proba": [0.5, 0.5]}]}


def answer(**change: Any) -> bytes:
    first = {"prediction": True, "proba": [0.25, 0.75]} | change
    return json.dumps({"predictions": [first, RECORDED["predictions"][1]], "more": "is ignored"}).encode()


def test_the_same_answer() -> None:
    assert smoke._judge(answer(), RECORDED) == "exact"


def test_last_digits_may_differ_and_that_is_said() -> None:
    assert smoke._judge(answer(proba=[0.25 + 1e-12, 0.75]), RECORDED) == "within 1e-09"


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (answer(proba=[0.2501, 0.75]), "predictions[0].proba[0] is 0.2501, recorded was 0.25"),
        (answer(proba=[0.25]), "predictions[0].proba is [0.25], recorded was [0.25,0.75]"),
        (answer(prediction=1), "predictions[0].prediction is 1, recorded was true"),
        (answer(prediction=None), "predictions[0].prediction is null"),
        (b'{"predictions": []}', "predictions is []"),
        (b'{"error": "no"}', "predictions is null"),
        (b"[1]", "JSON object"),
        (b"<html>", "JSON object"),
        (b"", "JSON object"),
    ],
)
def test_other_answers(printed: bytes, says: str) -> None:
    with pytest.raises(Outside) as caught:
        smoke._judge(printed, RECORDED)
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_long_values_are_cut() -> None:
    assert len(smoke.different("x" * 1000, "y" * 1000, 0.0, "p")) < 300
