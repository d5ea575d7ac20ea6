"""mlops validate: rules about whole tables, severities, limits of rules, rules from several tables, --against."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml

from mlops_cli.steps.rules import json_schema

Cli = Callable[..., "Any"]

NOW = ("--now", "2013-01-02T00:00:00Z")


@pytest.fixture
def flights(work: Path) -> Path:
    rows = range(200)
    pl.DataFrame(
        {
            "id": rows,
            "carrier": [("AA", "UA", "DL", "B6")[row % 4] for row in rows],
            "delay": [None if row % 20 == 0 else row for row in rows],
            "at": [datetime(2013, 1, 1, row // 10, row % 10) for row in rows],
            "later": [datetime(2099 if row == 7 else 2013, 1, 1) for row in rows],
        }
    ).write_parquet("flights.parquet")
    Path("carriers.csv").write_text("code,name\nAA,American\nUA,United\nDL,Delta\nB6,JetBlue\n")
    return work


def validate(
    cli: Cli, rules: str, *more: str, streamed: bool = False, data: str = "flights.parquet"
) -> tuple[int, Any, str]:
    """The code, what --json tells, and what people are told."""
    Path("rules.yaml").write_text(rules)
    given = ("--schema", "rules.yaml", "--json", *more)
    if not streamed:
        done = cli("validate", data, *given)
        return done.code, json.loads(done.out or "{}"), done.err
    stream = cli("ingest", data, "-q", "-o", "-").raw
    done = cli("validate", *given, "-o", "-", stdin=stream)
    told = [line for line in done.err.splitlines() if line.startswith("{")]
    assert (done.raw[-8:] == b"\xff\xff\xff\xff\0\0\0\0") == (done.code == 0)
    return done.code, json.loads(told[0]) if told else {}, done.err


DATASET = {
    "rows: {min_value: 200, max_value: 200}": (0, 200, ""),
    "rows: {min_value: 201}": (1, 200, "rows: 200 is less than min_value 201"),
    "rows: {max_value: 199, severity: warning}": (0, 200, "warning: rows: 200 is more than max_value 199"),
    "freshness: {column: at, max_age: 5h}": (0, "2013-01-01T19:09:00+00:00", ""),
    "freshness: {column: at, max_age: 4h}": (1, "2013-01-01T19:09:00+00:00", "4.85 h old, more than max_age 4 h"),
    "freshness: {column: later, max_age: 5h}": (1, "2099-01-01T00:00:00+00:00", "days after now"),
    "freshness: {column: later, max_age: 5h, severity: warning}": (0, "2099-01-01T00:00:00+00:00", "warning: "),
    "null_share: {delay: 0.05}": (0, 0.05, ""),
    "null_share: {delay: {max_value: 0.04, error: many}}": (1, 0.05, "many: 0.05 is more than max_value 0.04"),
    "distinct: {carrier: {min_value: 4, max_value: 4}}": (0, 4, ""),
    "distinct: {carrier: 3}": (1, 4, "distinct(carrier): 4 is more than max_value 3"),
    "increasing: at": (0, 0, ""),
    "increasing: {column: delay, strict: true}": (0, 0, ""),
    "increasing: carrier": (1, 149, "increasing(carrier): 149 rows are before the row above them"),
    "increasing: {column: carrier, max_bad: 150}": (0, 149, ""),
    "increasing: {column: carrier, by: carrier}": (0, 0, ""),
    "increasing: {column: carrier, by: carrier, strict: true}": (1, 196, "196 rows"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("rule", DATASET)
def test_rules_about_a_whole_table(cli: Cli, flights: Path, rule: str, streamed: bool) -> None:
    code, value, line = DATASET[rule]
    ended, told, err = validate(cli, f"dataset: {{{rule}}}", *NOW, streamed=streamed)
    assert (ended, told["dataset"][0]["value"]) == (code, value)
    assert line in err and told["rejected"] == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_rows_without_a_partner_are_rejected(cli: Cli, flights: Path, streamed: bool) -> None:
    Path("carriers.csv").write_text("code,name\nAA,American\nUA,United\n\n")
    rules = "dataset: {foreign_key: {column: carrier, to: carriers.csv, to_column: code}}"
    code, told, err = validate(cli, rules, "--reject", "bad.parquet", streamed=streamed)
    assert (code, told["rejected"]) == (1, 100)
    assert set(pl.read_parquet("bad.parquet")["carrier"]) == {"DL", "B6"}
    assert re.search(r" 100  +\S+%  error +carrier: foreign_key\(carriers.csv: code\) ", err)


@pytest.mark.parametrize("streamed", [False, True])
def test_tables_of_foreign_keys_are_in_the_lineage(cli: Cli, flights: Path, streamed: bool) -> None:
    Path("rules.yaml").write_text("dataset: {foreign_key: {column: carrier, to: carriers.csv, to_column: code}}")
    given = ("--schema", "rules.yaml", "--reject", "bad")
    if streamed:
        stream = cli("validate", *given, "-o", "-", stdin=cli("ingest", "flights.parquet", "-o", "-").raw).raw
        assert cli("split", "-o", "made", stdin=stream).code == 0
    else:
        assert cli("validate", "flights.parquet", *given, "-o", "made").code == 0
    for name in ("made", "bad"):
        inputs = json.loads(Path(name, "manifest.json").read_text())["inputs"]
        assert [one["kind"] for one in inputs] == ["dataset" if streamed else "file", "file"]
        assert (
            inputs[1]["ref"] == "carriers.csv"
            and inputs[1]["id"] == "sha256:" + hashlib.sha256(Path("carriers.csv").read_bytes()).hexdigest()
        )


def test_another_file_of_the_same_name_asks_again(cli: Cli, flights: Path) -> None:
    rules = "dataset: {foreign_key: {columns: [carrier], to: carriers.csv, to_columns: [code]}}"
    assert validate(cli, rules)[0] == 0
    assert "cached" in validate(cli, rules)[2]
    Path("carriers.csv").write_text("code\nAA\n")
    assert validate(cli, rules)[0] == 1


def test_freshness_is_judged_anew_of_a_known_result(cli: Cli, flights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = "dataset: {freshness: {column: at, max_age: 1d}}"
    assert validate(cli, rules, *NOW)[0] == 0
    code, told, err = validate(cli, rules, "--now", "2013-01-03")
    assert code == 1 and "cached" in err and told["verdict"]["broken"] == ["freshness(at)"]
    assert validate(cli, rules)[0] == 1  # the clock's time
    monkeypatch.setenv("MLOPS_NOW", "2013-01-02")
    assert validate(cli, rules)[0] == 0
    assert validate(cli, rules, "--now", "yesterday")[0] == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_severities_and_limits_of_rules(cli: Cli, flights: Path, streamed: bool) -> None:
    rules = """
columns:
  id: {lt: {value: 190, max_bad: 10}}
  delay: {nullable: false, severity: warning}
rules: [{expr: id <> 199, name: last, severity: warning, max_bad: 1}]
"""
    code, told, err = validate(cli, rules, streamed=streamed)
    assert (code, told["rejected"], told["accepted"]) == (0, 10, 190)
    found = {one["rule"]: (one["severity"], one["rows"], one["share"], one["examples"]) for one in told["checks"]}
    assert found == {
        "id: not_nullable": ("error", 0, 0.0, []),
        "id: less_than(190)": ("error", 10, 0.05, ["190", "191", "192", "193", "194"]),
        "delay: not_nullable": ("warning", 10, 0.05, ["null"]),
        "last": ("warning", 1, 0.005, ["199"]),
    }
    assert re.search(" 10  5.00%  warning +delay: not_nullable +null\n", err)
    assert "last" not in err.replace('"last"', "")
    assert validate(cli, rules.replace("max_bad: 10", "max_bad: 9"), streamed=streamed)[0] == 1
    broken = rules.replace("rules: [", "rules: ['id > 0', ")
    assert validate(cli, broken, streamed=streamed)[0] == 1  # a row without a limit of its own
    assert validate(cli, broken, "--max-bad", "1", streamed=streamed)[0] == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_limit_of_a_column_holds_for_what_cannot_be_converted(cli: Cli, work: Path, streamed: bool) -> None:
    pl.DataFrame({"a": ["1", "x", "3", "4"]}).write_parquet("flights.parquet")
    rules = "columns: {a: {dtype: int64, coerce: true, max_bad: 50%}}"
    code, told, err = validate(cli, rules, streamed=streamed)
    assert (code, told["rejected"]) == (0, 1) and "allowed: max_bad 50%" in err
    assert {one["check"]: one["rows"] for one in told["checks"]} == {"coerce": 1, "not_nullable": 0}
    assert validate(cli, rules.replace("50%", "20%"), streamed=streamed)[0] == 1
    code, told, err = validate(cli, rules.replace("max_bad: 50%", "severity: warning"), streamed=streamed)
    assert (code, told["rejected"]) == (0, 0) and re.search(r" 1  25.00%  warning +a: coerce\(Int64\) +x\n", err)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("dataset: {increasing: att}", "did you mean at?"),
        ("dataset: {freshness: {column: id, max_age: 1d}}", "not of times"),
        ("dataset: {foreign_key: {column: carrier, to: none.csv}}", "dataset.foreign_key.to"),
        ("dataset: {foreign_key: {column: carrier, to: carriers.csv}}", "carriers.csv has no column 'carrier'"),
        ("dataset: {foreign_key: {column: id, to: carriers.csv, to_column: code}}", "id is Int64 and code"),
    ],
)
def test_rules_about_tables_that_cannot_be_used(cli: Cli, flights: Path, rules: str, words: str) -> None:
    code, _, err = validate(cli, rules)
    assert code == 4 and words in err and "rules.yaml" in err
    assert len(err.strip().splitlines()) <= 2


def test_rules_from_several_tables_pass_each_and_are_wider(cli: Cli, work: Path) -> None:
    for day, top in enumerate((100, 110, 105)):
        values = {
            "a": [0, top] * 50,
            "f": [-1.0, top / 7] * 50,
            "n": [None, *range(99)],
            "few": ["x", "yz"[day % 2]] * 50,
        }
        pl.DataFrame(values | ({"late": [1] * 100} if day else {})).write_parquet(f"{day}.parquet")
    given = ("validate", "--infer", "0.parquet", "1.parquet", "2.parquet")
    rules = yaml.safe_load(cli(*given).out)
    columns = rules["columns"]
    assert columns["a"]["checks"]["in_range"] == {"min_value": 0, "max_value": 120}  # 110 + (110 - 100)
    assert columns["few"]["description"] == "3 values seen in 300 rows, 1 of them in each of 3 tables"
    assert columns["late"]["required"] is False
    assert rules["dataset"] == {"rows": {"min_value": 100, "max_value": 100}, "null_share": {"n": 0.01}}
    Path("rules.yaml").write_text(yaml.safe_dump(rules))
    for day in range(3):
        assert cli("validate", f"{day}.parquet", "--schema", "rules.yaml").code == 0
    exact = yaml.safe_load(cli(*given, "--tolerance", "0").out)["columns"]["a"]["checks"]["in_range"]
    assert exact == {"min_value": 0, "max_value": 110}
    one = yaml.safe_load(cli("validate", "--infer", "0.parquet", "--tolerance", "0.5").out)["columns"]
    assert one["a"]["checks"]["in_range"] == {"min_value": 0, "max_value": 150}  # never negative stays so
    assert cli(*given, "--tolerance", "-1").code == 2
    assert cli("validate", "0.parquet", "1.parquet").code == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_what_has_changed_against_a_table(cli: Cli, flights: Path, streamed: bool) -> None:
    frame = pl.read_parquet("flights.parquet")
    carrier = pl.when(pl.col("id") < 150).then(pl.lit("XX")).otherwise("carrier")
    missing = pl.when(pl.col("id") % 2 == 0).then("delay")
    frame.with_columns(carrier=carrier, delay=missing, id=pl.col("id") + 5).write_parquet("new.parquet")
    code, told, err = validate(
        cli, "columns: {}", "--against", "flights.parquet", streamed=streamed, data="new.parquet"
    )
    changes = {(one["column"], one["change"]): one["rows"] for one in told["against"]["changes"]}
    assert changes == {("carrier", "category"): 150, ("delay", "missing"): 110, ("id", "range"): 5}
    assert code == 0 and "warning: carrier: new values: 150 rows, such as XX" in err
    gate = ("--against", "flights.parquet", "--max-drift", "0.5")
    code, _, err = validate(cli, "columns: {}", *gate, streamed=streamed, data="new.parquet")
    assert code == 1 and "carrier: psi" in err and "above --max-drift 0.5" in err
    assert (
        validate(cli, "columns: {}", "--against", "flights.parquet", "--max-drift", "0.01", streamed=streamed)[0] == 3
    )
    same = validate(cli, "columns: {}", "--against", "flights.parquet", streamed=streamed)
    assert same[0] == 0 and "nothing has changed" in same[2]


def test_another_schema_is_a_finding(cli: Cli, flights: Path) -> None:
    frame = pl.read_parquet("flights.parquet")
    frame.with_columns(pl.col("delay").cast(pl.String), new=1).drop("at").write_parquet("new.parquet")
    done = cli("validate", "new.parquet", "--against", "flights.parquet", "-o", "out")
    assert done.code == 1 and not Path("out").exists()
    for words in (
        "delay: the column is string, not int",
        "at: the column (datetime) is not there",
        "new: the column is",
    ):
        assert words in done.err


def test_against_a_model(cli: Cli, work: Path) -> None:
    rows = range(400)
    frame = pl.DataFrame({"x": rows, "kind": ["ab"[row % 2] for row in rows], "y": [row % 3 == 0 for row in rows]})
    frame.write_parquet("train.parquet")
    cli("train", "train.parquet", "--target", "y", "--set", "num_iterations=3", "-o", "model")
    done = cli("validate", "train.parquet", "--against", "model", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["against"]["kind"] == "model"
    frame.drop("kind").with_columns(more=1).write_parquet("new.parquet")
    done = cli("validate", "new.parquet", "--against", "model")
    assert done.code == 1 and "kind: the column (string) is not there" in done.err
    assert "warning: more: the column is new" in done.err


def test_json_schema_knows_every_example(cli: Cli, work: Path) -> None:
    schema = json.loads(cli("validate", "--json-schema").out)
    assert schema == json_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    page = (Path(__file__).parents[2] / "docs" / "validate.md").read_text()
    examples = [text.split("```")[0] for text in page.split("```yaml")[1:]]
    assert len(examples) >= 4
    examples += [f"dataset: {{{rule}}}" for rule in DATASET]
    examples += ["columns: {a: {dtype: int64, gt: 0, checks: [{min_value: 1, options: {check_name: ge}}]}}"]
    for text in examples:
        plain = json.loads(json.dumps(yaml.safe_load(text), default=str))
        assert [error.message for error in checker.iter_errors(plain)] == [], text
    for text in ("columns: {a: {nulable: true}}", "colums: {}", "rules: [{exp: a}]", "dataset: {rows: {min: 1}}"):
        assert list(checker.iter_errors(yaml.safe_load(text))), text


@pytest.mark.parametrize("streamed", [False, True])
def test_more_rows_than_a_batch_are_one_table(cli: Cli, work: Path, streamed: bool) -> None:
    rows = 300_000
    falling = pl.int_range(rows, 0, -1, eager=True)
    frame = pl.DataFrame({"n": falling, "gap": [None, 1, 2] * (rows // 3)})
    frame.with_columns(at=pl.from_epoch(pl.col("n") + 1_300_000_000)).write_parquet("long.parquet")
    rules = """
columns: {n: {gt: {value: 150000, severity: warning}}}
dataset:
  increasing: {column: n, max_bad: 100%}
  null_share: {gap: 1}
  freshness: {column: at, max_age: 100000d}
  distinct: {n: {min_value: 1}}
"""
    code, told, err = validate(cli, rules, streamed=streamed, data="long.parquet")
    assert code == 0, err
    newest = datetime.fromtimestamp(1_300_000_000 + rows, UTC).isoformat()
    assert [fact["value"] for fact in told["dataset"]] == [rows - 1, 1 / 3, newest, rows]
    assert [one["rows"] for one in told["checks"] if one["check"] == "greater_than"] == [150_000]
