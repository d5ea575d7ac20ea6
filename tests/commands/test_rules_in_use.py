"""One definition of rules: what validated the training data guards `serve` and is measured by `watch`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import image_models
import numpy as np
import polars as pl
import pytest
from serving import call, make_app, post

from mlops_cli.runtime import log
from mlops_cli.runtime.rules import Rule, Rules
from mlops_cli.store import artefact

RULES = """
columns:
  carrier: {checks: {isin: [AA, UA, B6], str_length: {exact_value: 2, error: a code of two letters}}}
  hour: {checks: {in_range: {min_value: 0, max_value: 23}}}
  distance: {nullable: true, checks: {gt: {value: 100, raise_warning: true}}}
  day: {nullable: true, checks: {ge: 2013-01-01}}
  late: {nullable: false}
unique: [id]
"""
GOOD = {"id": 1, "carrier": "UA", "hour": 17, "distance": 1400.0, "day": "2013-05-01"}
BAD_HOUR = "hour: in_range(0, 23)"
NO_SUCH = "carrier: isin('AA', 'UA', 'B6')"


@pytest.fixture
def model(cli: Any, work: Path) -> Path:
    """A model of a dataset that has passed the rules."""
    rows = 400
    table = {
        "id": range(rows),
        "carrier": [("AA", "UA", "B6")[n % 3] for n in range(rows)],
        "hour": [n % 24 for n in range(rows)],
        "distance": [None if n % 50 == 0 else 100.5 + n for n in range(rows)],
        "day": [f"2013-{1 + n % 12:02d}-01" for n in range(rows)],
        "late": [n % 24 > 12 for n in range(rows)],
    }
    pl.DataFrame(table).with_columns(pl.col("day").str.to_date()).write_parquet("d.parquet")
    Path("r.yaml").write_text(RULES)
    dataset = cli("validate", "d.parquet", "--schema", "r.yaml", "-q").ref
    split = cli("split", dataset, "-q").ref
    flags = ("--set", "num_iterations=3", "--set", "min_data_in_leaf=5", "-q", "-o", "model")
    cli("train", split, "--target", "late", "--include", "hour,id", *flags).ref  # noqa: B018  # fails when it did not pass
    return work / "model"


def predicted(app: Any, *rows: dict[str, Any]) -> tuple[int, Any]:
    return post(app, "/predict", list(rows))


def told(app: Any) -> dict[str, int]:
    """The counters of rules in /metrics."""
    text = call(app, "GET", "/metrics")[2].decode()
    return {
        name: int(n)
        for name, n in re.findall(r'^(mlops_(?:broken|rejected)_rows_total\{rule=".*"\}) (\d+)$', text, re.M)
    }


def test_the_rules_of_its_columns_go_into_the_model(model: Path, cli: Any) -> None:
    found = json.loads((model / "rules.json").read_text())
    assert {rule["column"] for rule in found["rules"]} == {"carrier", "hour", "distance", "day"}, (
        "not those of the target"
    )
    assert artefact.verify(artefact.open_artefact(model)) == []
    assert cli("validate", "d.parquet", "--schema", "r.yaml", "-q", "-o", "data").code == 0
    whole = json.loads(Path("data/rules.json").read_text())
    assert {"label": "unique(id)", "reason": "uniqueness is a property of a whole table"} in whole["left_out"]


def test_without_lineage_there_are_no_rules(model: Path, cli: Any) -> None:
    ref = cli("train", "d.parquet", "--target", "late", "--include", "hour,id", "--set", "num_iterations=2", "-q").ref
    assert not Path(ref, "rules.json").exists()


def test_rules_go_through_pipes(model: Path, shell: Any) -> None:
    line = "mlops ingest d.parquet -o - | mlops validate --schema r.yaml -o - | mlops split"
    line += " | mlops train --target late --include hour,id"
    ended = shell(f"{line} --set num_iterations=3 --set min_data_in_leaf=5 -o piped")
    assert ended.code == 0, ended.err
    assert Path("piped/rules.json").read_bytes() == (model / "rules.json").read_bytes()


def test_other_rules_for_the_same_rows_are_another_model(model: Path, cli: Any) -> None:
    Path("r2.yaml").write_text(RULES.replace("23", "99"))
    split = cli("split", cli("validate", "d.parquet", "--schema", "r2.yaml", "-q").ref, "-q").ref
    flags = ("--set", "num_iterations=3", "--set", "min_data_in_leaf=5")
    made = cli("train", split, "--target", "late", "--include", "hour,id", *flags, "-q").ref
    assert "in_range(0, 99)" in Path(made, "rules.json").read_text(), (
        "the split's bytes are the same, its rules are not"
    )


def test_warn_counts_and_logs(model: Path, tmp_path: Path) -> None:
    app, said = make_app(model, log=log.Options(tmp_path / "log"))
    try:
        assert predicted(app, GOOD)[0] == 200
        assert predicted(app, GOOD | {"hour": 24})[0] == 200
        many = [GOOD, GOOD | {"hour": -1, "carrier": "XXX"}, GOOD | {"distance": 5.0}, GOOD | {"carrier": None}]
        assert predicted(app, *many)[0] == 200
        counts = told(app)
    finally:
        app.close()
    assert counts[f'mlops_broken_rows_total{{rule="{BAD_HOUR}"}}'] == 2
    assert counts['mlops_broken_rows_total{rule="distance: greater_than(100)"}'] == 1
    assert sum(n for name, n in counts.items() if "rejected" in name) == 0
    lines = [json.loads(line) for file in (tmp_path / "log").glob("*/*") for line in file.read_text().splitlines()]
    assert [line["broken"] for line in lines] == [
        [],
        [BAD_HOUR],
        [],
        [NO_SUCH, "carrier: a code of two letters", BAD_HOUR],
        ["distance: greater_than(100)"],
        ["carrier: not_nullable"],
    ]
    assert said == []


def test_reject_answers_400_in_the_shape_of_the_protocol(model: Path) -> None:
    app, said = make_app(model, rules="reject")
    assert predicted(app, GOOD)[0] == 200
    assert predicted(app, GOOD | {"distance": 5.0})[0] == 200, "a warning is no reason"
    bad = GOOD | {"hour": 99}
    why = f"breaks a rule: {BAD_HOUR}"
    assert predicted(app, GOOD, bad) == (400, {"error": f"row 1: {why}"})
    assert predicted(app, bad) == (400, {"error": f"row 0: {why}"})
    error = {"error_code": "BAD_REQUEST", "message": f"row 0: {why}"}
    assert post(app, "/invocations", {"dataframe_records": [bad]}) == (400, error)
    columns = {name: [value, value] for name, value in bad.items()}
    status, answer = post(app, "/invocations", {"inputs": columns})
    assert status == 400 and answer["message"] == f"row 0: breaks a rule (and 1 more rows break rules): {BAD_HOUR}"
    kinds = {str: "BYTES", int: "INT64", float: "FP64"}
    tensors = [{"name": n, "shape": [1], "datatype": kinds[type(v)], "data": [v]} for n, v in bad.items()]
    assert post(app, "/v2/models/flights/infer", {"inputs": tensors}) == (400, {"error": f"row 0: {why}"})
    counts = told(app)
    assert counts[f'mlops_rejected_rows_total{{rule="{BAD_HOUR}"}}'] == 6
    assert counts[f'mlops_broken_rows_total{{rule="{BAD_HOUR}"}}'] == 6
    assert counts['mlops_rejected_rows_total{rule="distance: greater_than(100)"}'] == 0
    assert predicted(app, GOOD | {"hour": "x"})[1] == {"error": "row 0: column 'hour' takes a whole number, not 'x'"}
    assert said == []
    app.close()


def test_off_looks_at_nothing(model: Path, tmp_path: Path) -> None:
    app, _ = make_app(model, rules="off", log=log.Options(tmp_path / "log"))
    assert predicted(app, GOOD | {"hour": 99})[0] == 200
    assert told(app) == {}
    app.close()
    (line,) = next((tmp_path / "log").glob("*/*")).read_text().splitlines()
    assert "broken" not in json.loads(line)


def test_reject_without_rules_does_not_pretend(work: Path, cli: Any, model: Path) -> None:
    bare = cli("train", "d.parquet", "--target", "late", "--include", "hour,id", "--set", "num_iterations=2", "-q").ref
    ended = cli("serve", bare, "--rules", "reject", "--port", "0")
    assert ended.code == 4 and "has no rules to reject rows by" in ended.err and len(ended.err.splitlines()) == 2
    assert cli("serve", bare, "--rules", "perhaps").code == 2


def test_a_changed_rule_is_an_integrity_error(model: Path, cli: Any) -> None:
    path = model / "rules.json"
    path.write_text(path.read_text().replace("23", "99"))
    ended = cli("serve", model, "--port", "0")
    assert ended.code == 5 and "rules.json" in ended.err


def test_stdin_and_watch(model: Path, shell: Any, cli: Any) -> None:
    rows = [GOOD] * 60 + [GOOD | {"hour": 30}] * 20 + [GOOD | {"hour": 30, "carrier": "ZZ"}] * 20
    Path("rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = shell("mlops serve model --stdio --log lg < rows.ndjson > answers")
    assert ended.code == 0 and "100 rows answered, 0 refused" in ended.err
    ended = shell("mlops serve model --stdio --rules reject < rows.ndjson | sort | uniq -c")
    assert f'20 {{"error":"breaks a rule: {BAD_HOUR}"}}' in ended.out and "60 rows answered, 40 refused" in ended.err

    def watched(*alerts: str, more: tuple[str, ...] = ()) -> Any:
        flags = [word for alert in alerts for word in ("--alert", alert)]
        return cli("watch", "model", "--log", "lg", "-o", "series", "--json", *flags, *more)

    ended = watched("broken>0.2", "broken[carrier]>0.9", f"broken[{BAD_HOUR}]>0.3")
    assert ended.code == 1, ended.err
    entry = json.loads(ended.out)
    values = {one["column"]: one["value"] for one in entry["metrics"] if one["name"] == "broken"}
    assert (values[None], values["hour"], values[BAD_HOUR], values["carrier"], values[NO_SUCH]) == (
        0.4,
        0.4,
        0.4,
        0.2,
        0.2,
    )
    assert {one["judgement"]["gate"]: one["judgement"]["answer"] for one in entry["alerts"]} == {
        "broken>0.2": "fail", "broken[carrier]>0.9": "pass", f"broken[{BAD_HOUR}]>0.3": "fail",
    }  # fmt: skip
    assert watched("broken[huor]>0.1").code == 2
    Path("wide.yaml").write_text(
        "columns:\n  hour: {checks: {in_range: {min_value: 0, max_value: 48}}}\n  nowhere: {}\n"
    )
    assert watched("broken>0.2", more=("--schema", "wide.yaml")).code == 0


def test_predict_tells_what_rows_break(model: Path, cli: Any) -> None:
    rows = [GOOD, GOOD | {"hour": 24}, GOOD | {"carrier": None, "hour": -1}]
    pl.DataFrame(rows).with_columns(pl.col("day").str.to_date()).write_parquet("p.parquet")
    ref = cli("predict", "model", "p.parquet", "--rules", "--proba", "-q").ref
    assert pl.read_parquet(f"{ref}/*.parquet")["broken"].to_list() == [
        [],
        [BAD_HOUR],
        ["carrier: not_nullable", BAD_HOUR],
    ]
    assert "broken" not in pl.read_parquet(f"{cli('predict', 'model', 'p.parquet', '-q').ref}/*.parquet").columns
    bare = cli("train", "d.parquet", "--target", "late", "--include", "hour,id", "--set", "num_iterations=2", "-q").ref
    assert cli("predict", bare, "p.parquet", "--rules").code == 4


def test_an_alert_without_rules_is_inconclusive(model: Path, shell: Any, cli: Any) -> None:
    bare = cli(
        "train",
        "d.parquet",
        "--target",
        "late",
        "--include",
        "hour,id",
        "--set",
        "num_iterations=2",
        "-q",
        "-o",
        "bare",
    ).ref
    Path("rows.ndjson").write_text((json.dumps(GOOD) + "\n") * 30)
    assert shell("mlops serve bare --stdio --log lg < rows.ndjson > answers").code == 0
    ended = cli("watch", bare, "--log", "lg", "-o", "series", "--alert", "broken>0.1")
    assert ended.code == 3 and "carries no rules" in ended.err


def test_of_an_image_the_rules_are_about_what_was_measured(tmp_path: Path) -> None:
    made = image_models.model(tmp_path / "vehicles")
    bright = Rule("brightness: le(0.9)", "brightness", "float", "less_than_or_equal_to", {"max_value": 0.9})
    camera = Rule("camera: isin('north')", "camera", "string", "isin", {"allowed_values": ["north"]}, missing=True)
    (made.path / "rules.json").write_bytes(Rules(None, [bright, camera]).encode())
    (made.path / "manifest.json").unlink()
    artefact.seal(made.path, kind="model", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[])
    white, grey = (image_models.png(np.full((16, 16, 3), value)) for value in (255, 100))
    app, said = make_app(made.path, rules="reject")
    image = [(b"content-type", b"image/png")]
    assert post(app, "/predict?camera=north", grey, image)[0] == 200
    assert post(app, "/predict?camera=north", white, image)[1] == {"error": "row 0: breaks a rule: brightness: le(0.9)"}
    assert post(app, "/predict", grey, image)[1] == {"error": "row 0: breaks a rule: camera: isin('north')"}
    assert told(app)['mlops_rejected_rows_total{rule="brightness: le(0.9)"}'] == 1 and said == []
    app.close()
