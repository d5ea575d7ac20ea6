"""LightGBM's text model, checked structurally before the C++ library sees it.

The library trusts the file: a wrong child index reads and writes out of bounds, a bad number inside
its parallel loop aborts the process. Every rule here closes one such way, and the order of lines is
taken as LightGBM (4.5 and later) writes it, so nothing is left to its parser's tolerance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlops_cli.errors import Integrity

END = b"end of trees\n"

_NUMBER = rb"-?\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,3})?"
_OBJECTIVE = re.compile(
    rb"regression|regression_l1|huber|fair|poisson|quantile|mape|gamma|tweedie"
    rb"|binary sigmoid:(?:[1-9]\d{0,5}(?:\.\d{1,10})?|0\.\d{0,9}[1-9])|multiclass num_class:(\d{1,5})"
)
_INFO = re.compile(rb"none|\[" + _NUMBER + rb":" + _NUMBER + rb"\]|-?\d{1,10}(?::-?\d{1,10})*")
_CONSTRAINTS = re.compile(rb"\nmonotone_constraints=[-01 ]*\n")
_COUNT = re.compile(rb"0|[1-9]\d{0,8}")
_HEADER = (
    b"version",
    b"num_class",
    b"num_tree_per_iteration",
    b"label_index",
    b"max_feature_idx",
    b"objective",
    b"feature_names",
    b"feature_infos",
    b"tree_sizes",
)
_NODES = (
    b"split_feature",
    b"split_gain",
    b"threshold",
    b"decision_type",
    b"left_child",
    b"right_child",
    b"internal_value",
    b"internal_weight",
    b"internal_count",
)
_LEAVES = (b"leaf_value", b"leaf_weight", b"leaf_count")
_CATEGORIES = (b"cat_boundaries", b"cat_threshold")
# A tree's lines as LightGBM orders them; the two of _CATEGORIES only when num_cat is above 0.
_TREE = (
    b"num_leaves",
    b"num_cat",
    *_NODES[:6],
    *_LEAVES,
    *_NODES[6:],
    *_CATEGORIES,
    b"is_linear",
    b"shrinkage",
)
_PLAIN = tuple(key for key in _TREE if key not in _CATEGORIES)
_FLOATS = {
    b"split_gain",
    b"threshold",
    b"internal_value",
    b"internal_weight",
    b"leaf_value",
    b"leaf_weight",
    b"shrinkage",
}
# A split between what is there and what is missing has the threshold inf.
_CHARACTERS = {b"threshold": b"0123456789 -+.einf"}
_INT32 = 2**31
DEEP = 512

Array = NDArray[Any]
Lines = dict[bytes, list[bytes]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's text says of itself: matrix columns, trees, classes (1 unless multiclass), objective, and how many
    splits there are at most from a root to a leaf (`DEEP`: that many or more)."""

    features: int
    trees: int
    classes: int
    objective: str
    depth: int = 0


def strip(text: bytes) -> bytes:
    """A model's text up to the end of its trees, without the constraints that it was learnt under.

    Predictions need neither these nor the parameters that follow.
    """
    text = _CONSTRAINTS.sub(b"\n", text, count=1)
    end = text.find(b"\n" + END)
    return text if end < 0 else text[: end + 1 + len(END)]


def check(text: bytes) -> Shape:
    """The shape of a model's text; Integrity, naming the first rule broken, if the library must not see it."""
    head, sep, trees = text.partition(b"\n\nTree=")
    if not sep:
        _fail("no tree")
    shape, sizes = _header(head)
    lines = _trees(b"Tree=" + trees, sizes)
    leaves = _integers(lines, b"num_leaves")
    categories = _integers(lines, b"num_cat")
    _singles(lines, leaves)
    return replace(shape, depth=_nodes(lines, leaves, categories, shape.features))


def _fail(what: str) -> NoReturn:
    raise Integrity(f"the LightGBM model is damaged: {what}", "fetch the model again, or train it again")


def _count(text: bytes, name: str) -> int:
    """A plain number of up to nine digits."""
    if not _COUNT.fullmatch(text):
        _fail(f"{name} is not a count")
    return int(text)


def _header(head: bytes) -> tuple[Shape, list[int]]:
    """The lines before the first tree: what they say, and the size of each tree in bytes."""
    lines = head.split(b"\n")
    if lines[0] != b"tree" or len(lines) != len(_HEADER) + 1:
        _fail("its header does not have the lines of a tree model")
    values: dict[bytes, bytes] = {}
    for key, line in zip(_HEADER, lines[1:], strict=True):
        name, _, values[key] = line.partition(b"=")
        if name != key:
            _fail(f"{key.decode()} is not where it should be")
    if values[b"version"] != b"v4" or values[b"label_index"] != b"0":
        _fail("version or label_index is unknown")
    features = _count(values[b"max_feature_idx"], "max_feature_idx") + 1
    infos = values[b"feature_infos"].split(b" ")
    if values[b"feature_names"] != b" ".join(b"f%d" % index for index in range(features)):
        _fail(f"feature_names are not f0 to f{features - 1}")
    if len(infos) != features or not all(map(_INFO.fullmatch, infos)):
        _fail("feature_infos do not describe the features")
    sizes = [_count(size, "tree_sizes") for size in values[b"tree_sizes"].split(b" ")]
    classes = _classes(values)
    if len(sizes) % classes:
        _fail(f"{len(sizes)} trees do not make whole iterations of {classes}")
    return Shape(features, len(sizes), classes, values[b"objective"].decode()), sizes


def _classes(values: dict[bytes, bytes]) -> int:
    """How many trees an iteration has, on which three lines must agree."""
    objective = _OBJECTIVE.fullmatch(values[b"objective"])
    if objective is None:
        _fail("objective is unknown")
    classes = _count(objective[1], "num_class") if objective[1] else 1
    if objective[1] and classes < 2:
        _fail("a multiclass objective has one class")
    if any(_count(values[key], key.decode()) != classes for key in (b"num_class", b"num_tree_per_iteration")):
        _fail("num_class, num_tree_per_iteration and objective disagree")
    return classes


def _trees(text: bytes, sizes: list[int]) -> Lines:
    """The lines of all trees by key, one entry a tree (those of categories: one a tree that has them)."""
    if len(text) != sum(sizes) + len(END) or not text.endswith(END):
        _fail("tree_sizes do not add up to the trees there are")
    found: Lines = {key: [] for key in _TREE}
    at = 0
    for index, size in enumerate(sizes):
        lines = text[at : at + size].split(b"\n")
        at += size
        keys = _TREE if len(lines) > 3 and lines[2] != b"num_cat=0" else _PLAIN
        # Two blank lines end a tree, so its text splits into three empty pieces at the end.
        if len(lines) != len(keys) + 4 or lines[0] != b"Tree=%d" % index or lines[-3:] != [b"", b"", b""]:
            _fail(f"tree {index} does not have the lines of a tree")
        for key, line in zip(keys, lines[1:-3], strict=True):
            name, equals, value = line.partition(b"=")
            if name != key or not equals:
                _fail(f"tree {index}: {key.decode()} is not where it should be")
            found[key].append(value)
    return found


def _integers(lines: Lines, key: bytes) -> Array:
    """One count a tree, as int64."""
    return np.array([_count(value, key.decode()) for value in lines[key]], dtype=np.int64)


def _numbers(lines: Lines, key: bytes, expected: Array) -> Array:
    """All trees' numbers under `key`, one after another; each tree must have as many as `expected` says."""
    name = key.decode()
    given = np.fromiter((value.count(b" ") + 1 if value else 0 for value in lines[key]), np.int64, len(lines[key]))
    if not np.array_equal(given, expected):
        _fail(f"{name} has another length than its tree")
    joined = b" ".join(value for value in lines[key] if value)
    floats = key in _FLOATS
    # int() and float() take more than digits (underscores, nan, white space): those characters are refused first.
    if joined.translate(None, _CHARACTERS.get(key, b"0123456789 -+.e" if floats else b"0123456789 -")):
        _fail(f"{name} has something that is not a number")
    convert: Callable[[bytes], float] = float if floats else int
    try:
        numbers = np.array(list(map(convert, joined.split(b" "))) if joined else [], np.float64 if floats else np.int64)
    except (ValueError, OverflowError):
        _fail(f"{name} has something that is not a number")
    limit = 2 * _INT32 if key == b"cat_threshold" else _INT32
    if floats and not (np.isfinite(numbers) | (numbers == np.inf) & (key == b"threshold")).all():
        _fail(f"{name} is not finite")
    if not floats and ((numbers >= limit).any() or (numbers < -_INT32).any()):
        _fail(f"{name} is out of range")
    return numbers


def _singles(lines: Lines, leaves: Array) -> None:
    """What does not concern the nodes: leaves, categories, shrinkage; no linear trees."""
    ones = np.ones_like(leaves)
    if (leaves < 1).any():
        _fail("a tree has no leaf")
    if set(lines[b"is_linear"]) != {b"0"}:
        _fail("linear trees are not supported")
    _numbers(lines, b"shrinkage", ones)
    _numbers(lines, b"leaf_value", leaves)
    for key in (b"leaf_weight", b"leaf_count"):
        # A tree of one leaf leaves these out, and the library doesn't read them then.
        empty = np.array([not value for value in lines[key]])
        expected = np.where(empty & (leaves == 1), 0, leaves)
        if (_numbers(lines, key, expected) < 0).any():
            _fail(f"{key.decode()} is negative")


def _nodes(lines: Lines, leaves: Array, categories: Array, features: int) -> int:
    """The splits: features in range, decisions known, children a tree, categories within their bits; their depth."""
    inner = leaves - 1
    numbers = {key: _numbers(lines, key, inner) for key in _NODES}
    decision = numbers[b"decision_type"]
    if ((numbers[b"split_feature"] < 0) | (numbers[b"split_feature"] >= features)).any():
        _fail("split_feature is not a feature")
    if ((decision < 0) | (decision >= 12)).any():
        _fail("decision_type is unknown")
    if (numbers[b"internal_count"] < 0).any():
        _fail("internal_count is negative")
    _children(numbers[b"left_child"], numbers[b"right_child"], leaves)
    tree = np.repeat(np.arange(len(leaves)), inner)
    categorical = (decision & 1).astype(bool)
    if not np.array_equal(np.bincount(tree[categorical], minlength=len(leaves)), categories):
        _fail("num_cat is not the number of categorical splits")
    # LightGBM numbers a tree's categorical splits in the order of its nodes.
    if not np.array_equal(numbers[b"threshold"][categorical], _ranges(categories)):
        _fail("threshold of a categorical split is not its number")
    _bits(lines, categories[categories > 0])
    return _depth(numbers[b"left_child"], numbers[b"right_child"], inner)


def _ranges(lengths: Array) -> Array:
    """0, 1, … n - 1 for each n, one after another."""
    ranges: Array = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return ranges


def _children(left: Array, right: Array, leaves: Array) -> None:
    """Every node but the root and every leaf is the child of exactly one node that stands before it."""
    inner = leaves - 1
    node = _ranges(inner)
    start = np.repeat(np.cumsum(inner) - inner, inner)
    leaf_start = np.repeat(np.cumsum(leaves) - leaves, inner)
    width = np.repeat(leaves, inner)
    nodes = np.zeros(int(inner.sum()), dtype=np.int64)
    tips = np.zeros(int(leaves.sum()), dtype=np.int64)
    for child in (left, right):
        is_leaf = child < 0
        if (np.where(is_leaf, ~child, child + 1) >= width).any():
            _fail("a child is not in its tree")
        # A child after its parent, as LightGBM numbers them: no way round can be a circle.
        if (child[~is_leaf] <= node[~is_leaf]).any():
            _fail("a child stands before its parent")
        nodes += np.bincount((start + child)[~is_leaf], minlength=len(nodes))
        tips += np.bincount((leaf_start + ~child)[is_leaf], minlength=len(tips))
    root = node == 0
    if (nodes[root] != 0).any() or (nodes[~root] != 1).any() or (tips[np.repeat(leaves, leaves) > 1] != 1).any():
        _fail("the children are not a tree")


def _depth(left: Array, right: Array, inner: Array) -> int:
    """The splits from a root to its farthest leaf, of children that are trees; counted up to DEEP."""
    start = np.repeat(np.cumsum(inner) - inner, inner)
    level = (np.cumsum(inner) - inner)[inner > 0]
    depth = 0
    while len(level) and depth < DEEP:
        depth += 1
        children = np.concatenate([start[level] + side[level] for side in (left, right)])
        level = children[np.concatenate([left[level] >= 0, right[level] >= 0])]
    return depth


def _bits(lines: Lines, categories: Array) -> None:
    """Bit sets of categorical splits: boundaries rise from 0 to the number of words, words are not negative."""
    boundaries = _numbers(lines, b"cat_boundaries", categories + 1)
    if not len(categories):
        return
    ends = np.cumsum(categories + 1) - 1
    starts = ends - categories
    rises = np.delete(np.diff(boundaries), ends[:-1])
    if (boundaries[starts] != 0).any() or (rises < 1).any():
        _fail("cat_boundaries do not rise from 0")
    if (_numbers(lines, b"cat_threshold", boundaries[ends]) < 0).any():
        _fail("cat_threshold is negative")
