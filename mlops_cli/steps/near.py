"""Images that look alike: 64-bit perceptual hashes of which few bits differ, found without comparing all with all.

Multi-index hashing (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012): cut
into `distance + 2` bands, two hashes of which at most `distance` bits differ are equal in at least two bands
(pigeonhole), so only hashes that share two bands are compared.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Labels = NDArray[np.int64]

DISTANCE = 6
"""Bits that may differ when nothing is said. Of CIFAR-10's 50,000 images 900 have another one this near, nearly all of
them the same picture cut, scaled or coloured anew. At 8 bits half of the further pairs are only of the same layout (a
bird in a blue sky), and at 12 one chain of them has 7,459 images."""
MOST = 16
"""Above this nearly every hash shares two bands with every other, and everything looks like everything."""
BITS = 64
AT_ONCE = 1 << 20
"""Pairs that are kept before their clusters are merged: 16 MB."""


def clusters(hashes: Hashes, distance: int = DISTANCE) -> Labels:
    """A label for each hash, the same for two hashes of at most `distance` differing bits, and so for chains of them.

    Labels are positions: that of the first hash of the cluster in numerical order. Time grows with the pairs that share
    two bands, in dense clusters once with the square of their size; memory is some 100 bytes for each hash.
    """
    values, where = np.unique(hashes, return_inverse=True)
    parent = np.arange(len(values), dtype=np.int64)
    for mask in _masks(distance) if distance else ():
        _join(values, mask, distance, parent)
    return parent[where]


def _join(values: Hashes, mask: np.uint64, distance: int, parent: Labels) -> None:
    """Merge in `parent` the values at most `distance` apart of those that are equal under the mask."""
    order, keys = _sorted(values, mask)
    near = values[order]
    stop = _ends(keys, parent[order])
    left, pending, count = np.arange(len(keys)), [], 0
    for step in itertools.count(1):
        left = left[left + step < stop[left]]
        pairs = left[np.bitwise_count(near[left] ^ near[left + step]) <= distance]
        pending.append((order[pairs], order[pairs + step]))
        count += len(pairs)
        if count > AT_ONCE or not len(left):
            merge(parent, *(np.concatenate(side) for side in zip(*pending, strict=True)))
            stop, pending, count = _ends(keys, parent[order]), [], 0
        if not len(left):
            return


def _ends(keys: Hashes, labels: Labels) -> NDArray[np.intp]:
    """For each position the end of its run of equal keys; 0 in runs that are one cluster already."""
    if not len(keys):
        return np.empty(0, np.intp)
    begins = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    sizes = np.diff(np.r_[begins, len(keys)])
    mixed = np.minimum.reduceat(labels, begins) != np.maximum.reduceat(labels, begins)
    return np.repeat(np.where(mixed, begins + sizes, 0), sizes)


def merge(parent: Labels, left: Labels, right: Labels) -> None:
    """Make one set of the sets of left[i] and right[i]; `parent` has the smallest member of each one's set.

    The larger root is hung below the smaller one until none is left to hang, then all paths are made short.
    """
    while len(left):
        left, right = parent[left], parent[right]
        differ = left != right
        low, high = np.minimum(left, right)[differ], np.maximum(left, right)[differ]
        np.minimum.at(parent, high, low)
        while not np.array_equal(parent, short := parent[parent]):
            parent[:] = short
        left, right = low, high


def among(hashes: Hashes, others: Hashes, distance: int = DISTANCE) -> NDArray[np.bool_]:
    """Which of `hashes` have one at most `distance` bits away among `others`; shape (len(hashes),)."""
    values, where = np.unique(hashes, return_inverse=True)
    base = np.unique(others)
    found = np.isin(values, base)
    for mask in _masks(distance) if distance else ():
        order, keys = _sorted(base, mask)
        asked = np.flatnonzero(~found)
        begin = np.searchsorted(keys, values[asked] & mask, "left")
        end = np.searchsorted(keys, values[asked] & mask, "right")
        for step in itertools.count():
            inside = begin + step < end
            asked, begin, end = asked[inside], begin[inside], end[inside]
            if not len(asked):
                break
            near = np.bitwise_count(values[asked] ^ base[order[begin + step]]) <= distance
            found[asked[near]] = True
            asked, begin, end = asked[~near], begin[~near], end[~near]
    return found[where]


def later(hashes: Hashes, distance: int = DISTANCE) -> NDArray[np.bool_]:
    """Which hashes, taken in their order, have one at most `distance` bits away among those kept before them.

    A hash is kept when it is none of these, so of a scene that changes slowly one is kept whenever it has changed.
    """
    label = clusters(hashes, distance)
    _, inverse, sizes = np.unique(label, return_inverse=True, return_counts=True)
    crowded = np.flatnonzero(sizes[inverse] > 1)
    dropped = np.zeros(len(hashes), dtype=bool)
    by_cluster = crowded[np.argsort(label[crowded], kind="stable")]
    borders = np.flatnonzero(np.diff(label[by_cluster])) + 1
    for members in np.split(by_cluster, borders) if len(by_cluster) else ():
        dropped[members] = _repeats(hashes[members], distance)
    return dropped


def _repeats(hashes: Hashes, distance: int) -> NDArray[np.bool_]:
    """`later` for the hashes of one cluster: each is compared with all that were kept."""
    dropped = np.zeros(len(hashes), dtype=bool)
    kept, count = np.empty_like(hashes), 0
    for number, value in enumerate(hashes):
        if count and np.bitwise_count(kept[:count] ^ value).min() <= distance:
            dropped[number] = True
        else:
            kept[count] = value
            count += 1
    return dropped


def _masks(distance: int) -> list[np.uint64]:
    """The bits of every two of `distance + 2` bands."""
    borders = np.linspace(0, BITS, distance + 3).round().astype(int)
    bands = [(1 << int(high)) - (1 << int(low)) for low, high in itertools.pairwise(borders)]
    return [np.uint64(one | other) for one, other in itertools.combinations(bands, 2)]


def _sorted(values: Hashes, mask: np.uint64) -> tuple[NDArray[np.intp], Hashes]:
    """The order of values by their masked bits, and those bits in that order."""
    keys = values & mask
    order = np.argsort(keys, kind="stable")
    return order, keys[order]
