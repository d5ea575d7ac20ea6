"""What a search may try: `--space` read into lists of values and ranges, each checked before anything is fitted."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlops_cli.errors import Usage

MOST = 10_000
_WORDS = ("int", "float", "log", "linear")
_HINT = "write --space num_leaves=15,31,63 or --space learning_rate=0.01..0.3"
Read = Callable[[Mapping[str, str]], dict[str, object]]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included: whole ones or not, each order of magnitude as likely when `log`."""

    low: float
    high: float
    whole: bool
    log: bool

    def draw(self, dice: random.Random) -> str:
        """A number of the range at random, as it would be written."""
        if self.log:
            return self.text(math.exp(dice.uniform(math.log(self.low), math.log(self.high))))
        return self.text(dice.uniform(self.low, self.high))

    def text(self, number: float) -> str:
        """A number as it would be written, four digits of it, and never beyond the ends."""
        if self.whole:
            return str(min(int(self.high), max(int(self.low), round(number))))
        return f"{min(self.high, max(self.low, float(f'{number:.4g}'))):g}"


@dataclass(frozen=True)
class Choice:
    """A list of values as they were written, each as likely."""

    values: tuple[str, ...]

    def draw(self, dice: random.Random) -> str:
        """One of the values at random."""
        return dice.choice(self.values)


Space = dict[str, Range | Choice]


def parse(texts: Sequence[str]) -> Space:
    """What to try for each setting, by name; Usage for anything that is not in the grammar.

    `NAME=V,V,…` is a list. `NAME=[WORD:]…LOW..HIGH` is a range: whole when both ends are written whole (or `int:`,
    `float:` says it), on a logarithmic scale when LOW is above 0 (or `log:`, `linear:` says it).
    """
    found: Space = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        listed = [value.strip() for value in values.split(",")]
        if not equals or not name or "" in listed:
            raise Usage(f"--space {text!r}: not a list of values", _HINT)
        if name in found:
            raise Usage(f"--space {name} is given twice")
        if any(".." in value for value in listed):
            if len(listed) > 1:
                raise Usage(f"--space {text}: a range stands alone, not in a list", _HINT)
            found[name] = _range(name, values)
        elif values.partition(":")[0] in _WORDS and ":" in values:
            raise Usage(f"--space {text}: {values.partition(':')[0]} says how a range LOW..HIGH is drawn from", _HINT)
        else:
            found[name] = Choice(tuple(dict.fromkeys(listed)))
    return found


def _range(name: str, text: str) -> Range:
    """A range `[int:|float:][log:|linear:]LOW..HIGH`."""
    *words, ends = (part.strip() for part in text.split(":"))
    low, _, high = (part.strip() for part in ends.partition(".."))
    wrong = f"--space {name}={text}: not a range of numbers"
    unknown = [word for word in words if word not in _WORDS]
    if unknown or {"int", "float"} <= set(words) or {"log", "linear"} <= set(words):
        raise Usage(f"{wrong}, {unknown[0] if unknown else ' and '.join(words)!s}", f"there is: {', '.join(_WORDS)}")
    try:
        first, last = float(low), float(high)
    except ValueError:
        raise Usage(wrong, _HINT) from None
    if not -math.inf < first < last < math.inf:
        raise Usage(f"{wrong} from the lower to the higher", _HINT)
    written_whole = all(end.lstrip("+-").isdigit() for end in (low, high))
    whole = written_whole if not {"int", "float"} & set(words) else "int" in words
    if whole and not (first.is_integer() and last.is_integer()):
        raise Usage(f"{wrong}: int: needs whole ends")
    if "log" in words and first <= 0:
        raise Usage(f"{wrong}: a logarithmic scale begins above 0", f"--space {name}=linear:{ends}")
    return Range(first, last, whole, "log" in words or ("linear" not in words and first > 0))


def check(space: Space, read: Read) -> None:
    """Usage for a setting that the family has not, or a value or an end of a range that it does not take."""
    for name, values in space.items():
        tried = values.values if isinstance(values, Choice) else _probes(values)
        for value in tried:
            read({name: value})


def _probes(values: Range) -> list[str]:
    """The ends of a range, and a number between them that is not whole unless all are."""
    between = values.low + (values.high - values.low) / math.pi
    return [values.text(values.low), values.text(values.high), values.text(between)]


def grid(space: Space) -> list[dict[str, str]]:
    """Every combination of the values, in the order of `--space`; Usage for a range or too many."""
    lists: dict[str, tuple[str, ...]] = {}
    for name, values in space.items():
        if isinstance(values, Range):
            hint = "list its values, or say --search random or tpe"
            raise Usage(f"--space {name}={values.low:g}..{values.high:g}: a grid has no ranges", hint)
        lists[name] = values.values
    count = math.prod(len(values) for values in lists.values())
    if count > MOST:
        raise Usage(f"the grid has {count:,} trials, more than {MOST:,}", "try fewer values")
    return [dict(zip(lists, choice, strict=True)) for choice in itertools.product(*lists.values())]


def drawn(space: Space, count: int, seed: int) -> list[dict[str, str]]:
    """`count` settings at random, the same for the same seed; what is drawn twice is there once."""
    dice = random.Random(seed)
    found = [tuple((name, values.draw(dice)) for name, values in space.items()) for _ in range(count)]
    return [dict(settings) for settings in dict.fromkeys(found)]
