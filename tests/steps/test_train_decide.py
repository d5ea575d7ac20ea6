"""Calibration, threshold and costs: the numbers against scikit-learn, and the whole way through the command line."""

import json
import re
import sys
from pathlib import Path

import image_models
import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from mlops_cli.errors import InputUnusable, Usage
from mlops_cli.runtime import decision, predictors
from mlops_cli.runtime import signature as signatures
from mlops_cli.runtime.costs import Costs
from mlops_cli.runtime.signature import Signature
from mlops_cli.steps import train_calibrate, train_decide, train_threshold
from mlops_cli.store import artefact

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from learnable import INPUTS, seal, table

FEW = ("--set", "num_iterations=12")
COSTS = 'currency = "EUR"\n[costs.true]\nfalse = 10\n[costs.false]\ntrue = 1\n'


def scores(rows, seed=0, digits=None):
    """Probabilities that are too sure of themselves, and what came true."""
    random = np.random.default_rng(seed)
    true = random.beta(0.8, 2, rows)
    odds = np.log(true / (1 - true))
    own = 1 / (1 + np.exp(-1.8 * odds - 0.3))
    return own if digits is None else own.round(digits), random.random(rows) < true


@pytest.mark.parametrize("rows,digits", [(2, None), (30, 1), (500, None), (4000, 2)])
def test_isotonic_is_that_of_scikit_learn_but_for_the_ends(rows, digits):
    own, truth = scores(rows, seed=3, digits=digits)
    truth[:2] = [True, False]
    curve = train_calibrate.isotonic(own, truth, np.ones(len(own)))
    theirs = IsotonicRegression(out_of_bounds="clip").fit(own, truth)
    ends = 1 / ((~truth).sum() + 2), (truth.sum() + 1) / (truth.sum() + 2)
    at = np.concatenate([own, curve.x, [0.0, 1.0]])
    inside = np.clip(theirs.predict(own), *ends)
    assert decision.mapped(own, "isotonic", curve) == pytest.approx(inside, abs=1e-9)
    found = decision.mapped(at, "isotonic", curve)
    assert found.min() >= ends[0] - 1e-12 and found.max() <= ends[1] + 1e-12


@pytest.mark.parametrize("rows", [2, 12, 500, 20_000])
def test_platt_is_that_of_scikit_learn(rows):
    own, truth = scores(rows, seed=1)
    truth[:2] = [True, False]
    curve = train_calibrate.platt(own, truth, np.ones(len(own)))
    theirs = _SigmoidCalibration().fit(decision.log_odds(own), truth)
    assert decision.mapped(own, "platt", curve) == pytest.approx(theirs.predict(decision.log_odds(own)), abs=2e-4)
    if rows == 20_000:  # the distortion that was put in comes out
        assert (-curve.a, -curve.b) == pytest.approx((1 / 1.8, -0.3 / 1.8), abs=0.05)


def test_several_classes_are_each_calibrated_against_the_rest():
    random = np.random.default_rng(2)
    own = random.dirichlet([1, 1, 1], 900)
    actual = np.array([random.choice(3, p=row**2 / (row**2).sum()) for row in own])
    signature = Signature("x", "multiclass", "y", [], ["a", "b", "c"])
    found = decision.calibrated(own, train_calibrate.fit(own, actual, "platt", signature), signature)
    each = np.column_stack(
        [
            _SigmoidCalibration().fit(decision.log_odds(own[:, k]), actual == k).predict(decision.log_odds(own[:, k]))
            for k in range(3)
        ]
    )
    assert found == pytest.approx(each / each.sum(axis=1, keepdims=True), abs=1e-3)
    assert sk.log_loss(actual, found) < sk.log_loss(actual, own)
    nobody = train_calibrate.fit(own, np.zeros(900, int), "isotonic", signature)
    assert [curve.x for curve in nobody.curves] == [[0.0, 1.0]] * 3


@pytest.mark.parametrize("name", ["f1", "mcc", "accuracy", "balanced_accuracy"])
def test_the_threshold_is_the_best_of_all(name):
    score, truth = scores(300, seed=4, digits=2)
    found, reached = train_threshold.choose(score, truth, train_threshold.read(name))
    measure = {"f1": sk.f1_score, "mcc": sk.matthews_corrcoef, "accuracy": sk.accuracy_score}.get(
        name, sk.balanced_accuracy_score
    )
    every = [measure(truth, score >= cut) for cut in np.linspace(0, 1, 1001)]
    assert reached == pytest.approx(max(every))
    assert measure(truth, score >= found) == pytest.approx(reached)


def test_thresholds_by_cost_and_by_limits():
    score, truth = scores(400, seed=5)
    table = np.array([[0.0, 1.0], [10.0, -0.5]])

    def spent(cut):
        return table[truth.astype(int), (score >= cut).astype(int)].mean()

    found, reached = train_threshold.choose(score, truth, train_threshold.read("cost"), table)
    assert reached == pytest.approx(min(spent(cut) for cut in [0.0, *score, 1.0])) == pytest.approx(spent(found))
    cut, recall = train_threshold.choose(score, truth, train_threshold.read("precision>=0.8"))
    points = [(sk.precision_score(truth, score >= s), sk.recall_score(truth, score >= s)) for s in score]
    assert recall == pytest.approx(max(r for p, r in points if p >= 0.8))
    assert sk.recall_score(truth, score >= cut) == pytest.approx(recall)
    _, precision = train_threshold.choose(score, truth, train_threshold.read("recall >= 0.8"))
    assert precision == pytest.approx(max(p for p, r in points if r >= 0.8))
    worst = np.linspace(0, 1, 50), np.arange(50) < 10
    with pytest.raises(InputUnusable, match=r"no threshold reaches precision>=0\.9"):
        train_threshold.choose(*worst, train_threshold.read("precision>=0.9"))


def test_after_isotonic_the_threshold_of_the_costs_is_that_of_the_rows():
    score, truth = scores(700, seed=9)
    table = np.array([[0.0, 1.0], [4.0, 0.0]])
    honest = decision.mapped(score, "isotonic", train_calibrate.isotonic(score, truth, np.ones(len(score))))
    _, least = train_threshold.choose(score, truth, train_threshold.read("cost"), table)
    spent = table[truth.astype(int), (honest >= train_threshold.break_even(table)).astype(int)].mean()
    assert spent == pytest.approx(least, abs=0.005)


def test_of_equally_good_thresholds_the_middle_is_taken():
    score, truth = np.array([0.1, 0.2, 0.7, 0.9]), np.array([False, False, True, True])
    assert train_threshold.choose(score, truth, train_threshold.read("f1")) == (0.45, 1.0)
    table = np.array([[0.0, 9.0], [1.0, 0.0]])  # alarms are too dear: never
    assert train_threshold.choose(score, truth[::-1], train_threshold.read("cost"), table)[0] > 0.9
    always = np.array([[0.0, 1.0], [9.0, 0.0]])
    assert train_threshold.choose(score, truth[::-1], train_threshold.read("cost"), always)[0] <= 0.1
    one = train_threshold.choose(np.array([0.0, 1.0]), np.array([False, True]), train_threshold.read("f1"))
    assert one == (0.5, 1.0)
    assert train_threshold.choose(np.array([1.0, 1.0]), np.array([False, True]), train_threshold.read("f1"))[0] <= 1
    assert train_threshold.break_even(np.array([[0.0, 800], [5000, 0]])) == pytest.approx(800 / 5800)
    assert train_threshold.break_even(np.array([[5.0, 1], [5000, 0]])) is None


def test_metrics_of_the_valid_rows_do_not_flatter_the_decision():
    """What isotonic and a threshold learn from coin tosses is nothing, which the same tosses do not show."""
    signature = Signature("x", "binary", "y", [], [False, True], True)
    asked = train_decide.Asked("isotonic", train_threshold.read("accuracy"))
    told = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        own = np.column_stack([(u := random.random(60)), 1 - u])
        actual = random.integers(0, 2, 60)
        made = train_decide._learnt(asked, own, actual, signature, None, np.ones(len(actual)))
        flattered = decision.decided(predictors.Prediction(np.zeros(60), own), made, signature)
        honest = train_decide._honest(asked, made, own, actual, signature, np.ones(len(actual)))
        losses = [sk.log_loss(actual, each.proba) for each in (flattered, honest)]
        told.append([*losses, *((each.values == actual).mean() for each in (flattered, honest))])
    flattered_loss, honest_loss, flattered_accuracy, honest_accuracy = np.mean(told, axis=0)
    assert flattered_loss < np.log(2) < honest_loss
    assert flattered_accuracy > 0.57 > 0.54 > honest_accuracy
    few = train_decide._honest(asked, made, own[:3], np.array([0, 0, 1]), signature, np.ones(len(actual)))
    assert few.proba.shape == (3, 2)  # a class of one row: nothing to leave out


@pytest.fixture
def parts(cli):
    def make(column):
        table().select(*INPUTS, column).write_parquet("t.parquet")
        return cli("split", "t.parquet", "--test", "0.2", "--valid", "0.3", "-o", "parts").ref

    return make


def load(path):
    return json.loads(Path(path).read_text())


def metrics(ref):
    return {one["name"]: one for one in load(f"{ref}/metrics.json")["metrics"] if one["column"] is None}


def test_a_decision_is_kept_and_everything_answers_by_it(cli, parts):
    Path("costs.toml").write_text(COSTS)
    flags = ("--calibrate", "platt", "--threshold", "cost", "--cost", "costs.toml")
    ended = cli("train", parts("yes"), "--target", "yes", *FEW, *flags, "-o", "model")
    assert ended.ref and "threshold 0.09091 for cost" in ended.err
    made = load("model/decision.json")
    assert made["costs"] == {"currency": "EUR", "classes": [False, True], "table": [[0.0, 1.0], [10.0, 0.0]]}
    assert made["chosen"] == "cost" and made["threshold"] == pytest.approx(1 / 11)  # known from the costs alone
    example = load("model/example.json")
    assert (
        predictors.load(Path("model")).answer(example["request"]["dataframe_records"])
        == example["answer"]["predictions"]
    )
    assert "cached" in cli("train", "parts", "--target", "yes", *FEW, *flags, "-o", "again").err
    Path("costs.toml").write_text(COSTS.replace("10", "11"))
    assert "cached" not in cli("train", "parts", "--target", "yes", *FEW, *flags, "-o", "again").err
    cli("predict", "model", "parts/test/part-00000.parquet", "--proba", "--keep", "yes", "-o", "answers")
    answers = pl.read_parquet("answers/*.parquet")
    positive = answers["proba"].list.get(1)
    assert (answers["prediction"] == (positive >= made["threshold"])).all()
    ended = cli("evaluate", "model", "--require", "cost<0.9", "--by", "letter", "-o", "result")
    assert ended.ref and "cost" in ended.err
    found, document = metrics("result"), load("result/metrics.json")
    price = np.array(made["costs"]["table"])
    spent = price[answers["yes"].to_numpy().astype(int), answers["prediction"].to_numpy().astype(int)]
    assert found["cost"]["value"] == pytest.approx(spent.mean()) and found["cost_total"]["value"] == spent.sum()
    assert found["log_loss"]["value"] == pytest.approx(sk.log_loss(answers["yes"], positive))
    assert document["decided"] == {"calibration": "platt", "threshold": made["threshold"], "chosen": "cost"}
    assert any(one["name"] == "cost" and one["column"] == "letter" for one in document["metrics"])
    page = Path("result/report.html").read_text()
    assert "Cost by threshold" in page and "of least cost" in page and "true → false" in page


def test_another_cost_another_champion(cli, parts):
    Path("costs.toml").write_text(COSTS)
    cli("train", parts("yes"), "--target", "yes", *FEW, "-o", "plain")
    ended = cli(
        "train", "parts", "--target", "yes", *FEW, "--threshold", "cost", "--cost", "costs.toml", "-o", "priced"
    )
    assert "were probabilities exact, 0.09091" in ended.err
    ended = cli("evaluate", "plain", "--require", "cost<1")
    assert ended.code == 2 and "nobody says what errors cost" in ended.err
    assert cli("evaluate", "plain", "--cost", "costs.toml", "-o", "one").code == 0
    ended = cli("evaluate", "priced", "--against", "plain", "--require", "cost<=champion+1")
    assert ended.code == 0 and "compared row by row" in ended.err
    cli("evaluate", "priced", "-o", "two")
    assert metrics("two")["cost"]["value"] < metrics("one")["cost"]["value"]
    Path("dear.toml").write_text(COSTS.replace("10", "1000"))
    cli("evaluate", "plain", "--cost", "dear.toml", "-o", "one")
    cli("register", "one", "--name", "late")
    assert cli("promote", "late@1", "production").code == 0
    assert cli("register", "two", "--name", "late").ref == "late@2"
    ended = cli("promote", "late@2", "production", "--require", "cost<=champion")
    assert ended.code == 3 and "no value of cost" in ended.err  # money of another table is no money to compare with


def test_several_classes_by_least_cost_and_a_regression(cli, parts):
    Path("costs.toml").write_text("default = 1\n[costs.hi]\nlo = 500\n")
    cli("train", parts("kind"), "--target", "kind", *FEW, "--calibrate", "isotonic", "--threshold", "cost",
        "--cost", "costs.toml", "-o", "model")  # fmt: skip
    made = load("model/decision.json")
    assert made["least"] is True and len(made["calibration"]["curves"]) == 3
    assert made["costs"]["table"] == [[0.0, 500.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    cli("predict", "model", "t.parquet", "--proba", "-o", "answers")
    answers = pl.read_parquet("answers/*.parquet")
    expected = np.array(answers["proba"].to_list()) @ np.array(made["costs"]["table"])
    assert answers["prediction"].to_list() == [["hi", "lo", "mid"][k] for k in expected.argmin(axis=1)]
    assert (
        cli("evaluate", "model", "-o", "result").code == 0
        and "least expected cost" in Path("result/report.html").read_text()
    )
    Path("costs.toml").write_text("over = 1\nunder = 3\n")
    cli("train", parts("price"), "--target", "price", *FEW, "--cost", "costs.toml", "-o", "numbers")
    assert load("numbers/signature.json")["format"] == 1
    assert cli("evaluate", "numbers", "-o", "result").code == 0
    rows = pl.read_parquet("result/predictions.parquet")
    error = (rows["prediction"] - rows["actual"]).to_numpy()
    assert metrics("result")["cost"]["value"] == pytest.approx(np.where(error > 0, error, -3 * error).mean())


def test_a_model_of_images_is_measured_by_its_decision_and_still_explained(cli, work):
    price = [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [90.0, 90.0, 0.0]]
    made = decision.Decision(least=True, costs=Costs("EUR", image_models.CLASSES, price))
    directory = image_models.model("m").path
    found = signatures.decode((directory / "signature.json").read_bytes())
    (directory / "signature.json").write_bytes(signatures.encode(decision.deciding(found)))
    (directory / "decision.json").write_bytes(decision.encode(made))
    (directory / "manifest.json").unlink()
    artefact.seal(directory, kind="model", created="", tool="", command=[], inputs=[])
    image_models.table(40).write_parquet("t.parquet")
    ended = cli("evaluate", "m", "--data", "t.parquet", "--explain", "-o", "result")
    assert ended.ref and metrics("result")["cost"]["value"] is not None
    rows = pl.read_parquet("result/predictions.parquet")
    expected = np.array(rows["proba"].to_list()) @ np.array(price)
    assert rows["prediction"].to_list() == [image_models.CLASSES[k] for k in expected.argmin(axis=1)]
    assert (expected.argmin(axis=1) != np.array(rows["proba"].to_list()).argmax(axis=1)).any()


BAD_COSTS = {
    "": "no cost of answering",
    "[costs\n": "line 1",
    "money = 1": "'money' is unknown",
    "currency = 3": "currency is a short text",
    "costs = 3": "stated for what was so",
    "[costs.true]\nfalse = nan": "not a finite number",
    "[costs.true]\nfalse = inf": "not a finite number",
    "[costs.true]\nfalse = '3'": "is no number",
    "[costs.true]\nfalse = true": "is no number",
    "[costs.yes]\nno = 1": "no class 'yes'",
    "[costs.true]\nfalse = 1": "no cost of answering true where false was so",
    "[costs.true]\nfalse = 1\n[costs.'true']\nfalse = 2": "line 3",
    "default = 0": "every answer costs the same",
    "over = 1\nunder = 1": "of a regression",
}


def test_what_cannot_be_is_refused_before_anything_is_fitted(cli, parts, work):
    parts("yes")
    Path("costs.toml").write_text(COSTS)

    def refused(code, words, *flags, target="yes", given="parts"):
        ended = cli("train", given, "--target", target, *flags, "-o", "bad")
        assert ended.code == code and words in ended.err and "rounds" not in ended.err, ended.err
        assert ended.err.count("\n") <= 2 and not Path("bad").exists()

    refused(2, "is unknown", "--calibrate", "beta")
    refused(2, "nothing to decide by", "--threshold", "foo")
    refused(2, "between 0 and 1", "--threshold", "1.5")
    refused(2, "between 0 and 1", "--threshold", "precision>=nan")
    refused(2, "needs --cost", "--threshold", "cost")
    refused(4, "--cost nowhere.toml", "--cost", "nowhere.toml")
    for text, words in BAD_COSTS.items():
        Path("bad.toml").write_text(text)
        refused(4, words, "--cost", "bad.toml")
    few = pl.DataFrame({"x": [1.0, 2.0], "yes": [False, True]})  # held out, a class would be gone
    seal(work / "unsplit", "split", few, "train/part-00000.parquet")
    refused(4, "there are none", "--calibrate", "platt", given="unsplit")
    refused(4, "there are none", "--threshold", "f1", given="unsplit")
    parts("price")
    refused(2, "regression", "--calibrate", "platt", target="price")
    refused(2, "regression", "--threshold", "0.3", target="price")
    refused(4, "over and under", "--cost", "costs.toml", target="price")
    parts("kind")
    refused(2, "is for two classes", "--threshold", "f1", target="kind")


def test_usage_names_what_there_is():
    with pytest.raises(Usage) as told:
        train_threshold.read("best")
    assert "balanced_accuracy" in told.value.hint and "precision>=0.9" in told.value.hint


@pytest.mark.parametrize("flags", [("--calibrate", "platt"), ("--threshold", "f1")])
def test_what_decides_is_learnt_from_a_fit_of_as_many_rounds_as_the_model_has(cli, flags):
    """A curve that mends the few rounds of a fit would spoil the many of another."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1200, 6))
    odds = 2 * x[:, 0] + x[:, 1] * x[:, 2] - 1
    names = {f"x{at}": x[:, at] for at in range(6)}
    pl.DataFrame(names | {"y": random.random(1200) < 1 / (1 + np.exp(-odds))}).write_parquet("t.parquet")
    asked = ("train", "t.parquet", "--target", "y", "--metric", "roc_auc", "-o", "model")
    fit, model = rounds_of(cli(*asked))
    assert fit != model
    assert rounds_of(cli(*asked, *flags)) == [model, model]


def rounds_of(done):
    """The rounds of the fit that was measured, and of the model."""
    assert done.code == 0, done.err
    return [int(found) for found in re.findall(r": (\d+) rounds", done.err)]


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_row_that_counts_three_times_is_as_three_rows(method):
    own, truth = scores(600, seed=8, digits=2)
    times = np.random.default_rng(8).integers(0, 4, 600)
    signature = Signature("x", "binary", "y", [], [False, True], True)
    two = np.column_stack([1 - own, own])
    weighted = train_calibrate.fit(two, truth.astype(int), method, signature, times.astype(float))
    copies = train_calibrate.fit(np.repeat(two, times, axis=0), np.repeat(truth, times).astype(int), method, signature)
    found, wanted = (decision.calibrated(two, one, signature) for one in (weighted, copies))
    # As many rows as there are, so that only Platt's targets and the ends of isotonic know how many they were.
    assert found == pytest.approx(wanted, abs=0.01)
    plain = decision.calibrated(two, train_calibrate.fit(two, truth.astype(int), method, signature), signature)
    assert abs(found - plain).max() > abs(found - wanted).max()
    for name in ("f1", "mcc", "balanced_accuracy"):
        cut = train_threshold.choose(own, truth, train_threshold.read(name), None, times.astype(float))
        assert cut == pytest.approx(
            train_threshold.choose(np.repeat(own, times), np.repeat(truth, times), train_threshold.read(name)), abs=0.02
        )


def test_weights_of_rows_count_in_what_decides(cli, work):
    random = np.random.default_rng(0)
    x = random.normal(size=3000)
    frame = pl.DataFrame({"x": x, "z": random.normal(size=3000), "y": random.random(3000) < 1 / (1 + np.exp(-x))})
    frame.with_columns(w=pl.when("y").then(9.0).otherwise(1.0)).write_parquet("t.parquet")
    cli("split", "t.parquet", "--test", "0.2", "--valid", "0.3", "-o", "parts").ref  # noqa: B018
    train = ("train", "parts", "--target", "y", "--calibrate", "platt", "--set", "num_iterations=30", "-q")
    for name, more in (("even", ("--exclude", "w")), ("heavy", ("--weight", "w"))):
        assert cli(*train, *more, "-o", name).code == 0
    means = []
    for name in ("even", "heavy"):
        ref = cli("predict", name, "t.parquet", "--proba", "-q", "-o", f"p-{name}").ref
        means.append(pl.read_parquet(f"{ref}/*.parquet")["proba"].list.get(1).mean())
    # Nine times as many in the weighted world: the probabilities are about that world.
    assert means[0] == pytest.approx(0.5, abs=0.05) and means[1] == pytest.approx(0.9, abs=0.05)
