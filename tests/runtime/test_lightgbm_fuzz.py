"""No mutated model kills or hangs a process; without the validator they do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fuzz_lightgbm.py")


@pytest.fixture(scope="module")
def models(texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    paths = []
    for kind, text in texts.items():
        paths.append(folder / f"{kind}.txt")
        paths[-1].write_bytes(text)
    return paths


def fuzz(models, count, seed, *flags):
    """How `count` mutants ended. In a process of its own: forked children of one that has used OpenMP would hang."""
    command = [sys.executable, str(SCRIPT), *flags, str(count), str(seed), *map(str, models)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=280)
    return json.loads(done.stdout)


def test_2000_mutants_none_dies(models):
    ends = fuzz(models, 2000, 20261123)
    assert ends["died"] == []
    assert ends["refused"] + ends["library"] + ends["answered"] == 2000
    # Every harmful one is ours to refuse, and harmless ones get through: the test reaches behind the validator.
    assert ends["library"] == 0
    assert ends["answered"] > 50


def test_without_the_validator_the_same_mutants_kill(models):
    ends = fuzz(models, 40, 20261123, "--unchecked")
    assert len(ends["died"]) > 10
