"""Each rule of the validator refuses what breaks it, in one line, and real models pass."""

import re

import pytest

from mlops_cli.errors import Integrity
from mlops_cli.runtime import lightgbm_text


def resized(text):
    """tree_sizes made right for trees that a test has changed."""
    head, _, rest = text.partition(b"\n\nTree=")
    trees = (b"Tree=" + rest).removesuffix(b"end of trees\n").split(b"Tree=")[1:]
    sizes = b" ".join(b"%d" % (len(tree) + 5) for tree in trees)
    return re.sub(rb"tree_sizes=[^\n]*", b"tree_sizes=" + sizes, head) + b"\n\nTree=" + rest


def edited(pattern, replacement):
    """An edit of the first match, sizes made right again."""

    def edit(text):
        changed = re.sub(pattern, replacement, text, count=1)
        assert changed != text, "the edit does nothing"
        return resized(changed)

    return edit


BROKEN = {
    "header": [
        (lambda text: b"", "no tree"),
        (lambda text: text[: len(text) // 2], "do not add up"),
        (lambda text: text + b"\n", "do not add up"),
        (lambda text: text.replace(b"end of trees", b"end of three"), "do not add up"),
        (edited(rb"version=v4", b"version=v9"), "version"),
        (edited(rb"label_index=0", b"label_index=1"), "label_index"),
        (edited(rb"num_class=1", b"num_class=2"), "disagree"),
        (edited(rb"num_tree_per_iteration=1", b"num_tree_per_iteration=0"), "disagree"),
        (edited(rb"num_tree_per_iteration=1", b"num_tree_per_iteration=-1"), "not a count"),
        (edited(rb"objective=binary sigmoid:1", b"objective=binary sigmoid:0"), "objective"),
        (edited(rb"objective=binary", b"objective=lambdarank"), "objective"),
        (edited(rb"objective=binary sigmoid:1", b"objective=multiclass num_class:1"), "one class"),
        (edited(rb"max_feature_idx=7", b"max_feature_idx=6"), "feature_names"),
        (edited(rb"feature_names=f0 f1", b"feature_names=f1 f0"), "feature_names"),
        (edited(rb"feature_infos=\[", b"feature_infos=x["), "feature_infos"),
        (lambda text: re.sub(rb"tree_sizes=\d+", b"tree_sizes=-1", text), "not a count"),
        (lambda text: re.sub(rb"tree_sizes=(\d+) (\d+)", rb"tree_sizes=\2 \1", text), "lines of a tree"),
        (lambda text: text.replace(b"num_class=1\n", b"", 1), "header"),
        (
            lambda text: text.replace(b"version=v4\nnum_class=1\n", b"num_class=1\nversion=v4\n", 1),
            "where it should be",
        ),
    ],
    "tree": [
        (edited(rb"Tree=1", b"Tree=7"), "lines of a tree"),
        (edited(rb"num_leaves=15", b"num_leaves=0"), "no leaf"),
        (edited(rb"num_leaves=15", b"num_leaves=16"), "another length"),
        (edited(rb"num_leaves=15", b"num_leaves=4294967297"), "not a count"),
        (edited(rb"is_linear=0", b"is_linear=1"), "linear"),
        (edited(rb"shrinkage=1", b"shrinkage=1e999"), "not finite"),
        (edited(rb"leaf_value=", b"leaf_values="), "where it should be"),
        (edited(rb"leaf_value=\S+", b"leaf_value=nan"), "not a number"),
        (edited(rb"leaf_value=\S+", b"leaf_value=inf"), "not a number"),
        (edited(rb"leaf_value=\S+", b"leaf_value=1e999"), "not finite"),
        (edited(rb"leaf_value=\S+", b"leaf_value=1_0"), "not a number"),
        (edited(rb"leaf_value=\S+ ", b"leaf_value="), "another length"),
        (edited(rb"leaf_value=(\S+) ", rb"leaf_value=\1  "), "another length"),
        (edited(rb"leaf_count=\d+", b"leaf_count=-3"), "negative"),
        (edited(rb"leaf_count=\d+", b"leaf_count=1.5"), "not a number"),
        (edited(rb"internal_count=\d+", b"internal_count=-3"), "negative"),
        (edited(rb"internal_count=\d+", b"internal_count=2147483648"), "out of range"),
        (edited(rb"split_gain=\S+", b"split_gain=-"), "not a number"),
        (edited(rb"leaf_value=[^\n]*", b""), "where it should be"),
    ],
    "nodes": [
        (edited(rb"split_feature=\d+", b"split_feature=8"), "not a feature"),
        (edited(rb"split_feature=\d+", b"split_feature=-1"), "not a feature"),
        (edited(rb"decision_type=\d+", b"decision_type=12"), "decision_type"),
        (edited(rb"decision_type=\d+", b"decision_type=-1"), "decision_type"),
        (edited(rb"left_child=\S+", b"left_child=0"), "before its parent"),
        (edited(rb"left_child=\S+", b"left_child=14"), "not in its tree"),
        (edited(rb"left_child=\S+", b"left_child=-16"), "not in its tree"),
        (edited(rb"right_child=\S+", b"right_child=-1"), "not a tree"),
        (edited(rb"right_child=\S+", b"right_child=13"), "not a tree"),
        (edited(rb"num_cat=\d+", b"num_cat=0"), "lines of a tree"),
        (edited(rb"num_cat=\d+", b"num_cat=9"), "num_cat"),
        (edited(rb"cat_boundaries=0 \d+", b"cat_boundaries=0 0"), "rise"),
        (edited(rb"cat_boundaries=0", b"cat_boundaries=-1"), "rise"),
        (edited(rb"cat_threshold=\d+", b"cat_threshold=-1"), "negative"),
        (edited(rb"cat_threshold=\d+", b"cat_threshold=4294967296"), "out of range"),
        (edited(rb"cat_threshold=\d+ ", b"cat_threshold="), "another length"),
    ],
}
CASES = [
    pytest.param(*case, id=f"{group}-{index}") for group, cases in BROKEN.items() for index, case in enumerate(cases)
]


@pytest.mark.parametrize(("edit", "says"), CASES)
def test_a_broken_rule_is_refused_in_one_line(texts, edit, says):
    with pytest.raises(Integrity) as caught:
        lightgbm_text.check(edit(texts["binary"]))
    assert caught.value.exit == 5
    assert "\n" not in caught.value.message
    assert says in caught.value.message


def test_a_categorical_threshold_must_be_its_number(texts):
    text = texts["binary"]
    tree = re.search(rb"num_cat=[1-9].*?decision_type=([^\n]*)", text, re.S)
    node = [int(value) & 1 for value in tree[1].split()].index(1)
    old = re.search(rb"threshold=([^\n]*)", tree[0])
    values = old[1].split(b" ")
    values[node] = b"5"
    broken = text[: tree.start() + old.start(1)] + b" ".join(values) + text[tree.start() + old.end(1) :]
    with pytest.raises(Integrity, match="threshold"):
        lightgbm_text.check(resized(broken))


def test_whole_iterations_of_a_multiclass(texts):
    text = texts["multiclass"]
    one_less = text[: text.rindex(b"Tree=")] + b"end of trees\n"
    with pytest.raises(Integrity, match="whole iterations"):
        lightgbm_text.check(resized(one_less))


def test_a_circle_off_the_root_is_not_a_tree(texts):
    """Nodes that are each other's children would pass a count of parents."""
    text = texts["binary"]
    lines = {key: [b"%d" % v for v in values] for key, values in {b"left": [-1, 2, 1], b"right": [-2, -3, -4]}.items()}
    tree = text[text.index(b"Tree=0") : text.index(b"Tree=1")]
    small = re.sub(rb"num_leaves=\d+", b"num_leaves=4", tree)
    small = re.sub(rb"num_cat=\d+", b"num_cat=0", small)
    small = re.sub(rb"cat_(boundaries|threshold)=[^\n]*\n", b"", small)
    keep = rb"((?:split_|threshold|decision|internal_)[a-z]*)=(\S+ \S+ \S+)[^\n]*"
    small = re.sub(rb"decision_type=[^\n]*", b"decision_type=2 2 2", re.sub(keep, rb"\1=\2", small))
    small = re.sub(rb"(leaf_[a-z]*)=(\S+ \S+ \S+ \S+)[^\n]*", rb"\1=\2", small)
    for side, values in lines.items():
        small = re.sub(side + rb"_child=[^\n]*", side + b"_child=" + b" ".join(values), small)
    with pytest.raises(Integrity, match="before its parent"):
        lightgbm_text.check(resized(text.replace(tree, small)))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "constant"])
def test_real_models_pass(texts, kind):
    shape = lightgbm_text.check(texts[kind])
    assert shape.features == 8
    assert shape.classes == (3 if kind == "multiclass" else 1)
    assert shape.trees == {"multiclass": 15, "constant": 1}.get(kind, 5)


def test_strip_ends_with_the_trees(texts):
    text = texts["binary"]
    assert text.endswith(b"end of trees\n")
    assert lightgbm_text.strip(text + b"\nparameters:\n[x: 1]\nend of parameters\n") == text
