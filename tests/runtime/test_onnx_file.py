"""What onnxruntime may see: nothing that reads another file, runs a stranger's operator or brings a process down."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_models
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlops_cli.errors import Integrity
from mlops_cli.runtime import onnx_file, onnx_session

SCRIPT = Path(__file__).with_name("fuzz_onnx.py")
MODELS = {"colours": onnx_models.colours, "convolutions": onnx_models.convolutions, "trees": onnx_models.trees}


@pytest.mark.parametrize("name", MODELS)
def test_what_others_write_is_let_through(name):
    onnx_file.check(MODELS[name]())


def elsewhere(name="weights", shape=(192, 3)):
    """A tensor whose values are in another file."""
    out = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    out.external_data.add(key="location", value="secret.bin")
    return out


def with_external(place):
    """A model that keeps a tensor in another file, in one of the places where a tensor may stand."""
    model = onnx_models.model_of(onnx_models.colours())
    graph = model.graph
    if place == "initializer":
        graph.initializer[0].CopyFrom(elsewhere())
        return model
    attributes = {
        "attribute": {"value": elsewhere("a")},
        "graph": {"then_branch": helper.make_graph([], "g", [], [], [elsewhere("b")])},
    }
    if place in attributes:
        graph.node.append(helper.make_node("If" if place == "graph" else "Constant", [], ["x"], **attributes[place]))
    elif place == "list":
        node = helper.make_node("Constant", [], ["x"])
        node.attribute.add(name="many", type=9).tensors.append(elsewhere("c"))
        graph.node.append(node)
    elif place == "graphs":
        node = helper.make_node("Constant", [], ["x"])
        node.attribute.add(name="many", type=10).graphs.add().initializer.append(elsewhere("c"))
        graph.node.append(node)
    elif place.startswith("sparse"):
        values, indices = (elsewhere(shape=(1,)), numpy_helper.from_array(np.zeros(1, np.int64)))
        sparse = helper.make_sparse_tensor(values, indices, [4]) if place == "sparse values" else None
        sparse = sparse or helper.make_sparse_tensor(numpy_helper.from_array(np.zeros(1, np.float32)), elsewhere(), [4])
        if place == "sparse attribute":
            graph.node.append(helper.make_node("Constant", [], ["x"], sparse_value=sparse))
        else:
            graph.sparse_initializer.append(sparse)
    else:
        node = helper.make_node("Constant", [], ["y"], value=elsewhere())
        if place == "function":
            model.functions.append(helper.make_function("own", "F", [], ["y"], [node], [helper.make_opsetid("", 17)]))
        else:
            made = helper.make_function("own", "F", [], ["y"], [], [helper.make_opsetid("", 17)])
            made.attribute_proto.append(node.attribute[0])
            model.functions.append(made)
    return model


PLACES = ["initializer", "attribute", "list", "graph", "graphs", "sparse values", "sparse indices", "sparse attribute"]


@pytest.mark.parametrize("place", [*PLACES, "function", "function attribute"])
def test_weights_in_another_file_are_refused_wherever_they_stand(place):
    with pytest.raises(Integrity, match="other files"):
        onnx_file.check(with_external(place).SerializeToString())


def test_without_the_check_another_file_is_read(work, monkeypatch):
    """What the check is for: a model of strangers would read any file that the server may."""
    (work / "secret.bin").write_bytes(np.full((192, 3), 7, np.float32).tobytes())
    data = with_external("initializer").SerializeToString()
    with pytest.raises(Integrity, match="other files"):
        onnx_session.Session(data, ["image"], ["logits"])
    monkeypatch.setattr(onnx_file, "check", lambda data: None)
    session = onnx_session.Session(data, ["image"], ["logits"])
    assert session.run([np.ones((1, 3, 8, 8), np.float32)])[0][0, 0] == 7 * 192


def changed(change):
    model = onnx_models.model_of(onnx_models.colours())
    change(model)
    return model.SerializeToString()


def nested(depth):
    """A graph in a graph in a graph."""
    inner = helper.make_graph([], "g", [], [])
    for _ in range(depth):
        inner = helper.make_graph([helper.make_node("If", ["c"], ["x"], then_branch=inner)], "g", [], [])
    return inner


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no ONNX model"),
        (b"\x80\x02}q\x00.", "damaged"),
        (onnx_models.colours()[:-5], "damaged"),
        (b"\x12\x06..ORTM" + onnx_models.colours(), "own format"),
        (changed(lambda model: model.graph.node.add(op_type="Evil", domain="org.example")), "org.example"),
        (changed(lambda model: model.graph.node.add(op_type="EPContext", domain="com.microsoft")), "com.microsoft"),
        (changed(lambda model: model.training_info.add()), "training"),
        (changed(lambda model: setattr(model, "ir_version", 99)), "no version"),
        (changed(lambda model: model.opset_import.add(domain="", version=10**6)), "version of operators"),
        (changed(lambda model: model.graph.initializer[0].dims.append(2**40)), "impossible shape"),
        (changed(lambda model: model.graph.initializer[0].dims.append(-1)), "impossible shape"),
        (changed(lambda model: model.graph.initializer[0].dims.append(2)), "does not fit its shape"),
        (changed(lambda model: model.graph.CopyFrom(nested(20))), "too deeply"),
        (onnx_models.colours() * 2, "no version and graph of its own"),
        (onnx_models.colours() + b"\xba\x3e\x00", "field 999"),
    ],
)
def test_what_is_refused(data, why):
    with pytest.raises(Integrity, match=why):
        onnx_file.check(data)


def test_operators_of_the_file_itself_may_be_used():
    def own(model):
        relu = helper.make_node("Relu", ["a"], ["b"])
        model.functions.append(helper.make_function("own", "F", ["a"], ["b"], [relu], [helper.make_opsetid("", 17)]))
        model.graph.node.append(helper.make_node("F", ["logits"], ["x"], domain="own"))
        model.opset_import.add(domain="own", version=1)

    made = onnx_session.Session(changed(own), ["image"], ["logits"])
    plain = onnx_session.Session(onnx_models.colours(), ["image"], ["logits"])
    given = [np.full((1, 3, onnx_models.SIZE, onnx_models.SIZE), 0.5, np.float32)]
    assert np.array_equal(made.run(given)[0], plain.run(given)[0])


def test_2000_mutants_none_dies(tmp_path):
    """Each ends as a refusal in one line, ours or onnxruntime's, or answers; a child that dies would be counted."""
    for name, make in MODELS.items():
        (tmp_path / name).write_bytes(make())
    command = [sys.executable, str(SCRIPT), "2000", "20261128", *(str(tmp_path / name) for name in MODELS)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=280)
    ends = json.loads(done.stdout)
    assert ends["died"] == []
    assert ends["refused"] + ends["library"] + ends["answered"] == 2000
    assert ends["answered"] > 200 and ends["library"] > 200  # the test reaches behind the check
