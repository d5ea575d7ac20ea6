"""Models side by side: what differs first, numbers with intervals, and a word when they cannot be compared."""

import json
import sys
from pathlib import Path

import pytest

from mlops_cli.models.lightgbm_settings import OBJECTIVES

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, table


@pytest.fixture
def models(cli):
    """Two models of one split, and one of another; the second is registered with its evaluation."""
    table().select(*INPUTS, "yes").write_parquet("t.parquet")
    for seed, name in ((0, "parts"), (1, "other")):
        cli("split", "t.parquet", "--test", "0.2", "--valid", "0.2", "--seed", seed, "-o", name).ref  # noqa: B018
    few = ("--target", "yes", "--set", "num_iterations=5")
    cli("train", "parts", *few, "--set", "num_leaves=7", "-o", "a").ref  # noqa: B018
    cli("train", "parts", *few, "--search", "grid", "--space", "num_leaves=3,5", "-o", "b").ref  # noqa: B018
    cli("train", "other", *few, "-o", "c").ref  # noqa: B018
    cli("evaluate", "b", "-o", "measured").ref  # noqa: B018
    cli("register", "measured", "--name", "m").ref  # noqa: B018


def block(out, title):
    """The lines of a part of the table, by their name."""
    lines = out.splitlines()
    found = {}
    for line in lines[lines.index(title) + 1 :]:
        if not line.startswith("  "):
            break
        name, *cells = [cell for cell in line.strip().split("  ") if cell.strip()]
        found[name] = [cell.strip() for cell in cells]
    return found


def test_models_side_by_side(cli, models):
    ended = cli("inspect", "--compare", "a", "m@1", "measured", "c")
    assert ended.code == 0, ended.err
    differing, alike = block(ended.out, "parameters that differ"), block(ended.out, "parameters that are alike")
    best = json.loads(Path("b/trials.json").read_text())
    chosen = best["trials"][best["best"]]["settings"]["num_leaves"]
    assert differing["num_leaves"] == ["7", chosen, chosen, "-"] and alike["num_iterations"] == ["5"] * 4
    assert not set(differing) & set(alike)
    valid, evaluated = block(ended.out, "metrics on the valid rows"), block(ended.out, "metrics of the evaluation")
    assert len(valid["roc_auc"]) == 4 and "[" in valid["roc_auc"][0]
    assert evaluated["roc_auc"][0] == "-" and evaluated["roc_auc"][1] == evaluated["roc_auc"][2] != "-"
    assert "the valid rows are of different data" in ended.out
    assert "different data" not in cli("inspect", "--compare", "a", "b").out
    told = json.loads(cli("inspect", "a", "b", "--compare", "--json").out)
    assert [one["kind"] for one in told["compared"]] == ["model", "model"] and "num_leaves" in told["differ"]
    assert told["compared"][0]["settings"] == {
        "num_iterations": "5", "num_leaves": "7", "objective": "binary"
    }  # fmt: skip
    assert alike["objective"] == ["binary"] * 4
    assert all(names[0] == task for task, names in OBJECTIVES.items())
    assert {"name", "value", "low", "high"} <= told["compared"][0]["valid"][0].keys()
    assert "2 trials, the best: num_leaves=" in cli("inspect", "b").out
    assert "trials:" not in cli("inspect", "a").out
    for words, code, why in WRONG:
        ended = cli("inspect", *words)
        assert ended.code == code and why in ended.err and ended.err.count("\n") <= 2, words


WRONG = [
    (("--compare", "a"), 2, "at least two"),
    (("a", "b"), 2, "--compare"),
    (("--compare", "a", "parts"), 4, "parts is a split"),
    (("--compare", "a", "gone"), 4, "gone"),
    (("--compare", "a", "b", "--verify"), 2, "--verify"),
]
