"""Tables that lie somewhere by a name of their own: URLs, files holding one, and database files told by first bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from mlops_cli import extensions, logs
from mlops_cli.errors import InputUnusable, Missing, Usage
from mlops_cli.sources import lake_names, remote

_MAGIC = {"sqlite": (0, b"SQLite format 3\0"), "duckdb": (8, b"DUCK")}
"""Database files: where which bytes are."""

_LAKES = ("delta", "iceberg")
_HINT = "PGPASSWORD, ~/.pgpass, a service file, or @FILE that holds the URL: mlops ingest @db.url --query …"
_SECRET = re.compile(r"(?i)[?&][^=&]*(?:pass|pwd|secret|token|(?<!ssl)key)[^=&]*=[^&]")


@dataclass(frozen=True)
class Place:
    """Who reads a table, and by what URL; it may hold a password, which `ps` does not show."""

    kind: str
    url: str = field(repr=False)


def place(name: str) -> Place | None:
    """Where the table lies that a name means; None for files. Errors: Usage for a password that everybody can see."""
    if name.startswith("@") and not Path(name).exists():
        return _of_url(_held(Path(name[1:])), hidden=True)
    found = _of_url(name, hidden=False)
    if found:
        return found
    lake = lake_names.kind(name)
    if lake:
        return Place(lake, name)
    path = Path(name)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(16)
        for kind, (at, magic) in _MAGIC.items():
            if head[at : at + len(magic)] == magic:
                return Place(kind, f"{kind}:///{name}")
    return None


def demand_known(name: str) -> None:
    """Usage for no name at all, and for a URL whose scheme nobody reads."""
    if not name:
        raise Usage("the name of a source is empty", "is a variable not set?")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+\w+)?://", name)
    known = (*extensions.PLACES, "file")
    if scheme and scheme[1].lower() not in known and not remote.scheme(name):
        raise Usage(
            f"{scheme[1]}:// is nothing that is read", f"there is: {', '.join((*known, *remote.STORES, *remote.WEB))}"
        )


def lasting(name: str) -> str:
    """A source as it is known again the next time: the URL that a file holds may get another password."""
    found = place(name)
    return logs.redact(found.url) if found else name


def _of_url(url: str, *, hidden: bool) -> Place | None:
    """The place of a URL whose scheme is known."""
    scheme, there, rest = url.partition("://")
    scheme = scheme.partition("+")[0]
    if there and scheme in _LAKES:
        return Place(scheme, url)  # `lake_names` says what is wrong with it
    if not there or scheme not in extensions.PLACES:
        if hidden:
            raise Usage(
                f"what @FILE holds is no URL of: {', '.join(extensions.PLACES)}", "such as postgresql://host/db"
            )
        return None
    user = rest.partition("?")[0].rpartition("@")[0]
    if re.search(r"[/\s@]", user):
        hint = "write them as %2F, %40 and %20"
        raise Usage(f"the user or password in {scheme}://… has a /, an @ or a space in it", hint)
    if not hidden and (":" in user or _SECRET.search(url)):
        raise Usage(f"the password in {scheme}://… can be seen by everybody who lists processes", _HINT)
    return Place(scheme, url)


def _held(path: Path) -> str:
    """The URL in a file."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise Missing(f"{path}: no such file", "@FILE reads the URL of a database from it") from None
    except (OSError, UnicodeDecodeError):
        raise InputUnusable(f"{path}: it cannot be read as text", "@FILE reads the URL of a database from it") from None
    if len(text.splitlines()) != 1:
        raise InputUnusable(f"{path}: {len(text.splitlines())} lines, not one", "it holds the URL and nothing else")
    return text
