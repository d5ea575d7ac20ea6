"""What the tables of lakes are called: directories, and URLs whose scheme says the kind; nothing heavy is imported."""

from __future__ import annotations

import datetime
import glob
import re
from dataclasses import dataclass
from pathlib import Path

from mlops_cli.errors import Usage, WrongKind

_PINNED = re.compile(r"(.+)@(\d+|\d{4}-\d{2}-\d{2}[T0-9:.Z+-]*)", re.DOTALL)
_SCHEME = re.compile(r"(?:delta|iceberg)(?:\+(\w+))?://(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Lake:
    """Where a table lies (a path or the URL of an object store), and which version of it is meant: a number, a time
    (both None: the newest). `said` is what the user has called the version."""

    location: str
    number: int | None = None
    time: datetime.datetime | None = None
    said: str | None = None


def kind(name: str) -> str | None:
    """`delta` or `iceberg` for a URL whose scheme says so, and for a directory that is such a table, each perhaps with
    `@VERSION`; None for anything else."""
    if _SCHEME.fullmatch(name):
        return name.partition("://")[0].partition("+")[0]
    path = Path(_parted(name)[0])
    if (path / "_delta_log").is_dir():
        return "delta"
    if path.name.endswith(".metadata.json") or any((path / "metadata").glob("*.metadata.json")):
        return "iceberg"
    return None


def refuse_inside(pattern: str) -> None:
    """WrongKind for a glob over the files of a table: some of them may not belong to its newest version any more."""
    for folder in Path(pattern).parents if glob.has_magic(pattern) else ():
        found = None if glob.has_magic(str(folder)) else kind(str(folder))
        if found and folder.name:
            what = f"{pattern} names the files of the {found.capitalize()} table {folder}, deleted rows and all"
            raise WrongKind(what, f"mlops ingest {folder}")


def parse(name: str, at: str | None) -> Lake:
    """`PATH`, `delta:///PATH`, `delta+s3://BUCKET/PATH`, each perhaps with `@VERSION`. Usage for what is no version."""
    scheme = _SCHEME.fullmatch(name)
    location = name if scheme is None else f"{scheme[1]}://{scheme[2]}" if scheme[1] else scheme[2]
    location, pinned = _parted(location)
    if at is not None and pinned is not None:
        raise Usage(f"{name} says its version, and so does --at {at}", "leave one of them out")
    said = at if at is not None else pinned
    bare = location.partition("://")[2]
    if "?" in bare or "@" in bare:
        hint = "put them into the environment: AWS_…"
        raise Usage("credentials do not belong in a URL, which everybody can see", hint)
    if said is None:
        return Lake(location.rstrip("/") or "/")
    if re.fullmatch(r"\d{1,19}", said):
        return Lake(location.rstrip("/") or "/", number=int(said), said=said)
    return Lake(location.rstrip("/") or "/", time=_time(said), said=said)


def _time(text: str) -> datetime.datetime:
    """ISO 8601 as a time, in UTC unless it has an offset."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Usage(f"--at {text!r} is neither a version nor a time", "--at 12, or --at 2026-03-01T14:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def _parted(name: str) -> tuple[str, str | None]:
    """`PATH@VERSION` in two, unless there is something of that name."""
    found = _PINNED.fullmatch(name)
    return (name, None) if found is None or Path(name).exists() else (found[1], found[2])
