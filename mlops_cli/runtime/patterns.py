"""Regular expressions as Rust has them, found in time linear in the text: strangers cannot stall a server.

The part of the dialect that rules may use (docs/serving.md): characters, `.`, classes, `\\d \\w \\s` and their
opposites, groups, `|`, `* + ? {m,n}` with or without a `?` behind, `^` and `$` for the whole text. Python's own `re`
means other things by `$`, `\\w` and `\\s`, and takes exponential time for some patterns. The method is Thompson's
(1968): all ways through the pattern at once, the sets of places kept as the states of an automaton that is made while
it is used.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

_CLASSES = "dwsDWS"
_CONTROL = {"t": "\t", "n": "\n", "r": "\r"}
_ESCAPED = frozenset("\\.+*?()|[]{}^$-/#&~\"',:;@!%=_ ")
_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}
_CIRCLED = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189))
_MOST_NODES = 2_000
_MOST_STEPS = 50_000
_DEEPEST = 50


class Unsupported(ValueError):
    """A pattern outside the part of the dialect that is understood here; the text says what is not."""


class Chars:
    """A set of characters: single ones, ranges, and classes by letter."""

    def __init__(self, ranges: Iterable[tuple[str, str]] = (), classes: str = "", negated: bool = False) -> None:
        self._ranges, self._classes, self._negated = tuple(ranges), classes, negated

    def has(self, letter: str) -> bool:
        """Whether a character is in the set."""
        found = any(low <= letter <= high for low, high in self._ranges)
        return (found or any(_in_class(name, letter) for name in self._classes)) != self._negated


def _in_class(name: str, letter: str) -> bool:
    """Whether a character is in `\\d`, `\\w` or `\\s` by Unicode's definition (UTS 18), or in the opposite of one."""
    if name.isupper():
        return not _in_class(name.lower(), letter)
    if name == "s":
        return letter in _SPACES
    kind = unicodedata.category(letter)
    if name == "d":
        return kind == "Nd"
    if kind[0] in "LM" or kind in ("Nd", "Nl", "Pc") or letter in "\u200c\u200d":
        return True
    return any(low <= ord(letter) <= high for low, high in _CIRCLED)


class _Parser:
    """A pattern as a tree: (kind, …) tuples."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def whole(self) -> Any:
        tree = self._alternatives(0)
        if self._at < len(self._text):
            raise Unsupported("a ) without (")
        return tree

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._text):
            raise Unsupported("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _alternatives(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise Unsupported("it is nested too deeply")
        options: list[Any] = []
        parts: list[Any] = []
        while (letter := self._peek()) not in ("", ")"):
            if letter == "|":
                self._take()
                options.append(("cat", parts))
                parts = []
            else:
                parts.append(self._repeated(self._one(depth)))
        return ("or", [*options, ("cat", parts)])

    def _one(self, depth: int) -> Any:
        letter = self._take()
        if letter == "(":
            if self._peek() == "?":
                self._take()
                if self._take() != ":":
                    raise Unsupported("a group with flags or a name")
            tree = self._alternatives(depth + 1)
            if self._peek() != ")":
                raise Unsupported("a ( without )")
            self._take()
            return tree
        if letter in "*+?{":
            raise Unsupported(f"a {letter} with nothing before it")
        if letter in "^$":
            return ("start",) if letter == "^" else ("end",)
        if letter == ".":
            return ("char", Chars([("\n", "\n")], negated=True))
        if letter == "[":
            return ("char", self._set())
        if letter == "\\":
            ranges, classes = self._escape()
            return ("char", Chars(ranges, classes))
        return ("char", Chars([(letter, letter)]))

    def _escape(self) -> tuple[list[tuple[str, str]], str]:
        letter = self._take()
        if letter in _CLASSES:
            return [], letter
        if letter in _CONTROL:
            letter = _CONTROL[letter]
        elif letter not in _ESCAPED:
            raise Unsupported(f"\\{letter}")
        return [(letter, letter)], ""

    def _set(self) -> Chars:
        negated = self._peek() == "^"
        if negated:
            self._take()
        ranges: list[tuple[str, str]] = []
        classes = ""
        while (letter := self._take()) != "]" or not (ranges or classes):
            if letter in "[]&~" or (letter == "-" and self._peek() not in "]"):
                raise Unsupported(f"{letter} inside [ ] without a backslash")
            found, named = self._escape() if letter == "\\" else ([(letter, letter)], "")
            if found and self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._take()
                found = [(found[0][0], self._end_of_range())]
                if found[0][0] > found[0][1]:
                    raise Unsupported("a range that runs backwards")
            ranges += found
            classes += named
        return Chars(ranges, classes, negated)

    def _end_of_range(self) -> str:
        letter = self._take()
        if letter in "[]&~-":
            raise Unsupported(f"{letter} at the end of a range")
        if letter != "\\":
            return letter
        found, named = self._escape()
        if named:
            raise Unsupported(f"\\{named} at the end of a range")
        return found[0][0]

    def _repeated(self, tree: Any) -> Any:
        letter = self._peek()
        if letter not in ("*", "+", "?", "{"):
            return tree
        self._take()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(letter) or self._bounds()
        if self._peek() == "?":  # shortest first: whether there is a match is the same
            self._take()
        if self._peek() in ("*", "+", "?", "{"):
            raise Unsupported("a repetition of a repetition")
        return ("repeat", tree, least, most)

    def _bounds(self) -> tuple[int, int | None]:
        inside, brace, rest = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        if not brace or not _number(low) or (high and not _number(high)):
            raise Unsupported("{ without a backslash, or a repetition that is not {m}, {m,} or {m,n}")
        self._at = len(self._text) - len(rest)
        least = int(low)
        most = least if not comma else int(high) if high else None
        if most is not None and most < least:
            raise Unsupported("a repetition that runs backwards")
        return least, most


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


class _State:
    """A set of places in the pattern at which the text read so far may stand."""

    __slots__ = ("done", "last", "next", "places")

    def __init__(self, places: frozenset[int], done: bool, last: bool) -> None:
        self.places, self.done, self.last = places, done, last
        self.next: dict[str, _State] = {}


class Pattern:
    """A compiled pattern; safe to use from several threads."""

    def __init__(self, text: str, anchored: bool = False) -> None:
        """`anchored`: a match must begin where the text begins. Unsupported when the pattern is not understood."""
        self._nodes: list[tuple[Any, ...]] = [("match",)]
        self._anchored = anchored
        self._root = self._emit(_Parser(text).whole(), 0)
        self._forget()

    def search(self, text: str) -> bool:
        """Whether the pattern is found in a text."""
        state = self._start
        for letter in text:
            if state.done:
                return True
            if not state.places:
                return False
            following = state.next.get(letter)
            state = self._step(state, letter) if following is None else following
        return state.done or state.last

    def _emit(self, tree: Any, then: int) -> int:
        """The nodes of a tree, before the node `then`; where they begin."""
        kind = tree[0]
        if kind == "cat":
            for part in reversed(tree[1]):
                then = self._emit(part, then)
            return then
        if kind == "or":
            return self._add("split", *[self._emit(option, then) for option in tree[1]])
        if kind == "repeat":
            return self._emit_repeated(tree[1], tree[2], tree[3], then)
        return self._add(kind, *tree[1:], then)

    def _add(self, *node: Any) -> int:
        if len(self._nodes) >= _MOST_NODES:
            raise Unsupported("it is too large")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _emit_repeated(self, body: Any, least: int, most: int | None, then: int) -> int:
        """`body` at least `least` times, at most `most` times or without end."""
        end = then
        if most is None:
            then = self._add("split", end)
            self._nodes[then] = ("split", end, self._emit(body, then))
        for _ in range(least, most or 0):
            then = self._add("split", self._emit(body, then), end)
        for _ in range(least):
            then = self._emit(body, then)
        return then

    def _forget(self) -> None:
        """Begin with no states: strangers' texts must not fill the memory with them."""
        self._states: dict[frozenset[int], _State] = {}
        self._steps = 0
        places = self._closure([self._root], at_start=True)
        self._start = _State(places, 0 in places, self._ends(places, at_start=True))

    def _step(self, state: _State, letter: str) -> _State:
        """The state after one more character, made when it is needed for the first time."""
        if self._steps >= _MOST_STEPS:
            self._forget()
        self._steps += 1
        nodes = self._nodes
        there = [nodes[place][2] for place in state.places if nodes[place][0] == "char" and nodes[place][1].has(letter)]
        places = self._closure(there if self._anchored else [*there, self._root], at_start=False)
        found = self._states.get(places)
        if found is None:
            found = self._states[places] = _State(places, 0 in places, self._ends(places, at_start=False))
        state.next[letter] = found
        return found

    def _closure(self, places: Iterable[int], at_start: bool, at_end: bool = False) -> frozenset[int]:
        """The places that are reached from `places` without reading a character."""
        waiting, seen = list(places), set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            kind, *following = self._nodes[place]
            if kind == "split" or (kind == "start" and at_start) or (kind == "end" and at_end):
                waiting += following
        return frozenset(seen)

    def _ends(self, places: frozenset[int], at_start: bool) -> bool:
        """Whether there is a match if the text ends here."""
        return 0 in self._closure(places, at_start, at_end=True)
