"""`mlops watch` from the command line: what it says, with which code, and what it leaves behind."""

import json
import time
from pathlib import Path

import msgspec
import polars as pl
import pytest
import watching as world

from mlops_cli.runtime import decision
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.decision import Decision
from mlops_cli.store import artefact, registry

SERIES = Path("watch/flights@production")
WATCH = ("watch", "flights@production", "--log", "logs")


@pytest.fixture
def flights(work):
    """A registered model, 1,500 logged rows of it, and the labels of 1,200: 10 % wrong."""
    world.register(evaluated=0.95)
    asked = world.inputs(1500, seed=1)
    world.log("logs", asked)
    labels = world.truth(world.BINARY, asked, seed=2, noise=0.1)
    world.actuals(labels[:1200]).write_parquet("landed.parquet")
    return work


def metric(entry: dict, name: str, column: str | None = None) -> dict:
    return next(m for m in entry["metrics"] if m["name"] == name and m["column"] == column)


def entries() -> list[dict]:
    return [json.loads(path.read_bytes()) for path in sorted(SERIES.glob("*.json"))]


def test_a_look_is_an_entry_of_the_series(flights, cli):
    ended = cli("watch", "flights@production", "--log", "logs", "--actuals", "landed.parquet")
    assert ended.ref == "watch/flights@production/000001.json"
    assert "1,500 predictions = 1,200 joined + 300 without a label yet + 0 answered again later" in ended.err
    (entry,) = entries()
    assert (entry["model"], entry["alias"], entry["version"], entry["exit"]) == ("flights", "production", 1, 0)
    precision = metric(entry, "precision")
    assert precision["n"] == 1200 and precision["low"] < 0.9 < precision["high"]
    assert metric(entry, "labels_arrived_ratio")["value"] == 0.8
    assert metric(entry, "latency_p99_ms")["value"] == 6.5
    assert metric(entry, "psi", "x")["value"] < 0.1
    assert metric(entry, "psi", "prediction")["value"] < 0.1
    assert metric(entry, "null_share", "carrier")["value"] == 0


def alerts(*texts: str) -> list[str]:
    return [word for text in texts for word in ("--alert", text)]


def test_groups_that_came_with_the_actuals(flights, cli):
    """A protected attribute need not be an input: the actuals may bring it, and it is measured of the labelled rows."""
    asked = world.inputs(1500, seed=1)
    chosen = (asked["x"] > 0)[:1200]
    sex = pl.select(pl.when(chosen & (asked["stops"][:1200] > 0)).then(pl.lit("m")).otherwise(pl.lit("f"))).to_series()
    landed = pl.read_parquet("landed.parquet").with_columns(sex.alias("sex"), asked["carrier"][:1200].alias("carrier"))
    landed.write_parquet("landed.parquet")
    by = ("--actuals", "landed.parquet", "--by", "sex", "--by", "carrier")
    ended = cli(*WATCH, *by, *alerts("demographic_parity_ratio[sex]<0.8", "accuracy[sex=f]<0.5", "recall[sex=x]<0.5"))
    assert ended.code == 1
    assert "ALERT: demographic_parity_ratio[sex]<0.8" in ended.err and "ok: accuracy[sex=f]<0.5" in ended.err
    assert "inconclusive: recall[sex=x]<0.5" in ended.err
    (entry,) = entries()
    found = {(one["name"], one["column"], one["level"]): one for one in entry["metrics"]}
    assert found["labelled_rows", "sex", "f"]["value"] == (sex == "f").sum()
    assert found["selection_rate", "sex", "m"]["value"] == 1.0
    assert found["selection_rate", "carrier", "AA"]["n"] > found["precision", "carrier", "AA"]["n"]  # of the whole log
    assert ("psi", "sex", None) not in found and entry["unlogged"] == [] and entry["by"] == ["sex", "carrier"]
    waiting = cli(*WATCH, "--actuals", "landed.parquet", "--window", "1m", "--by", "sex", *alerts("fpr[sex=f]>0.9"))
    assert waiting.code == 3
    for more in ((), ("--actuals", "landed.parquet")):
        refused = cli(*WATCH, "--by", "age", *more)
        assert refused.code == 4 and "neither the log nor the actuals" in refused.err
    assert "won" in refused.err


def test_groups_that_rows_brought_though_the_model_does_not_take_them(work, cli):
    asked = world.inputs(1500, seed=1)
    aside = asked.with_columns(
        pl.when(pl.col("x") > 0).then(pl.lit("m")).otherwise(pl.lit("f")).alias("sex"), pl.col("x").alias("score")
    )
    world.register(msgspec.structs.replace(world.BINARY, aside=["won", "sex", "score", "age"]), evaluated=0.95)
    world.log("logs", aside)
    by = ("--by", "sex", "--by", "score")
    ended = cli(*WATCH, *by, *alerts("selection_rate[sex=f]>0.5", "demographic_parity_ratio[sex]<0.8"))
    assert ended.code == 1 and "ok: selection_rate[sex=f]>0.5" in ended.err
    (entry,) = entries()
    found = {(one["name"], one["column"], one["level"]): one for one in entry["metrics"]}
    assert found["rows", "sex", "f"]["value"] == (asked["x"] <= 0).sum()
    assert len([key for key in found if key[:2] == ("rows", "score")]) == 4  # quarters
    landed = asked.select(pl.int_range(pl.len()).alias("id"), won=pl.col("x") > 0)
    landed.write_parquet("landed.parquet")
    world.log("keyed", aside.with_columns(landed["id"]))
    keyed = cli(
        "watch", "flights@production", "--log", "keyed", "--actuals", "landed.parquet", "--key", "id", "-o", "s"
    )
    assert keyed.code == 0 and "joined by the input column id" in keyed.err
    told = json.loads(Path(keyed.ref).read_bytes())
    assert told["labels"]["joined"] == 1500 and told["unlogged"] == []
    quiet = cli(*WATCH, "--by", "age", *alerts("demographic_parity_ratio[age]<0.8"))
    assert quiet.code == 3 and "age is not in the log" in quiet.err and "without drift" not in quiet.err


def test_an_alert_has_three_answers(flights, cli):
    def code(alert, *more):
        return cli(
            "watch", "flights@production", "--log", "logs", "--actuals", "landed.parquet", "--alert", alert, *more
        )

    assert code("precision<0.40").code == 0
    held = code("precision<0.97")
    assert held.code == 1 and held.out == "" and "ALERT: precision<0.97" in held.err
    open_ = code("precision<0.9")
    assert open_.code == 3 and "more labelled rows would decide" in open_.err
    assert code("precision<0.97", "--alert", "precision<0.9").code == 1
    assert code("precision<champion-0.01").code == 1
    assert code("ks[x]>0.2").code == 0
    assert [entry["exit"] for entry in entries()] == [0, 1, 3, 1, 1, 0]


def test_without_labels_performance_is_inconclusive_and_drift_is_not(flights, cli):
    ended = cli("watch", "flights@production", "--log", "logs", "--alert", "precision<0.4")
    assert ended.code == 3 and "no --actuals" in ended.err
    assert cli("watch", "flights@production", "--log", "logs", "--alert", "psi[x]>0.2").code == 0


def test_drift_is_found(work, cli):
    world.register()
    world.log("logs", world.inputs(1500, seed=1, shift=2.0))
    arguments = ("watch", "flights@production", "--log", "logs")
    for alert in ("psi[x]>0.2", "psi[carrier]>0.2", "psi[prediction]>0.2", "ks[x]>0.2", "unseen_share[carrier]>0.1"):
        assert cli(*arguments, "--alert", alert).code == 1, alert
    for alert in ("psi[stops]>0.2", "null_share[x]>0.01", "latency_p99_ms>20"):
        assert cli(*arguments, "--alert", alert).code == 0, alert


def test_no_rows_are_inconclusive_whatever_is_asked(flights, cli):
    arguments = ("watch", "flights@production", "--log", "logs", "--window", "1m", "--actuals", "landed.parquet")
    world.log("logs", world.inputs(10, seed=3), version="9", prefix="o", process="host-2-0", days=0.0001)
    ended = cli(*arguments, "--alert", "psi[x]>0.2", "--alert", "precision<0.4", "--alert", "unseen_share[carrier]>0")
    assert ended.code == 3
    assert "no rows in the window" in ended.err and "10 rows that were answered by flights@9" in ended.err
    assert cli(*arguments).code == 3


def test_no_traffic_can_be_an_alert(flights, cli):
    arguments = ("watch", "flights@production", "--log", "logs", "--window", "1m", "--alert", "rows<1")
    ended = cli(*arguments)
    assert ended.code == 1 and "ALERT: rows<1" in ended.err
    assert "all of it is in watch/flights@production/000001.json" in ended.err
    assert cli("watch", "flights@production", "--log", "logs", "--alert", "rows<1").code == 0


def test_only_the_version_that_the_alias_names_is_judged(flights, cli):
    world.register(tag="-two")
    asked = world.inputs(400, seed=8)
    world.log("logs", asked, version="2", prefix="v", process="host-3-0")
    ended = cli("watch", "flights@production", "--log", "logs", "--json")
    told = json.loads(ended.out)
    assert (told["version"], told["rows"], told["other_rows"]) == (2, 400, 1500)
    assert told["ref"] == "watch/flights@production/000001.json"
    assert json.loads(cli("watch", "flights@1", "--log", "logs", "--json").out)["rows"] == 1500


def test_an_alert_is_told_on_a_change_and_its_state_survives_other_command_lines(flights, cli):
    arguments = ("watch", "flights@production", "--log", "logs", "--actuals", "landed.parquet")
    telling = (*arguments, "--alert", "precision<0.97", "--exec", "echo told >> told.txt; echo seen")
    first = cli(*telling)
    assert first.code == 1 and first.out == ""
    assert cli(*arguments, "--alert", "recall<0.2").code == 0
    assert cli(*telling).code == 1
    assert Path("told.txt").read_text() == "told\n"
    assert "told already at" in cli(*telling).err
    state = entries()
    assert state[0]["alerts"][0]["told"] == state[0]["at"] and state[0]["exec"]["exit"] == 0
    assert state[1]["aside"][0]["judgement"]["gate"] == "precision<0.97"
    assert state[2]["exec"] is None and state[2]["alerts"][0]["since"] == state[0]["at"]


def test_a_cleared_alert_is_said_and_told_again_when_it_comes_back(flights, cli):
    arguments = (
        "watch",
        "flights@production",
        "--log",
        "logs",
        "--alert",
        "precision<0.97",
        "--exec",
        "echo x >> told.txt",
    )
    assert cli(*arguments, "--actuals", "landed.parquet").code == 1
    asked = world.inputs(1500, seed=1)
    world.actuals(world.truth(world.BINARY, asked, seed=2)).write_parquet("right.parquet")
    assert cli(*arguments).code == 3  # no labels: it neither clears nor tells
    good = cli(*arguments, "--actuals", "right.parquet")
    assert good.code == 0 and "cleared: precision<0.97" in good.err
    assert Path("told.txt").read_text() == "x\n"
    assert cli(*arguments, "--actuals", "landed.parquet").code == 1
    assert Path("told.txt").read_text() == "x\nx\n"


def test_the_command_gets_the_alert_and_its_output_is_not_ours(flights, shell):
    line = (
        "mlops watch flights@production --log logs --actuals landed.parquet"
        " --alert 'precision<0.97' --alert 'recall<0.2'"
        " --exec 'printf %s \"$MLOPS_ALERT\" > alert.json; echo $MLOPS_MODEL $MLOPS_VERSION to stdout'"
    )
    ended = shell(line)
    assert ended.code == 1 and ended.out == "" and "flights 1 to stdout" in ended.err
    alert = json.loads(Path("alert.json").read_text())
    assert (alert["model"], alert["version"], alert["alias"], alert["rows"]) == ("flights", 1, "production", 1500)
    assert [one["gate"] for one in alert["alerts"]] == ["precision<0.97"]
    assert alert["alerts"][0]["answer"] == "fail" and alert["alerts"][0]["value"] < 0.97


def test_a_command_that_fails_is_8_and_is_told_again(flights, cli):
    arguments = (
        "watch",
        "flights@production",
        "--log",
        "logs",
        "--actuals",
        "landed.parquet",
        "--alert",
        "precision<0.97",
    )
    failed = cli(*arguments, "--exec", "exit 3")
    assert failed.code == 8 and "ended with 3" in failed.err
    assert entries()[0]["exec"]["exit"] == 3 and entries()[0]["alerts"][0]["told"] is None
    assert cli(*arguments, "--exec", "echo x >> told.txt").code == 1
    assert Path("told.txt").exists()


def test_one_run_at_a_time(flights, shell):
    line = "mlops watch flights@production --log logs --actuals landed.parquet --alert 'precision<0.97'"
    first = f"{line} --exec 'touch running; while ! test -e over; do sleep 0.1; done'"
    ended = shell(f"{first} & while ! test -e running; do sleep 0.1; done; {line}; echo $?; touch over; wait")
    assert ended.out.strip() == "6" and "another watch is running" in ended.err
    assert [entry["exit"] for entry in entries()] == [1]


def test_the_textfile_for_prometheus(flights, cli):
    arguments = (
        "watch",
        "flights@production",
        "--log",
        "logs",
        "--actuals",
        "landed.parquet",
        "--prom",
        "flights.prom",
    )
    before = time.time()
    assert cli(*arguments, "--alert", "precision<0.97").code == 1
    text = Path("flights.prom").read_text()
    for line in (
        'mlops_drift_score{model="flights",alias="production",feature="x",method="psi"} ',
        'mlops_performance_ratio{model="flights",alias="production",metric="precision",slice="",kind="actual"} ',
        'mlops_labels_arrived_ratio{model="flights",alias="production"} 0.8',
        'mlops_alert_firing{model="flights",alias="production",alert="precision<0.97"} 1',
    ):
        assert line in text
    stamp = next(line for line in text.splitlines() if line.startswith("mlops_watch_last_run_timestamp_seconds"))
    assert before - 1 <= float(stamp.split()[-1]) <= time.time()
    assert not list(Path().glob(".flights.prom*"))
    ended = cli(*arguments[:-1], "missing/flights.prom")
    assert ended.code == 8 and "cannot write missing/flights.prom" in ended.err


def test_keys_columns_and_files_of_any_kind(work, cli):
    world.register()
    asked = world.inputs(300, seed=4)
    labels = world.truth(world.BINARY, asked, seed=5, noise=0.1)
    world.log("logs", asked, keys=[1000 + number for number in range(300)])
    table = world.actuals(labels, column="flight", keys=[1000 + number for number in range(300)])
    table.write_csv("landed.csv")
    table.with_columns(pl.col("flight").cast(pl.Float64), pl.col("won").cast(pl.Int64)).write_ndjson("landed.ndjson")
    for name in ("landed.csv", "landed.ndjson"):
        ended = cli("watch", "flights@production", "--log", "logs", "--actuals", name, "--key", "flight")
        assert ended.code == 0 and "300 predictions = 300 joined" in ended.err, ended.err
    values = [entry["metrics"][3]["value"] for entry in entries()]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--log", "nowhere"), 4, "nowhere: no such directory"),
        ((), 2, "--log is missing"),
        (("--log", "logs", "--window", "week"), 2, "'week' is not a window"),
        (("--log", "logs", "--alert", "precision"), 2, "is not a gate"),
        (("--log", "logs", "--alert", "precison<0.4"), 2, "did you mean precision?"),
        (("--log", "logs", "--actuals", "missing.csv"), 4, "missing.csv"),
        (("--log", "logs", "--actuals", "other.csv"), 4, "no column 'won' for the label"),
        (("--log", "logs", "--actuals", "keyless.csv"), 4, "no column 'request_id' for the key"),
        (("--log", "logs", "--actuals", "keyless.csv", "--key", "flight"), 4, "serve with --key flight"),
        (("--log", "logs", "--reference", "other.csv"), 4, "none of the model's input columns"),
    ],
)
def test_bad_input_is_one_line(flights, cli, arguments, code, says):
    Path("other.csv").write_text("a,b\n1,2\n")
    Path("keyless.csv").write_text("flight,won\n1,true\n")
    ended = cli("watch", "flights@production", *arguments)
    assert ended.code == code and says in ended.err, ended.err
    assert ended.out == "" and "Traceback" not in ended.err
    assert not entries()


def test_unknown_references(flights, cli):
    assert cli("watch", "flights@staging", "--log", "logs").code == 4
    assert cli("watch", "flights@7", "--log", "logs").code == 4
    assert cli("watch", "landed.parquet", "--log", "logs").code == 4


def test_a_model_that_is_a_path_judges_all_rows_and_says_where_its_series_is(work, cli):
    world.model(Path("model"))
    world.log("logs", world.inputs(200, seed=1), version=None, model="model")
    refused = cli("watch", "model", "--log", "logs")
    assert refused.code == 2 and "-o SERIES" in refused.err
    ended = cli("watch", "model", "--log", "logs", "-o", "series", "--alert", "psi[x]>0.5")
    assert ended.ref == "series/000001.json"


def test_another_reference(flights, cli):
    world.inputs(3000, seed=50, shift=2.0).write_parquet("moved.parquet")
    arguments = ("watch", "flights@production", "--log", "logs", "--alert", "psi[x]>0.2")
    assert cli(*arguments).code == 0
    assert cli(*arguments, "--reference", "moved.parquet").code == 1
    assert cli(*arguments, "--reference", "flights@1").code == 0
    assert entries()[1]["reference"] == "moved.parquet"
    wrong = cli(*arguments, "--reference", str(wrongly_typed()))
    assert wrong.code == 4 and "column x is float here and string in the reference" in wrong.err


def wrongly_typed() -> Path:
    path = Path("wrong.parquet")
    pl.DataFrame({"x": ["a", "b"], "stops": [1, 2]}).write_parquet(path)
    return path


def test_other_tasks(work, cli):
    for signature in (world.MULTICLASS, world.REGRESSION):
        name = signature.task
        world.register(signature, name)
        asked = world.inputs(600, seed=1)
        world.log(name, asked, signature, model=name)
        world.actuals(world.truth(signature, asked, 2, 0.1)).write_parquet(f"{name}.parquet")
        alert = "recall[label=a]<0.5" if name == "multiclass" else "mae>3"
        arguments = ("watch", f"{name}@production", "--log", name, "--alert", alert, "--alert", "psi[prediction]>0.3")
        assert cli(*arguments).code == 3
        ended = cli(*arguments, "--actuals", f"{name}.parquet")
        assert ended.code == 0, ended.err


def test_the_registry_is_only_read(flights, cli):
    before = sorted(path for path in Path("mlops-registry").rglob("*"))
    cli("watch", "flights@production", "--log", "logs")
    assert before == sorted(path for path in Path("mlops-registry").rglob("*"))
    assert registry.locate(None).newest("flights") == 1


def test_what_errors_cost_is_watched(work, cli):
    costs = Costs("EUR", [False, True], [[0.0, 1.0], [10.0, 0.0]])
    made = world.model(Path("m"))
    (made.path / "decision.json").write_bytes(decision.encode(Decision(costs=costs)))
    (made.path / "manifest.json").unlink()
    artefact.seal(made.path, kind="model", created="", tool="", command=[], inputs=[])
    assert cli("register", "m", "--name", "flights", "--alias", "production").code == 0
    asked = world.inputs(600, seed=1)
    world.log("logs", asked)
    labels = world.truth(world.BINARY, asked, seed=2, noise=0.1)
    world.actuals(labels).write_parquet("landed.parquet")
    given = ("watch", "flights@production", "--log", "logs", "--alert")
    waiting = cli(*given, "cost>0.1")
    assert waiting.code == 3 and "no --actuals" in waiting.err
    told = (*given, "cost>0.1", "--actuals", "landed.parquet")
    assert cli(*told, "--by", "late", "--prom", "w.prom").code == 1
    assert cli(*given, "cost>2", "--actuals", "landed.parquet").code == 0
    said = [bool(p) for p in asked["x"].to_numpy() >= 0]
    spent = sum(
        10 if truth and not answer else 1 for truth, answer in zip(labels, said, strict=True) if truth != answer
    )
    assert metric(entries()[1], "cost")["value"] == pytest.approx(spent / 600)
    assert metric(entries()[1], "cost", "late")["value"] is not None
    assert (
        f'metric="cost",slice="",kind="actual"}} {metric(entries()[1], "cost")["value"]!r}'
        in Path("w.prom").read_text()
    )
