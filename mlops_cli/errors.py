"""Every failure a user can act on: code word, exit code, message, hint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

OK = 0
BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143


class MlopsError(Exception):
    """A failure that is told in one line, with a hint."""

    exit: ClassVar[int]
    word: ClassVar[str]
    usual: ClassVar[str] = ""
    """The hint where nobody gives a better one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = " ".join((hint or self.usual).split())


class Finding(MlopsError):
    """The answer is no: rows rejected beyond the limit, a gate failed, drift or an alert found."""

    exit, word = 1, "finding"


class Usage(MlopsError):
    """The command line is wrong: a flag, a value of a closed choice, an expression."""

    exit, word = 2, "usage"


class Inconclusive(MlopsError):
    """Too little data to decide; never a pass."""

    exit, word = 3, "inconclusive"


class InputUnusable(MlopsError):
    """An input cannot be used as it is."""

    exit, word = 4, "input"


class Missing(InputUnusable):
    """A file, artefact, model, version or alias does not exist."""

    word = "missing"


class EmptyInput(InputUnusable):
    """There is nothing to read: an empty file, no rows, or empty standard input."""

    word = "empty"
    usual = "look at what writes it: whether it has ended, and with what code"


class Corrupt(InputUnusable):
    """A file is not of the format it should be, or is cut short."""

    word = "corrupt"


class SchemaMismatch(InputUnusable):
    """Columns or types are not those that were expected."""

    word = "schema"


class UnknownColumn(SchemaMismatch):
    """A column that was named is not in the data."""

    word = "column"


class WrongKind(InputUnusable):
    """An artefact of another kind was given."""

    word = "kind"


class Integrity(MlopsError):
    """A digest, a signature, a model's structure or the audit chain does not match."""

    exit, word = 5, "integrity"


class Busy(MlopsError):
    """Another writer holds it, or the state of a commit is unknown; run it again."""

    exit, word = 6, "busy"


_EXTRAS = {
    "adbc_driver_manager": ("the ADBC driver manager", "databases"),
    "adbc_driver_postgresql": ("the ADBC driver of PostgreSQL", "databases"),
    "adbc_driver_sqlite": ("the ADBC driver of SQLite", "databases"),
    "duckdb": ("duckdb", "databases"),
    "PIL": ("Pillow", "images"),
    "av": ("PyAV", "video"),
    "apprise": ("apprise", "notify"),
    "deltalake": ("deltalake", "lake"),
    "obstore": ("obstore", "objects"),
    "onnx": ("onnx", "vision"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "pyiceberg": ("pyiceberg", "lake"),
    "safetensors": ("safetensors", "vision"),
    "torch": ("torch", "vision"),
}
"""Modules that may be missing: what people call the library, and the extra that has it."""


class MissingExtra(MlopsError):
    """An optional part is not installed; the message gives the exact command."""

    exit, word = 7, "missing-extra"

    @classmethod
    def of(cls, what: str, extra: str) -> MissingExtra:
        """The error for a library or module; `extra` would install it, unless `_EXTRAS` knows better."""
        what, extra = _EXTRAS.get(what, (what, extra))
        return cls(f"{what} is not installed", f"pip install 'mlops-cli[{extra}]'")


class Outside(MlopsError):
    """Something outside failed: Docker, a database, an object store, the network, the disk, a command of --exec."""

    exit, word = 8, "outside"


class Stopped(MlopsError):
    """A command earlier in the pipe has ended with this code and has said why; nothing more to say."""

    word = "stopped"

    def __init__(self, code: int, command: str) -> None:
        super().__init__(f"{command} ended with {code}")
        self.exit = code  # type: ignore[misc]  # the code is the earlier command's
        self.command = command


def classes() -> list[type[MlopsError]]:
    """All error classes, the base first, in order of definition."""
    found: list[type[MlopsError]] = []
    queue: list[type[MlopsError]] = [MlopsError]
    while queue:
        cls = queue.pop(0)
        found.append(cls)
        queue.extend(cls.__subclasses__())
    return found


def listed(names: Iterable[str], most: int = 12) -> str:
    """Some names for a hint: the first `most`, and how many more there are."""
    there = list(names)
    return ", ".join(there[:most]) + (f" and {len(there) - most} more" if len(there) > most else "")
