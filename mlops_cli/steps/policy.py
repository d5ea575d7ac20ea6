"""A policy file: gates that somebody answers for, judged by `evaluate`, `promote` and `watch` alike."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlops_cli.errors import InputUnusable, Missing, Usage
from mlops_cli.metrics import gate
from mlops_cli.metrics.gate import SEVERITIES, Gate
from mlops_cli.store import manifest

COMMANDS = ("evaluate", "promote", "watch")
_FILE_KEYS = ("owner", "gate")
_KEYS = ("expression", "owner", "severity", "reason", "only")
_HEADER = re.compile(r"^\s*\[\[\s*gate\s*\]\]", re.MULTILINE)
_EXAMPLE = 'write [[gate]] and below it expression = "precision>=0.40"; see docs/policy.md'


@dataclass(frozen=True)
class Policy:
    """The gates of a policy for one command, each with owner, severity and reason; and the digest of its file."""

    digest: str
    owner: str
    gates: tuple[Gate, ...]

    @property
    def record(self) -> dict[str, str]:
        """What a record keeps of it beside the judgements."""
        return {"digest": self.digest, "owner": self.owner}


def load(path: str | None, command: str) -> Policy | None:
    """The gates of the file at `path` that `command` judges; None without a file.

    Errors: Missing and InputUnusable where it cannot be read; Usage for what is no policy, with the number of the gate.
    """
    if path is None:
        return None
    data = _read(Path(path))
    try:
        text = data.decode()
        given = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Usage(f"{path}: {error}", _EXAMPLE) from None
    _known(f"{path}", given, _FILE_KEYS)
    owner = _text(f"{path}", given, "owner")
    tables = given.get("gate", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise Usage(f"{path}: gate is not a list of tables", _EXAMPLE)
    gates = [
        _gate(where, table, owner, command) for where, table in zip(_places(path, text, tables), tables, strict=True)
    ]
    asked = tuple(one for one in gates if one is not None)
    if not asked:
        raise Usage(f"{path}: no gate{f' for {command}' if gates else ''}", _EXAMPLE)
    return Policy(manifest.sha256(data), owner, asked)


def _read(path: Path) -> bytes:
    """The bytes of the file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Missing(f"{path}: no such file", "--policy names a TOML file; see docs/policy.md") from None
    except OSError as error:
        raise InputUnusable(f"{path}: it cannot be read: {error.strerror}") from None


def _places(path: str, text: str, tables: list[Any]) -> list[str]:
    """How each gate is called in an error: its number, and its line where that is plain."""
    lines = [text.count("\n", 0, found.end()) + 1 for found in _HEADER.finditer(text)]
    if len(lines) != len(tables):
        return [f"{path}: gate {number}" for number in range(1, len(tables) + 1)]
    return [f"{path}: gate {number} (line {line})" for number, line in enumerate(lines, 1)]


def _gate(where: str, table: dict[str, Any], owner: str, command: str) -> Gate | None:
    """One gate; None when it is for other commands only."""
    _known(where, table, _KEYS)
    expression = _text(where, table, "expression")
    if not expression:
        raise Usage(f"{where} has no expression", _EXAMPLE)
    severity = _text(where, table, "severity") or SEVERITIES[0]
    _choice(where, "severity", severity, SEVERITIES)
    only = table.get("only", list(COMMANDS))
    if not isinstance(only, list) or not only:
        raise Usage(f"{where}: only = {only!r} is no list of commands", 'write only = ["watch"]')
    for name in only:
        _choice(where, "only", name, COMMANDS)
    try:
        parsed = gate.parse(expression)
    except Usage as error:
        raise Usage(f"{where}: {error.message}", error.hint) from None
    if command not in only:
        return None
    named = _text(where, table, "owner") or owner
    return msgspec.structs.replace(parsed, owner=named, severity=severity, why=_text(where, table, "reason"))


def _known(where: str, table: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse a key that nothing reads."""
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(keys)}"
            raise Usage(f"{where}: unknown key {key!r}", hint)


def _text(where: str, table: dict[str, Any], key: str) -> str:
    """A text in one line; empty without one."""
    value = table.get(key, "")
    if not isinstance(value, str):
        raise Usage(f"{where}: {key} = {value!r} is no text", f'write {key} = "…"')
    return " ".join(value.split())


def _choice(where: str, key: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the choices."""
    if value not in choices:
        raise Usage(f"{where}: {key} {value!r} is unknown", f"there is {', '.join(choices)}")
