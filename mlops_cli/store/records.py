"""The records of a registry: append-only JSON files, each with the digest of the one before it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from mlops_cli.errors import Corrupt, Usage
from mlops_cli.store import manifest

R = TypeVar("R", bound=msgspec.Struct)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Evidence(msgspec.Struct, frozen=True):
    """A stored artefact that says something about a version: an evaluation, a package, a replay."""

    object: str
    kind: str
    at: str
    by: str


class Version(msgspec.Struct, frozen=True):
    """One registered version; `lineage` holds the manifests of all ancestors that were within reach."""

    object: str
    id: str
    lineage: list[dict[str, Any]]
    evidence: list[Evidence]
    owner: str
    note: str
    at: str
    by: str
    previous: str | None


class Move(msgspec.Struct, frozen=True):
    """One move of an alias: which version it has named since `at`, why, and by what verdict."""

    version: int
    why: str
    verdict: dict[str, Any]
    at: str
    by: str
    previous: str | None


def check_name(name: str, what: str = "model name") -> str:
    """Refuse, with Usage, a name that is not plain (`[a-z0-9][a-z0-9._-]{0,63}`)."""
    if not _NAME.fullmatch(name):
        hint = "use a-z, 0-9, '.', '_' and '-', at most 64, starting with a-z or 0-9"
        raise Usage(f"{name!r} cannot be {'an' if what[0] in 'aeiou' else 'a'} {what}", hint)
    return name


def check_alias(alias: str) -> str:
    """Refuse, with Usage, an alias that is not plain, or that `NAME@ALIAS` would read as a version's number."""
    if alias.isdigit():
        raise Usage(f"{alias!r} is not an alias: it would be taken for a version", "give it a letter")
    return check_name(alias, "alias")


def encode(record: msgspec.Struct) -> bytes:
    """The file of a record: canonical JSON and a newline."""
    return manifest.canonical(msgspec.to_builtins(record)) + b"\n"


def decode(data: bytes, type: type[R], where: str) -> R:
    """A record from its file; Corrupt when it is none."""
    try:
        return msgspec.json.decode(data, type=type)
    except manifest.UNREADABLE as error:
        raise Corrupt(f"{where}: {error}") from None


def stamp(moment: datetime | None = None) -> str:
    """A moment (now) as UTC with microseconds; sorts as text."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> str:
    """A time as people write it (ISO 8601; UTC unless it says otherwise) as a stamp; Usage when it is none."""
    try:
        moment = datetime.fromisoformat(text)
        return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise Usage(f"{text!r} is not a time", "write it as 2026-03-03T14:00 (UTC) or 2026-03-03T14:00+01:00") from None
