"""Loads mutated LightGBM models in forked children and tells how each ended; run by test_lightgbm_fuzz.py.

python fuzz_lightgbm.py COUNT SEED MODEL…   or with --unchecked first: the validator is left out
prints {"refused": n, "answered": n, "library": n, "died": [[mutant, status]…]}
"""

import json
import os
import random
import re
import resource
import select
import signal
import sys
from pathlib import Path

import numpy as np

from mlops_cli.errors import Integrity
from mlops_cli.runtime import lightgbm_text
from mlops_cli.runtime.lightgbm_library import Booster

HANG = 5.0
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
VALUES = [
    b"0",
    b"1",
    b"-1",
    b"-2",
    b"7",
    b"255",
    b"4096",
    b"2147483647",
    b"-2147483648",
    b"4294967296",
    b"1e308",
    b"nan",
]
VALUES += [b"inf", b"1e999", b"", b"x", b"0.5", b"99999999999999999999", b"1_0", b" 3", b"+3", b"1 2"]


def flip(random, text):
    """One to eight bytes, anywhere, become others."""
    out = bytearray(text)
    for _ in range(random.randint(1, 8)):
        out[random.randrange(len(out))] = random.randrange(256)
    return bytes(out)


def truncate(random, text):
    """The file ends early."""
    return text[: random.randrange(len(text))]


def edit(random, text):
    """One to four numbers become other numbers, or none."""
    for _ in range(random.randint(1, 4)):
        # One number of a random line: else the long lines of floats would get nearly all edits.
        lines = text.split(b"\n")
        at = random.randrange(len(lines))
        numbers = list(NUMBER.finditer(lines[at]))
        if numbers:
            found = random.choice(numbers)
            lines[at] = lines[at][: found.start()] + random.choice(VALUES) + lines[at][found.end() :]
        text = b"\n".join(lines)
    return text


def nudge(random, text):
    """One number of a random line becomes a near one of the same length."""
    lines = text.split(b"\n")
    at = random.randrange(len(lines))
    numbers = list(re.finditer(rb"\d", lines[at]))
    if numbers:
        found = random.choice(numbers)
        lines[at] = lines[at][: found.start()] + b"%d" % random.randrange(10) + lines[at][found.end() :]
    return b"\n".join(lines)


def delete(random, text):
    """One to three lines are gone."""
    lines = text.split(b"\n")
    for _ in range(random.randint(1, 3)):
        del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def double(random, text):
    """A line stands twice, or one replaces another."""
    lines = text.split(b"\n")
    line = random.choice(lines)
    at = random.randrange(len(lines))
    lines[at : at + random.randint(0, 1)] = [line]
    return b"\n".join(lines)


def swap(random, text):
    """Two values of one line, or two lines, change places."""
    lines = text.split(b"\n")
    a, b = random.randrange(len(lines)), random.randrange(len(lines))
    if random.random() < 0.3:
        lines[a], lines[b] = lines[b], lines[a]
    else:
        key, equals, value = lines[a].partition(b"=")
        values = value.split(b" ")
        i, j = random.randrange(len(values)), random.randrange(len(values))
        values[i], values[j] = values[j], values[i]
        lines[a] = key + equals + b" ".join(values)
    return b"\n".join(lines)


def splice(random, text):
    """A piece of the file stands somewhere else too."""
    start = random.randrange(len(text))
    piece = text[start : start + random.randint(1, 400)]
    at = random.randrange(len(text))
    return text[:at] + piece + text[at:]


def repair(text):
    """Sizes of trees made right again, so that the rules behind that one are reached too."""
    head, _, rest = text.partition(b"\n\nTree=")
    trees = (b"Tree=" + rest).removesuffix(b"end of trees\n").split(b"Tree=")[1:]
    sizes = b" ".join(b"%d" % (len(tree) + 5) for tree in trees)
    return re.sub(rb"tree_sizes=[^\n]*", b"tree_sizes=" + sizes, head) + b"\n\nTree=" + rest


MUTATIONS = [flip, truncate, edit, edit, nudge, nudge, delete, double, swap, swap, splice]


def mutant(seed, number, texts):
    """Mutant `number`, always the same."""
    generator = random.Random(f"{seed}/{number}")
    text = texts[number % len(texts)]
    for _ in range(generator.choice([1, 1, 1, 2, 3])):
        text = generator.choice(MUTATIONS)(generator, text) or text
    return repair(text) if generator.random() < 0.6 else text


def trusted(text):
    """The shape of the models that are mutated here, believed."""
    return lightgbm_text.Shape(8, 0, 3 if b"multiclass" in text else 1, "")


def attempt(text, unchecked):
    """How loading and answering ends, if it does: refused by us, refused by the library, or answered."""
    try:
        shape = trusted(text) if unchecked else lightgbm_text.check(text)
    except Integrity as error:
        assert "\n" not in error.message
        return "refused"
    values = np.random.default_rng(0).normal(scale=30, size=(64, shape.features))
    values[::3, ::2] = np.nan
    values[0], values[1] = 1e300, -1e300
    try:
        model = Booster(text, shape.classes)
        model.single(shape.features).predict()
        model.predict(values, 1)
        if shape.depth < lightgbm_text.DEEP:
            model.contributions(values, 1)
    except Integrity:
        return "library"
    return "answered"


def child(out, first, count, seed, texts, unchecked):
    """Mutants one after another, a line of the pipe for each."""
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for stream in (1, 2):  # the library talks before it dies
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    for number in range(first, count):
        result = attempt(mutant(seed, number, texts), unchecked)
        os.write(out, f"{result}\n".encode())
    os._exit(0)


def run(count, seed, texts, unchecked):
    """All mutants; a child that dies or hangs costs that mutant, and another child goes on."""
    ends = {"refused": 0, "library": 0, "answered": 0}
    died = []
    number = 0
    while number < count:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                child(writer, number, count, seed, texts, unchecked)
            finally:
                os._exit(99)
        os.close(writer)
        done, status = watch(pid, reader)
        for result in done:
            ends[result] += 1
        number += len(done)
        if number < count:
            died.append([number, status])
            number += 1
    return ends | {"died": died}


def watch(pid, reader):
    """The results of a child until it ends or hangs, and its status: negative for a signal, or "hang"."""
    done, pending, hangs = [], b"", False
    with os.fdopen(reader, "rb", buffering=0) as results:
        while True:
            if not select.select([results], [], [], HANG)[0]:
                os.kill(pid, signal.SIGKILL)
                hangs = True
                break
            data = results.read(65536)
            if not data:
                break
            *lines, pending = (pending + data).split(b"\n")
            done += [line.decode() for line in lines]
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return done, "hang" if hangs else status


if __name__ == "__main__":
    arguments = sys.argv[1:]
    unchecked = arguments[0] == "--unchecked"
    arguments = arguments[unchecked:]
    texts = [Path(name).read_bytes() for name in arguments[2:]]
    print(json.dumps(run(int(arguments[0]), int(arguments[1]), texts, unchecked)))
