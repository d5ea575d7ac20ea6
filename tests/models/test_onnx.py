"""Models made elsewhere: scikit-learn's own, written as ONNX, answer as they did there, through every command."""

import json
import re
from pathlib import Path

import numpy as np
import onnx_models
import polars as pl
import pytest
from onnx import TensorProto, helper
from onnx_models import LABELS, saved, tensor
from serving import make_app, post
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

ML = "ai.onnx.ml"
COLUMNS = ["a", "b", "c"]


def table(rows=300, seed=0):
    """Three numbers, of which the first two decide the label."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32).astype(np.float64)
    score = x[:, 0] + x[:, 1] + rng.normal(size=rows) * 0.2
    label = np.array(LABELS)[np.digitize(score, [-0.5, 0.5])]
    frame = pl.DataFrame(dict(zip(COLUMNS, x.T, strict=True)))
    return frame.with_columns(label=pl.Series(label), yes=pl.Series(score > 0), price=pl.Series(score * 10))


def learnt(target):
    """scikit-learn's model of a target."""
    frame = table()
    model = LinearRegression() if target == "price" else LogisticRegression()
    return model.fit(frame.select(COLUMNS).to_numpy(), frame[target].to_numpy())


def linear(model, zipmap=False, transform="SOFTMAX", names=("X",)):
    """A multiclass LogisticRegression as skl2onnx writes it: floats; label, and probabilities or maps of them."""
    classes = [str(label) for label in model.classes_]
    told = {
        "coefficients": model.coef_.ravel().tolist(),
        "intercepts": model.intercept_.tolist(),
        "classlabels_strings": classes,
        "post_transform": transform,
    }
    nodes = [helper.make_node("LinearClassifier", ["X"], ["label", "scores"], domain=ML, **told)]
    outputs = [tensor("label", ["n"], TensorProto.STRING), tensor("scores", ["n", len(classes)])]
    if len(names) > 1:
        nodes.insert(0, helper.make_node("Concat", list(names), ["X"], axis=1))
    if zipmap:
        nodes.append(helper.make_node("ZipMap", ["scores"], ["proba"], domain=ML, classlabels_strings=classes))
        kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
        outputs[1] = helper.make_value_info("proba", helper.make_sequence_type_proto(kind))
    width = 3 if len(names) == 1 else 1
    return saved(nodes, [tensor(name, ["n", width]) for name in names], outputs, {})


def dense(model, name="logits", last=None, columns=None):
    """A layer of weights, [n, 3] floats to [n, k]; `last` is what follows it, `columns` another order of outputs."""
    weights, bias = np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)
    if columns:
        weights, bias = weights[:, columns], bias[columns]
    stored = {"w": weights.astype(np.float32), "b": bias.astype(np.float32)}
    nodes = [helper.make_node("Gemm", ["X", "w", "b"], ["raw" if last else name])]
    if last:
        nodes.append(helper.make_node(last, ["raw"], [name]))
    return saved(nodes, [tensor("X", ["n", 3])], [tensor(name, ["n", weights.shape[1]])], stored)


def trees(model):
    """A decision tree."""
    tree = model.tree_
    leaf = tree.children_left < 0
    at = np.flatnonzero(leaf)
    told = {
        "nodes_treeids": [0] * tree.node_count,
        "nodes_nodeids": list(range(tree.node_count)),
        "nodes_featureids": np.where(leaf, 0, tree.feature).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0.0, tree.threshold).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree.children_left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree.children_right).tolist(),
        "class_treeids": [0] * (len(at) * 3),
        "class_nodeids": np.repeat(at, 3).tolist(),
        "class_ids": [0, 1, 2] * len(at),
        "class_weights": tree.value[at, 0].ravel().tolist(),
        "classlabels_strings": LABELS,
        "post_transform": "NONE",
    }
    nodes = [helper.make_node("TreeEnsembleClassifier", ["X"], ["label", "p"], domain=ML, **told)]
    outputs = [tensor("label", ["n"], TensorProto.STRING), tensor("p", ["n", 3])]
    return saved(nodes, [tensor("X", ["n", 3])], outputs, {})


@pytest.fixture
def wrap(cli, work):
    """`wrap(bytes, target, …)` trains on the table's columns and a target; how it ended."""

    def run(data, target, *words, columns=COLUMNS):
        Path("m.onnx").write_bytes(data)
        table().select(*columns, target).write_parquet("t.parquet")
        return cli("train", "t.parquet", "--target", target, "--family", "onnx", "--set", "model=m.onnx", *words)

    return run


def probabilities(cli, model):
    """What `predict` answers for the table."""
    ended = cli("predict", model, "t.parquet", "-o", "p", "--proba")
    assert ended.code == 0, ended.err
    return pl.read_parquet("p/*.parquet")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (linear, []),
        (lambda model: linear(model, zipmap=True), []),
        (lambda model: linear(model, transform="NONE"), []),
        (lambda model: linear(model, names=("a", "b", "c")), []),
        (lambda model: linear(model, names=("u", "v", "w")), ["--set", "columns=a,b,c"]),
        (dense, []),
        (dense, ["--set", "gives=logits"]),
        (lambda model: dense(model, last="Softmax"), ["--set", "output=logits"]),
        (lambda model: dense(model, columns=[2, 0, 1]), ["--set", "classes=truck,bus,car"]),
    ],
)
def test_a_classifier_answers_as_where_it_was_made(cli, wrap, make, words):
    model = learnt("label")
    made = wrap(make(model), "label", *words)
    answers = probabilities(cli, made.ref)
    truth = model.predict_proba(table().select(COLUMNS).to_numpy())
    found = np.array(answers.select(pl.col("^proba.*$")).to_numpy().tolist())
    assert found.reshape(truth.shape) == pytest.approx(truth, abs=1e-5)
    assert answers["prediction"].to_list() == model.predict(table().select(COLUMNS).to_numpy()).tolist()


def test_a_tree(cli, wrap):
    model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(
        table().select(COLUMNS).to_numpy(), table()["label"]
    )
    answers = probabilities(cli, wrap(trees(model), "label").ref)
    assert answers["prediction"].to_list() == model.predict(table().select(COLUMNS).to_numpy()).tolist()


@pytest.mark.parametrize("last", [None, "Sigmoid"])
def test_two_classes_in_one_column(cli, wrap, last):
    model = learnt("yes")
    made = wrap(dense(model, last=last), "yes")
    assert f"the output holds {'probabilities' if last else 'logits'}" in made.err
    answers = probabilities(cli, made.ref)
    assert answers["prediction"].to_list() == model.predict(table().select(COLUMNS).to_numpy()).tolist()


def test_a_regression(cli, wrap):
    model = learnt("price")
    answers = probabilities(cli, wrap(dense(model, "value"), "price").ref)
    assert answers["prediction"].to_numpy() == pytest.approx(
        model.predict(table().select(COLUMNS).to_numpy()), abs=1e-3
    )


def test_the_life_of_a_model_made_elsewhere(cli, wrap, work):
    made = wrap(linear(learnt("label"), zipmap=True), "label")
    assert "nothing is learnt" in made.err and "as it was made" in made.err
    ended = cli("evaluate", made.ref, "--data", "t.parquet", "--require", "f1>=0.8", "--json")
    assert ended.code == 0, ended.err
    assert cli("register", made.ref, "--name", "elsewhere").ref == "elsewhere@1"
    row = table(1).select(COLUMNS).row(0, named=True)
    app, said = make_app(Path(made.ref))
    status, answer = post(app, "/predict", row)
    first = cli("predict", "elsewhere@1", "t.parquet", "-o", "p", "--proba")
    assert status == 200 and first.code == 0 and set(answer["proba"]) == set(LABELS) and said == []
    status, refused = post(app, "/predict", row | {"a": None})
    assert status == 400 and "not finite" in refused["error"]  # it was never null in the data
    assert wrap(linear(learnt("label"), zipmap=True), "label").err.count("cached") == 1
    assert "cached" not in wrap(dense(learnt("label")), "label").err  # another file under the same name


def image_table(rows=12):
    """Pictures of three colours, and where they were taken."""
    colours = {"bus": "red", "car": "green", "truck": "blue"}
    labels = [LABELS[n % 3] for n in range(rows)]
    found = [
        {"bytes": onnx_models.picture(colours[label], seed=n), "path": f"{n}.jpg"} for n, label in enumerate(labels)
    ]
    kind = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    return pl.DataFrame({"image": pl.Series(found, dtype=kind), "label": labels, "camera": ["north"] * rows})


def test_a_classifier_of_images(cli, work):
    image_table().write_parquet("i.parquet")
    Path("m.onnx").write_bytes(onnx_models.colours())
    settings = ["model=m.onnx", "mean=0.5", "std=0.25", "embedding=embedding"]
    words = [word for setting in settings for word in ("--set", setting)]
    made = cli("train", "i.parquet", "--target", "label", "--family", "onnx", *words)
    assert made.code == 0, made.err
    told = json.loads(Path(made.ref, "signature.json").read_text())
    assert [column["name"] for column in told["context"]] == ["camera"]
    assert [column["name"] for column in told["measured"]][-2:] == ["embedding_1", "embedding_2"]
    assert pl.read_parquet(Path(cli("predict", made.ref, "i.parquet").ref, "*.parquet"))["prediction"].to_list() == (
        image_table()["label"].to_list()
    )
    app, _ = make_app(Path(made.ref))
    status, answer = post(
        app, "/predict?camera=south", onnx_models.picture("green"), [(b"content-type", b"image/jpeg")]
    )
    assert (status, answer["prediction"]) == (200, "car")


@pytest.mark.parametrize(
    ("data", "target", "words", "code", "why"),
    [
        (None, "label", ["--set", "speed=3"], 2, "no such setting"),
        (None, "label", ["--set", "gives=odds"], 2, "probabilities or logits"),
        (None, "label", ["--set", "output=nothing"], 2, "called 'nothing'"),
        (None, "label", ["--set", "columns=a,b"], 4, "takes 3 columns, there are 2"),
        (None, "label", ["--set", "columns=a,b,d"], 4, "no column 'd'"),
        (None, "label", ["--set", "classes=bus,car"], 2, "the target has bus, car, truck"),
        (None, "label", ["--set", "gives=logits", "--search", "grid", "--space", "std=1,2"], 2, ""),
        (None, "yes", [], 4, "classes"),
        (None, "price", [], 4, "several numbers a row"),
        (b"not a model", "label", [], 5, "no ONNX model|damaged"),
    ],
)
def test_what_cannot_be_wrapped(wrap, data, target, words, code, why):
    ended = wrap(data or linear(learnt("label")), target, *words)
    assert ended.code == code and re.search(why, ended.err), ended.err
    assert "Traceback" not in ended.err and len(ended.err.splitlines()) <= 3


def test_a_model_must_be_named(cli, work):
    table().write_parquet("t.parquet")
    ended = cli("train", "t.parquet", "--target", "label", "--family", "onnx")
    assert ended.code == 2 and "--set model=FILE.onnx" in ended.err
    ended = cli("train", "t.parquet", "--target", "label", "--family", "onnx", "--set", "model=none.onnx")
    assert ended.code == 4 and "none.onnx: No such file" in ended.err


def test_a_decision_of_its_own(cli, wrap):
    model = learnt("yes")
    made = wrap(dense(model, last="Sigmoid"), "yes", "--calibrate", "platt", "--threshold", "0.2", "-o", "decided")
    answers = probabilities(cli, made.ref)
    found, own = answers["proba"].list.get(1), model.predict_proba(table().select(COLUMNS).to_numpy())[:, 1]
    curve = json.loads(Path("decided/decision.json").read_bytes())["calibration"]["curves"][0]
    odds = np.log(own / (1 - own))
    assert found.to_numpy() == pytest.approx(1 / (1 + np.exp(curve["a"] * odds + curve["b"])), abs=1e-4)
    assert (answers["prediction"] == (found >= 0.2)).all() and (found.is_between(0.2, 0.5)).any()


@pytest.mark.parametrize("target", ["label", "price"])
def test_what_the_answers_depend_on_is_measured_without_contributions(cli, wrap, target):
    model = learnt(target)
    made = wrap(dense(model, "value") if target == "price" else linear(model), target)
    noisy = table(seed=1).with_columns(pl.col("price") + pl.Series(np.random.default_rng(0).standard_t(3, 300)))
    noisy.write_parquet("fresh.parquet")
    ended = cli("evaluate", made.ref, "--data", "fresh.parquet", "--explain", "--robustness", "-o", "ev")
    assert ended.code == 0, ended.err
    told = json.loads(Path("ev/explanation.json").read_text())
    assert {one["column"] for one in told["importance"][:2]} == set(COLUMNS[:2])
    assert all(one["contribution"] is None for one in told["importance"])
    assert told["wrong"] and all(one["nearest"] and not one["wrong"]["reasons"] for one in told["wrong"])
