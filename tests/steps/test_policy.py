"""A policy file: what is one, and that evaluate, promote, watch and report mean the same by it."""

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import watching as world

from mlops_cli.errors import MlopsError
from mlops_cli.metrics import gate
from mlops_cli.metrics.base import Certified, Measurements, Metric, Subject
from mlops_cli.steps import policy
from mlops_cli.store import artefact, registry
from mlops_cli.store.registry import Entry

GATE = '[[gate]]\nexpression = "precision>=0.40"\n'
FULL = (
    'owner = "Claims"\n\n'
    + GATE
    + 'owner = "Ann"\nseverity = "block"\nreason = "below that,\\n  drivers switch it off"\n'
    + '[[gate]]\nexpression = "recall>=0.99"\nseverity = "warn"\n'
    + '[[gate]]\nexpression = "psi[x]<0.2"\nonly = ["watch"]\n'
)


def written(text, name="policy.toml"):
    Path(name).write_text(text)
    return name


def test_a_policy_has_gates_with_owner_severity_and_reason(work):
    found = policy.load(written(FULL), "promote")
    assert found.digest == "sha256:" + hashlib.sha256(FULL.encode()).hexdigest() and found.owner == "Claims"
    assert [(one.text, one.owner, one.severity, one.why) for one in found.gates] == [
        ("precision>=0.40", "Ann", "block", "below that, drivers switch it off"),
        ("recall>=0.99", "Claims", "warn", ""),
    ]
    assert len(policy.load("policy.toml", "watch").gates) == 3
    assert policy.load(None, "watch") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no gate"),
        ('owner = "x"', "no gate"),
        ("gate = 3", "gate is not a list of tables"),
        ("[gate]\nexpression = 'a>1'", "gate is not a list of tables"),
        ("[[gate]]\nexpression = \n", "line 2"),
        (GATE + "level = 3", "gate 1 (line 1): unknown key 'level'"),
        ("owners = 'x'\n" + GATE, "unknown key 'owners'"),
        (GATE + "\n[[gate]]\nowner = 'x'", "gate 2 (line 4) has no expression"),
        (GATE + "[[gate]]\nexpression = 'precision=>1'", "gate 2 (line 3): 'precision=>1': a metric"),
        (GATE + "severity = 'fatal'", "severity 'fatal' is unknown"),
        (GATE + "severity = 3", "severity = 3 is no text"),
        (GATE + "only = 'watch'", "only = 'watch' is no list"),
        (GATE + "only = ['serve']", "only 'serve' is unknown"),
        (GATE + "only = [['watch']]", "is unknown"),
        (GATE + "only = ['watch']", "no gate for evaluate"),
        ("gate = [{expression = 'precision'}]", "gate 1: 'precision' is not a gate"),
    ],
)
def test_what_is_no_policy_is_told_in_one_line(work, text, says):
    with pytest.raises(MlopsError) as raised:
        policy.load(written(text), "evaluate")
    assert says in raised.value.message and raised.value.exit == 2 and raised.value.message.startswith("policy.toml: ")


def test_a_policy_that_cannot_be_read(work, cli):
    Path("bytes.toml").write_bytes(b"owner = '\xff'")
    for name, code in (("none.toml", 4), (".", 4), ("bytes.toml", 2)):
        with pytest.raises(MlopsError) as raised:
            policy.load(name, "watch")
        assert raised.value.exit == code
    assert cli("promote", "flights@1", "production", "--policy", "none.toml").code == 4


@pytest.mark.parametrize(
    ("text", "alert"),
    [
        ("precision>=0.40", "precision<0.4"),
        ("psi[x] < 0.2", "psi[x]>=0.2"),
        ("recall[label=truck]>0.6", "recall[label=truck]<=0.6"),
        ("rmse<=champion", "rmse>champion"),
        ("f1>=champion-0.01", "f1<champion-0.01"),
        ("rmse<champion + 0.1", "rmse>=champion+0.1"),
    ],
)
def test_an_alert_is_a_gate_turned_round(text, alert):
    turned = gate.turned(gate.parse(text))
    assert turned.text == alert
    again = gate.parse(turned.text)
    assert (again.op, again.value, again.offset, again.level) == (turned.op, turned.value, turned.offset, turned.level)
    measured = [Metric("precision", 0.5, 0.3, 0.7, 100)]
    one = gate.parse("precision>=0.40")
    for low, high in ((0.1, 0.3), (0.45, 0.7), (0.3, 0.7)):
        measured = [Metric("precision", (low + high) / 2, low, high, 100)]
        assert gate.judge(one, measured).answer == gate.alert(gate.turned(one), measured).answer


def evaluation(directory, certificate=None, **values):
    """The measurements of a binary model; each value with 0.02 on both sides."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    measured = Measurements(
        task="binary",
        target="won",
        positive=True,
        rows=1000,
        data=Subject(None),
        metrics=[Metric(name, value, value - 0.02, value + 0.02, 1000) for name, value in values.items()],
    )
    if certificate is not None:
        measured = msgspec.structs.replace(measured, certificate=certificate)
    (directory / "metrics.json").write_bytes(msgspec.json.encode(measured))
    return artefact.seal(
        directory, kind="evaluation", created="2026-01-01T00:00:00Z", tool="mlops 0", command=[], inputs=[]
    )


def registered(tag, **evaluated):
    """A version of flights with an evaluation."""
    store = registry.locate(None, create=True)
    made = world.model(Path("models") / tag, tag=tag)
    proof = evaluation(Path("models") / f"{tag}-evaluation", **evaluated)
    return store.register("flights", Entry(made, [], [proof], "ops", "", "tester"))[0]


def last_move():
    path = max(Path("mlops-registry/models/flights/aliases/production").glob("*.json"))
    return json.loads(path.read_bytes())


def test_promote_records_the_verdict_and_report_tells_it(work, cli):
    registered("one", precision=0.5, recall=0.7)
    ended = cli("promote", "flights@1", "production", "--policy", written(FULL), "--require", "precision>=0.1")
    assert ended.code == 0 and "fail (warns)" in ended.err
    verdict = last_move()["verdict"]
    assert verdict["policy"] == {"digest": policy.load("policy.toml", "promote").digest, "owner": "Claims"}
    told = [
        (one["gate"], one["answer"], one.get("owner"), one.get("severity"), one.get("why"))
        for one in verdict["judgements"]
    ]
    assert told == [
        ("precision>=0.1", "pass", None, None, None),
        ("precision>=0.40", "pass", "Ann", "block", "below that, drivers switch it off"),
        ("recall>=0.99", "fail", "Claims", "warn", ""),
    ]
    text = cli("report", "flights@production").ref
    for words in (
        "| warn | Claims |",
        "| block | Ann | below that, drivers switch it off |",
        verdict["policy"]["digest"],
    ):
        assert words in text, words
    html = cli("report", "flights@production", "--format", "html").ref
    assert "below that, drivers switch it off" in html and "asked because" in html
    story = json.loads(cli("report", "flights@production", "--format", "json").ref)
    assert story["held"][0]["verdict"] == verdict


def test_a_gate_that_blocks_and_a_doubt_keep_promote_from_moving(work, cli):
    registered("one", precision=0.3, recall=0.7)
    registered("two", precision=0.41, recall=0.7)
    registered("three", precision=0.5, recall=0.7, certificate=Certified(False, ["the id tells the target"]))
    codes = [cli("promote", f"flights@{n}", "production", "--policy", written(FULL)).code for n in (1, 2, 3)]
    assert codes == [1, 3, 3]
    assert not Path("mlops-registry/models/flights/aliases/production").exists()
    known = "--accept-leaks", "the id is random"
    assert cli("promote", "flights@3", "production", "--policy", "policy.toml", *known).code == 0


def test_a_champion_of_another_positive_class_is_no_comparison(work, cli):
    registered("one", precision=0.5)
    assert cli("promote", "flights@1", "production").code == 0
    registered("two", precision=0.6)
    text = '[[gate]]\nexpression = "precision>=champion"\n'
    assert cli("promote", "flights@2", "production", "--policy", written(text), "-n").code == 0
    store = registry.locate(None)
    made = world.model(Path("models/three"), tag="three")
    proof = evaluation("models/three-evaluation", precision=0.7)
    other = msgspec.structs.replace(proof.json("metrics.json", Measurements), positive=False)
    Path("models/four-evaluation").mkdir()
    Path("models/four-evaluation/metrics.json").write_bytes(msgspec.json.encode(other))
    proof = artefact.seal(
        Path("models/four-evaluation"), kind="evaluation", created="", tool="mlops 0", command=[], inputs=[]
    )
    store.register("flights", Entry(made, [], [proof], "ops", "", "tester"))
    ended = cli("promote", "flights@3", "production", "--policy", "policy.toml")
    assert ended.code == 3 and "--positive" in ended.err


def test_evaluate_judges_a_policy_and_doubts_a_split_that_leaks(work, cli):
    rng = np.random.default_rng(0)
    x = rng.normal(size=900)
    frame = pl.DataFrame({"x": x, "z": rng.normal(size=900), "late": x + rng.normal(size=900) > 0.6})
    frame.write_parquet("rows.parquet")
    cli("split", "rows.parquet", "--test", "0.3", "-o", "parts")
    ref = cli("train", "parts", "--target", "late", "--set", "num_leaves=7", "-o", "model").ref
    text = (
        'owner = "Claims"\n[[gate]]\nexpression = "roc_auc>=0.6"\n'
        '[[gate]]\nexpression = "precision>=0.99"\nseverity = "warn"\nreason = "why not"\n'
    )
    ended = cli("evaluate", ref, "--policy", written(text), "--json")
    assert ended.code == 0 and "(Claims: why not)" in ended.err
    assert "verdict: pass (1 pass; warned of 1 fail)" in ended.err
    block = written(text.replace("warn", "block"), "block.toml")
    hit = cli("evaluate", ref, "--policy", block)
    assert hit.code == 1 and "cached" in hit.err
    assert cli("evaluate", ref, "--policy", "policy.toml", "--require", "precision>=0.99").code == 1
    champion = written('[[gate]]\nexpression = "roc_auc>=champion-0.01"\n', "champion.toml")
    assert cli("evaluate", ref, "--policy", champion).code == 2
    assert cli("evaluate", ref, "--policy", champion, "--against", ref).code in (0, 3)
    unknown = cli("evaluate", ref, "--policy", written('[[gate]]\nexpression = "latency_p99_ms<9"', "other.toml"))
    assert unknown.code == 2 and 'only = ["watch"]' in unknown.err
    seen = ("evaluate", ref, "--data", "parts/train/part-00000.parquet")
    assert cli(*seen, "--require", "roc_auc>=0.6").code == 0
    doubted = cli(*seen, "--policy", "policy.toml")
    assert doubted.code == 3 and "training has seen" in doubted.err


WATCH = ("watch", "flights@production", "--log", "logs", "--actuals", "landed.parquet")
EXEC = ("--exec", 'echo "$MLOPS_ALERT" >> ran')


@pytest.fixture
def flights(work):
    """A registered model, 1,500 logged rows and their labels, 10 % wrong; the log says which carrier."""
    world.register(evaluated=0.95)
    asked = world.inputs(1500, seed=1)
    world.log("logs", asked)
    world.actuals(world.truth(world.BINARY, asked, seed=2, noise=0.1)).write_parquet("landed.parquet")
    return work


def entries():
    return [json.loads(path.read_bytes()) for path in sorted(Path("watch/flights@production").glob("*.json"))]


def test_watch_turns_the_gates_of_a_policy_round(flights, cli):
    text = 'owner = "Claims"\n[[gate]]\nexpression = "precision>=0.97"\nreason = "drivers"\n'
    ended = cli(*WATCH, "--policy", written(text), *EXEC)
    assert ended.code == 1 and "ALERT: precision<0.97" in ended.err and "owner: Claims, reason: drivers" in ended.err
    (alert,) = json.loads(Path("ran").read_text())["alerts"]
    assert (alert["owner"], alert["severity"], alert["why"]) == ("Claims", "block", "drivers")
    again = cli(*WATCH, "--policy", "policy.toml", *EXEC)
    assert again.code == 1 and "told already" in again.err and len(Path("ran").read_text().splitlines()) == 1
    assert cli(*WATCH, "--policy", written('[[gate]]\nexpression = "precision>=0.5"\n', "low.toml")).code == 0
    assert cli(*WATCH, "--policy", written('[[gate]]\nexpression = "precision>=0.9"\n', "near.toml")).code == 3
    assert [one["exit"] for one in entries()] == [1, 1, 0, 3]


def test_a_warning_is_told_and_runs_nothing(flights, cli):
    text = '[[gate]]\nexpression = "precision>=0.97"\nseverity = "warn"\n'
    plan = cli(*WATCH, "--policy", written(text), *EXEC, "--notify", "json://127.0.0.1:9/", "--dry-run")
    assert plan.code == 0 and "would tell json: [mlops] flights@1: warning precision<0.97" in plan.err
    assert "would run" not in plan.err and "Warning: precision<0.97" in plan.err
    ended = cli(*WATCH, "--policy", "policy.toml", *EXEC)
    assert ended.code == 0 and "warning: precision<0.97" in ended.err and not Path("ran").exists()
    (entry,) = entries()
    (alert,) = entry["alerts"]
    assert alert["firing"] and alert["told"] and entry["exit"] == 0 and entry["exec"] is None
    both = cli(*WATCH, "--policy", "policy.toml", "--alert", "precision < 0.970", *EXEC)
    assert both.code == 1 and Path("ran").exists()  # the alert of the command line is not softened by the policy


def test_a_warning_beside_an_alert_does_not_hold_it_back(flights, cli):
    text = '[[gate]]\nexpression = "precision>=0.97"\nseverity = "warn"\n[[gate]]\nexpression = "recall>=0.97"\n'
    assert cli(*WATCH, "--policy", written(text), *EXEC).code == 1
    (alert,) = json.loads(Path("ran").read_text())["alerts"]
    assert alert["gate"] == "recall<0.97"
    assert [(one["judgement"]["gate"], one["told"] is not None, one["done"]) for one in entries()[0]["alerts"]] == [
        ("precision<0.97", True, []),
        ("recall<0.97", True, []),
    ]


def test_watch_compares_groups_with_and_without_labels(flights, cli):
    log = ("watch", "flights@production", "--log", "logs", "--by", "carrier")
    text = (
        '[[gate]]\nexpression = "demographic_parity_ratio[carrier]>=0.5"\n'
        '[[gate]]\nexpression = "demographic_parity_difference[carrier]<0.3"\n'
    )
    assert cli(*log, "--policy", written(text)).code == 0
    found = {(one["name"], one["column"], one["level"]): one for one in entries()[-1]["metrics"]}
    rate = found["selection_rate", "carrier", "AA"]
    assert 0.4 < rate["low"] < rate["value"] < rate["high"] < 0.6
    assert found["demographic_parity_ratio", "carrier", None]["n"] == 1500
    odds = cli(*log, "--alert", "equalized_odds_ratio[carrier]<0.2")
    assert odds.code == 3 and "no --actuals" in odds.err
    level = cli(*log, "--alert", "fpr[carrier=aa]>0.5")
    assert level.code == 3 and "no --actuals" in level.err
    labelled = cli(*log, "--actuals", "landed.parquet", "--alert", "equalized_odds_ratio[carrier]<0.01")
    assert labelled.code == 0
    names = [(one["name"], one["column"], one["level"]) for one in entries()[-1]["metrics"]]
    assert len(names) == len(set(names))
    assert cli("watch", "flights@production", "--log", "logs", "--policy", "policy.toml").code == 2
