"""Loads mutated ONNX files in forked children and tells how each ended; run by test_onnx_file.py.

python fuzz_onnx.py COUNT SEED MODEL…   or with --unchecked first: the check is left out
prints {"refused": n, "answered": n, "library": n, "died": [[mutant, status]…]}
"""

import json
import random
import sys
from pathlib import Path

import fuzz_lightgbm
import numpy as np

from mlops_cli.errors import Corrupt, Integrity
from mlops_cli.runtime import onnx_file, onnx_session

NUMBERS = [0, 1, 2, 3, 5, 7, 8, 16, 127, 128, 1000, 2**31 - 1, 2**31, 2**63, 2**64 - 1]
WORDS = [b"", b"Loop", b"Relu", b"Reshape", b"ai.onnx.ml", b"com.microsoft", b"image", b"logits", b"\xff\xfe", b"/x"]


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def encoded(fields):
    """A message of (number, wire type, value)."""
    out = bytearray()
    for number, wire, value in fields:
        out += varint(number << 3 | wire)
        if wire == 0:
            out += varint(value)
        else:
            out += (varint(len(value)) if wire == 2 else b"") + value
    return bytes(out)


def parsed(data):
    """The fields of a message, fixed ones with their bytes."""
    view, at, out = memoryview(data), 0, []
    while at < len(view):
        tag, at = onnx_file._number(view, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = onnx_file._number(view, at)
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size, at = onnx_file._number(view, at)
            value = bytes(view[at : at + size])
            at += size
        out.append((number, wire, value))
    return out


def mutate(random, data, kind="model"):
    """One change somewhere in a message, whose sizes are right again."""
    fields = parsed(data)
    if not fields:
        return data
    below = [n for n, (number, _, _) in enumerate(fields) if number in onnx_file._LOOKED_INTO[kind]]
    if below and random.random() < 0.9:
        at = random.choice(below)
        number, wire, value = fields[at]
        fields[at] = number, wire, mutate(random, value, onnx_file._LOOKED_INTO[kind][number])
        return encoded(fields)
    at = random.randrange(len(fields))
    number, wire, value = fields[at]
    choice = random.randrange(7)
    if choice == 0:
        del fields[at]
    elif choice == 1:
        fields.insert(random.randrange(len(fields) + 1), fields[at])
    elif choice == 2:
        other = random.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    elif choice == 3:
        fields[at] = random.randint(1, 24), wire, value
    elif wire == 0:
        fields[at] = number, wire, random.choice(NUMBERS)
    elif wire == 5:
        fields[at] = number, wire, random.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", value[::-1]])
    elif wire == 2 and choice == 4:
        fields[at] = number, wire, random.choice(WORDS)
    elif wire == 2:
        fields[at] = number, wire, packed(random, value)
    return encoded(fields)


def packed(random, value):
    """Whole numbers one after another, of which one is another; or bytes of which some are."""
    try:
        numbers = onnx_file._packed(memoryview(value))
        numbers[random.randrange(len(numbers))] = random.choice(NUMBERS)
        return b"".join(map(varint, numbers))
    except (Integrity, ValueError):
        return fuzz_lightgbm.flip(random, value) if value else b"\1"


def mutant(seed, number, files):
    """Mutant `number`, always the same: most are sound protobuf, so that onnxruntime gets to see them."""
    generator = random.Random(f"{seed}/{number}")
    data = files[number % len(files)]
    if generator.random() < 0.2:
        change = generator.choice([fuzz_lightgbm.flip, fuzz_lightgbm.truncate, fuzz_lightgbm.splice])
        return change(generator, data)
    for _ in range(generator.choice([1, 1, 2, 4])):
        try:
            data = mutate(generator, data)
        except (Integrity, TypeError):  # an earlier change has left no sound protobuf to change
            break
    return data


def attempt(data, unchecked):
    """How loading and answering ends, if it does: refused by us, refused by the library, or answered."""
    if unchecked:
        onnx_session.onnx_file = type("Unchecked", (), {"check": staticmethod(lambda data: None)})
    else:
        try:
            onnx_file.check(data)
        except Integrity as error:
            assert "\n" not in error.message
            return "refused"
    tabular = b"TreeEnsemble" in data and b"image" not in data
    inputs, outputs = (["X"], ["label", "proba"]) if tabular else (["image"], ["logits", "embedding"])
    shape = (3, 4) if tabular else (1, 3, 8, 8)
    try:
        session = onnx_session.Session(data, inputs, outputs)
        for values in (np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32)):
            session.run([values])
    except (Integrity, Corrupt) as error:
        assert "\n" not in error.message
        return "library"
    return "answered"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    unchecked = arguments[0] == "--unchecked"
    arguments = arguments[unchecked:]
    fuzz_lightgbm.attempt, fuzz_lightgbm.mutant = attempt, mutant
    files = [Path(name).read_bytes() for name in arguments[2:]]
    print(json.dumps(fuzz_lightgbm.run(int(arguments[0]), int(arguments[1]), files, unchecked)))
