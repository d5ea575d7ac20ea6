"""Whole pipelines in a real shell, with a failure at each place in them: its code is the code at the end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

SETS = "--set num_iterations=5 --set min_data_in_leaf=5 --set num_leaves=4"
STAGES = {
    "ingest": "mlops ingest data.csv",
    "validate": "mlops validate --schema rules.yaml",
    "split": "mlops split --test 0.3 --valid 0.2",
    "train": f"mlops train --target late {SETS}",
    "evaluate": "mlops evaluate --require 'accuracy>=0.1'",
    "register": "mlops register --name flights",
}
# Where it fails, with what instead, and the code.
FAILURES = [
    ("ingest", "mlops ingest nothing.csv", 4, "missing"),
    ("ingest", "mlops ingest ragged.csv", 4, ""),
    ("ingest", "mlops ingest data.csv --nonsense", 2, "usage"),
    ("validate", "mlops validate --schema strict.yaml", 1, None),
    ("validate", "mlops validate --max-bad much", 2, "usage"),
    ("split", "mlops split --test 2", 2, "usage"),
    ("split", "mlops split --group nothing", 4, "column"),
    ("train", "mlops train --target nothing", 4, "column"),
    ("train", f"mlops train --target late {SETS} -o data.csv", 4, "kind"),
    ("evaluate", "mlops evaluate --require 'accuracy>=2'", 1, None),
    ("evaluate", "mlops evaluate --require 'nonsense'", 2, "usage"),
    ("register", "mlops register --name 'A B'", 2, "usage"),
]
STRICT = "columns:\n  distance:\n    dtype: float64\n    checks:\n      less_than: 500\n"


@pytest.fixture
def bash(shell: Any) -> Any:
    """Like `shell`, with a file for standard output: what is at the end of a pipeline is no pipe."""

    def run(line: str) -> Any:
        ended = shell(f"exec > ../out\n{line}")
        return replace(ended, out=Path("../out").read_text())

    return run


def pipeline(**instead: str) -> str:
    """All stages, some of them replaced."""
    return " | ".join((STAGES | instead).values())


def errors(text: str) -> list[str]:
    """The lines that tell of an error, not of progress and verdicts."""
    return [line for line in text.splitlines() if ": hint" not in line and line.count(": ") >= 2 and _word(line)]


def _word(line: str) -> bool:
    """Whether the second part of a line is a code word."""
    return line.split(": ")[1] in {
        "usage", "input", "missing", "empty", "corrupt", "schema", "column", "kind", "integrity", "busy", "outside",
        "missing-extra", "bug", "finding", "inconclusive",
    }  # fmt: skip


def test_the_whole_line(life: Path, shell: Any) -> None:
    ended = shell(pipeline())
    assert (ended.code, ended.out) == (0, "flights@1\n"), "it is what was registered already"
    shutil.rmtree(".mlops")
    shutil.rmtree("mlops-registry")
    Path(".mlops").mkdir()
    ended = shell(pipeline())
    assert (ended.code, ended.out) == (0, "flights@1\n"), ended.err
    told = json.loads(shell("mlops inspect flights@1 --lineage --verify --json").ref)
    assert [one["kind"] for one in told["lineage"]] == ["split", "dataset", "dataset"]
    assert told["lineage"][-1]["inputs"][0]["kind"] == "file"
    balance = [line for line in ended.err.splitlines() if "rows in =" in line]
    assert len(balance) >= 4, "every command that touches a table says what became of its rows"


@pytest.mark.parametrize(("stage", "command", "code", "word"), FAILURES, ids=str)
def test_a_failure_anywhere_is_the_failure_of_the_whole(
    life: Path, bash: Any, stage: str, command: str, code: int, word: str | None
) -> None:
    Path("strict.yaml").write_text(STRICT)
    artefacts = {path.name for path in Path(".mlops/artefacts").iterdir()}
    registered = sorted(path.name for path in Path("mlops-registry").rglob("*"))
    ended = bash(pipeline(**{stage: command}) + "; echo ${PIPESTATUS[*]}")
    codes = [int(one) for one in ended.out.splitlines()[-1].split()]
    place = list(STAGES).index(stage)
    assert codes == [0] * place + [code] * (len(STAGES) - place), ended.err
    assert ended.out.splitlines()[:-1] == [], "nothing comes out at the end"
    told = [line for line in ended.err.splitlines() if line.startswith("mlops ")]
    speakers = {line.split(":")[0].split()[1] for line in told}
    assert speakers <= set(list(STAGES)[: place + 1]), "what comes behind it says nothing"
    found = errors(ended.err)
    assert len(found) == (0 if word is None else 1), ended.err
    assert "Traceback" not in ended.err
    if word:
        assert found[0].startswith(f"mlops {stage}: {word}: ")
    assert sorted(path.name for path in Path("mlops-registry").rglob("*")) == registered
    made = {path.name for path in Path(".mlops/artefacts").iterdir()} - artefacts
    assert len(made) <= 2, "nothing downstream was made (the rows that passed and those that did not)"


def test_without_pipefail_too(life: Path, bash: Any) -> None:
    ended = bash("set +o pipefail; " + pipeline(train="mlops train --target nothing"))
    assert ended.code == 4 and ended.out == ""


@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_command_that_is_killed_is_an_empty_input(life: Path, bash: Any, place: int) -> None:
    names = list(STAGES)
    instead = {names[place]: "bash -c 'cat >/dev/null; kill -9 $$'"}
    ended = bash(pipeline(**instead) + "; echo ${PIPESTATUS[*]}")
    codes = [int(one) for one in ended.out.splitlines()[-1].split()]
    assert codes == [0] * place + [137] + [4] * (5 - place), ended.err
    assert len(errors(ended.err)) == (0 if place == 5 else 1)


# --- references as arguments


def test_references_nest(life: Path, shell: Any) -> None:
    line = f"mlops evaluate -q $(mlops train -q $(mlops split -q good --test 0.3 --valid 0.2) --target late {SETS})"
    ended = shell(line)
    assert ended.code == 0 and Path(ended.ref).is_dir()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("mlops evaluate $(mlops train parts --target nothing | cat)", 4),
        ("mlops register --name x $(mlops evaluate -q model --require 'accuracy>=2' | cat)", 1),
        ("mlops predict model $(mlops ingest nothing.csv | cat)", 4),
        ("mlops predict $(mlops train nothing --target x | cat) data.csv", 4),
        ("mlops inspect $(mlops split data.csv --test 7 | cat)", 2),
        ("mlops evaluate model --data $(mlops ingest ragged.csv | cat)", 4),
        ("mlops evaluate $(mlops train parts --target nothing)", 4),
        ("mlops inspect \"$(mlops ingest nothing.csv)\"", 4),
    ],
)  # fmt: skip
def test_a_stop_as_an_argument_ends_the_same_way(life: Path, bash: Any, line: str, code: int) -> None:
    ended = bash(line)
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert len(errors(ended.err)) <= 1


def test_json_is_for_programs(life: Path, shell: Any) -> None:
    for line, code in (
        ("mlops evaluate model --json -q", 0),
        ("mlops evaluate model --require 'accuracy>=2' --json -q", 1),
        ("mlops train parts --target nothing --json -q", 4),
    ):
        ended = shell(f"{line} | cat")
        assert ended.code == code
        told = json.loads(ended.out or ended.err)
        assert told["exit"] == code


# --- tables in a pipe


STREAM = "mlops ingest data.csv -q -o - | mlops validate --schema rules.yaml -q -o - | mlops split --test 0.3 -q"


def test_tables_stream_through(life: Path, shell: Any) -> None:
    ended = shell(STREAM + " -o streamed")
    assert (ended.code, ended.out) == (0, "streamed\n"), ended.err
    assert "file sha256:" in shell("mlops inspect streamed --lineage").ref, "lineage goes through the stream"
    told = json.loads(shell("mlops inspect streamed --json").ref)
    assert [command[1] for command in told["params"]["stream"]] == ["ingest", "validate"]
    plain = shell("mlops split good --test 0.3 -q --json").ref
    assert json.loads(plain)["id"] == told["id"], "the same rows, the same artefact"


def test_predictions_stream_to_whoever_reads_arrow(life: Path, shell: Any) -> None:
    reader = "python -c 'import pyarrow.ipc, sys; print(pyarrow.ipc.open_stream(sys.stdin.buffer).read_all().num_rows)'"
    assert shell(f"mlops predict model data.csv -q -o - | {reader}").ref == "160"
    polars = "python -c 'import polars, sys; print(polars.read_ipc_stream(sys.stdin.buffer).height)'"
    assert shell(f"mlops ingest data.csv -q -o - | mlops predict model - -q -o - | {polars}").ref == "160"


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        # a verdict in the middle
        ("mlops ingest data.csv -q -o - | mlops validate --schema strict.yaml -q -o - | mlops split -q", [0, 1, 1]),
        # an input that is not there, at the beginning
        ("mlops ingest nothing.csv -q -o - | mlops validate -q -o - | mlops split -q", [4, 4, 4]),
        ("mlops ingest ragged.csv -q -o - | mlops validate -q -o - | mlops split -q", [4, 4, 4]),
        # usage, in the middle
        ("mlops ingest data.csv -q -o - | mlops validate --nonsense -o - | mlops split -q", [None, 2, 2]),
        # a stream that is cut: a killed writer, a copy that stopped
        ("mlops ingest data.csv -q -o - | head -c -8 | mlops validate -q -o - | mlops split -q", [0, 0, 4, 4]),
        ("mlops ingest data.csv -q -o - | head -c 100 | mlops validate -q -o - | mlops split -q", [None, 0, 4, 4]),
        ("mlops ingest data.csv -q -o - | head -c 3 | mlops split -q", [None, 0, 4]),
        # a reader that ends
        ("mlops ingest data.csv -q -o - | mlops split --test 7 -q", [None, 2]),
        ("mlops ingest data.csv -q -o - | mlops split --group nothing -q", [None, 4]),
    ],
)
def test_a_stream_that_fails_fails_everywhere(life: Path, bash: Any, line: str, codes: list[int | None]) -> None:
    Path("strict.yaml").write_text(STRICT)
    before = {path.name for path in Path(".mlops/artefacts").iterdir()}
    ended = bash(line + "; echo ${PIPESTATUS[*]}")
    found = [int(one) for one in ended.out.splitlines()[-1].split()]
    assert all(want in (None, got) for want, got in zip(codes, found, strict=True)), (found, ended.err)
    assert all(got in (0, 141) for want, got in zip(codes, found, strict=True) if want is None)
    assert ended.out.splitlines()[:-1] == []
    assert len(errors(ended.err)) <= 1 and "Traceback" not in ended.err
    made = {path.name for path in Path(".mlops/artefacts").iterdir()} - before
    assert len(made) <= (2 if "strict" in line else 0), "the rows that failed, and the account of them"
    assert list(Path(".mlops").glob("staging/*")) == []


def test_others_fail_on_a_stream_whose_verdict_was_no_pass(life: Path, shell: Any) -> None:
    Path("strict.yaml").write_text(STRICT)
    for reader in (
        "import pyarrow.ipc as ipc, sys; print(ipc.open_stream(sys.stdin.buffer).read_all().num_rows)",
        "import polars, sys; print(polars.read_ipc_stream(sys.stdin.buffer).height)",
    ):
        ended = shell(f"mlops validate data.csv --schema strict.yaml -q -o - | python -c '{reader}'")
        assert ended.code != 0 and ended.out == "", "the rows that pass are not all rows"


def test_a_killed_writer_is_noticed(life: Path, bash: Any) -> None:
    rows = "".join(f"{number},some text\n" for number in range(400_000))
    Path("big.csv").write_text("a,b\n" + rows)
    line = (
        "export TMPDIR=.; mkfifo pipe; mlops ingest big.csv -q -o - > pipe & writer=$!; "
        "(head -c 300000; kill -9 $writer; cat) < pipe | mlops validate -q"
    )
    ended = bash(line)
    assert ended.code == 4 and "no end marker" in ended.err
    assert ended.out == ""


def test_data_that_is_no_reference(life: Path, shell: Any) -> None:
    for line, hint in (
        ("cat data.csv | mlops split", "mlops ingest -"),
        ("head -c 3000 /dev/urandom | mlops split", ""),
        ("printf '' | mlops split", ""),
        ("printf '\\n' | mlops split", ""),
        ("printf 'nothing\\n' | mlops split", ""),
        ("printf 'mlops:stop:x:y\\n' | mlops split", ""),
    ):
        ended = shell(line)
        assert ended.code == 4 and hint in ended.err, line
        assert len(errors(ended.err)) == 1


def test_csv_parquet_and_ndjson_on_standard_input(life: Path, shell: Any) -> None:
    wanted = json.loads(shell("mlops ingest data.csv --json").ref)["id"]
    assert json.loads(shell("cat data.csv | mlops ingest - --json").ref)["id"] == wanted
    assert json.loads(shell("mlops ingest data.csv -q -o - | mlops ingest - --json").ref)["id"] == wanted
    assert shell("cat dataset/*.parquet | mlops split --test 0.3 -q").code == 0
    row = '{"distance": 700.5, "carrier": "A", "day": "2026-01-01", "id": 1}'
    assert shell(f"echo '{row}' | mlops predict model -q -o - | wc -c").code == 0
